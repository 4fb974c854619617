"""The rows of a dataset: a table by split with a search, and the row that is selected in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QLocale, QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QSplitter, QVBoxLayout, QWidget

from core.project.folding import fold
from core.project.tuning import SPLITS, DatasetRow
from gui import style
from gui.choice_box import ChoiceBox
from gui.dataset_words import asked, split_name, texts_of
from gui.labels import quiet
from gui.plain_table import Column, PlainTable, table_view
from gui.reckoner import Reckoner
from gui.session import Session
from gui.texts import Texts

TYPING = 200  # milliseconds without a key before it is searched


@dataclass(frozen=True, eq=False)
class Numbered:
    """A row with its place in the dataset, counted from 1."""

    number: int
    row: DatasetRow


class RowsPage(QWidget):
    """What is selected stays so while the filter lets it through."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._all: list[Numbered] = []
        self._reckoner = Reckoner(session)
        self._later = QTimer(self, singleShot=True, interval=TYPING)
        self._build()
        self._reckoner.reckoned.connect(self._take)
        self._later.timeout.connect(self._refill)
        self.search.textChanged.connect(lambda: self._later.start())
        self.split.currentIndexChanged.connect(self._refill)
        self.view.selectionModel().currentRowChanged.connect(self._show_row)

    @property
    def idle(self) -> bool:
        """Whether nothing is searched."""
        return self._reckoner.idle and not self._later.isActive()

    def show_rows(self, rows: Sequence[Numbered]) -> None:
        """The rows of a dataset."""
        self._all = list(rows)
        with QSignalBlocker(self.split), QSignalBlocker(self.search):
            self.search.clear()
            self._show_counts()
            self.split.setCurrentIndex(0)
        self._refill()

    # Building

    def _build(self) -> None:
        self.split = ChoiceBox()
        self.split.setAccessibleName(self.tr("Which rows"))
        self.split.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for split in ("", *SPLITS):
            self.split.addItem("", split)
        self.search = QLineEdit()
        self.search.setClearButtonEnabled(True)
        self.search.setPlaceholderText(self.tr("Search in the rows"))
        self.search.setAccessibleName(self.tr("Search in the rows"))
        self._found = quiet()
        self._found.setWordWrap(False)
        self.table = PlainTable(
            (
                Column(self.tr("Row"), lambda one: QLocale().toString(one.number), 7, is_number=True),
                Column(self.tr("Split"), lambda one: split_name(one.row.split), 11),
                Column(self.tr("Question"), lambda one: asked(one.row)),
                Column(self.tr("Answer"), lambda one: one.row.answer),
                Column(self.tr("With"), lambda one: self._with(one.row), 16),
            ),
            self,
        )
        self.view = table_view(self.table, self.tr("Rows"))
        self.texts = Texts(self.tr("The row in full"))
        top = QHBoxLayout()
        style.spaced(top, 0)
        top.addWidget(self.split)
        top.addWidget(self.search, 1)
        top.addWidget(self._found)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.setChildrenCollapsible(False)
        parts.addWidget(self.view)
        parts.addWidget(self.texts)
        parts.setSizes([300, 220])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, style.SPACE, 0, 0)
        column.addLayout(top)
        column.addWidget(parts, 1)

    def _with(self, row: DatasetRow) -> str:
        parts = (self.tr("steps") if row.rationale else "", self.tr("worse answer") if row.rejected else "")
        return ", ".join(filter(None, parts))

    # Showing

    def _show_counts(self) -> None:
        number = QLocale().toString
        for place, split in enumerate(("", *SPLITS)):
            count = sum(one.row.split == split for one in self._all) if split else len(self._all)
            name = split_name(split) if split else self.tr("All rows")
            self.split.setItemText(place, f"{name} · {number(count)}")

    def stop(self) -> None:
        """Of what is searched nothing is wanted any more."""
        self._later.stop()
        self._reckoner.stop()

    def _refill(self) -> None:
        """Shows what is asked for; found in a thread, since a dataset may be long."""
        self._reckoner.forget()
        self._reckoner.want("rows", partial(_passing, self._all, self.split.currentData(), self.search.text()))

    def _take(self, _: object, rows: list[Numbered]) -> None:
        chosen = self._current()
        self.table.set_rows(rows)
        count = self.tr("{} found").format(QLocale().toString(len(rows)))
        self._found.setText(count if self.search.text().strip() else "")
        if rows:
            place = next((place for place, one in enumerate(rows) if one is chosen), 0)
            self.view.selectRow(place)
            self.view.scrollTo(self.table.index(place, 0))
        self._show_row()

    def _current(self) -> Numbered | None:
        row = self.view.currentIndex().row()
        return self.table.rows[row] if 0 <= row < len(self.table.rows) else None

    def _show_row(self) -> None:
        one = self._current()
        self.texts.show_texts(texts_of(one.row) if one else ())


def _passing(rows: Sequence[Numbered], split: str, text: str) -> list[Numbered]:
    """Those of a split, or of all, in which a text stands."""
    found = [one for one in rows if split in ("", one.row.split)]
    wanted = fold(text)
    return [one for one in found if wanted in fold(_said(one.row))] if wanted else found


def _said(row: DatasetRow) -> str:
    return " ".join([*(text for _, text in row.messages), row.rationale, row.answer, row.rejected])
