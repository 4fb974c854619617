"""Asks what a model is to learn from and how, and says before it starts what that takes."""

from __future__ import annotations

import json
from dataclasses import asdict

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker, QTimer
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QRadioButton,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.datasets import Selection
from core.tuning.records import Recipe
from core.tuning.tune import TuneOptions
from gui import style
from gui.dataset_choice import DatasetChoice
from gui.estimating import Estimating
from gui.labels import caption, plain, quiet, strong
from gui.model_choice import ModelChoice
from gui.objective_choice import ObjectiveChoice
from gui.recipe_fields import RecipeFields, read_recipe, with_choice
from gui.session import Session
from gui.tuning_words import join_prompts, rate_words, split_prompts

MOST_HELD_OUT = 50  # per cent
SETTLE = 600  # milliseconds without a change before it is reckoned
LINES = 6  # of the sample prompts that are seen

# What the simple view offers, the usual one in the middle.
CHOICES = {
    "light": Recipe(rank=8, alpha=16, epochs=1),
    "standard": Recipe(),
    "thorough": Recipe(rank=32, alpha=64, epochs=6),
}


class TuneDialog(QDialog):
    """After `exec`, `options` says what to do."""

    def __init__(
        self, session: Session, estimating: Estimating, parent: QWidget | None = None, dataset: str = ""
    ) -> None:
        super().__init__(parent)
        self._session, self._estimating = session, estimating
        self._shown: Selection | None = None  # whose rows say what can be learned
        self._filled = ""  # the prompts as they were put there, and not by the user
        self.setWindowTitle(self.tr("Tune a model"))
        self._build(dataset)
        self._later = QTimer(self, singleShot=True, interval=SETTLE)
        self._connect()
        self._restore()
        self._change()
        self.resize(900, 660)
        self.data.setFocus()

    def options(self) -> TuneOptions:
        """What is to be tuned. Only when a dataset and a model are chosen."""
        source, model = self.data.source, self.model.model
        assert source is not None
        assert model is not None
        return TuneOptions(
            dataset=source.what,
            model=model.path,
            recipe=self.recipe.recipe,
            prompts=split_prompts(self.prompts.toPlainText()),
            held_out=self.held_out.value() / 100,
            skip_bad=self.skip.isChecked(),
        )

    # Building

    def _build(self, dataset: str) -> None:
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.start = self._buttons.addButton(self.tr("&Tune"), QDialogButtonBox.ButtonRole.AcceptRole)
        self.start.setDefault(True)
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._what(dataset), 1)
        body.addLayout(self._how(), 1)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addLayout(body, 1)
        column.addWidget(self._before())
        column.addWidget(self._buttons)

    def _what(self, dataset: str) -> QVBoxLayout:
        self.data = DatasetChoice(self._session, dataset)
        self.held_out, self.skip = QSpinBox(), QCheckBox(self.tr("Leave &out the rows that cannot be used"))
        self.held_out.setRange(0, MOST_HELD_OUT)
        self.held_out.setValue(round(100 * TuneOptions.held_out))
        self.held_out.setSuffix(" %")
        self.held_out.setAccessibleName(self.tr("Share that is held out"))
        self.held_out.setToolTip(self.tr("Whole documents, never learned from: they tell when it has learned enough."))
        self.skip.hide()
        share = QHBoxLayout()
        style.spaced(share, 0)
        share.addWidget(caption(self.tr("Held out"), self.held_out))
        share.addWidget(self.held_out)
        share.addStretch(1)
        self.prompts = QPlainTextEdit()
        self.prompts.setAccessibleName(self.tr("Sample prompts"))
        self.prompts.setPlaceholderText(self.tr("None: nothing is answered meanwhile"))
        self.prompts.setTabChangesFocus(True)
        self.prompts.setAcceptDrops(False)
        self.prompts.setFixedHeight(LINES * self.fontMetrics().lineSpacing() + 2 * style.SPACE)
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(self.data, 1)
        column.addLayout(share)
        column.addWidget(self.skip)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("Sample prompts")))
        column.addWidget(quiet(self.tr("Answered before, during and after; an empty line between them.")))
        column.addWidget(self.prompts)
        return column

    def _how(self) -> QVBoxLayout:
        self.model = ModelChoice(self._session)
        self.recipe, self.objective = RecipeFields(), ObjectiveChoice()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for widget in (self.tabs, self.tabs.tabBar()):
            widget.setAccessibleName(self.tr("How to learn"))
        self.tabs.addTab(self._simple(), self.tr("&Simple"))
        self.tabs.addTab(self.recipe, self.tr("&Advanced"))
        column = QVBoxLayout()
        style.spaced(column, 0)
        head = strong(self.tr("Base model"))
        head.setMinimumHeight(self.start.sizeHint().height())  # in line with what stands beside it
        column.addWidget(head)
        column.addWidget(self.model)
        column.addWidget(self.objective)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("How")))
        column.addWidget(self.tabs, 1)
        return column

    def _simple(self) -> QWidget:
        words = {
            "light": (
                self.tr("&Light"),
                self.tr("Quick: to see whether the examples teach anything at all."),
            ),
            "standard": (
                self.tr("Stan&dard"),
                self.tr("Ended early where more no longer helps. Right for most."),
            ),
            "thorough": (
                self.tr("T&horough"),
                self.tr("For a new way to answer, or where much is to be learned."),
            ),
        }
        self.choices: dict[str, QRadioButton] = {}
        self._abouts: dict[str, tuple[QLabel, str]] = {}
        self._group = QButtonGroup(self)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.SPACE, style.HALF)
        for name, (title, about) in words.items():
            self.choices[name] = button = QRadioButton(title)
            self._group.addButton(button)
            line = quiet()
            self._abouts[name] = line, about
            line.setContentsMargins(style.WIDE, 0, 0, style.SPACE)
            column.addWidget(button)
            column.addWidget(line)
        self._own = quiet(self.tr("None of these: the settings under Advanced are your own."))
        column.addWidget(self._own)
        column.addStretch(1)
        return page

    def _before(self) -> QFrame:
        box = QFrame()
        box.setFrameShape(QFrame.Shape.StyledPanel)
        self.estimate, self.advice = plain(), quiet()
        self.estimate.setAccessibleName(self.tr("What it takes"))
        self.advice.setAccessibleName(self.tr("What to change"))
        column = QVBoxLayout(box)
        style.spaced(column, style.SPACE, style.HALF)
        column.addWidget(strong(self.tr("Before it starts")))
        column.addWidget(self.estimate)
        column.addWidget(self.advice)
        return box

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        changes = self.data.changed, self.model.changed, self.recipe.changed, self.held_out.valueChanged
        for signal in (*changes, self.skip.toggled):
            signal.connect(self._change)
        for name, button in self.choices.items():
            button.clicked.connect(lambda _=False, name=name: self._choose(name))
        self.objective.chosen.connect(self._choose_objective)
        self._later.timeout.connect(self._reckon)
        self._session.project_closing.connect(self.reject)
        self._estimating.changed.connect(self._show_estimate)
        self._estimating.prompts_found.connect(self._fill_prompts)

    # Choosing

    def _choose(self, name: str) -> None:
        with QSignalBlocker(self.recipe):
            self.recipe.show_recipe(with_choice(self.recipe.recipe, CHOICES[name]))
        self._change()

    def _choose_objective(self, name: str) -> None:
        field = self.recipe.fields["objective"]
        assert isinstance(field, QComboBox)
        field.setCurrentIndex(field.findData(name))  # the rate follows it

    def _fill_prompts(self, found: list[str]) -> None:
        """Puts some of the dataset's own there, unless the user has written others."""
        if self.prompts.toPlainText() == self._filled:
            self._filled = join_prompts(found)
            self.prompts.setPlainText(self._filled)

    def _change(self) -> None:
        """Something was chosen: what it takes is to be reckoned anew."""
        recipe = self.recipe.recipe
        chosen = next((name for name, one in CHOICES.items() if with_choice(recipe, one) == recipe), "")
        self._group.setExclusive(False)  # else none could be off
        for name, button in self.choices.items():
            button.setChecked(name == chosen)
        self._group.setExclusive(True)
        for name, (line, about) in self._abouts.items():
            line.setText(f"{_figures(with_choice(recipe, CHOICES[name]))} {about}")
            self.choices[name].setAccessibleDescription(line.text())
        self._own.setVisible(not chosen)
        self.objective.show_objective(recipe.objective)
        self.model.say(self._about_model())
        self.held_out.setEnabled(self.data.source is None or not self.data.source.frozen)
        self._estimating.forget()
        if self._why_not():
            self._later.stop()
        else:
            self._later.start()
        self._show_estimate()

    def _about_model(self) -> str:
        if self.model.model is not None and self.model.model.path == paths.starter_model():
            return self.tr("Very small, and knows only what the sample's probes ask: good for trying this out.")
        return ""

    def _why_not(self) -> str:
        """Why it cannot start as it is chosen; empty when it can."""
        model = self.model.model
        if self.data.source is None:
            return self.tr("Choose what to learn from.")
        if model is None:
            return self.tr("Choose a base model.")
        if model.is_embedding:
            return self.tr("This model makes vectors and writes no text. Choose another one.")
        if model.chat_template is None:
            return self.tr("This model is not made for conversations: it has no chat template. Choose another one.")
        return ""

    # What it takes

    def _reckon(self) -> None:
        if not self._why_not():
            self._estimating.reckon(self.options())

    def _show_estimate(self) -> None:
        why, selection = self._why_not(), self._estimating.selection
        if selection is not None and selection is not self._shown:
            self._shown = selection
            self.objective.show_rows(selection.rows, self.recipe.recipe.objective)
        self.estimate.setText(why or self._estimating.words)
        self.advice.setText("" if why else self._estimating.advice)
        self.advice.setVisible(bool(self.advice.text()))
        self.skip.setVisible(self._estimating.has_bad_rows or self.skip.isChecked())
        self.start.setEnabled(not why and self._estimating.allows)
        self.start.setToolTip(why or ("" if self._estimating.allows else self._estimating.words))

    # Its end

    def _restore(self) -> None:
        with QSignalBlocker(self.recipe):
            self.recipe.show_recipe(read_recipe(str(self._session.settings.value("tune/recipe", ""))))

    def accept(self) -> None:
        self._session.settings.setValue("tune/recipe", json.dumps(asdict(self.recipe.recipe)))
        super().accept()

    def done(self, result: int) -> None:
        self._later.blockSignals(True)  # what changes from now on is reckoned no more
        self.model.stop()
        self.model.blockSignals(True)  # what it found just now is still on its way
        self._estimating.forget()
        super().done(result)


def _figures(recipe: Recipe) -> str:
    """In what the simple choices differ, and how fast it learns."""
    rate = rate_words(recipe.learning_rate)
    if recipe.epochs == 1:
        return QCoreApplication.translate("TuneDialog", "Rank {}, 1 pass, learning rate {}.").format(recipe.rank, rate)
    words = QCoreApplication.translate("TuneDialog", "Rank {}, up to {} passes, learning rate {}.")
    return words.format(recipe.rank, QLocale().toString(float(recipe.epochs), "g", 3), rate)
