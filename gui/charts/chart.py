"""What every chart is: a title, a legend and a drawing that follows the window's colours and can be exported."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, QLocale, QPointF, QRect, QRectF, QSize, Qt, QUrl
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDesktopServices,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import UserError
from gui import style
from gui.labels import quiet, strong
from gui.session import Session

Row = tuple[str, ...]

PRINTED = QSize(640, 100)  # pixels that an exported picture has at least
READ_OUT = 200  # rows of its table that stand in a chart's description
GAP = 6  # between a sign and its name
SHARPER = 3  # pixels of a PNG for each of the screen
PAIR = ("quiet", "accent")  # before and after
MANY = ("accent", "warning", "good", "bad", "quiet")


@dataclass(frozen=True)
class Rate:
    """A share with its interval, all in 0..1 and None where nothing was counted; `note` says from what."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Point:
    """A place in a scatter chart and what it stands for. Points of one group are drawn alike."""

    key: str
    x: float
    y: float
    group: str = ""


@dataclass(frozen=True)
class Line:
    """A figure over steps: (step, value), by its step. `ink` is the meaning whose colour it has.

    `drawn` as a line, thin (where another line smooths it), or points, of which that of the step `best` stands out.
    """

    name: str
    points: Sequence[tuple[float, float]]
    ink: str = "accent"
    drawn: str = "line"
    best: float | None = None


@dataclass(frozen=True)
class Ink:
    """What a chart is drawn with: the window's colours of today, or those of paper."""

    ground: QColor
    text: QColor
    colour: Callable[[str], QColor]
    printed: bool = False  # drawn once, for a file

    def series(self, place: int, of: int) -> QColor:
        """The colour of one of so many series."""
        names = PAIR if of == 2 else MANY
        return self.colour(names[place % len(names)])

    def fill(self, place: int, of: int, meaning: str = "") -> QColor:
        """The ground of its bars: the first is pale, so that two can be told apart without colours."""
        ground = self.colour(meaning) if meaning else self.series(place, of)
        ground.setAlpha(190 if place else 100)
        return ground


class Chart(QWidget):
    """A title, a drawing and a menu that exports it. Who cannot see it reads its table."""

    def __init__(self, session: Session, title: str, canvas: QWidget) -> None:
        super().__init__()
        self._session, self._canvas = session, canvas
        self.is_empty = True  # whether there is nothing to see in it
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)  # this widget's own is shown
        canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._head, self._empty, self._legend = strong(), quiet(), Legend()
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._button = QToolButton(autoRaise=True)
        self._button.setText(self.tr("Export"))
        self._button.setToolTip(self.tr("Keep this chart as a picture or its numbers as a table"))
        self._button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._button.setMenu(self._menu())
        style.set_icon(self._button, "export")
        head = QHBoxLayout()
        style.spaced(head, 0)
        head.addWidget(self._head, 1)
        head.addWidget(self._button)
        self._pages = QStackedWidget()
        self._pages.addWidget(canvas)
        self._pages.addWidget(self._empty)
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.HALF)
        column.addLayout(head)
        column.addWidget(self._legend)
        column.addWidget(self._pages, 1)
        self.entitle(title)
        self.say_empty("")

    def entitle(self, title: str) -> None:
        """What it shows, in a few words."""
        self.title = title
        self.setAccessibleName(title)
        self._head.setText(title)
        self._button.setAccessibleName(self.tr("Export: {}").format(title))

    def table(self) -> list[Row]:
        """Its data, the head first."""
        raise NotImplementedError

    def say_empty(self, sentence: str) -> None:
        """What to show while there is nothing to draw."""
        self._empty.setText(sentence or self.tr("There is nothing to show yet."))
        self._empty.setVisible(True)

    def export(self, path: Path) -> None:
        """Keeps the chart, on white, as PNG or SVG, or its table as CSV, by the name's ending.

        Raises UserError when the file cannot be written, or is to be of another kind.
        """
        write = {".png": self._write_png, ".svg": self._write_svg, ".csv": self._write_csv}.get(path.suffix.lower())
        if write is None:
            raise UserError(f"A chart cannot be written as {path.name}. Choose a name that ends in .png, .svg or .csv.")
        try:
            written = write(path)
        except OSError as error:
            raise UserError(f"{path} could not be written: {error.strerror}. Choose another folder.") from error
        if not written:
            raise UserError(f"{path} could not be written. Choose another folder, or make room on the disk.")

    # For the charts

    def _draw(self, ink: Ink) -> None:
        """Draws what it holds."""
        raise NotImplementedError

    def _render(self, painter: QPainter, room: QRect) -> None:
        """Paints what is drawn into a picture."""
        raise NotImplementedError

    def _read_out(self) -> list[Row]:
        """What is said of it to who cannot see it, the head first."""
        return self.table()[:READ_OUT]

    def _redraw(self) -> None:
        """After the data or the colours have changed."""
        rows = self._read_out()
        self.is_empty = len(rows) < 2
        self._pages.setCurrentIndex(int(self.is_empty))
        self._button.setDisabled(self.is_empty)
        self._legend.setVisible(self._legend.is_wanted and not self.is_empty)
        self.setAccessibleDescription("\n".join("\t".join(row) for row in rows))
        ink = self._today()
        self._legend.ink = ink
        self._draw(ink)

    def _today(self) -> Ink:
        palette = self.palette()
        roles = QPalette.ColorRole
        return Ink(palette.color(roles.Window), palette.color(roles.WindowText), style.colour)

    # Files

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        for text, ending in (
            (self.tr("As a &picture (PNG)…"), "png"),
            (self.tr("As a &drawing (SVG)…"), "svg"),
            (self.tr("As a &table (CSV)…"), "csv"),
        ):
            menu.addAction(text).triggered.connect(lambda _=False, ending=ending: self._choose_file(ending))
        return menu

    def _choose_file(self, ending: str) -> None:
        name = "-".join("".join(sign if sign.isalnum() else " " for sign in self.title).split()).lower()
        start = self._session.project.path.parent if self._session.is_open else Path.home()
        chosen, _ = QFileDialog.getSaveFileName(
            self, self.tr("Export a chart"), str(start / f"{name}.{ending}"), f"{ending.upper()} (*.{ending})"
        )
        if not chosen:
            return
        path = Path(chosen)
        path = path if path.suffix.lower() == f".{ending}" else path.with_name(f"{path.name}.{ending}")
        with self._session.reporting():
            self.export(path)
            self._session.notify(
                self.tr("Written to {}.").format(path),
                self.tr("Show"),
                lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent))),
            )

    def _write_csv(self, path: Path) -> bool:
        with open(path, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(self.table())
        return True

    def _write_png(self, path: Path) -> bool:
        size = self._size()
        image = QImage(size * SHARPER, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(SHARPER)
        self._print(image, size)
        return image.save(str(path), "PNG")  # pyright: ignore[reportCallIssue, reportArgumentType]

    def _write_svg(self, path: Path) -> bool:
        size = self._size()
        path.write_bytes(b"")  # says why not, which the generator does not
        drawing = QSvgGenerator()
        drawing.setFileName(str(path))
        drawing.setSize(size)
        drawing.setViewBox(QRect(0, 0, size.width(), size.height()))
        drawing.setTitle(self.title)
        drawing.setResolution(self.logicalDpiX())
        self._print(drawing, size)
        return path.stat().st_size > 0

    def _size(self) -> QSize:
        """Of the whole picture; the head above the drawing is that of `_head_height`."""
        drawing = self._canvas.size().expandedTo(PRINTED).expandedTo(self._canvas.minimumSize())
        return drawing + QSize(2 * style.SPACE, self._head_height(drawing.width()) + style.SPACE)

    def _head_height(self, width: int) -> int:
        return 2 * self.fontMetrics().height() + self._legend.height_for(width)

    def _print(self, device: QImage | QSvgGenerator, size: QSize) -> None:
        """Paints title, legend and drawing in the colours of paper."""
        paper = Ink(QColor("white"), QColor("black"), style.colour_on_paper, printed=True)
        line, whole = self.fontMetrics().height(), QRect(0, 0, size.width(), size.height())
        names = QRect(style.SPACE, 2 * line, size.width() - 2 * style.SPACE, 0)
        painter = QPainter(device)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(whole, paper.ground)
        painter.setPen(paper.text)
        painter.setFont(self._head.font())
        painter.drawText(names.left(), style.HALF + self.fontMetrics().ascent(), self.title)
        painter.setFont(self.font())
        self._legend.paint(painter, names, paper)
        self._draw(paper)
        head = self._head_height(size.width() - 2 * style.SPACE)
        self._render(painter, whole.adjusted(style.SPACE, head, -style.SPACE, -style.SPACE))
        painter.end()
        self._draw(self._today())

    # Qt's own

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.is_empty:
            self._button.menu().popup(event.globalPos())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_pages"):
            self._redraw()


class Legend(QWidget):
    """Which series is which: a sign of its colour and its name."""

    def __init__(self) -> None:
        super().__init__()
        self.ink: Ink | None = None
        self._names: list[str] = []
        self._shapes: Sequence[QPainterPath] = ()
        self._inks: Sequence[str] = ()

    @property
    def is_wanted(self) -> bool:
        """Whether there are several series to be told apart."""
        return len(self._names) > 1

    def show_names(self, names: Sequence[str], shapes: Sequence[QPainterPath] = (), inks: Sequence[str] = ()) -> None:
        """The series in order; with `shapes`, each 1 wide around 0, of points, else they are bars.

        With `inks`, each has the colour of a meaning, else that of its place.
        """
        self._names, self._shapes, self._inks = list(names), shapes, inks
        self.setFixedHeight(self.height_for(self.width()))
        self.update()

    def paint(self, painter: QPainter, room: QRect, ink: Ink) -> None:
        """Draws the names in lines as wide as there is room."""
        metrics, count = self.fontMetrics(), len(self._names)
        side = metrics.ascent() * 0.8
        for place, at in enumerate(self._places(room.width())):
            corner = QPointF(room.topLeft()) + at
            box = QRectF(corner.x(), corner.y() + (metrics.height() - side) / 2, side, side)
            painter.save()
            meaning = self._inks[place] if self._inks else ""
            colour = ink.colour(meaning) if meaning else ink.series(place, count)
            painter.setPen(QPen(colour, 1))
            if self._shapes:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colour)
                painter.translate(box.center())
                painter.scale(side, side)
                painter.drawPath(self._shapes[place % len(self._shapes)])
            else:
                painter.setBrush(ink.fill(place, count, meaning))
                painter.drawRect(box)
            painter.restore()
            painter.setPen(ink.text)
            painter.drawText(corner + QPointF(side + GAP, metrics.ascent()), self._names[place])

    def _places(self, width: int) -> list[QPointF]:
        """Where each name begins, so that none goes beyond the width."""
        places: list[QPointF] = []
        metrics, x, y = self.fontMetrics(), 0.0, 0.0
        for name in self._names if self.is_wanted else ():
            wide = metrics.ascent() * 0.8 + GAP + metrics.horizontalAdvance(name)
            if x and x + wide > width:
                x, y = 0.0, y + metrics.height() + style.HALF
            places.append(QPointF(x, y))
            x += wide + style.DOUBLE
        return places

    def height_for(self, width: int) -> int:
        """Pixels that its lines take at this width."""
        places = self._places(width)
        return round(places[-1].y()) + self.fontMetrics().height() + style.HALF if places else 0

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.setFixedHeight(self.height_for(self.width()))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.ink is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.paint(painter, self.rect(), self.ink)
        painter.end()


def percent(share: float | None, digits: int = 1) -> str:
    """A share as people read it; a dash where there is none."""
    return "–" if share is None else f"{QLocale().toString(100.0 * share, 'f', digits)} %"


def number(value: float | None) -> str:
    """For a table: exact enough, and with a point in every language."""
    return "" if value is None else f"{value:.6g}"
