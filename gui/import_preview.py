"""The first rows of a file as they will be when they are imported, or why they cannot be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import QSplitter

from core.project.records import IMPORTED, ExampleDraft, rationale_text
from core.tables import Fault, Row, cell_text
from gui.dataset_words import role_name
from gui.plain_table import Column, PlainTable, table_view
from gui.texts import Named, Texts
from gui.words import kind_name

MOST = 40  # columns of a row of the file that are shown

Made = ExampleDraft | Fault


class ImportPreview(QSplitter):
    """A table of the rows, and the one that is selected in full."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self.setChildrenCollapsible(False)
        self.table = PlainTable(
            (
                Column(self.tr("Row"), _number, 6, is_number=True),
                Column("", lambda made: "!" if isinstance(made, Fault) else "✓", 2, _meaning),
                Column(self.tr("Question"), self._question, meaning=_meaning_of_text),
                Column(self.tr("Answer"), lambda made: "" if isinstance(made, Fault) else made.answer),
                Column(self.tr("With"), self._with, 22),
            ),
            self,
        )
        self.view = table_view(self.table, self.tr("The first rows as they will be"))
        self.texts = Texts(self.tr("The row in full"))
        self.addWidget(self.view)
        self.addWidget(self.texts)
        self.setSizes([240, 240])
        self.view.selectionModel().currentRowChanged.connect(self._show_row)

    def show_rows(self, rows: Sequence[Made]) -> None:
        """Shows these and no others; the row that was selected stays so."""
        before = self.view.currentIndex().row()
        self.view.show()
        self.table.set_rows(rows)
        if rows:
            self.view.selectRow(min(max(0, before), len(rows) - 1))
        self._show_row()

    def show_cells(self, row: Row) -> None:
        """A row of the file as it stands there, while nobody knows which column is what."""
        self.table.set_rows([])
        self.view.hide()
        self.texts.show_texts([Named(name, _plainly(cell)) for name, cell in islice(row.cells.items(), MOST)])

    def _question(self, made: Made) -> str:
        return made.reason if isinstance(made, Fault) else made.question

    def _with(self, made: Made) -> str:
        if isinstance(made, Fault):
            return ""
        steps = len(made.rationale)
        parts = (
            self.tr("1 step") if steps == 1 else self.tr("{} steps").format(QLocale().toString(steps)) if steps else "",
            self.tr("worse answer") if made.rejected else "",
            self.tr("evidence") if made.evidence else "",
            self.tr("context") if made.context else "",
            "★" * made.rating if made.rating else "",
        )
        return ", ".join(filter(None, parts))

    def _show_row(self) -> None:
        row = self.view.currentIndex().row()
        self.texts.show_texts(self._texts(self.table.rows[row]) if 0 <= row < len(self.table.rows) else ())

    def _texts(self, made: Made) -> list[Named]:
        if isinstance(made, Fault):
            return [Named(self.tr("Row {} cannot be used").format(QLocale().toString(made.row)), str(made))]
        return [
            *(Named(role_name(role), text) for role, text in made.context),
            Named(self.tr("Question"), made.question),
            Named(self.tr("Choices"), "\n".join(made.choices)),
            Named(self.tr("Steps"), rationale_text(made.rationale)),
            Named(self.tr("Answer"), made.answer),
            Named(self.tr("Worse answer"), made.rejected),
            Named(self.tr("Evidence"), made.evidence.text if made.evidence else ""),
            Named(self.tr("Kind"), "" if made.kind == IMPORTED else kind_name(made.kind)),
        ]


def _plainly(cell: Any) -> str:
    """A cell of any kind as text."""
    return cell_text(cell) or ("" if cell is None else json.dumps(cell, ensure_ascii=False, default=str))


def _number(made: Made) -> str:
    """Where it stands in the file."""
    return QLocale().toString(made.row if isinstance(made, Fault) else made.slot)


def _meaning(made: Made) -> str:
    return "bad" if isinstance(made, Fault) else "good"


def _meaning_of_text(made: Made) -> str:
    return "bad" if isinstance(made, Fault) else ""
