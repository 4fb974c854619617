"""A panel with a list of examples beside the one that is chosen: what is in the list, what is selected, and undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QSignalBlocker, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QLineEdit, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from core.errors import UserError
from core.project.project import Project
from core.project.records import STATES, Example, ExampleFilter
from gui import style
from gui.detail import Detail
from gui.edit_field import EditField
from gui.empty_page import EmptyPage
from gui.example_filters import ExampleFilters
from gui.example_table import ExampleTable, ExampleView, Fetcher, spans
from gui.jobs import Jobs
from gui.panels.panel import Panel
from gui.session import Session

AT_ONCE = 20_000  # examples in a project, above which the list is fetched in a thread
FEW = 200  # changed examples that are put into the list one by one; more fetch it anew
MANY = 1_000  # examples that are changed in one go, above which it is a job


class ExamplePanel(Panel):
    """Who inherits makes table and filters, calls `_arrange`, and says why nothing is there.

    `writing` are the actions that change something.
    """

    key = ""  # what its settings begin with
    sizes = (640, 430)  # pixels of the list and of the detail, when it is seen first

    model: ExampleTable
    view: ExampleView
    filters: ExampleFilters

    def __init__(self, session: Session, jobs: Jobs, title: str) -> None:
        super().__init__(session, jobs, title)
        self.filter = ExampleFilter()
        self.counts = dict.fromkeys(STATES, 0)
        self.writing: list[QAction] = []
        self._fetching: ExampleFilter | None = None  # what a thread looks for now
        self._stale = False  # whether what it finds is out of date
        self._to_top = False  # whether the next list is another one, and not the same grown
        self._fetcher = Fetcher()

    def take_focus(self) -> None:
        (self.empty if self._lists.currentIndex() else self.view).setFocus()

    def _arrange(self, detail: Detail) -> None:
        """The list under its filters at the left, the detail at the right, as the user left them."""
        self._detail = detail
        self.view = ExampleView(self.model)
        self.empty = EmptyPage()
        self._lists = QStackedWidget()
        self._lists.addWidget(self.view)
        self._lists.addWidget(self.empty)
        left = QWidget()
        column = QVBoxLayout(left)
        style.spaced(column, style.SPACE)
        column.addWidget(self.filters)
        column.addWidget(self._lists, 1)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(left)
        self.splitter.addWidget(self._detail)
        for place, size in enumerate(self.sizes):
            self.splitter.setStretchFactor(place, size)
        outer = QVBoxLayout(self)
        style.spaced(outer, 0, 0)
        outer.addWidget(self.splitter)
        self.splitter.setSizes(list(self.sizes))
        for name, splitter in self._splitters():
            if state := self.session.settings.value(f"{self.key}/{name}"):
                splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        self.view.set_widths(self.session.settings.value(f"{self.key}/columns", [], list))  # pyright: ignore
        self._listen()

    def _listen(self) -> None:
        self.filters.changed.connect(self._refilter)
        self.filters.done.connect(self.view.setFocus)
        self.view.selectionModel().currentRowChanged.connect(self._show_current)
        self.view.horizontalHeader().sectionClicked.connect(self._sort_by)
        self._detail.edited.connect(lambda id: self._take_in([id]))
        self._detail.left.connect(self.view.setFocus)
        self._fetcher.fetched.connect(self._receive)
        self.session.project_opened.connect(self._show_project)
        self.session.project_closed.connect(self._show_project)
        self.session.examples_changed.connect(self._take_in)
        self.session.documents_changed.connect(self._show_sources)
        self.session.runs_changed.connect(self._show_sources)

    # What who inherits says

    def _say_why_empty(self) -> None:
        """What stands in the place of an empty list."""
        raise NotImplementedError

    def _show_writable(self, writable: bool) -> None:
        """Whether the buttons of the panel's own may be pressed."""
        raise NotImplementedError

    # The project

    def _show_project(self) -> None:
        """Another project, or none."""
        open = self.session.is_open
        with QSignalBlocker(self.view.selectionModel()):
            self.model.forget()
        self._detail.show_example(None)
        self.counts = dict.fromkeys(STATES, 0)
        writable = open and not self.session.project.read_only
        for action in self.writing:
            action.setEnabled(writable)
        self._detail.set_writable(writable)
        self._show_writable(writable)
        if open:
            self._show_sources()
            self.filters.clear()

    def _show_sources(self, _: object = None) -> None:
        """The documents and runs that can be chosen among."""
        if not self.session.is_open:
            return
        with self.session.reporting():
            documents = self.session.project.documents()
            self.filters.show_sources(documents, self.session.project.runs())
            self.view.show_documents(len(documents) > 1)
            self._show_empty()

    # The list

    def find(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Puts the cursor into the search field."""
        self.filters.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filters.search.selectAll()

    def selected_ids(self) -> list[int]:
        """The questions that are selected, as they stand in the list."""
        selection: Any = self.view.selectionModel().selection()  # a list of ranges, which its stubs do not say
        ranges = sorted((one.top(), one.bottom()) for one in selection)
        return [id for top, bottom in ranges for id in self.model.ids[top : bottom + 1]]

    def current_id(self) -> int | None:
        """The question that is shown in the detail."""
        row = self.view.currentIndex().row()
        return self.model.ids[row] if 0 <= row < len(self.model.ids) else None

    def select_row(self, row: int) -> None:
        """Makes a row the current one, and the only one that is selected."""
        if 0 <= row < len(self.model.ids):
            self.view.selectRow(row)
            self.view.scrollTo(self.model.index(row, 0))

    def _load(self, ids: Sequence[int]) -> list[Example]:
        with self.session.reporting():
            return self.session.project.examples_by_id(ids) if self.session.is_open else []
        return []

    def _refilter(self) -> None:
        """Shows what the switches ask for."""
        if self.session.is_open:
            self.filter = self.filters.filter
            self._show_order()
            self._to_top = True
            self._fetch()

    def _sort_by(self, column: int) -> None:
        if column in self.model.sorted_by:
            self.filters.sort_by(self.model.sorted_by[column])
        self._show_order()

    def _show_order(self) -> None:
        header = self.view.horizontalHeader()
        column = next((column for column, name in self.model.sorted_by.items() if name == self.filter.sort), -1)
        order = Qt.SortOrder.DescendingOrder if self.filter.descending else Qt.SortOrder.AscendingOrder
        header.setSortIndicatorShown(column >= 0)
        header.setSortIndicator(column, order)

    def _fetch(self) -> None:
        """Fetches the ids of what is to be shown; of a large project in a thread."""
        self._count()
        if self._fetching is not None:
            self._stale = True
        elif sum(self.counts.values()) > AT_ONCE:
            self._fetching, self._stale = self.filter, False
            self._fetcher.start(self.session.project, self.filter)
        else:
            with self.session.reporting():
                self._show_ids(self.session.project.example_ids(self.filter))

    def _receive(self, project: Project, ids: list[int] | UserError) -> None:
        """What a thread found; when it is out of date, once more."""
        self._fetching = None
        if not self.session.is_open:
            return
        if self._stale or project is not self.session.project:
            self._fetch()
        elif isinstance(ids, UserError):
            self.session.error_reported.emit(ids)
        else:
            self._show_ids(ids)

    def _count(self) -> None:
        with self.session.reporting():
            self.counts = self.session.project.counts()
            self.filters.show_counts(self.counts)

    def _show_ids(self, ids: list[int]) -> None:
        """Shows another list, with what was selected and where the view was, as far as that is still there."""
        to_top, self._to_top = self._to_top, False
        current, selected = self.current_id(), self.selected_ids()
        row = max(0, self.view.currentIndex().row())
        bar, height = self.view.verticalScrollBar(), self.view.verticalHeader().defaultSectionSize()
        above, within = divmod(bar.value(), height)
        anchor = self.model.ids[above] if above < len(self.model.ids) else -1
        self.model.set_ids(ids, self.filter.sort == "id" and not self.filter.descending)
        self._restore_selection(selected)
        place = -1 if current is None else self.model.row_of(current)
        if place >= 0:
            index = self.model.index(place, 0)
            self.view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        elif ids:
            self.select_row(0 if to_top else min(row, len(ids) - 1))
        else:
            self._show_current()
        if not to_top and place >= 0 and (top := self.model.row_of(anchor)) >= 0:
            self.view.doItemsLayout()  # else the bar does not know yet how far it goes
            bar.setValue(top * height + within)
        self._show_empty()

    def _restore_selection(self, ids: Sequence[int]) -> None:
        if not ids or not self.model.ids:
            return
        selection, last = QItemSelection(), self.model.columnCount() - 1
        for first, end in spans(self.model.rows_of(ids)):
            selection.select(self.model.index(first, 0), self.model.index(end, last))
        self.view.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _take_in(self, ids: Sequence[int]) -> None:
        """Some questions were made or changed: their rows follow, and all others stay as they are."""
        if not self.session.is_open:
            return
        self.model.drop(ids)
        if self._fetching is not None:
            self._stale = True
        if len(ids) > FEW or not self._fit_in(ids):
            self._fetch()
        else:
            self._count()
            self._show_empty()
        self._show_current()

    def _fit_in(self, ids: Sequence[int]) -> bool:
        """Puts a few changed questions in their places; whether that could be done."""
        with self.session.reporting():
            matching = self._matching(ids)
            shown = self._detail.example
            if shown is not None and shown.id in set(ids) - matching:
                self._detail.commit()  # now: while rows are being removed, the list must not change again
                matching = self._matching(ids)
            added = sorted(matching.difference(self.model.ids[row] for row in self.model.rows_of(matching)))
            ascending = self.filter.sort == "id" and not self.filter.descending
            if added and not ascending:
                return False
            self.model.remove(id for id in ids if id not in matching)
            bar = self.view.verticalScrollBar()
            at_the_end = bar.value() == bar.maximum() > 0
            self.model.insert(added)
            self.model.repaint([id for id in ids if id in matching])
            if self.current_id() is None and self.model.ids:
                self.select_row(0)
            if added and at_the_end:  # who looks at the end sees what arrives there
                self.view.scrollToBottom()
            return True
        return False

    def _matching(self, ids: Sequence[int]) -> set[int]:
        return set(self.session.project.example_ids(self.filter, among=ids))

    def _show_current(self, *_: QModelIndex) -> None:
        row = self.view.currentIndex().row()
        self._detail.show_example(self.model.example(row) if row >= 0 else None)

    def _show_empty(self) -> None:
        if self._fetching is None:
            queue = sum(number for state, number in self.counts.items() if self.filter.state in (None, state))
            self.filters.show_found(len(self.model.ids), queue)
        empty = self.session.is_open and not self.model.ids and self._fetching is None
        had_focus = self._lists.isAncestorOf(self.window().focusWidget() or self)  # or would have, behind a dialog
        self._lists.setCurrentIndex(int(empty))
        self._detail.show_hint(not empty)
        self._detail.setHidden(empty and not any(self.counts.values()))
        if empty:
            self._say_why_empty()
        if had_focus:  # else Qt would choose, and might choose a text field
            (self.empty if empty else self.view).setFocus()

    # Undo

    def undo(self) -> None:
        """Takes back what was typed last, or else the last change in the project."""
        if (field := writing_field()) is not None and _steps(field)[0]:
            field.undo()
        elif self.session.may_write():
            self._step(redo=False)

    def redo(self) -> None:
        """Does again what was undone last, in the text or else in the project."""
        if (field := writing_field()) is not None and _steps(field)[1]:
            field.redo()
        elif self.session.may_write():
            self._step(redo=True)

    def _step(self, redo: bool) -> None:
        self._detail.commit()
        project = self.session.project
        with self.session.reporting():
            if project.step_size(redo) > MANY:
                self._in_background(lambda: self._say_step(redo, project.redo() if redo else project.undo()))
                return
            with _listening(project) as touched:
                self._say_step(redo, project.redo() if redo else project.undo())
            self._take_in(touched)
            if len(touched) <= FEW and (rows := self.model.rows_of(touched)):
                self.select_row(rows[0])

    def _say_step(self, redo: bool, label: str | None) -> None:
        if label is None:
            sentence = self.tr("There is nothing to do again.") if redo else self.tr("There is nothing to undo.")
        else:
            sentence = (self.tr("Done again: {}") if redo else self.tr("Undone: {}")).format(label)
        self.session.notice_given.emit(sentence)

    def _too_many(self, ids: Sequence[int], change: Callable[[], object]) -> bool:
        """Leaves a change of many examples to a job; whether it did."""
        if len(ids) > MANY:
            self._in_background(change)
        return len(ids) > MANY

    def _in_background(self, change: Callable[[], object]) -> None:
        """Changes so many questions that the window would stand still; `examples_changed` follows."""
        self.jobs.start("project", self.tr("Changing many questions"), lambda _: _ignore(change()), stoppable=False)

    # State

    def save_state(self) -> None:
        """Keeps what is being written, and how the panel is divided."""
        self._detail.commit()
        for name, splitter in self._splitters():
            self.session.settings.setValue(f"{self.key}/{name}", splitter.saveState())
        self.session.settings.setValue(f"{self.key}/columns", self.view.widths())

    def _splitters(self) -> tuple[tuple[str, QSplitter], ...]:
        return ("splitter", self.splitter), ("detail", self._detail.splitter)


@contextmanager
def _listening(project: Project) -> Iterator[list[int]]:
    """Collects the ids of the examples that are changed inside."""
    touched: list[int] = []

    def listen(table: str, ids: list[int]) -> None:
        if table == "examples":
            touched.extend(ids)

    project.changed.append(listen)
    try:
        yield touched
    finally:
        project.changed.remove(listen)


def writing_field() -> QLineEdit | EditField | None:
    """The field in which something is being written."""
    field = QApplication.focusWidget()
    return field if isinstance(field, QLineEdit | EditField) else None


def _steps(field: QLineEdit | EditField) -> tuple[bool, bool]:
    """Whether the field has steps of its own to undo, and to redo."""
    if isinstance(field, QLineEdit):
        return field.isUndoAvailable(), field.isRedoAvailable()
    return field.document().isUndoAvailable(), field.document().isRedoAvailable()


def _ignore(_: object) -> None:
    """For work that returns something nobody needs."""
