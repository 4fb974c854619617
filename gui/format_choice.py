"""A choice of the format of an export, with what the chosen one is for and what it leaves out."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QRadioButton, QVBoxLayout, QWidget

from gui import style
from gui.labels import caption, quiet

LINES = 5  # of the words about a format: all stay where they are when another is chosen


class FormatChoice(QWidget):
    """One is chosen."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QRadioButton] = {}
        self._abouts: dict[str, str] = {}
        self._group = QButtonGroup(self)
        self._column = QVBoxLayout(self)
        style.spaced(self._column, 0, style.HALF)
        self._build()
        self.about = quiet()
        self.about.setMinimumHeight(LINES * self.fontMetrics().lineSpacing())
        self._column.addSpacing(style.HALF)
        self._column.addWidget(self.about)
        self._group.buttonToggled.connect(self._toggled)

    @property
    def format(self) -> str:
        """The chosen one, as `core.exchange.formats` names it; empty before any is."""
        return next((name for name, button in self.buttons.items() if button.isChecked()), "")

    def choose(self, format: str) -> None:
        """Chooses one that there is; else the most common."""
        self.buttons.get(format, self.buttons["messages"]).setChecked(True)

    def _build(self) -> None:
        self._head(self.tr("To train on answers"))
        self._add(
            "alpaca",
            self.tr("&Alpaca"),
            self.tr("For LLaMA-Factory, Axolotl, Unsloth and torchtune: instruction, input and output."),
        )
        self._add(
            "sharegpt",
            self.tr("&ShareGPT"),
            self.tr("For Axolotl, LLaMA-Factory, Unsloth and FastChat: conversations of a human and a model."),
        )
        self._add(
            "messages",
            self.tr("&OpenAI messages"),
            self.tr("For OpenAI, TRL, MLX, Axolotl and most others: conversations, with who speaks."),
        )
        self._add(
            "completion",
            self.tr("&Prompt and completion"),
            self.tr("For TRL, MLX and older models of OpenAI: a text, and how it goes on."),
        )
        self._head(self.tr("To train on more"))
        self._add(
            "two-task",
            self.tr("Answers and s&teps"),
            self.tr("Distilling step by step: an input with its label and the rationale to it, as two tasks."),
        )
        self._add(
            "dpo",
            self.tr("P&references (DPO)"),
            self.tr("For TRL, LLaMA-Factory and Axolotl: a better and a worse answer to the same prompt."),
        )
        self._head(self.tr("To look at, or to share"))
        self._add(
            "csv",
            self.tr("&CSV"),
            self.tr("For spreadsheets, pandas and R: every column, without the conversation's structure."),
        )
        self._add(
            "parquet",
            self.tr("Par&quet"),
            self.tr("For pandas, DuckDB and Hugging Face: every column, small and quick to read."),
        )
        self._add(
            "folder",
            self.tr("&Hugging Face folder"),
            self.tr("For load_dataset and the Hub: a Parquet file for each split, with a card that describes them."),
        )

    def _head(self, text: str) -> None:
        if self.buttons:
            self._column.addSpacing(style.HALF)
        self._column.addWidget(caption(text))

    def _add(self, name: str, title: str, about: str) -> None:
        self.buttons[name] = button = QRadioButton(title)
        self._abouts[name] = about
        button.setToolTip(about)
        button.setAccessibleDescription(about)
        self._group.addButton(button)
        self._column.addWidget(button)

    def say(self, left_out: str) -> None:
        """What the format is for, and what it leaves out of the rows that are chosen."""
        self.about.setText("\n".join(filter(None, (self._abouts.get(self.format, ""), left_out))))

    def _toggled(self, _: object, checked: bool) -> None:
        if checked:
            self.say("")
            self.changed.emit()
