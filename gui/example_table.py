"""The questions as a Qt table: the ids of all that are shown, and the rows themselves only when they are looked at."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from core.errors import UserError
from core.project.project import Project
from core.project.records import Check, Example, ExampleFilter
from gui import style
from gui.words import check_words, failed_first, fault_name, kind_name, state_name, state_sign, tooltip

STATE, QUESTION, KIND, DOCUMENT, CHECKS, RATING, PAGE = range(7)
LEAST_QUESTION = 24  # letters of a question that are to be seen
CHUNK = 64  # rows read at once
KEPT = 4096  # rows
MANY = 500  # ids that are looked for one by one in a list that is in order
LONGEST = 300  # characters of a text in a cell; a tooltip has more of it

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class ExampleTable(QAbstractTableModel):
    """`load` gives the examples of some ids; it is called for what is seen, a chunk at a time.

    `label` gives what a page of a document is called. Who inherits may have other columns after the question.
    """

    sorted_by: ClassVar[dict[int, str]] = {STATE: "state", KIND: "kind", DOCUMENT: "document_id", RATING: "rating"}
    left_out = (RATING, PAGE, KIND, DOCUMENT)  # in this order where there is no room
    document_column: int | None = DOCUMENT  # said only where there are several
    letters: ClassVar[dict[int, int]] = {STATE: 4, KIND: 12, DOCUMENT: 13, CHECKS: 15, RATING: 8, PAGE: 6}  # wide

    def __init__(
        self,
        load: Callable[[Sequence[int]], list[Example]],
        label: Callable[[int, int], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._load, self._label = load, label
        self.ids: list[int] = []
        self._ascending = True  # whether the ids are in order, so that one is found fast
        self._rows: OrderedDict[int, Example | None] = OrderedDict()
        self._titles = self._name_columns()

    def _name_columns(self) -> dict[int, str]:
        return {
            STATE: "",
            QUESTION: self.tr("Question"),
            KIND: self.tr("Kind"),
            DOCUMENT: self.tr("Document"),
            CHECKS: self.tr("Checks"),
            RATING: self.tr("Rating"),
            PAGE: self.tr("Page"),
        }

    # What is in it

    def row_of(self, example_id: int) -> int:
        """The row of an example; -1 when it is not shown."""
        if not self._ascending:
            return self.ids.index(example_id) if example_id in self.ids else -1
        row = bisect_left(self.ids, example_id)
        return row if row < len(self.ids) and self.ids[row] == example_id else -1

    def rows_of(self, ids: Iterable[int]) -> list[int]:
        """The rows of those that are shown, from the top."""
        wanted = set(ids)
        if len(wanted) > (MANY if self._ascending else 2):  # in one pass, and not in one each
            return [row for row, id in enumerate(self.ids) if id in wanted]
        return sorted(row for row in map(self.row_of, wanted) if row >= 0)

    def example(self, row: int) -> Example | None:
        """The example of a row; None when there is no such row, or it cannot be read."""
        if not 0 <= row < len(self.ids):
            return None
        id = self.ids[row]
        if id not in self._rows:
            self._read_around(row)
        return self._rows[id]

    def set_ids(self, ids: list[int], ascending: bool) -> None:
        """Shows other examples. Rows that were read stay read."""
        self.beginResetModel()
        self.ids, self._ascending = ids, ascending
        self.endResetModel()

    def forget(self) -> None:
        """Shows nothing and knows nothing: another project."""
        self._rows.clear()
        self.set_ids([], True)

    def drop(self, ids: Iterable[int]) -> None:
        """Reads these anew when they are next looked at."""
        for id in ids:
            self._rows.pop(id, None)

    def read_anew(self) -> None:
        """Reads every row anew when it is next looked at."""
        self._rows.clear()
        if self.ids:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.ids) - 1, self.columnCount() - 1))

    def repaint(self, ids: Sequence[int]) -> None:
        """Draws these anew."""
        for row in self.rows_of(ids):
            self.dataChanged.emit(self.index(row, 0), self.index(row, self.columnCount() - 1))

    def remove(self, ids: Iterable[int]) -> None:
        """Takes some examples out of the list."""
        for first, last in reversed(spans(self.rows_of(ids))):
            self.beginRemoveRows(_ROOT, first, last)
            del self.ids[first : last + 1]
            self.endRemoveRows()

    def insert(self, ids: Iterable[int]) -> None:
        """Puts examples in their places; only for ids in ascending order."""
        for id in ids:
            assert self._ascending
            row = bisect_left(self.ids, id)
            self.beginInsertRows(_ROOT, row, row)
            self.ids.insert(row, id)
            self.endInsertRows()

    def _read_around(self, row: int) -> None:
        start = row // CHUNK * CHUNK
        wanted = [id for id in self.ids[start : start + CHUNK] if id not in self._rows]
        while len(self._rows) > KEPT:
            self._rows.popitem(last=False)
        self._rows.update(dict.fromkeys(wanted))  # what cannot be read is not tried again at each repaint
        self._rows.update((example.id, example) for example in self._load(wanted))

    # Qt's own

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.ids)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            name = self._titles[section] or self.tr("State")
            return self.tr("{}: click to sort").format(name) if section in self.sorted_by else name
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self._alignment(index.column())
        if role not in _ROLES or (example := self.example(index.row())) is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(example, index.column())
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._ink(example, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self._whole(example, index.column()))
        return " ".join(self._whole(example, index.column()).split())

    def _alignment(self, column: int) -> Qt.AlignmentFlag:
        side = {STATE: Qt.AlignmentFlag.AlignHCenter, PAGE: Qt.AlignmentFlag.AlignRight}
        return side.get(column, Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter

    def _text(self, example: Example, column: int) -> str:
        if column == STATE:
            return state_sign(example.state)[0]
        if column == CHECKS:
            return self.tr("edited") if example.overwritten else checks_mark(example.checks)  # they are the draft's
        if column == RATING:
            return "★" * (example.rating or 0)
        return " ".join(self._whole(example, column)[:LONGEST].split())

    def _whole(self, example: Example, column: int) -> str:
        """The text of a cell without shortening, for its tooltip and for who does not see it."""
        if column == STATE:
            return state_name(example.state) + (f"\n{example.reason}" if example.reason else "")
        if column == QUESTION:
            return example.question
        if column == KIND:
            return kind_name(example.kind)
        if column == DOCUMENT:
            return example.document or "—"
        if column == PAGE:
            found, document_id = example.evidence, example.document_id
            return self._label(document_id, found.page) if found and document_id is not None else ""
        if column == CHECKS:
            return "\n".join(check_words(check) for check in failed_first(example.checks))
        return self.tr("{} of 5 stars").format(example.rating) if example.rating else self.tr("Not rated")

    def _ink(self, example: Example, column: int) -> Any:
        if column == STATE:
            return style.colour(state_sign(example.state)[1])
        if column == CHECKS and example.overwritten:
            return style.colour("quiet")
        if column == CHECKS:
            return style.colour("good" if all(check.passed for check in example.checks) else "bad")
        if column == RATING:
            return style.colour("warning")
        if column in (KIND, DOCUMENT, PAGE):
            return style.colour("quiet")
        return None


_ROLES = (
    Qt.ItemDataRole.DisplayRole,
    Qt.ItemDataRole.ForegroundRole,
    Qt.ItemDataRole.ToolTipRole,
    Qt.ItemDataRole.AccessibleTextRole,
)


class ExampleView(QTableView):
    """The table as it is looked at: whole rows, many at a time, no letters of its own."""

    def __init__(self, model: ExampleTable, parent: QWidget | None = None, least: int = LEAST_QUESTION) -> None:
        """`least`: letters of a question that are to be seen; columns are left out for them."""
        super().__init__(parent)
        self._examples = model
        self.setModel(model)
        self.setAccessibleName(self.tr("Questions"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 2 * style.HALF + 4)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        # A header asks of each column whether all of its rows are selected: a second for 100,000 rows.
        header.setSelectionModel(QItemSelectionModel(model, header))
        header.setSectionsClickable(True)
        header.setMinimumSectionSize(28)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        letter = self.fontMetrics().averageCharWidth()
        for column, letters in model.letters.items():
            self.setColumnWidth(column, letter * letters + 2 * style.HALF)
        self._widths: dict[int, int] = {}  # of columns, when they were shown last
        header.setSectionResizeMode(QUESTION, QHeaderView.ResizeMode.Stretch)
        self._least = letter * least
        self._several = False  # whether the documents need a column
        self._fit()

    def show_documents(self, several: bool) -> None:
        """Whether to say of each question which document it comes from, where there is room."""
        self._several = several
        self._fit()

    def _fit(self) -> None:
        """Leaves out the columns that can be missed most easily, until there is room for the question."""
        shown = [column for column in range(self.model().columnCount()) if column != QUESTION]
        if not self._several and self._examples.document_column is not None:
            shown.remove(self._examples.document_column)
        room = self.viewport().width() - self._least
        for column in self._examples.left_out:
            if column in shown and sum(self._wide(other) for other in shown) > room:
                shown.remove(column)
        for column in range(self.model().columnCount()):
            hidden = column != QUESTION and column not in shown
            if hidden != self.isColumnHidden(column):
                self._wide(column)
                self.setColumnHidden(column, hidden)
                if not hidden and self._widths.get(column):
                    self.setColumnWidth(column, self._widths[column])

    def _wide(self, column: int) -> int:
        """Its width while it is shown, which a hidden column does not say."""
        if not self.isColumnHidden(column):
            self._widths[column] = self.columnWidth(column)
        return self._widths.get(column, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def widths(self) -> list[int]:
        """Of the columns, in pixels, whether they are shown now or not."""
        return [self._wide(column) for column in range(self.model().columnCount())]

    def set_widths(self, widths: Sequence[object]) -> None:
        """As `widths` gave them; what makes no sense is left out."""
        for column, width in enumerate(widths[: self.model().columnCount()]):
            if str(width).isdecimal() and int(str(width)) > 0 and column != QUESTION:
                self._widths[column] = int(str(width))
                if not self.isColumnHidden(column):
                    self.setColumnWidth(column, int(str(width)))

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands here; and a search would read every row."""


class Fetcher(QObject):
    """Fetches the ids of a large project in a thread."""

    fetched = Signal(object, object)  # the project, and the ids or a UserError

    def start(self, project: Project, filter: ExampleFilter) -> None:
        """Begins; `fetched` follows."""
        threading.Thread(target=self._fetch, args=(project, filter), name="ids", daemon=True).start()

    def _fetch(self, project: Project, filter: ExampleFilter) -> None:
        try:
            found: list[int] | UserError = project.example_ids(filter)
        except UserError as error:
            found = error
        except Exception as error:  # the project was closed under it, which is no fault; a bug would show elsewhere too
            found = UserError(str(error))
        self.fetched.emit(project, found)


def spans(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) of each unbroken stretch."""
    if not rows:
        return []
    breaks = [(a, b) for a, b in pairwise(rows) if b != a + 1]
    return list(zip([rows[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), rows[-1]], strict=True))


def checks_mark(checks: Sequence[Check]) -> str:
    """All checks in one glance: a tick, or what failed."""
    failed = [check for check in checks if not check.passed]
    if not failed:
        return "✓" if checks else "–"
    more = f" +{len(failed) - 1}" if len(failed) > 1 else ""
    return f"✕ {fault_name(failed[0].name)}{more}"
