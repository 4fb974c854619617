"""A choice of the format of an export, with what the chosen one is for and what it leaves out."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QComboBox, QHBoxLayout, QRadioButton, QVBoxLayout, QWidget

from core.exchange.formats import SHAPES
from gui import style
from gui.labels import caption, quiet

LINES = 5  # of the words about a format: all stay where they are when another is chosen
SHAPED = ("parquet", "folder")  # formats whose rows can look like those of any other


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
        self._column.addWidget(self._shapes())
        self._column.addSpacing(style.HALF)
        self._column.addWidget(self.about)
        self._group.buttonToggled.connect(self._toggled)
        self._shape.currentIndexChanged.connect(lambda: self.changed.emit())

    @property
    def format(self) -> str:
        """The chosen one, as `core.exchange.formats` names it; empty before any is."""
        return next((name for name, button in self.buttons.items() if button.isChecked()), "")

    @property
    def shape(self) -> str:
        """What a row looks like."""
        return self._shape.currentData() if self.format in SHAPED else self.format

    def choose(self, format: str, shape: str = "messages") -> None:
        """Chooses a format that there is, else the most common, and the shape of rows of those that have any."""
        self._shape.setCurrentIndex(max(0, self._shape.findData(shape)))
        self.buttons.get(format, self.buttons["messages"]).setChecked(True)

    # Building

    def _build(self) -> None:
        plain = self.tr("Steps and worse answers are not trained on.")
        pairs = self.tr("Rows without a worse answer are left out.")
        self._head(self.tr("To train on answers"))
        self._add(
            "alpaca",
            self.tr("&Alpaca"),
            self.tr("For LLaMA-Factory, Axolotl, Unsloth and torchtune: instruction, input and output.") + f" {plain}",
        )
        self._add(
            "sharegpt",
            self.tr("&ShareGPT"),
            self.tr("For Axolotl, LLaMA-Factory, Unsloth and FastChat: talk of a human and a model.") + f" {plain}",
        )
        self._add(
            "messages",
            self.tr("&OpenAI messages"),
            self.tr("For OpenAI, TRL, MLX, Axolotl and most others: conversations, with who speaks.") + f" {plain}",
        )
        self._add(
            "completion",
            self.tr("&Prompt and completion"),
            self.tr("For TRL, MLX and older models of OpenAI: a text, and how it goes on.") + f" {plain}",
        )
        self._head(self.tr("To train on more"))
        self._add(
            "two-task",
            self.tr("Answers and s&teps"),
            self.tr(
                "Distilling step by step: an input, its label, and the rationale to it, as two tasks with weights. "
                "Rows without steps teach their answer alone."
            ),
        )
        self._add(
            "dpo",
            self.tr("P&references (DPO)"),
            self.tr("For TRL, LLaMA-Factory and Axolotl: a better and a worse answer to a prompt.") + f" {pairs}",
        )
        self._add(
            "dpo-messages",
            self.tr("Preferences as con&versations"),
            self.tr("The same for TRL and Axolotl, which apply the model's own chat template.") + f" {pairs}",
        )
        self._head(self.tr("To look at, or to share"))
        self._add(
            "csv",
            self.tr("&CSV"),
            self.tr("For spreadsheets, pandas and R: every text in a column of its own, and where it comes from."),
        )
        self._add(
            "parquet",
            self.tr("Par&quet"),
            self.tr("For pandas, DuckDB and the Hub: rows as above, in a file that is small and quick to read."),
        )
        self._add(
            "folder",
            self.tr("&Hugging Face folder"),
            self.tr("For load_dataset and the Hub: a Parquet file for each split, and a card that describes them."),
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

    def _shapes(self) -> QWidget:
        """What rows of Parquet look like."""
        self._shape, self._shaped = QComboBox(), QWidget()
        for name in SHAPES:
            self._shape.addItem(self.buttons[name].text().replace("&", ""), name)
        self._shape.setAccessibleName(self.tr("What a row looks like"))
        row = QHBoxLayout(self._shaped)
        style.spaced(row, 0)
        row.setContentsMargins(style.WIDE, 0, 0, 0)
        row.addWidget(caption(self.tr("Rows as"), self._shape))
        row.addWidget(self._shape, 1)
        self._shaped.hide()
        return self._shaped

    def _toggled(self, _: object, checked: bool) -> None:
        if checked:
            self.about.setText(self._abouts[self.format])
            self._shaped.setVisible(self.format in SHAPED)
            self.changed.emit()
