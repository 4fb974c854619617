"""A table of the items of a probe, one row each: what it asks, and what happened to its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QHeaderView, QTableView

from core.project.folding import fold
from core.project.probes import Answered, Item
from gui import style
from gui.plain_table import quiet_view
from gui.probe_pairs import OUTCOMES, Pair, gravest, pairs, pairs_between
from gui.probe_words import SIGNS, cell_name, outcome_name
from gui.words import tooltip

SIGN, TEXT, UNDER = range(3)
LONGEST = 300  # characters of a question in the table

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, eq=False)
class Row:
    """An item as the table shows it: of one run, or of two."""

    runs: tuple[Answered, ...]
    found: tuple[Pair, ...]
    text: str
    folded: str  # to be searched
    outcome: str  # the one that says most of it

    @property
    def item(self) -> Item:
        """The item itself."""
        return self.runs[0].item

    @property
    def state(self) -> tuple[object, ...]:
        """Equal where the row would be the same, within the same runs."""
        return self.item.key, *(len(one.responses) for one in self.runs)

    def passes(self, outcome: str) -> bool:
        """Whether this happened to it; holding means that nothing else did. Empty: whatever happened."""
        if not outcome or outcome == "held":
            return outcome in ("", self.outcome)
        return any(pair.outcome == outcome for pair in self.found)


def rows_of(answered: Sequence[Answered]) -> list[Row]:
    """The rows of a run."""
    return [_row(one) for one in answered]


def rows_of_both(before: Sequence[Answered], after: Sequence[Answered]) -> list[Row]:
    """The rows of the items that are in both of two runs."""
    others = {one.item.key: one for one in after}
    return [_row(one, others[one.item.key]) for one in before if one.item.key in others]


def _row(*runs: Answered) -> Row:
    item = runs[0].item
    found = tuple(pairs(*runs) if len(runs) == 1 else pairs_between(*runs))
    text = " ".join(item.arms[0].turns[0].text.split())
    said = {turn.text for arm in item.arms for turn in arm.turns}
    answers = {response.text for one in runs for response in one.responses.values()}
    return Row(runs, found, text[:LONGEST], fold(" ".join([*said, *answers])), gravest(found))


class ItemsTable(QAbstractTableModel):
    """The items that are let through."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        self._suite = ""
        self._titles = {SIGN: "", TEXT: self.tr("Item"), UNDER: self.tr("What happened")}

    def set_rows(self, rows: Sequence[Row], suite: str) -> None:
        """Shows others."""
        self.beginResetModel()
        self.rows, self._suite = list(rows), suite
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else 3

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (SIGNS.get(row.outcome, ("", ""))[0], row.text, self.happened(row))[column]
        if role == Qt.ItemDataRole.ForegroundRole and column == SIGN and row.outcome:
            return style.colour(SIGNS[row.outcome][1])
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(self.happened(row) if column != TEXT else row.item.arms[0].turns[0].text)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return (outcome_name(row.outcome), row.text, self.happened(row))[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            across = Qt.AlignmentFlag.AlignHCenter if column == SIGN else Qt.AlignmentFlag.AlignLeft
            return across | Qt.AlignmentFlag.AlignVCenter
        return None

    def happened(self, row: Row) -> str:
        """What the pressures did, those first that made it wrong."""
        parts: list[str] = []
        for outcome in OUTCOMES:
            names = dict.fromkeys(self._where(pair) for pair in row.found if pair.outcome == outcome)
            if names and outcome in ("flipped", "corrected", "unparseable"):
                parts.append(f"{outcome_name(outcome)}: {'; '.join(names)}")
        return " · ".join(parts) or (outcome_name(row.outcome) if row.outcome else self.tr("Not answered yet"))

    def _where(self, pair: Pair) -> str:
        if pair.before.arm is pair.after.arm and pair.before.turn != pair.after.turn:
            return self.tr("turn {}").format(pair.after.turn + 1)
        return cell_name(pair.after.arm.cell, self._suite)


def items_view(model: ItemsTable) -> QTableView:
    view = quiet_view(model)
    header = view.horizontalHeader()
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.setSectionResizeMode(SIGN, QHeaderView.ResizeMode.Fixed)
    header.setSectionResizeMode(TEXT, QHeaderView.ResizeMode.Stretch)
    header.setSectionResizeMode(UNDER, QHeaderView.ResizeMode.Interactive)
    view.setColumnWidth(SIGN, 34)
    view.setColumnWidth(UNDER, 46 * view.fontMetrics().averageCharWidth())
    return view
