"""Which column of a file is what of an example: those that are most often needed, and the others folded away."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from core.exchange.mapping import FIELDS, Mapping
from gui import style
from gui.facts import fold

USUAL = ("question", "answer", "conversation", "rationale", "rejected")  # what is always to be seen


class ImportFields(QWidget):
    """A box for each of `core.exchange.mapping.FIELDS`."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QComboBox] = {}
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setHorizontalSpacing(style.DOUBLE)
        self._form.setVerticalSpacing(style.HALF)
        words = self._words()
        for name in (*USUAL, *(name for name in FIELDS if name not in USUAL)):
            self._add(name, *words.get(name, (name, FIELDS[name])))
        self.fold = fold(self.tr("More columns"))
        self.fold.toggled.connect(self._show_rows)
        column = QVBoxLayout(self)
        style.spaced(column, 0)
        column.addLayout(self._form)
        column.addWidget(self.fold)
        self._show_rows()

    @property
    def mapping(self) -> Mapping:
        """What is chosen."""
        return Mapping({name: box.currentData() for name, box in self.boxes.items() if box.currentData()})

    def show_columns(self, columns: tuple[str, ...], mapping: Mapping | None) -> None:
        """The columns of a file, and what they seem to be."""
        chosen = mapping.fields if mapping else {}
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.clear()
                box.addItem("–", "")
                for column in columns:
                    box.addItem(column, column)
                box.setCurrentIndex(max(0, box.findData(chosen.get(name, ""))))
        self._show_rows()

    def _add(self, name: str, label: str, meaning: str) -> None:
        self.boxes[name] = box = QComboBox()
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(16)
        box.setAccessibleName(label.replace("&", ""))
        box.setToolTip(meaning)
        box.currentIndexChanged.connect(lambda: self.changed.emit())
        self._form.addRow(label, box)

    def _show_rows(self) -> None:
        """What is chosen is to be seen too."""
        for name, box in self.boxes.items():
            self._form.setRowVisible(box, name in USUAL or self.fold.isChecked() or bool(box.currentData()))

    def _words(self) -> dict[str, tuple[str, str]]:
        return {
            "question": (self.tr("&Question"), self.tr("What is asked: a text, or chat messages")),
            "answer": (self.tr("&Answer"), self.tr("What is answered: a text, or a chat message")),
            "conversation": (self.tr("&Conversation"), self.tr("Chat messages, the last of which is the answer")),
            "rationale": (self.tr("&Steps"), self.tr("The steps to the answer, one a line, or a list")),
            "rejected": (self.tr("&Worse answer"), self.tr("For preference pairs")),
            "worked": (self.tr("Wor&ked solution"), self.tr("Steps and an answer, marked with ####, as in GSM8K")),
            "input": (self.tr("More of the question"), self.tr("It follows the question, as Alpaca's input does")),
            "system": (self.tr("System"), self.tr("What the system says first")),
            "history": (self.tr("History"), self.tr("Pairs of what was asked and answered before")),
            "context": (self.tr("Context"), self.tr("Chat messages that stand before the question")),
            "choices": (self.tr("Choices"), self.tr("What can be chosen from: a list")),
            "kind": (self.tr("Kind"), self.tr("The kind of question")),
            "rating": (self.tr("Rating"), self.tr("1 to 5 stars")),
        }
