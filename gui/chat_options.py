"""How a model is to answer in a chat: system prompt and sampling, folded away until they are wanted, and remembered."""

from __future__ import annotations

from dataclasses import fields
from random import Random
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.chat import ChatSettings
from core.engine.requests import Sampling
from gui import style
from gui.facts import fold
from gui.flow import Flow
from gui.labels import caption
from gui.session import Session

RANDOM = -1  # as a seed: another one for each answer
MOST_SEEDS = (1 << 31) - 1
SETTLE = 500  # milliseconds without a change before it is kept
LINES = 4  # of the system prompt that are seen


class ChatOptions(QWidget):
    """`settings` and `seed` say what stands in the fields."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._later = QTimer(self, singleShot=True, interval=SETTLE)
        self._later.timeout.connect(self.keep)
        self._build()
        self.set_defaults()
        self._restore()
        for field in self._numbers.values():
            field.valueChanged.connect(self._change)  # pyright: ignore[reportAttributeAccessIssue]
        self.system.textChanged.connect(self._change)
        self._system_fold.setChecked(bool(self.system.toPlainText()))
        self._name_folds()

    @property
    def settings(self) -> ChatSettings:
        """What the next question is asked with."""
        numbers: dict[str, Any] = {name: field.value() for name, field in self._numbers.items()}
        sampling = Sampling(**{one.name: numbers[one.name] for one in fields(Sampling)})
        return ChatSettings(self.system.toPlainText(), sampling, numbers["max_tokens"])

    def seed(self, again: bool = False) -> int:
        """Of the next answer; `again` wants another one, even where it is fixed."""
        fixed = int(self._numbers["seed"].value())
        return Random().getrandbits(31) if again or fixed == RANDOM else fixed

    def set_defaults(self) -> None:
        """Sampling as it was at first. The system prompt stays."""
        usual = ChatSettings()
        for name, field in self._numbers.items():
            value = RANDOM if name == "seed" else getattr(usual, name, getattr(usual.sampling, name, 0))
            field.setValue(value)  # pyright: ignore[reportArgumentType]

    def keep(self) -> None:
        """Writes what stands in the fields into the settings of the window."""
        self._later.stop()
        self._session.settings.setValue("chat/system", self.system.toPlainText())
        for name, field in self._numbers.items():
            self._session.settings.setValue(f"chat/{name}", field.value())

    def add_at_end(self, widget: QWidget) -> None:
        """Puts a widget at the end of the line that is always there."""
        self._line.addWidget(widget)

    # Building

    def _build(self) -> None:
        self.system = QPlainTextEdit()
        self.system.setAccessibleName(self.tr("System prompt"))
        self.system.setPlaceholderText(self.tr("Tells the model how to answer, before the first question"))
        self.system.setTabChangesFocus(True)
        self.system.setAcceptDrops(False)
        self.system.setFixedHeight(LINES * self.fontMetrics().lineSpacing() + 2 * style.SPACE)
        sampling = self._build_sampling()
        self._system_fold, self._sampling_fold = _fold(self.system), _fold(sampling)
        self._line = QHBoxLayout()
        style.spaced(self._line, 0)
        self._line.addWidget(self._system_fold)
        self._line.addWidget(self._sampling_fold)
        self._line.addStretch(1)
        column = QVBoxLayout(self)
        style.spaced(column, 0)
        column.addLayout(self._line)
        column.addWidget(self.system)
        column.addWidget(sampling)

    def _build_sampling(self) -> QWidget:
        self._numbers: dict[str, QSpinBox | QDoubleSpinBox] = {}
        box, flow = QWidget(), Flow()
        flow.setSpacing(style.SPACE)
        box.setLayout(flow)
        self._add(flow, "temperature", self.tr("Temperature"), _fraction(5.0), self.tr("0: always the likeliest word."))
        self._add(flow, "top_k", self.tr("Top-k"), _whole(0, 100_000), self.tr("Among so many words; 0 among all."))
        self._add(
            flow, "top_p", self.tr("Top-p"), _fraction(1.0), self.tr("Among the words that have this share together.")
        )
        least = self.tr("Among the words that are at least so likely, compared with the likeliest.")
        self._add(flow, "min_p", self.tr("Min-p"), _fraction(1.0), least)
        self._add(
            flow, "repeat_penalty", self.tr("Repetition penalty"), _fraction(3.0, 0.1), self.tr("1: there is none.")
        )
        self._add(flow, "max_tokens", self.tr("Most tokens"), _whole(1, 1_000_000), self.tr("Of one answer."))
        seed = _whole(RANDOM, MOST_SEEDS)
        seed.setSpecialValueText(self.tr("Random"))
        self._add(flow, "seed", self.tr("Seed"), seed, self.tr("The same seed gives the same answer again."))
        self.defaults = QPushButton(self.tr("Defa&ults"))
        self.defaults.clicked.connect(self.set_defaults)
        flow.addWidget(_under(caption(""), self.defaults))
        return box

    def _add(self, flow: Flow, name: str, label: str, field: QSpinBox | QDoubleSpinBox, about: str) -> None:
        field.setAccessibleName(label)
        field.setToolTip(about)
        field.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        digits = 10 if name == "seed" else 7
        field.setFixedWidth(self.fontMetrics().horizontalAdvance("0" * digits) + style.DOUBLE)
        self._numbers[name] = field
        flow.addWidget(_under(caption(label, field), field))

    # What is kept

    def _restore(self) -> None:
        settings = self._session.settings
        self.system.setPlainText(str(settings.value("chat/system", "") or ""))
        for name, field in self._numbers.items():
            try:
                kept = float(str(settings.value(f"chat/{name}", field.value())))
                field.setValue(type(field.value())(kept))  # pyright: ignore[reportArgumentType]
            except (ValueError, OverflowError):
                continue

    def _change(self) -> None:
        self._name_folds()
        self._later.start()

    def _name_folds(self) -> None:
        own = self.settings
        usual = ChatSettings(own.system) == own and self._numbers["seed"].value() == RANDOM
        self._system_fold.setText(self.tr("System prompt") if own.system else self.tr("System prompt: none"))
        self._sampling_fold.setText(self.tr("Sampling") if usual else self.tr("Sampling: changed"))


def _fold(content: QWidget) -> QToolButton:
    """A line that shows and hides a widget."""
    line = fold()
    line.toggled.connect(content.setVisible)
    content.hide()
    return line


def _under(label: QWidget, field: QWidget) -> QWidget:
    box = QWidget()
    column = QVBoxLayout(box)
    style.spaced(column, 0, style.HALF)
    column.addWidget(label)
    column.addWidget(field)
    return box


def _fraction(most: float, least: float = 0.0) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(least, most)
    field.setSingleStep(0.05)
    return field


def _whole(least: int, most: int) -> QSpinBox:
    field = QSpinBox()
    field.setRange(least, most)
    return field
