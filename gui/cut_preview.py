"""Tries out how a document may be cut into passages, and says what to draw over its pages for that."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from PySide6.QtCore import QObject, QSignalBlocker, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QSpinBox, QWidget

from core.documents.passages import SMALLEST_SIZE, cut_passages, rectangles
from core.documents.records import Heading, Page, Passage
from core.errors import UserError
from core.project.importing import pages_to_cut
from core.project.project import Project
from core.project.records import DocumentRow, PassageRow
from gui import style
from gui.labels import line, quiet
from gui.page_canvas import Mark
from gui.session import Session

PREVIEW_PAUSE = 250  # milliseconds without a change before the cuts are computed
LARGEST_SIZE = 8000  # characters of a passage


class CutPreview(QWidget):
    """How long the passages of a document are and how far they overlap, to be changed, with what that would make."""

    numbers_changed = Signal()  # by the user
    marks_changed = Signal()

    def __init__(self, session: Session, recut: QAction) -> None:
        super().__init__()
        self._session = session
        self._document: DocumentRow | None = None
        self._cuts: dict[int, list[tuple[int, Passage | PassageRow, int, int]]] = {}  # page → its parts of passages
        self._cutter = Cutter(self)
        self._pause = QTimer(self, singleShot=True, interval=PREVIEW_PAUSE)
        self._build(recut)
        self._size.valueChanged.connect(self._change)
        self._overlap.valueChanged.connect(self._change)
        self._size.editingFinished.connect(self._limit_overlap)
        self._pause.timeout.connect(self.preview)
        session.project_closing.connect(self.clear)
        self._cutter.passages_cut.connect(self._show_preview)

    @property
    def numbers(self) -> tuple[int, int]:
        """The longest passage and the overlap, in characters."""
        size = self._size.value()
        return size, min(self._overlap.value(), size - 1)

    @property
    def is_changed(self) -> bool:
        """Whether the numbers are others than those that the document was cut with."""
        document = self._document
        return document is not None and self.numbers != (document.passage_size, document.overlap)

    def show_document(self, document: DocumentRow) -> None:
        """The numbers and the passages of a document that was read."""
        self.clear()
        self._document = document
        with QSignalBlocker(self._size), QSignalBlocker(self._overlap):
            self._size.setValue(document.passage_size)
            self._overlap.setMaximum(self._size.value() - 1)
            self._overlap.setValue(document.overlap)
        self._show_cuts(self._session.project.passages(document.id))

    def show_reason(self, reason: str) -> None:
        """Why the document cannot be cut anew; empty when it can."""
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))

    def clear(self) -> None:
        """No document: what is being cut is forgotten."""
        self._document = None
        self._pause.stop()
        self._cutter.forget()

    def preview(self) -> None:
        """Cuts the document by the numbers, to be seen only."""
        if self._document is None:
            return
        if self.is_changed:
            self._count.setText(self.tr("Cutting…"))
            self._cutter.cut(self._session.project, self._document.id, *self.numbers)
        else:
            self._cutter.forget()
            self._show_cuts(self._session.project.passages(self._document.id))

    def marks(self, _: int, page: Page) -> list[Mark]:
        """What is drawn over a page: its passages, in turn, and what was left out of them."""
        marks = [
            Mark((one.rectangle,), "furniture", self.tr("Left out: {}").format(one.kind)) for one in page.furniture
        ]
        for number, passage, start, end in self._cuts.get(page.number, ()):
            label = self.tr("Passage {}").format(number) + (f" · {passage.section}" if passage.section else "")
            meaning = "passage" if number % 2 else "passage_other"
            marks.append(Mark(rectangles(page, start, end), meaning, label))
        return marks

    def _change(self) -> None:
        self._overlap.setMaximum(max(self._overlap.value(), self._size.value() - 1))
        self._pause.start()
        self.numbers_changed.emit()

    def _limit_overlap(self) -> None:
        """Not at each digit: on the way to 1,500 stands 150, which would cut an overlap of 200 down for good."""
        self._overlap.setMaximum(self._size.value() - 1)

    def _show_preview(self, passages: list[Passage]) -> None:
        if self.is_changed:
            self._show_cuts(passages)

    def _show_cuts(self, passages: Sequence[Passage | PassageRow]) -> None:
        self._cuts = {}
        for number, passage in enumerate(passages, 1):
            for page, start, end in _parts(passage):
                self._cuts.setdefault(page, []).append((number, passage, start, end))
        count, before = len(passages), self._document.passages if self._document else 0
        if self.is_changed:
            self._count.setText(self.tr("{:,} passages now, {:,} after cutting").format(before, count))
        else:
            self._count.setText(self.tr("1 passage") if count == 1 else self.tr("{:,} passages").format(count))
        self.marks_changed.emit()

    def _build(self, recut: QAction) -> None:
        self._size, self._overlap = QSpinBox(), QSpinBox()
        self._size.setRange(SMALLEST_SIZE, LARGEST_SIZE)
        self._size.setSingleStep(100)
        self._overlap.setRange(0, LARGEST_SIZE - 1)
        self._overlap.setSingleStep(50)
        for box in (self._size, self._overlap):
            box.setGroupSeparatorShown(True)
            box.setSuffix(self.tr(" characters"))
        self._count = line()
        self._count.setMinimumWidth(1)  # a long text does not make the window wide
        self._count.setAccessibleName(self.tr("Number of passages"))
        button = QPushButton(recut.text())
        button.clicked.connect(recut.trigger)
        button.setEnabled(False)
        recut.enabledChanged.connect(button.setEnabled)
        form = QFormLayout(self)
        style.spaced(form, style.SPACE)
        form.addRow(self.tr("&Longest passage"), self._size)
        form.addRow(self.tr("&Overlap"), self._overlap)
        row = QHBoxLayout()
        row.addWidget(self._count, 1)
        row.addWidget(button)
        form.addRow(row)
        self._reason = quiet()
        form.addRow(self._reason)
        self._reason.hide()


class Cutter(QObject):
    """Cuts a document into passages in a thread of its own, for the preview; the last request wins."""

    passages_cut = Signal(object)  # list of Passage
    _done = Signal(int, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._request = self._forgotten = 0
        self._pages: tuple[int, Sequence[Heading], list[Page]] | None = None  # of the document that was cut last
        self._lock = threading.Lock()
        self._done.connect(self._tell)

    def cut(self, project: Project, document_id: int, size: int, overlap: int) -> None:
        """Begins; `passages_cut` follows, unless something else is asked for before."""
        self._request += 1
        arguments = (self._request, self._forgotten, project, document_id, size, overlap)
        threading.Thread(target=self._work, args=arguments, name="cutter", daemon=True).start()

    def forget(self) -> None:
        """Nobody wants the passages any more, and the document may have changed."""
        self._request += 1
        self._forgotten += 1
        self._pages = None

    def _work(self, request: int, round: int, project: Project, document_id: int, size: int, overlap: int) -> None:
        def forgotten() -> bool:
            return round != self._forgotten

        try:
            with self._lock:  # who comes second finds the pages there
                if request != self._request:
                    return
                kept = self._pages
                if kept is None or kept[0] != document_id:
                    outline = project.document_outline(document_id)
                    kept = (document_id, outline, pages_to_cut(project, document_id, outline, forgotten))
                passages = cut_passages(kept[2], kept[1], size, overlap)
                if not forgotten():
                    self._pages = kept
            self._done.emit(request, passages)
        except UserError:
            pass  # cancelled, or the document went away meanwhile: whoever took it says so
        except Exception:
            if not forgotten():  # else the project was closed under it
                raise

    def _tell(self, request: int, passages: list[Passage]) -> None:
        if request == self._request:
            self.passages_cut.emit(passages)


def _parts(passage: Passage | PassageRow) -> list[tuple[int, int, int]]:
    if isinstance(passage, PassageRow):
        return list(passage.parts)
    return [(part.page, part.start, part.end) for part in passage.parts]
