"""The models at hand: what each is and can do, which one the next run takes, and which is in memory now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil
from PySide6.QtCore import QCoreApplication, QEvent, QLocale, QSize, Qt, QUrl
from PySide6.QtGui import QAction, QDesktopServices, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.engine.requests import TOKENS_A_SEQUENCE, EngineSettings, Loaded
from core.errors import UserError
from core.models.files import ModelFile
from core.models.shelf import Shelved, models_folder
from core.questions.prompts import load_prompts
from gui import style
from gui.jobs import Jobs
from gui.labels import caption, plain, quiet, strong
from gui.model_finder import ModelFinder
from gui.panels.panel import Panel
from gui.session import Session
from gui.words import kind_name, size_words, starter_words

_SHELVED = Qt.ItemDataRole.UserRole


class ModelsPanel(Panel):
    """A list of GGUF files and what is known of the one that is selected."""

    glyph = "models"

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Models"))
        self._finder: ModelFinder | None = None
        self._found: list[Shelved] = []
        self._loaded: Loaded | None = None
        self._unloading = False  # whether that is asked for already
        self._wanted: Path | None = None  # to be selected once it is read
        self._build()
        self.show_loaded(None)
        self._show_details()

    def refresh(self) -> None:
        """Reads the headers anew, off the event loop."""
        if self._finder is not None:
            self._finder.ended.disconnect(self._show_found)
        self._finder = ModelFinder(self.session.chosen_models())
        self._finder.ended.connect(self._show_found)
        if not self.list.count():
            self._hint.setText(self.tr("Reading what the files are…"))
        self._finder.start()

    def next_model(self) -> Path:
        """The model that the next run takes: the one that was chosen, else the starter."""
        chosen = str(self.session.settings.value("model", "") or "")
        return Path(chosen) if chosen else paths.starter_model()

    def show_loaded(self, loaded: object) -> None:
        """Tells what is in memory: a `Loaded` item of a run, or None."""
        self._loaded = loaded if isinstance(loaded, Loaded) else None
        self._loaded_icon.setPixmap(
            style.icon("models", "good" if self._loaded else "quiet").pixmap(QSize(20, 20), self.devicePixelRatioF())
        )
        self._loaded_text.setText(self._loaded_words())
        can = self._loaded is not None and not self._unloading
        self._unload.setEnabled(can)
        self._unload_button.setVisible(can)

    def take_focus(self) -> None:
        self.list.setFocus()

    def save_state(self) -> None:
        self.session.settings.setValue("models_splitter", self._splitter.saveState())
        if self._finder is not None:
            self._finder.stop()

    # Building

    def _build(self) -> None:
        self._add = self.add_action(self.tr("&Add a GGUF file…"), self.choose_file, "Ctrl+Shift+G", "add")
        self._use = self.add_action(self.tr("&Use for the next run"), self.use_current, "Ctrl+Return", "accept")
        self._remove = self.add_action(self.tr("&Take off the list"), self.remove_current, "Del", "remove")
        self._unload = self.add_action(self.tr("Un&load from memory"), self.unload, None, "unload")
        self._open = self.add_action(self.tr("&Open the models folder"), self.open_folder, None, "open")
        self._again = self.add_action(self.tr("Look for models a&gain"), self.refresh, "F5", "again")
        self._splitter = QSplitter()
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._left())
        self._splitter.addWidget(self._right())
        self._splitter.setStretchFactor(1, 1)
        self._splitter.setSizes([320, 560])
        if state := self.session.settings.value("models_splitter"):
            self._splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(self._loaded_strip())
        column.addWidget(self._splitter, 1)

    def _loaded_strip(self) -> QFrame:
        strip = QFrame()
        strip.setFrameShape(QFrame.Shape.StyledPanel)
        self._loaded_icon, self._loaded_text = QLabel(), plain()
        self._loaded_text.setAccessibleName(self.tr("What is in memory"))
        self._unload_button = _button(self._unload, self.tr("Un&load"))
        row = QHBoxLayout(strip)
        style.spaced(row, style.SPACE, style.SPACE)
        row.addWidget(self._loaded_icon)
        row.addWidget(self._loaded_text, 1)
        row.addWidget(self._unload_button)
        return strip

    def _left(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Models"))
        self.list.setIconSize(QSize(20, 20))
        self.list.setSpacing(1)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentItemChanged.connect(self._show_details)
        self.list.itemActivated.connect(self.use_current)
        self._hint = quiet()
        buttons = QHBoxLayout()
        style.spaced(buttons, 0)
        buttons.addWidget(_button(self._add, self.tr("&Add a GGUF file…")), 1)
        buttons.addWidget(_button(self._open, self.tr("&Open folder")), 1)
        left = QWidget()
        column = QVBoxLayout(left)
        style.spaced(column, 0)
        column.addWidget(self.list, 1)
        column.addWidget(self._hint)
        column.addLayout(buttons)
        return left

    def _right(self) -> QStackedWidget:
        self._name, self._about = strong(size=1.4), quiet()
        self._form = QFormLayout()
        style.spaced(self._form, 0)
        self._form.setHorizontalSpacing(style.WIDE)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._use_button = _button(self._use, self.tr("&Use for the next run"))
        self._remove_button = _button(self._remove, self.tr("&Take off the list"))
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
        nothing = quiet(self.tr("Select a model to see what it is."))
        nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._right_pages = QStackedWidget()
        self._right_pages.addWidget(nothing)
        self._right_pages.addWidget(scroll)
        return self._right_pages

    # Filling

    def _show_found(self, found: list[Shelved]) -> None:
        if found != self._found or self._wanted is not None:
            self._found = found
            self._fill()

    def _fill(self) -> None:
        found = self._found
        before = self._wanted or (self.current.path if self.current else self.next_model())
        self._wanted = None
        self.list.clear()
        for shelved in found:
            self.list.addItem(self._item(shelved))
        usable = sum(shelved.model is not None for shelved in found)
        self._hint.setText(
            self.tr("Only the starter is here, for trying the app. Add a GGUF file of your own for real work.")
            if usable <= 1
            else ""
        )
        self._hint.setVisible(usable <= 1)
        rows = [row for row, shelved in enumerate(found) if shelved.path == before]
        self.list.setCurrentRow(rows[0] if rows else 0)

    def _item(self, shelved: Shelved) -> QListWidgetItem:
        model = shelved.model
        if model is None:
            words, glyph, meaning = self.tr("cannot be used"), "warning", "warning"
        else:
            words = " · ".join([_short(model.parameters), model.quantisation, size_words(model.size)])
            glyph, meaning = "models", "quiet"
        if shelved.path == self.next_model() and model is not None:
            words, glyph, meaning = self.tr("next run · {}").format(words), "accept", "good"
        item = QListWidgetItem(f"{model.name if model else shelved.path.name}\n{words}")
        item.setIcon(style.icon(glyph, meaning))
        item.setSizeHint(QSize(0, 2 * self.fontMetrics().height() + 2 * style.SPACE))
        item.setData(_SHELVED, shelved)
        return item

    @property
    def current(self) -> Shelved | None:
        """What is selected."""
        item = self.list.currentItem()
        return item.data(_SHELVED) if item else None

    def _show_details(self) -> None:
        shelved = self.current
        model = shelved.model if shelved else None
        self._use.setEnabled(model is not None and _can_ask(model) and model.path != self.next_model())
        self._remove.setEnabled(shelved is not None and shelved.chosen)
        self._remove_button.setVisible(self._remove.isEnabled())
        self._use_button.setVisible(self._use.isEnabled())
        self._right_pages.setCurrentIndex(shelved is not None)
        while self._form.rowCount():
            self._form.removeRow(0)
        if shelved is None:
            return
        self._name.setText(model.name if model else shelved.path.name)
        self._about.setText(self._about_words(shelved))
        self._about.setVisible(bool(self._about.text()))
        rows = self._facts(model) if model else []
        for label, value in [*rows, (self.tr("File"), str(shelved.path))]:
            field = plain(value, selectable=True)
            field.setAccessibleName(f"{label}: {value}")
            self._form.addRow(caption(label), field)

    def _about_words(self, shelved: Shelved) -> str:
        model = shelved.model
        if model is None:
            return shelved.problem
        words = []
        if model.path == paths.starter_model():
            words.append(starter_words())
        if model.is_embedding:
            words.append(self.tr("It makes vectors, not text, so it cannot ask questions."))
        elif model.path == self.next_model():
            words.append(self.tr("The next run takes this model."))
        return " ".join(words)

    def _facts(self, model: ModelFile) -> list[tuple[str, str]]:
        number = QLocale().toString
        return [
            (self.tr("Architecture"), self.tr("{}, {} layers").format(model.architecture, number(model.block_count))),
            (self.tr("Parameters"), _short(model.parameters)),
            (self.tr("Quantisation"), model.quantisation),
            (self.tr("Size"), self._size_words(model)),
            (self.tr("Memory"), self._memory_words(model)),
            (self.tr("Context"), self.tr("{} tokens").format(number(model.context_length))),
            (self.tr("Vocabulary"), self.tr("{} tokens").format(number(model.vocabulary_size))),
            (self.tr("Chat template"), self.tr("yes") if model.chat_template else self.tr("no: a plain one is used")),
            (self.tr("Prompts"), model.prompt_style),
            (self.tr("Questions"), self._kinds(model)),
        ]

    def _size_words(self, model: ModelFile) -> str:
        if len(model.parts) == 1:
            return size_words(model.size)
        return self.tr("{} in {} files").format(size_words(model.size), QLocale().toString(len(model.parts)))

    def _memory_words(self, model: ModelFile) -> str:
        """Weights and cache, at the context that a run asks for first."""
        needed = model.size + EngineSettings().sequences * TOKENS_A_SEQUENCE * model.cache_bytes_per_token
        memory = psutil.virtual_memory()
        text = self.tr("about {} of this computer's {}").format(size_words(needed), size_words(memory.total))
        if needed > memory.total:
            return self.tr("{}: too much for it").format(text)
        if needed > memory.available:
            return self.tr("{}, of which {} are free: close other programs first").format(
                text, size_words(memory.available)
            )
        return text

    def _kinds(self, model: ModelFile) -> str:
        try:
            kinds = load_prompts(model.prompt_style).kinds
        except UserError as error:
            return str(error)
        return " · ".join(map(kind_name, kinds))

    def _loaded_words(self) -> str:
        loaded = self._loaded
        if loaded is None:
            return self.tr("No model is in memory. A run loads the one that is chosen for it.")
        number = QLocale().toString
        words = self.tr("In memory: {} on {}, {} at a time, {} tokens of context for all of them.").format(
            loaded.name, loaded.device, number(loaded.sequences), number(loaded.context)
        )
        if loaded.gpu_layers:
            words += " " + self.tr("Layers on the graphics card: {} of {}.").format(loaded.gpu_layers, loaded.layers)
        return f"{words} {loaded.note}".strip()

    # What the user does

    def choose_file(self) -> None:
        """Asks for GGUF files anywhere on the disk."""
        title, kinds = self.tr("Add models"), self.tr("GGUF models (*.gguf);;All files (*)")
        names, _ = QFileDialog.getOpenFileNames(self, title, str(Path.home()), kinds)
        self.add_files([Path(name) for name in names])

    def add_files(self, files: Sequence[Path]) -> None:
        """Puts files on the list, and keeps them there for the next start."""
        if not files:
            return
        known = self.session.chosen_models()
        added = [path for path in files if path not in known]
        self.session.settings.setValue("models", [str(path) for path in [*known, *added]])
        self._wanted = files[-1]
        self.refresh()

    def remove_current(self) -> None:
        """Takes an added file off the list; the file itself stays where it is."""
        shelved = self.current
        if shelved is None or not shelved.chosen:
            return
        parts = {shelved.path, *(shelved.model.parts if shelved.model else ())}
        kept = [path for path in self.session.chosen_models() if path not in parts]
        self.session.settings.setValue("models", [str(path) for path in kept])
        if shelved.path == self.next_model():
            self.session.settings.remove("model")
        self.refresh()

    def use_current(self) -> None:
        """The next run takes the selected model."""
        shelved = self.current
        if shelved is None or not self._use.isEnabled():
            return
        self.session.settings.setValue("model", str(shelved.path))
        self._fill()

    def unload(self) -> None:
        """Frees the memory, once the run that uses it is over."""
        if self._loaded is not None:
            self._unloading = True
            if self.jobs.active:
                self.session.notify(self.tr("The model is unloaded when the run is over."))
            self.jobs.free("model").ended.connect(self._unloaded)
            self.show_loaded(self._loaded)

    def _unloaded(self, state: str) -> None:
        self._unloading = False
        self.show_loaded(None if state == "finished" else self._loaded)

    def open_folder(self) -> None:
        """Shows the folder where models are found by themselves."""
        with self.session.reporting():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(models_folder())))

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self.refresh()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._found:  # icons are drawn in its colours
            self._fill()
            self.show_loaded(self._loaded)


def _can_ask(model: ModelFile) -> bool:
    if model.is_embedding:
        return False
    try:
        return bool(load_prompts(model.prompt_style).kinds)
    except UserError:
        return False


def _button(action: QAction, text: str) -> QPushButton:
    """A button that does what an action does, and is enabled when it is."""
    button = QPushButton(text)
    button.setIcon(action.icon())
    button.setEnabled(action.isEnabled())
    button.clicked.connect(action.trigger)
    action.changed.connect(lambda: (button.setEnabled(action.isEnabled()), button.setIcon(action.icon())))
    return button


def _short(count: int) -> str:
    """A number of parameters as people say it: 7.2 B, 494 M, 812 K."""
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000), ("K", 1_000)):
        if count >= size:
            return f"{QLocale().toString(count / size, 'f', 1 if count < 100 * size else 0)} {unit}"
    return QLocale().toString(count)
