"""Some questions as a table with a note for each, and under it the one that is current, to be read whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSplitter, QVBoxLayout, QWidget

from core.project.records import Example
from gui import style
from gui.example_table import RATING, ExampleTable, ExampleView, spans
from gui.labels import plain, quiet, strong
from gui.session import Session
from gui.words import kind_name, state_name, state_sign

FEW = 200  # changed questions, above which the table is drawn anew as a whole
NOTE = 7  # the column behind those of the questions
NOTE_WIDTH, LEAST = 20, 34  # letters, of a note and of a question
NOTE_SHARE = 0.4  # of the table's width


def _none(_: int) -> str:
    return ""


class RowsPane(QWidget):
    """`chosen` says that the user has selected other rows. Keys that judge are the panel's."""

    chosen = Signal()

    def __init__(self, session: Session, note: str = "", name: str = "") -> None:
        """`note`: what the last column says; empty: there is none. `name`: what the table is called."""
        super().__init__()
        self._session = session
        self.model = NotedTable(self._load, session.page_label, note)
        self.view = ExampleView(self.model, least=LEAST)
        self.view.setAccessibleName(name or self.tr("Questions"))
        self.view.setColumnWidth(RATING, self.fontMetrics().horizontalAdvance("★★★★★") + style.DOUBLE)
        self._noted = bool(note)
        self._reader = _Reader(session, note)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(self._reader)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([400, 180])
        column = QVBoxLayout(self)
        style.spaced(column, 0, 0)
        column.addWidget(self.splitter)
        self.setFocusProxy(self.view)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self.chosen.emit())
        self.view.selectionModel().currentRowChanged.connect(lambda *_: self._show_current())
        session.examples_changed.connect(self._take_in)
        session.project_closed.connect(self.forget)

    @property
    def ids(self) -> list[int]:
        """What is in the table, from the top."""
        return self.model.ids

    def show_ids(self, ids: Sequence[int], note: Callable[[int], str] = _none) -> None:
        """Shows other questions, and what is noted of each id; what was selected stays so as far as it is there."""
        selected, current = self.selected_ids(), self.current_id()
        self.model.note = note
        with QSignalBlocker(self.view.selectionModel()):
            self.model.set_ids(list(ids), list(ids) == sorted(ids))
            self.select(selected)
            row = self.model.row_of(current) if current is not None else -1
            if row >= 0:
                flags = QItemSelectionModel.SelectionFlag.NoUpdate
                self.view.selectionModel().setCurrentIndex(self.model.index(row, 0), flags)
        if not self.selected_ids() and self.model.ids:
            self.view.selectRow(0)
        self._show_current()
        if self.selected_ids() != selected:
            self.chosen.emit()

    def forget(self) -> None:
        """Shows nothing: another project."""
        with QSignalBlocker(self.view.selectionModel()):
            self.model.note = _none
            self.model.forget()
        self._reader.show_example(None, "")

    def selected_ids(self) -> list[int]:
        """The questions that are selected, from the top."""
        selection: Any = self.view.selectionModel().selection()  # a list of ranges, which its stubs do not say
        ranges = sorted((one.top(), one.bottom()) for one in selection)
        return [id for top, bottom in ranges for id in self.model.ids[top : bottom + 1]]

    def current_id(self) -> int | None:
        """The question that is read under the table."""
        row = self.view.currentIndex().row()
        return self.model.ids[row] if 0 <= row < len(self.model.ids) else None

    def select(self, ids: Sequence[int]) -> None:
        """Selects these and no others."""
        selection, last = QItemSelection(), self.model.columnCount() - 1
        for first, end in spans(self.model.rows_of(ids)):
            selection.select(self.model.index(first, 0), self.model.index(end, last))
        self.view.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def show_first(self) -> None:
        """Reads the first row; what is selected stays so."""
        flags = QItemSelectionModel.SelectionFlag.NoUpdate
        self.view.selectionModel().setCurrentIndex(self.model.index(0, 0), flags)
        self.view.scrollToTop()

    def select_next(self) -> None:
        """Goes on to the row below, where one row alone is selected."""
        row = self.view.currentIndex().row() + 1
        if len(self.selected_ids()) == 1 and row < len(self.model.ids):
            self.view.selectRow(row)
            self.view.scrollTo(self.model.index(row, 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._noted:  # which are sentences
            least = self.fontMetrics().averageCharWidth() * NOTE_WIDTH
            self.view.setColumnWidth(NOTE, max(least, round(NOTE_SHARE * self.width())))

    def _load(self, ids: Sequence[int]) -> list[Example]:
        with self._session.reporting():
            return self._session.project.examples_by_id(ids) if self._session.is_open else []
        return []

    def _take_in(self, ids: Sequence[int]) -> None:
        self.model.drop(ids)
        if len(ids) > FEW:
            self.view.viewport().update()
        else:
            self.model.repaint(ids)
        if self.current_id() in ids:
            self._show_current()

    def _show_current(self) -> None:
        row = self.view.currentIndex().row()
        example = self.model.example(row) if row >= 0 else None
        self._reader.show_example(example, self.model.note(example.id) if example else "")


class NotedTable(ExampleTable):
    """The questions with a note for each, such as why it was picked."""

    def __init__(
        self,
        load: Callable[[Sequence[int]], list[Example]],
        label: Callable[[int, int], str],
        note: str,
    ) -> None:
        super().__init__(load, label)
        self.note: Callable[[int], str] = _none  # of an id; asked for what is seen
        if note:
            self._titles[NOTE] = note

    def _whole(self, example: Example, column: int) -> str:
        return self.note(example.id) if column == NOTE else super()._whole(example, column)


class _Reader(QScrollArea):
    """One question in full."""

    def __init__(self, session: Session, note: str) -> None:
        super().__init__()
        self._session, self._named = session, note
        self.setAccessibleName(self.tr("The current question"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(90)
        self._head, self._note = quiet(), quiet(selectable=True)
        self._question, self._answer = strong(selectable=True), plain(selectable=True)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.SPACE, style.HALF)
        for label in (self._head, self._question, self._answer, self._note):
            column.addWidget(label)
        column.addStretch(1)
        self.setWidget(page)
        self.show_example(None, "")

    def show_example(self, example: Example | None, note: str) -> None:
        for label in (self._question, self._answer, self._note):
            label.setVisible(example is not None)
        if example is None:
            self._head.setText(self.tr("Choose a question to read it here."))
            return
        where = ""
        if example.evidence and example.document_id is not None:
            where = self.tr("page {}").format(self._session.page_label(example.document_id, example.evidence.page))
        sign = f"{state_sign(example.state)[0]} {state_name(example.state)}"
        parts = (sign, kind_name(example.kind), "★" * (example.rating or 0), where, " ".join(example.document.split()))
        self._head.setText(" · ".join(filter(None, parts)))
        self._question.setText(example.question)
        self._answer.setText(example.answer)
        self._note.setText(f"{self._named}: {note}" if note else "")
        self._note.setVisible(bool(note))
