"""How two datasets differ: rows that were added, removed, changed, or moved to another split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker, Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from core.datasets import Difference
from core.project.tuning import DatasetRow
from gui import style
from gui.choice_box import ChoiceBox
from gui.dataset_words import asked, sizes, sizes_words, split_name, texts_of
from gui.labels import plain, quiet, strong
from gui.plain_table import Column, PlainTable, table_view
from gui.texts import Named, Texts
from gui.word_diff import changed

# What happened to a row → its sign and its colour: the sign alone says it too.
SIGNS = {"added": ("+", "good"), "removed": ("−", "bad"), "changed": ("≠", "warning"), "moved": ("⇄", "accent")}

translate = QCoreApplication.translate


@dataclass(frozen=True, eq=False)
class Shown:
    """A row as it was, and as it is, with what happened to it."""

    what: str  # one of SIGNS
    before: DatasetRow | None
    after: DatasetRow | None

    @property
    def row(self) -> DatasetRow:
        """As it is, or was last."""
        found = self.after or self.before
        assert found is not None
        return found


class DifferencePage(QWidget):
    """The later of two datasets against the earlier."""

    def __init__(self) -> None:
        super().__init__()
        self._all: Sequence[Shown] = ()
        self._build()
        self.kind.currentIndexChanged.connect(self._refill)
        self.view.selectionModel().currentRowChanged.connect(self._show_row)

    def show_difference(self, difference: Difference) -> None:
        """What makes the later dataset another."""
        before, after, number = difference.before, difference.after, QLocale().toString
        self.title.setText(f"{before.name} → {after.name}")
        self.counts.setText(f"{sizes_words(sizes(before))}  →  {sizes_words(sizes(after))}")
        chosen = [f"{_key_name(key)} {_said(old)} → {_said(new)}" for key, (old, new) in difference.recipe.items()]
        self.recipe.setText(self.tr("Made otherwise: {}.").format(", ".join(chosen)))
        self.recipe.setVisible(bool(chosen))
        self._all = [Shown(what, one.before, one.after) for what in SIGNS for one in getattr(difference, what)]
        counts = {what: len(getattr(difference, what)) for what in SIGNS}
        with QSignalBlocker(self.kind):
            self.kind.setItemText(0, f"{self.tr('All differences')} · {number(len(self._all))}")
            for place, what in enumerate(SIGNS, 1):
                self.kind.setItemText(place, f"{change_name(what)} · {number(counts[what])}")
            self.kind.setCurrentIndex(0)
        self.same.setText(self.tr("{} rows are the same in both.").format(number(difference.unchanged)))
        self._refill()

    # Building

    def _build(self) -> None:
        self.title, self.counts = strong(size=1.15, selectable=True), plain()
        self.recipe, self.same = quiet(), quiet()
        self.kind = ChoiceBox()
        self.kind.setAccessibleName(self.tr("Which differences"))
        self.kind.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for what in ("", *SIGNS):
            self.kind.addItem("", what)
        self.table = PlainTable(
            (
                Column("", lambda one: SIGNS[one.what][0], 2, lambda one: SIGNS[one.what][1]),
                Column(self.tr("What"), lambda one: change_name(one.what), 11),
                Column(self.tr("Split"), _splits, 22),
                Column(self.tr("Question"), lambda one: asked(one.row)),
                Column(self.tr("Answer"), lambda one: one.row.answer),
            ),
            self,
        )
        self.view, self.texts = table_view(self.table, self.tr("Differences")), Texts(self.tr("The row in full"))
        top = QHBoxLayout()
        style.spaced(top, 0)
        top.addWidget(self.kind)
        top.addWidget(self.same, 1)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.view)
        parts.addWidget(self.texts)
        parts.setSizes([300, 260])
        column = QVBoxLayout(self)
        column.setContentsMargins(style.SPACE, 0, 0, 0)
        column.setSpacing(style.HALF)
        for widget in (self.title, self.counts, self.recipe):
            column.addWidget(widget)
        column.addLayout(top)
        column.addWidget(parts, 1)

    # Showing

    def _refill(self) -> None:
        what = self.kind.currentData()
        rows = [change for change in self._all if what in ("", change.what)]
        self.table.set_rows(rows)
        if rows:
            self.view.selectRow(0)
        self._show_row()

    def _show_row(self) -> None:
        row = self.view.currentIndex().row()
        self.texts.show_texts(_texts(self.table.rows[row]) if 0 <= row < len(self.table.rows) else ())


def change_name(what: str) -> str:
    """What happened to a row, for the user."""
    names = {
        "added": translate("Datasets", "Added"),
        "removed": translate("Datasets", "Removed"),
        "changed": translate("Datasets", "Changed"),
        "moved": translate("Datasets", "Moved"),
    }
    return names.get(what, what)


def _key_name(key: str) -> str:
    """What a key of a recipe is called."""
    names = {
        "what": translate("Datasets", "of"),
        "share": translate("Datasets", "validation"),
        "test": translate("Datasets", "test"),
        "seed": translate("Datasets", "seed"),
        "divided_by": translate("Datasets", "divided by"),
        "duplicates": translate("Datasets", "duplicates"),
    }
    return names.get(key, key.replace("_", " "))


def _said(value: object) -> str:
    """What a recipe says, as text."""
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _splits(change: Shown) -> str:
    """The split that a row is in, or from which to which it went."""
    found = dict.fromkeys(split_name(row.split) for row in (change.before, change.after) if row is not None)
    return " → ".join(found)


def _texts(change: Shown) -> list[Named]:
    """A row in full; of one that was changed, each text before and after, with the new words marked."""
    if change.before is None or change.after is None or change.what == "moved":
        return texts_of(change.row)
    before = texts_of(change.before)
    shown: list[Named] = []
    for one in texts_of(change.after):
        place = next((n for n, old in enumerate(before) if old.name == one.name), -1)
        old = before.pop(place).text if place >= 0 else ""
        if old == one.text:
            shown.append(one)
        else:
            shown.append(Named(translate("Datasets", "{} before").format(one.name), old))
            shown.append(Named(translate("Datasets", "{} after").format(one.name), one.text, changed(old, one.text)))
    return [*shown, *(Named(translate("Datasets", "{} before").format(one.name), one.text) for one in before)]
