"""A table of rows that are at hand: what each says in its cells, and the rows that are selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from gui import style
from gui.words import tooltip

LONGEST = 300  # characters of a text in a cell; a tooltip has more of it

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Column:
    """Its title, what it says of a row, and its width in letters; 0: what is left is shared out."""

    title: str
    says: Callable[[Any], str]
    letters: int = 0
    meaning: Callable[[Any], str] | None = None  # of which its text has the colour
    is_number: bool = False


class PlainTable(QAbstractTableModel):
    """Rows of any kind, as the columns say them."""

    def __init__(self, columns: Sequence[Column], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: Sequence[Any] = ()

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Shows others."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def texts(self, row: int) -> list[str]:
        """What a row says, cell by cell."""
        return [column.says(self.rows[row]) for column in self.columns]

    # Qt's own

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return _apart(column.title, column) if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _apart(" ".join(column.says(row)[: 2 * LONGEST].split())[:LONGEST], column)
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            text = column.says(row)
            return tooltip(text) if role == Qt.ItemDataRole.ToolTipRole else text[:LONGEST]
        if role == Qt.ItemDataRole.ForegroundRole and column.meaning and (meaning := column.meaning(row)):
            return style.colour(meaning)
        return _alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None


def quiet_view(model: QAbstractTableModel) -> QTableView:
    """A table without lines and numbers; one row is selected at a time."""
    view = QTableView()
    view.setModel(model)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setTabKeyNavigation(False)
    view.setCornerButtonEnabled(False)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 2 * style.HALF + 4)
    view.horizontalHeader().setHighlightSections(False)
    view.horizontalHeader().setMinimumSectionSize(28)
    return view


def table_view(model: PlainTable, name: str) -> QTableView:
    """A quiet view of such a table, whose columns are as wide as they ask for."""
    view = quiet_view(model)
    view.setAccessibleName(name)
    header = view.horizontalHeader()
    for place, column in enumerate(model.columns):
        if column.letters:
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.Interactive)
            view.setColumnWidth(place, column.letters * view.fontMetrics().averageCharWidth() + 2 * style.SPACE)
        else:
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
    return view


def _apart(text: str, column: Column) -> str:
    """A number ends where the next column begins: a space keeps them apart."""
    return f"{text}\u2002" if column.is_number else text


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
