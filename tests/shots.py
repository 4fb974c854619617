"""Draws what was found on the pages of a project: passages, evidence, headers; to be looked at by a person.

python -m tests.shots [PROJECT] [FOLDER]    default: the sample project of `dev.py run`, build/shots
"""

import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter

from core.documents.passages import rectangles
from core.documents.records import Page, Rectangle
from core.project.project import Project
from core.project.records import DocumentRow, ExampleFilter

SCALE = 2  # pixels a point
ROOT = Path(__file__).resolve().parent.parent
COLOURS = (QColor(0, 90, 200, 45), QColor(0, 150, 90, 45))


def main() -> None:
    arguments = [Path(argument) for argument in sys.argv[1:]]
    source = arguments[0] if arguments else ROOT / "build" / "sample" / "sample.elenchus"
    folder = arguments[1] if len(arguments) > 1 else ROOT / "build" / "shots"
    folder.mkdir(parents=True, exist_ok=True)
    QGuiApplication([])
    with Project.open(source, read_only=True) as project:
        for document in project.documents():
            for number in range(1, min(document.pages, 40) + 1):
                target = folder / f"{document.id}-{number:03d}.png"
                draw(project, document, number).save(str(target))
                print(target)


def draw(project: Project, document: DocumentRow, number: int) -> QImage:
    """The page with its passages in blue and green, its furniture in grey, and its evidence in yellow."""
    page = project.page(document.id, number)
    image = picture(Path(document.path), number)
    painter = QPainter(image)
    painter.scale(SCALE, SCALE)
    for ordinal, passage in enumerate(project.passages(document.id)):
        for part_page, start, end in passage.parts:
            if part_page == number:
                fill(painter, rectangles(page, start, end), COLOURS[ordinal % 2])
    fill(painter, (furniture.rectangle for furniture in page.furniture), QColor(128, 128, 128, 90))
    for example in project.iter_examples(ExampleFilter(document_id=document.id)):
        if example.evidence and example.evidence.page == number:
            fill(painter, example.evidence.rectangles, QColor(255, 220, 0, 110))
    reading_order(painter, page)
    painter.end()
    return image


def picture(path: Path, number: int) -> QImage:
    import pypdfium2

    bitmap = pypdfium2.PdfDocument(path)[number - 1].render(scale=SCALE, rev_byteorder=True, prefer_bgrx=True)
    shape = (bitmap.width, bitmap.height, bitmap.stride)
    return QImage(bytes(bitmap.buffer), *shape, QImage.Format.Format_RGBX8888).convertToFormat(
        QImage.Format.Format_RGB32
    )


def fill(painter: QPainter, places: Iterable[Rectangle], colour: QColor) -> None:
    for place in places:
        painter.fillRect(QRectF(place.x0, place.y0, place.x1 - place.x0, place.y1 - place.y0), colour)


def reading_order(painter: QPainter, page: Page) -> None:
    """A thin red line from word to word."""
    painter.setPen(QColor(220, 0, 0, 70))
    centres = [((w.rectangle.x0 + w.rectangle.x1) / 2, (w.rectangle.y0 + w.rectangle.y1) / 2) for w in page.words]
    for (x0, y0), (x1, y1) in pairwise(centres):
        painter.drawLine(int(x0), int(y0), int(x1), int(y1))


if __name__ == "__main__":
    main()
