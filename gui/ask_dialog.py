"""Asks what a run of questions is to make: model, kinds, documents, how many; and says what that comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QSize, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.errors import UserError
from core.project.records import KINDS, Run
from core.questions.ask import AskOptions, count_slots, how_far
from core.questions.prompts import Prompts, load_prompts
from gui import style
from gui.labels import plain, quiet
from gui.model_choice import ModelChoice
from gui.session import Session
from gui.words import kind_name, starter_words

MOST_SEEDS = (1 << 31) - 1
COLUMNS = 3  # of the kinds
TELLING = 5  # questions that a run must have made to tell how long others take: loading the model counts in


class AskDialog(QDialog):
    """After `exec`, `resumes` says whether the unfinished run is to go on, else `options` what to ask for."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.resumes = False
        self._prompts: Prompts | None = None
        self._runs = session.project.runs()
        self._unfinished = session.project.last_unfinished_run("ask")
        self.setWindowTitle(self.tr("Ask questions"))
        self._build()
        self._connect()
        self._fill_documents()
        self._choose_model()

    def options(self) -> AskOptions:
        """What is to be asked for. Only when a model is chosen."""
        model = self.model.model
        assert model is not None
        return AskOptions(
            model=model.path,
            kinds=self.chosen_kinds(),
            per_passage=self.per_passage.value(),
            limit=self.limit.value() or None,
            language=self.language.text().strip() if self._form.isRowVisible(self.language) else "",
            seed=self.seed.value(),
            documents=self._chosen_documents(),
        )

    def chosen_kinds(self) -> tuple[str, ...]:
        """The kinds of question that are checked."""
        return tuple(kind for kind, box in self.kinds.items() if box.isEnabled() and box.isChecked())

    # Building

    def _build(self) -> None:
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        if self._unfinished is not None:
            column.addWidget(self._build_resume(self._unfinished))
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(style.DOUBLE)
        form.setVerticalSpacing(style.SPACE)
        self.model = ModelChoice(self._session)
        form.addRow(self.tr("&Model"), self.model)
        form.addRow(self.tr("Kinds"), self._build_kinds())
        self.per_passage, self.limit, self.seed = QSpinBox(), QSpinBox(), QSpinBox()
        self.per_passage.setRange(1, 20)
        self.per_passage.setValue(self._kept("ask/per_passage", 2))
        self.per_passage.setToolTip(self.tr("Of all kinds together: they take turns."))
        self.limit.setRange(0, 1_000_000)
        self.limit.setSpecialValueText(self.tr("No limit"))
        self.limit.setGroupSeparatorShown(True)
        self.limit.setValue(self._kept("ask/limit", 0))
        self.seed.setRange(0, MOST_SEEDS)
        self.seed.setValue(len(self._runs))
        self.seed.setToolTip(self.tr("The same seed gives the same questions again; another one gives others."))
        self.language = QLineEdit()
        self.language.setPlaceholderText(self.tr("The language of the passage"))
        form.addRow(self.tr("Questions per &passage"), left(self.per_passage))
        form.addRow(self.tr("At m&ost"), left(self.limit))
        form.addRow(self.tr("&Documents"), self._build_documents())
        form.addRow(self.tr("&Language"), self.language)
        form.addRow(self.tr("&Seed"), left(self.seed))
        for row in range(form.rowCount()):  # a label leads to what its letter should reach, not to the box around it
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole)
            box = field.widget() if field else None
            label, proxy = form.labelForField(box) if box else None, box.focusProxy() if box else None
            if isinstance(label, QLabel) and proxy:
                label.setBuddy(proxy)
        names = {
            self.per_passage: self.tr("Questions per passage"),
            self.limit: self.tr("Questions at most"),
            self.language: self.tr("Language of the questions"),
            self.seed: self.tr("Seed"),
        }
        for widget, name in names.items():
            widget.setAccessibleName(name)
        column.addLayout(form)
        self.sum = plain()
        self.sum.setAccessibleName(self.tr("What that comes to"))
        column.addWidget(self.sum)
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self.start = self._buttons.addButton(self.tr("&Ask"), QDialogButtonBox.ButtonRole.AcceptRole)
        column.addWidget(self._buttons)
        if self._unfinished is None:
            self.start.setDefault(True)
        self.setMinimumWidth(520)

    def _build_resume(self, run: Run) -> QWidget:
        done, total = how_far(self._session.project, run)
        box = QFrame()
        box.setFrameShape(QFrame.Shape.StyledPanel)
        text = plain(
            self.tr("The last run with {} stopped before its end. What it made is kept.").format(run.request.model_name)
        )
        self.resume = QPushButton(self.tr("&Resume ({:,} of {:,})").format(done, total))
        self.resume.setDefault(True)
        self.resume.clicked.connect(self._resume)
        row = QHBoxLayout(box)
        style.spaced(row, style.SPACE, style.DOUBLE)
        row.addWidget(text, 1)
        row.addWidget(self.resume)
        return box

    def _build_kinds(self) -> QWidget:
        box = QWidget()
        grid = QGridLayout(box)
        style.spaced(grid, 0, style.HALF)
        self.kinds: dict[str, QCheckBox] = {}
        for place, kind in enumerate(KINDS):
            self.kinds[kind] = check = QCheckBox(kind_name(kind))
            grid.addWidget(check, place // COLUMNS, place % COLUMNS)
        kept: Any = self._session.settings.value("ask/kinds", [], list)
        pairs = (str(entry).partition("=") for entry in kept)
        # What the user said of kinds, whatever the model.
        self._wanted: dict[str, bool] = {kind: wanted == "yes" for kind, _, wanted in pairs if kind in KINDS}
        self._cannot = quiet(self.tr("This model cannot ask the kinds in grey."))
        grid.addWidget(self._cannot, grid.rowCount(), 0, 1, COLUMNS)
        return box

    def _build_documents(self) -> QWidget:
        self.all_documents = QCheckBox(self.tr("All of them"))
        self.all_documents.setChecked(True)
        self.documents = QListWidget()
        self.documents.setAccessibleName(self.tr("Documents to ask about"))
        self.documents.setMaximumHeight(120)
        self.documents.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.documents.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.documents.hide()
        self._documents_box = box = QWidget()
        column = QVBoxLayout(box)
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.all_documents)
        column.addWidget(self.documents)
        box.setFocusProxy(self.all_documents)
        return box

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self.model.changed.connect(self._choose_model)
        self.all_documents.toggled.connect(lambda all: self.documents.setVisible(not all))
        for kind, box in self.kinds.items():
            box.clicked.connect(lambda on, kind=kind: self._wanted.update({kind: on}))
        for box in (*self.kinds.values(), self.all_documents):
            box.toggled.connect(self._reckon)
        for number in (self.per_passage, self.limit):
            number.valueChanged.connect(self._reckon)
        self.documents.itemChanged.connect(self._reckon)

    # Models

    def _choose_model(self) -> None:
        self._prompts, model = None, self.model.model
        self.model.say("")
        if model is not None:
            try:
                self._prompts = load_prompts(model.prompt_style)
                if model.is_embedding:
                    self.model.say(self.tr("This model makes vectors and writes no text. Choose another one."))
                    self._prompts = None
                if model.path == paths.starter_model():
                    self.model.say(starter_words())
            except UserError as error:
                self.model.say(str(error))
        self._show_kinds()
        self._form.setRowVisible(self.language, self._prompts is not None and self._prompts.writes_any_language)
        self._reckon()
        self._grow()

    def _grow(self) -> None:
        """Gives what has appeared its room."""
        layout = self.layout()
        assert layout is not None
        width = max(self.width(), self.sizeHint().width())
        self.resize(width, max(self.height(), layout.totalHeightForWidth(width)))

    def _show_kinds(self) -> None:
        possible = self._prompts.kinds if self._prompts else ()
        for kind, box in self.kinds.items():
            box.setEnabled(kind in possible)
            usual = self._prompts is not None and kind in self._prompts.default_kinds
            box.setChecked(kind in possible and self._wanted.get(kind, usual))
        self._cannot.setVisible(self._prompts is not None and len(possible) < len(self.kinds))

    # Documents

    def _fill_documents(self) -> None:
        for document in self._session.project.documents():
            if document.state != "ready" or not document.passages:
                continue
            item = QListWidgetItem(" ".join(document.title.split()) or Path(document.path).name)
            item.setData(Qt.ItemDataRole.UserRole, document.id)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self.documents.addItem(item)
        self._form.setRowVisible(self._documents_box, self.documents.count() > 1)

    def _items(self) -> Iterable[QListWidgetItem]:
        return (self.documents.item(place) for place in range(self.documents.count()))

    def _chosen_documents(self) -> tuple[int, ...]:
        """Their ids; empty for all."""
        chosen = [item for item in self._items() if item.checkState() == Qt.CheckState.Checked]
        if self.all_documents.isChecked() or len(chosen) == self.documents.count():
            return ()
        return tuple(item.data(Qt.ItemDataRole.UserRole) for item in chosen)

    # What it comes to

    def _reckon(self) -> None:
        any_document = self.all_documents.isChecked() or any(
            item.checkState() == Qt.CheckState.Checked for item in self._items()
        )
        ready = self._prompts is not None and bool(self.chosen_kinds()) and any_document
        self.start.setEnabled(ready)
        if self._prompts is None:
            self.sum.setText(self.tr("Choose a model."))
        elif not self.chosen_kinds():
            self.sum.setText(self.tr("Choose at least one kind of question."))
        elif not any_document:
            self.sum.setText(self.tr("Choose at least one document."))
        else:
            slots = count_slots(self._session.project, self.options())
            self.start.setEnabled(slots > 0)
            how_many = self.tr("1 question") if slots == 1 else self.tr("Up to {:,} questions").format(slots)
            words = self.tr("{}. Time: {}.").format(how_many, self._time(slots))
            if self.limit.value() and slots < count_slots(self._session.project, replace(self.options(), limit=None)):
                words += " " + self.tr("They are asked from the beginning on.")
            self.sum.setText(words)

    def _time(self, slots: int) -> str:
        """An estimate from the last run with the same model that came far enough to tell."""
        model = self.model.model
        for run in reversed(self._runs):
            seconds = run.usage.get("engine", {}).get("seconds", 0)
            if model is None or run.request.model_path != str(model.path.resolve()) or not seconds:
                continue
            if (done := len(self._session.project.done_slots(run.id))) >= TELLING:
                return duration(seconds / done * slots)
        return self.tr("unknown until it has begun")

    # Its end

    def _kept(self, name: str, usual: int) -> int:
        kept = str(self._session.settings.value(name, usual))
        return int(kept) if kept.isdecimal() else usual

    def accept(self) -> None:
        settings = self._session.settings
        if (model := self.model.model) is not None:
            settings.setValue("model", str(model.path))
        kinds = [f"{kind}={'yes' if wanted else 'no'}" for kind, wanted in self._wanted.items()]
        settings.setValue("ask/kinds", kinds)
        settings.setValue("ask/per_passage", self.per_passage.value())
        settings.setValue("ask/limit", self.limit.value())
        super().accept()

    def _resume(self) -> None:
        self.resumes = True
        super().accept()

    def done(self, result: int) -> None:
        self.model.stop()
        super().done(result)

    def sizeHint(self) -> QSize:
        return super().sizeHint().expandedTo(QSize(560, 0))


def left(widget: QWidget) -> QWidget:
    """The widget at its own width, at the left of a form's field."""
    box = QWidget()
    row = QHBoxLayout(box)
    style.spaced(row, 0)
    row.addWidget(widget)
    row.addStretch(1)
    box.setFocusProxy(widget)
    return box


def duration(seconds: float) -> str:
    """A length of time as a person would say it."""
    if seconds < 90:
        return QCoreApplication.translate("AskDialog", "about {} s").format(max(5, 5 * round(seconds / 5)))
    if seconds < 5400:
        return QCoreApplication.translate("AskDialog", "about {} min").format(round(seconds / 60))
    return QCoreApplication.translate("AskDialog", "about {:.1f} h").format(seconds / 3600)
