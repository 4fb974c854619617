"""What is known of one model: what it is and can do, what it needs, and its checksum once that is computed."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.engine.devices import Device, processor
from core.engine.fit import fit
from core.engine.requests import EngineSettings
from core.errors import UserError
from core.models import checksum
from core.models.files import ModelFile
from core.models.shelf import OWN, Shelved
from core.questions.prompts import load_prompts
from gui import style
from gui.labels import caption, plain, quiet, strong
from gui.model_hasher import ModelHasher
from gui.panels.panel import action_button
from gui.words import fit_words, kind_name, parameter_words, size_words, starter_words

SOON = 2  # seconds after which it is said how far the checksum is


class ModelDetails(QStackedWidget):
    """One model, or the wish that one be selected; `use` and `remove` are what can be done with it."""

    def __init__(self, use: QAction, remove: QAction) -> None:
        super().__init__()
        self._use, self._remove = use, remove
        self._shown: tuple[Shelved | None, bool] | None = None
        self._devices: list[Device] = [processor()]
        self._hashers: list[ModelHasher] = []  # the last, and those before it that have not ended yet
        self._hashed: Path | None = None  # whose checksum is waited for
        self._began = 0.0
        self._checksum: QLabel | None = None
        nothing = quiet(self.tr("Select a model to see what it is."))
        nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.addWidget(nothing)
        self.addWidget(self._page())

    def show_model(self, shelved: Shelved | None, is_next: bool) -> None:
        """Shows a model; `is_next` says that the next run takes it."""
        self._use_button.setVisible(self._use.isEnabled())
        self._remove_button.setVisible(self._remove.isEnabled())
        if self._shown == (shelved, is_next):
            return
        self._shown = (shelved, is_next)
        self.setCurrentIndex(shelved is not None)
        while self._form.rowCount():
            self._form.removeRow(0)
        self._checksum = self._hashed = None
        for hasher in self._hashers:
            hasher.abandon()
        if shelved is None:
            return
        model = shelved.model
        self._name.setText(model.name if model else shelved.path.name)
        self._about.setText(self._about_words(shelved, is_next))
        self._about.setVisible(bool(self._about.text()))
        for label, value in self._facts(model) if model else []:
            self._add(label, value)
        if shelved.program != OWN:
            self._add(self.tr("Found with"), shelved.program)
        self._add(self.tr("File"), str(shelved.path))
        if model is not None:
            self._show_checksum(model)

    def set_devices(self, devices: list[Device]) -> None:
        """Reckons with these from now on."""
        shown, self._devices = self._shown, devices
        if shown is not None:
            self._shown = None
            self.show_model(*shown)

    def stop(self) -> None:
        """Ends what runs in the background."""
        for hasher in self._hashers:
            hasher.stop()

    # Building

    def _page(self) -> QScrollArea:
        self._name, self._about = strong(size=1.4), quiet()
        self._form = QFormLayout()
        style.spaced(self._form, 0)
        self._form.setHorizontalSpacing(style.WIDE)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._use_button = action_button(self._use, self.tr("&Use for the next run"))
        self._remove_button = action_button(self._remove, self.tr("&Take off the list"))
        buttons = QHBoxLayout()
        style.spaced(buttons, 0)
        buttons.addWidget(self._use_button)
        buttons.addWidget(self._remove_button)
        buttons.addStretch(1)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.DOUBLE)
        column.addWidget(self._name)
        column.addWidget(self._about)
        column.addSpacing(style.SPACE)
        column.addLayout(self._form)
        column.addSpacing(style.SPACE)
        column.addLayout(buttons)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(page)
        return scroll

    def _add(self, label: str, value: str) -> QLabel:
        field = plain(value, selectable=True)
        field.setAccessibleName(f"{label}: {value}")
        self._form.addRow(caption(label), field)
        return field

    # What it says

    def _about_words(self, shelved: Shelved, is_next: bool) -> str:
        model = shelved.model
        if model is None:
            return shelved.problem
        words = []
        if model.path == paths.starter_model():
            words.append(starter_words())
        if model.is_embedding:
            words.append(self.tr("It makes vectors, not text, so it cannot ask questions."))
        elif is_next:
            words.append(self.tr("The next run takes this model."))
        return " ".join(words)

    def _facts(self, model: ModelFile) -> list[tuple[str, str]]:
        number = QLocale().toString
        facts = [
            (self.tr("Architecture"), self.tr("{}, {} layers").format(model.architecture, number(model.block_count))),
            (self.tr("Parameters"), parameter_words(model.parameters)),
            (self.tr("Quantisation"), model.quantisation),
            (self.tr("Size"), self._size_words(model)),
            *self._memory(model),
            (self.tr("Context"), self.tr("{} tokens").format(number(model.context_length))),
            (self.tr("Vocabulary"), self.tr("{} tokens").format(number(model.vocabulary_size))),
            (self.tr("Chat template"), self.tr("yes") if model.chat_template else self.tr("no: a plain one is used")),
            (self.tr("Prompts"), model.prompt_style),
            (self.tr("Questions"), self._kinds(model)),
            (self.tr("Made by"), model.author),
            (self.tr("Licence"), model.licence),
        ]
        return [(label, value) for label, value in facts if value]

    def _size_words(self, model: ModelFile) -> str:
        if len(model.parts) == 1:
            return size_words(model.size)
        return self.tr("{} in {} files").format(size_words(model.size), QLocale().toString(len(model.parts)))

    def _memory(self, model: ModelFile) -> list[tuple[str, str]]:
        """What it takes with the context that a run asks for first, and where."""
        if model.is_embedding:
            return [(self.tr("Memory"), self.tr("about {}").format(size_words(model.size)))]
        found = fit(model, self._devices, EngineSettings())
        need = found.need
        parts = self.tr("{}: weights {}, cache {}, computing {}").format(
            *map(size_words, (need.total, need.weights, need.cache, need.compute))
        )
        return [(self.tr("Memory"), parts), (self.tr("This computer"), fit_words(found))]

    def _kinds(self, model: ModelFile) -> str:
        try:
            kinds = load_prompts(model.prompt_style).kinds
        except UserError as error:
            return str(error)
        return " · ".join(map(kind_name, kinds))

    # The checksum

    def _show_checksum(self, model: ModelFile) -> None:
        label = self.tr("SHA-256") if len(model.parts) == 1 else self.tr("SHA-256 of the first file")
        digest = checksum.known(model.path)
        self._checksum = self._add(label, digest or self.tr("is being computed…"))
        if digest:
            return
        hasher = ModelHasher(model.path)
        self._hashers = [*(other for other in self._hashers if other.alive), hasher]
        self._hashed, self._began = model.path, time.monotonic()
        hasher.progressed.connect(self._tell_checksum)
        hasher.known.connect(self._take_checksum)
        hasher.start()

    def _tell_checksum(self, path: Path, done: float) -> None:
        if path == self._hashed and self._checksum is not None and time.monotonic() - self._began > SOON:
            self._checksum.setText(self.tr("is being computed: {} %").format(QLocale().toString(int(100 * done))))

    def _take_checksum(self, path: Path, digest: str) -> None:
        if path == self._hashed and self._checksum is not None:
            self._checksum.setText(digest)
            self._checksum.setAccessibleName(self.tr("SHA-256: {}").format(digest))
            self._hashed = None
