"""Every choice of a tuning run in one form, by what it bears on, each with what it means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from PySide6.QtCore import QEvent, QLocale, QObject, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QScrollArea,
    QSpinBox,
    QWidget,
)

from core.tuning.records import DEVICES, DTYPES, LEARNING_RATES, OBJECTIVES, OVERLONG, Recipe
from gui import style
from gui.labels import strong
from gui.tuning_words import objective_name

MOST_SEEDS = (1 << 31) - 1
VARIED = ("rank", "alpha", "epochs")  # in what the simple choices differ

Field = QSpinBox | QDoubleSpinBox | QCheckBox | QComboBox


class RecipeFields(QScrollArea):
    """`recipe` is what stands in the fields."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("All settings"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.fields: dict[str, Field] = {}
        page = QWidget()
        self._form = QFormLayout(page)
        self._form.setHorizontalSpacing(style.DOUBLE)
        self._form.setVerticalSpacing(style.HALF)
        self._form.setContentsMargins(style.SPACE, style.SPACE, style.SPACE, style.SPACE)
        self._build()
        self.setWidget(page)
        self.show_recipe(Recipe())
        for field in self.fields.values():
            _changed_signal(field).connect(self._tell)
            field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            field.installEventFilter(self)
        self._objective = self.recipe.objective
        self._show_objective()

    @property
    def recipe(self) -> Recipe:
        """What stands in the fields."""
        return Recipe(**{one.name: _value(self.fields[one.name]) for one in fields(Recipe)})

    def show_recipe(self, recipe: Recipe) -> None:
        """Puts a recipe into the fields."""
        for one in fields(Recipe):
            _set(self.fields[one.name], getattr(recipe, one.name))

    # Building

    def _build(self) -> None:
        self._head(self.tr("What is learned"))
        self._choice(
            "objective",
            self.tr("Objective"),
            [(objective_name(name), name) for name in OBJECTIVES],
            self.tr("Preferences need a worse answer beside each; rationales need steps beside it."),
        )
        self._fraction(
            "rationale_weight",
            self.tr("Weight of rationales"),
            0,
            5,
            2,
            0.1,
            self.tr("How much the rationale counts beside the answer."),
        )
        self._fraction(
            "beta",
            self.tr("Beta"),
            0.01,
            2,
            2,
            0.05,
            self.tr("How firmly the model is held to what it was: less lets it go further."),
        )
        self._head(self.tr("The adapter"))
        self._whole("rank", self.tr("Rank"), 1, 256, 8, self.tr("How much it can hold: 8 to 32 for most."))
        self._fraction(
            "alpha", self.tr("Alpha"), 0.5, 1024, 1, 8, self.tr("How strongly it is added; twice the rank is usual.")
        )
        self._check(
            "rank_stabilised",
            self.tr("Rank-stabilised (rsLoRA)"),
            self.tr("Divides alpha by the root of the rank: for a rank of 64 or more."),
        )
        self._fraction(
            "dropout",
            self.tr("Dropout"),
            0,
            0.5,
            2,
            0.05,
            self.tr("Share of the inputs that are left out at random, against learning by heart."),
        )
        self._head(self.tr("How it learns"))
        self._fraction(
            "learning_rate",
            self.tr("Learning rate"),
            1e-7,
            0.1,
            7,
            1e-5,
            self.tr("0.0002 for answers, 0.000005 for preferences. Too high, and the loss jumps."),
        )
        self._fraction(
            "epochs", self.tr("Epochs"), 0.1, 100, 1, 1, self.tr("How often every example is read, at most.")
        )
        self._whole("batch", self.tr("Examples a step"), 1, 1024, 1, self.tr("Averaged before the adapter is changed."))
        self._fraction(
            "warmup", self.tr("Warm-up"), 0, 0.5, 2, 0.01, self.tr("Share of the steps in which the rate rises.")
        )
        self._fraction(
            "weight_decay", self.tr("Weight decay"), 0, 1, 3, 0.01, self.tr("Draws the adapter towards nothing.")
        )
        self._fraction("clip", self.tr("Longest gradient"), 0.01, 100, 2, 0.1, self.tr("Longer ones are cut to this."))
        self._fraction(
            "noise",
            self.tr("Noise (NEFTune)"),
            0,
            100,
            1,
            1,
            self.tr("Added to what is read, for long free answers; 0 is none, 5 is usual."),
        )
        self._head(self.tr("The texts"))
        self._whole(
            "context", self.tr("Longest example"), 32, 131_072, 128, self.tr("Tokens. Longer ones take more memory.")
        )
        self._choice(
            "overlong",
            self.tr("Longer ones"),
            [(self._overlong(name), name) for name in OVERLONG],
            self.tr("How many there are is said before it starts."),
        )
        self._check("packing", self.tr("Read short ones together"), self.tr("Faster, and none sees another."))
        self._head(self.tr("When it stops"))
        self._whole(
            "evaluations",
            self.tr("Looks an epoch"),
            1,
            100,
            1,
            self.tr("How often the held-out loss is reckoned, and the sample prompts are answered."),
        )
        patience = self._whole(
            "patience",
            self.tr("Patience"),
            0,
            100,
            1,
            self.tr("Looks without a better loss, after which it stops; the best is kept."),
        )
        patience.setSpecialValueText(self.tr("never stops early"))
        self._head(self.tr("The computer"))
        self._choice("device", self.tr("Device"), [(self._device(name), name) for name in DEVICES])
        self._choice(
            "dtype",
            self.tr("Numbers"),
            [(self._dtype(name), name) for name in DTYPES],
            self.tr("By a short test, bfloat16 is taken where it is faster."),
        )
        threads = self._whole("threads", self.tr("Threads"), 0, 1024, 1)
        threads.setSpecialValueText(self.tr("as many as cores"))
        self._whole("seed", self.tr("Seed"), 0, MOST_SEEDS, 1, self.tr("The same seed makes the same adapter again."))

    def _overlong(self, name: str) -> str:
        return {"drop": self.tr("are dropped"), "cut": self.tr("lose the beginning of their prompt")}.get(name, name)

    def _device(self, name: str) -> str:
        names = {
            "auto": self.tr("the best there is"),
            "cpu": self.tr("processor"),
            "cuda": "CUDA",
            "mps": "Metal (MPS)",
        }
        return names.get(name, name)

    def _dtype(self, name: str) -> str:
        return {"auto": self.tr("the faster kind")}.get(name, name)

    def _head(self, text: str) -> None:
        label = strong(text)
        label.setContentsMargins(0, style.SPACE if self._form.rowCount() else 0, 0, 0)
        self._form.addRow(label)

    def _add(self, name: str, label: str, field: Field, about: str) -> None:
        self.fields[name] = field
        field.setToolTip(about)
        field.setAccessibleName(label)
        if isinstance(field, QCheckBox):
            self._form.addRow("", field)
        else:
            self._form.addRow(label, field)

    def _whole(self, name: str, label: str, least: int, most: int, step: int, about: str = "") -> QSpinBox:
        field = QSpinBox()
        field.setRange(least, most)
        field.setSingleStep(step)
        field.setGroupSeparatorShown(name != "seed")
        self._add(name, label, field, about)
        return field

    def _fraction(
        self, name: str, label: str, least: float, most: float, decimals: int, step: float, about: str
    ) -> None:
        field = _Number()
        field.setDecimals(decimals)
        field.setRange(least, most)
        field.setSingleStep(step)
        self._add(name, label, field, about)

    def _check(self, name: str, label: str, about: str) -> None:
        self._add(name, label, QCheckBox(label), about)

    def _choice(self, name: str, label: str, choices: Sequence[tuple[str, str]], about: str = "") -> None:
        field = QComboBox()
        for text, value in choices:
            field.addItem(text, value)
        self._add(name, label, field, about)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The wheel scrolls, and changes only a field that the user went to."""
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    # Changing

    def _tell(self) -> None:
        self._follow_objective()
        self._show_objective()
        self.changed.emit()

    def _follow_objective(self) -> None:
        """A rate that was the usual one becomes that of the new objective."""
        before, now = self._objective, self.recipe.objective
        if before != now:
            self._objective = now
            if self.recipe.learning_rate == LEARNING_RATES[before]:
                _set(self.fields["learning_rate"], LEARNING_RATES[now])

    def _show_objective(self) -> None:
        objective = self.recipe.objective
        self._form.setRowVisible(self.fields["rationale_weight"], objective == "two-task")
        self._form.setRowVisible(self.fields["beta"], objective == "dpo")


class _Number(QDoubleSpinBox):
    """Without zeros at the end: a learning rate has many."""

    def textFromValue(self, value: float) -> str:
        text = QLocale().toString(value, "f", self.decimals())
        return text.rstrip("0").rstrip(QLocale().decimalPoint()) if QLocale().decimalPoint() in text else text


def with_choice(recipe: Recipe, choice: Recipe) -> Recipe:
    """A recipe as one of the simple choices has it, in what those differ in; all else as it was."""
    return replace(recipe, **{name: getattr(choice, name) for name in VARIED})


def read_recipe(text: str) -> Recipe:
    """A recipe as it was kept, as JSON; what is not there, or of another kind, is as usual."""
    try:
        kept = json.loads(text)
    except ValueError:
        return Recipe()
    usual = asdict(Recipe())
    known = kept.items() if isinstance(kept, dict) else ()
    return replace(Recipe(), **{name: value for name, value in known if type(usual.get(name)) is type(value)})


def _value(field: Field) -> Any:
    if isinstance(field, QCheckBox):
        return field.isChecked()
    return field.currentData() if isinstance(field, QComboBox) else field.value()


def _set(field: Field, value: Any) -> None:
    if isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(field, QComboBox):
        field.setCurrentIndex(max(0, field.findData(value)))
    else:
        field.setValue(value)


def _changed_signal(field: Field) -> Any:
    if isinstance(field, QCheckBox):
        return field.toggled
    return field.currentIndexChanged if isinstance(field, QComboBox) else field.valueChanged
