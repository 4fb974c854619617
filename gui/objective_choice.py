"""A choice of what is learned, where the rows have more than answers: their steps too, or which of two is better."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from core.project.tuning import DatasetRow
from core.tuning.records import OBJECTIVES
from gui import style
from gui.labels import caption, quiet
from gui.tuning_words import objective_name


class ObjectiveChoice(QWidget):
    """Hidden while nothing but answers can be learned."""

    chosen = Signal(str)  # one of OBJECTIVES, by the user

    def __init__(self) -> None:
        super().__init__()
        self.box, self.about = QComboBox(), quiet()
        self.box.setAccessibleName(self.tr("What is learned"))
        for name in OBJECTIVES:
            self.box.addItem(objective_name(name), name)
        self._counts: dict[str, int] = {}
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.HALF)
        column.addWidget(caption(self.tr("What is learned"), self.box))
        column.addWidget(self.box)
        column.addWidget(self.about)
        self.box.activated.connect(lambda: self.chosen.emit(self.box.currentData()))
        self.hide()

    def show_rows(self, rows: Sequence[DatasetRow], objective: str) -> None:
        """What can be learned from these rows, those of the training split, and what is chosen."""
        trained = [row for row in rows if row.split == "train"]
        self._counts = {
            "sft": len(trained),
            "two-task": sum(bool(row.rationale) for row in trained),
            "dpo": sum(bool(row.rejected) for row in trained),
        }
        number = self.locale().toString
        with QSignalBlocker(self.box):
            for place, name in enumerate(OBJECTIVES):
                self.box.setItemText(place, f"{objective_name(name)} · {number(self._counts[name])}")
        self.show_objective(objective)
        self.setVisible(bool(self._counts["two-task"] or self._counts["dpo"]) or objective != "sft")

    def show_objective(self, objective: str) -> None:
        """What is chosen elsewhere."""
        with QSignalBlocker(self.box):
            self.box.setCurrentIndex(max(0, self.box.findData(objective)))
        rest, number = self._counts.get("sft", 0) - self._counts.get(objective, 0), self.locale().toString
        words = ""
        if rest > 0 and objective == "two-task":
            words = self.tr("{} examples have no steps, and teach their answer alone.").format(number(rest))
        elif rest > 0 and objective == "dpo":
            words = self.tr("{} examples have no worse answer, and are left out.").format(number(rest))
        self.about.setText(words)
        self.about.setVisible(bool(words))
