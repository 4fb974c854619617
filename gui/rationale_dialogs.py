"""Asks what a run of rationales is to do: draft steps, write them anew as one says, or check them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QCheckBox, QLineEdit, QPlainTextEdit, QSpinBox

from core.project.records import ExampleFilter
from core.questions.prompts import REWRITES, Prompts
from core.rationales.checks import CheckOptions
from core.rationales.drafts import RationaleOptions
from core.rationales.running import CHECKS
from gui.ask_dialog import MOST_SEEDS, left
from gui.labels import quiet
from gui.rationale_dialog import RationaleDialog


class DraftDialog(RationaleDialog):
    """Asks what steps a model is to draft."""

    def options(self) -> RationaleOptions:
        """What is to be drafted. Only when a model is chosen."""
        assert self.model.model is not None
        any_language = self._prompts is not None and self._prompts.writes_any_language
        return RationaleOptions(
            model=self.model.model.path,
            examples=self.examples,
            candidates=self.candidates.value(),
            steps=self.steps.value(),
            language=self.language.text().strip() if any_language else "",
            seed=self.seed.value(),
            check=self.check.isChecked(),
        )

    def _choosable(self, selected: Sequence[int]) -> tuple[list[int], int]:
        others = self._session.project.count(ExampleFilter(state="accepted", rationale=False))
        return list(selected), others

    def _names(self) -> tuple[str, str]:
        return self.tr("The &selected questions ({})"), self.tr("All &accepted questions without steps ({})")

    def _verb(self) -> str:
        return self.tr("&Draft")

    def _build(self) -> None:
        self.setWindowTitle(self.tr("Draft steps"))
        self.candidates, self.steps, self.seed = QSpinBox(), QSpinBox(), QSpinBox()
        self.candidates.setRange(1, 8)
        self.candidates.setValue(self._number("rationales/candidates", 2))
        self.candidates.setToolTip(self.tr("The best by the checks becomes the rationale; the others are kept."))
        self.steps.setRange(1, 12)
        self.steps.setValue(self._number("rationales/steps", 5))
        self.language = QLineEdit()
        self.language.setPlaceholderText(self.tr("The language of the passage"))
        self.seed.setRange(0, MOST_SEEDS)
        self.seed.setValue(len(self._session.project.runs()))
        self.seed.setToolTip(self.tr("The same seed gives the same steps again; another one gives others."))
        self.check = QCheckBox(self.tr("Chec&k whether the steps lead to the answer"))
        self.check.setChecked(True)
        names = (
            (self.tr("&Candidates"), self.candidates, self.tr("Candidates of each question")),
            (self.tr("Steps at m&ost"), self.steps, self.tr("Steps at most")),
            (self.tr("&Language"), self.language, self.tr("Language of the steps")),
            (self.tr("S&eed"), self.seed, self.tr("Seed")),
        )
        for text, field, name in names:
            field.setAccessibleName(name)
            self._form.addRow(text, field if field is self.language else left(field))
        self._form.addRow("", self.check)
        for number in (self.candidates, self.steps):
            number.valueChanged.connect(self._reckon)

    def _show_model(self) -> None:
        self._form.setRowVisible(self.language, self._prompts is not None and self._prompts.writes_any_language)

    def _words(self) -> str:
        count, each = self.count, self.candidates.value()
        questions = self.tr("1 question") if count == 1 else self.tr("{:,} questions").format(count)
        words = self.tr("Up to {:,} drafts for {}. Time: {}.").format(count * each, questions, self._time())
        if self.of_selected.isChecked():
            words += " " + self.tr("Where there are steps already, they stay, and the drafts stand beside them.")
        return words

    def accept(self) -> None:
        self._session.settings.setValue("rationales/candidates", self.candidates.value())
        self._session.settings.setValue("rationales/steps", self.steps.value())
        super().accept()


class RewriteDialog(RationaleDialog):
    """Asks how a model is to write the present steps anew."""

    def options(self) -> RationaleOptions:
        """What is to be drafted. Only when a model is chosen."""
        assert self.model.model is not None
        return RationaleOptions(
            model=self.model.model.path,
            examples=self.examples,
            candidates=1,
            steps=self._number("rationales/steps", 5),
            instruction=self.text,
            seed=len(self._session.project.runs()),
        )

    @property
    def text(self) -> str:
        """The instruction."""
        return " ".join(self.instruction.toPlainText().split())

    def _choosable(self, selected: Sequence[int]) -> tuple[list[int], int]:
        project, explained = self._session.project, ExampleFilter(rationale=True)
        return project.example_ids(explained, among=selected), project.count(explained)

    def _names(self) -> tuple[str, str]:
        return self.tr("The &selected questions ({})"), self.tr("&All questions with steps ({})")

    def _verb(self) -> str:
        return self.tr("Re&write")

    def _build(self) -> None:
        self.setWindowTitle(self.tr("Rewrite with an instruction"))
        self.instruction = QPlainTextEdit()
        self.instruction.setAccessibleName(self.tr("Instruction"))
        self.instruction.setPlaceholderText(self.tr("Such as: shorter steps, and name the year in the first"))
        self.instruction.setTabChangesFocus(True)
        self.instruction.setFixedHeight(4 * self.fontMetrics().lineSpacing())
        self.instruction.textChanged.connect(self._reckon)
        self._form.addRow(self.tr("&Instruction"), self.instruction)
        self.instruction.setFocus()

    def _trouble(self, prompts: Prompts) -> str:
        lacking = self.tr("This model follows no instructions. Choose one that was tuned for chat.")
        return "" if prompts.has(REWRITES) else lacking

    def _missing(self) -> str:
        return "" if self.text else self.tr("Say what should be different.")

    def _words(self) -> str:
        count = self.tr("1 question") if self.count == 1 else self.tr("{:,} questions").format(self.count)
        words = self.tr("A new draft for {}. Time: {}. The present steps stay until you take the draft.")
        return words.format(count, self._time())


class CheckDialog(RationaleDialog):
    """Asks which rationales are to be checked by which model."""

    kind = CHECKS

    def options(self) -> CheckOptions:
        """What is to be checked. Only when a model is chosen."""
        assert self.model.model is not None
        return CheckOptions(self.model.model.path, self.examples)

    def _choosable(self, selected: Sequence[int]) -> tuple[list[int], int]:
        project = self._session.project
        others = sum(project.count(ExampleFilter(state=state, rationale=True)) for state in ("draft", "accepted"))
        return project.example_ids(ExampleFilter(rationale=True), among=selected), others

    def _names(self) -> tuple[str, str]:
        return self.tr("The &selected rationales ({})"), self.tr("&All rationales of drafts and accepted ones ({})")

    def _verb(self) -> str:
        return self.tr("&Check")

    def _build(self) -> None:
        self.setWindowTitle(self.tr("Check steps"))
        about = quiet(
            self.tr(
                "The model answers each question twice, with the steps and without them, and never sees the page. "
                "The gain is how much likelier the steps make the right answer."
            )
        )
        self._form.addRow(about)

    def _words(self) -> str:
        count = self.tr("1 rationale") if self.count == 1 else self.tr("{:,} rationales").format(self.count)
        return self.tr("{}. Time: {}.").format(count, self._time())
