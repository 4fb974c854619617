"""What the dialogs before a run of rationales have in common: model, of which examples, and what that comes to."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.errors import UserError
from core.project.records import Run
from core.questions.prompts import RATIONALE, Prompts, load_prompts
from core.rationales.running import DRAFTS, how_far
from gui import style
from gui.ask_dialog import duration
from gui.labels import plain
from gui.model_choice import ModelChoice
from gui.session import Session
from gui.words import starter_words

TELLING = 3  # examples that a run must have done to tell how long others take: loading the model counts in


class RationaleDialog(QDialog):
    """Who inherits adds rows to the form, and says what the run is.

    After `exec`, `resumes` says whether the unfinished run of its kind is to go on.
    """

    kind = DRAFTS

    def __init__(self, session: Session, selected: Sequence[int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.resumes = False
        self._prompts: Prompts | None = None
        self._selected, self._others = self._choosable(list(selected))
        self._unfinished = session.project.last_unfinished_run(self.kind)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        if self._unfinished is not None:
            column.addWidget(self._build_resume(self._unfinished))
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setHorizontalSpacing(style.DOUBLE)
        self._form.setVerticalSpacing(style.SPACE)
        self.model = ModelChoice(session)
        self._form.addRow(self.tr("&Model"), self.model)
        self._form.addRow(self.tr("Of which"), self._build_which())
        self._build()
        column.addLayout(self._form)
        self.sum = plain()
        self.sum.setAccessibleName(self.tr("What that comes to"))
        column.addWidget(self.sum)
        column.addStretch(1)
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self.begin = self._buttons.addButton(self._verb(), QDialogButtonBox.ButtonRole.AcceptRole)
        column.addWidget(self._buttons)
        self.begin.setDefault(self._unfinished is None)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self.model.changed.connect(self._choose_model)
        self.setMinimumWidth(540)
        self._choose_model()

    @property
    def examples(self) -> tuple[int, ...]:
        """Those that were selected; empty for all that the choice beside speaks of."""
        return tuple(self._selected) if self.of_selected.isChecked() else ()

    @property
    def count(self) -> int:
        """How many examples that is."""
        return len(self._selected) if self.of_selected.isChecked() else self._others

    # What each of them says

    def _choosable(self, selected: Sequence[int]) -> tuple[list[int], int]:
        """Which of those selected it can be done to, and to how many others it may be done instead."""
        raise NotImplementedError

    def _names(self) -> tuple[str, str]:
        """What the selected ones and all the others are called; {} stands for how many."""
        raise NotImplementedError

    def _verb(self) -> str:
        """On the button that begins."""
        raise NotImplementedError

    def _build(self) -> None:
        """More rows of the form."""

    def _trouble(self, prompts: Prompts) -> str:
        """Why this model cannot do it."""
        del prompts
        return ""

    def _missing(self) -> str:
        """What is still to be filled in."""
        return ""

    def _words(self) -> str:
        """What it comes to."""
        raise NotImplementedError

    # Building

    def _build_resume(self, run: Run) -> QWidget:
        done, total = how_far(self._session.project, run)
        box = QFrame()
        box.setFrameShape(QFrame.Shape.StyledPanel)
        text = self.tr("The last run with {} stopped before its end. What it made is kept.")
        self.resume = QPushButton(self.tr("&Resume ({:,} of {:,})").format(done, total))
        self.resume.setDefault(True)
        self.resume.clicked.connect(self._resume)
        row = QHBoxLayout(box)
        style.spaced(row, style.SPACE, style.DOUBLE)
        row.addWidget(plain(text.format(run.request.model_name)), 1)
        row.addWidget(self.resume)
        return box

    def _build_which(self) -> QWidget:
        selected, others = self._names()
        self.of_selected = QRadioButton(selected.format(f"{len(self._selected):,}"))
        self.of_others = QRadioButton(others.format(f"{self._others:,}"))
        box, self._which = QWidget(), QButtonGroup(self)
        column = QVBoxLayout(box)
        style.spaced(column, 0, style.HALF)
        for button, number in ((self.of_selected, len(self._selected)), (self.of_others, self._others)):
            self._which.addButton(button)
            button.setEnabled(number > 0)
            button.toggled.connect(self._reckon)
            column.addWidget(button)
        (self.of_selected if self._selected else self.of_others).setChecked(True)
        box.setFocusProxy(self.of_selected)
        return box

    # What it comes to

    def _choose_model(self) -> None:
        self._prompts, model = None, self.model.model
        self.model.say("")
        if model is not None:
            try:
                prompts = load_prompts(model.prompt_style, RATIONALE)
                trouble = self._trouble_with(prompts, model.is_embedding)
                self._prompts = None if trouble else prompts
                self.model.say(trouble or (starter_words() if model.path == paths.starter_model() else ""))
            except UserError as error:
                self.model.say(str(error))
        self._show_model()
        self._reckon()
        self._grow()

    def _grow(self) -> None:
        """Gives what has appeared its room."""
        layout = self.layout()
        assert layout is not None
        width = max(self.width(), self.sizeHint().width())
        self.resize(width, max(self.height(), layout.totalHeightForWidth(width)))

    def _trouble_with(self, prompts: Prompts, is_embedding: bool) -> str:
        if is_embedding:
            return self.tr("This model makes vectors and writes no text. Choose another one.")
        if not prompts.explains:
            return self.tr("There are no prompts for rationales in the style of this model. Choose another one.")
        return self._trouble(prompts)

    def _show_model(self) -> None:
        """Shows what only some models can do."""

    def _reckon(self) -> None:
        if not hasattr(self, "sum"):
            return  # it is being built
        missing = self._missing()
        self.begin.setEnabled(self._prompts is not None and self.count > 0 and not missing)
        if self._prompts is None:
            none = self.model.model is None
            self.sum.setText(self.tr("Choose a model.") if none else self.tr("Choose another model."))
        elif self.count == 0:
            self.sum.setText(self.tr("There is no question to do this to."))
        else:
            self.sum.setText(missing or self._words())

    def _time(self) -> str:
        """An estimate from the last run of its kind with the same model that came far enough to tell."""
        model = self.model.model
        for run in reversed(self._session.project.runs()):
            seconds = run.usage.get("engine", {}).get("seconds", 0)
            same = model is not None and run.request.model_path == str(model.path.resolve())
            if run.request.kind != self.kind or not same or not seconds:
                continue
            if (done := how_far(self._session.project, run)[0]) >= TELLING:
                return duration(seconds / done * self.count)
        return self.tr("unknown until it has begun")

    # Its end

    def _number(self, name: str, usual: int) -> int:
        kept = str(self._session.settings.value(name, usual))
        return int(kept) if kept.isdecimal() else usual

    def accept(self) -> None:
        if (model := self.model.model) is not None:
            self._session.settings.setValue("model", str(model.path))
        super().accept()

    def _resume(self) -> None:
        self.resumes = True
        super().accept()

    def done(self, result: int) -> None:
        self.model.stop()
        super().done(result)
