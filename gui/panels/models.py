"""The models at hand: what each is and can do, which one the next run takes, and which is in memory now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QLocale, QSignalBlocker, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core import paths
from core.engine.devices import Device
from core.engine.requests import Loaded
from core.errors import UserError
from core.models.files import ModelFile
from core.models.shelf import OWN, Shelved, models_folder
from core.project.tuning import AdapterRow
from core.questions.prompts import load_prompts
from gui import style
from gui.chat_page import ChatPage
from gui.device_finder import DeviceFinder
from gui.download_dialog import DownloadDialog, start_download
from gui.jobs import Jobs
from gui.labels import heading, plain, quiet
from gui.model_details import ModelDetails
from gui.model_finder import ModelFinder
from gui.panels.panel import Panel, action_button
from gui.session import Session
from gui.words import device_words, parameter_words, size_words

GATHER = 100  # milliseconds in which what is found is gathered, while the first search fills the list

_SHELVED = Qt.ItemDataRole.UserRole


class ModelsPanel(Panel):
    """A list of GGUF files and what is known of the one that is selected."""

    glyph = "models"

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Models"))
        self._device_finder: DeviceFinder | None = None
        self._finders: list[ModelFinder] = []  # the last, and those before it that have not ended yet
        self._found: list[Shelved] = []
        self._complete = False  # whether a search has come to its end
        self._loaded: Loaded | None = None
        self._unloading = False  # whether that is asked for already
        self._wanted: Path | None = self.next_model()  # to be selected once it is found
        self._adapter: AdapterRow | None = None  # to be talked with, of which it is not yet known whose it is
        self._gather = QTimer(self, singleShot=True, interval=GATHER)
        self._gather.timeout.connect(self._fill)
        self._build()
        self.show_loaded(None)
        self._show_details()

    def refresh(self) -> None:
        """Reads the headers anew, off the event loop."""
        for finder in self._finders:
            finder.abandon()
        finder = ModelFinder(self.session.chosen_models())
        self._finders = [*(other for other in self._finders if other.alive), finder]
        finder.ended.connect(self._show_found)
        if not self._complete:
            self._found = []
            finder.found.connect(self._take_found)
            self._hint.setText(self.tr("Reading what the files are…"))
        finder.start()

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
        self.details.stop()
        for finder in self._finders:
            finder.stop()
        if self._device_finder is not None:
            self._device_finder.stop()
        self.chat.save_state()

    def _show_devices(self, devices: list[Device]) -> None:
        cards = [device_words(device) for device in devices[:-1]]
        if not cards:
            cards = [self.tr("no graphics card that this build of llama.cpp can use")]
        self._computer.setText(" · ".join([self.tr("This computer: {}").format(device_words(devices[-1])), *cards]))
        self.details.set_devices(devices)

    # Building

    def _build(self) -> None:
        self._add = self.add_action(self.tr("&Add a GGUF file…"), self.choose_file, "Ctrl+Shift+G", "add")
        self._download = self.add_action(
            self.tr("&Download a model…"), self.choose_download, "Ctrl+Shift+D", "download"
        )
        self._use = self.add_action(self.tr("&Use for the next run"), self.use_current, "Ctrl+Return", "accept")
        self._remove = self.add_action(self.tr("&Take off the list"), self.remove_current, "Del", "remove")
        self._unload = self.add_action(self.tr("Un&load from memory"), self.unload, None, "unload")
        self._open = self.add_action(self.tr("&Open the models folder"), self.open_folder, None, "open")
        self._again = self.add_action(self.tr("Look for models a&gain"), self.refresh, "F5", "again")
        self.add_action(self.tr("&Chat with it"), self.show_chat, "Ctrl+Shift+T", "questions")
        self._splitter = QSplitter()
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self._left())
        self.details = ModelDetails(self._use, self._remove)
        self.chat = ChatPage(self.session, self.jobs)
        self.chat.model_loaded.connect(self.show_loaded)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for widget in (self.tabs, self.tabs.tabBar()):
            widget.setAccessibleName(self.tr("What to see of the model"))
        self.tabs.addTab(self.details, self.tr("A&bout"))
        self.tabs.addTab(self.chat, self.tr("&Chat"))
        self._splitter.addWidget(self.tabs)
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
        self._unload_button = action_button(self._unload, self.tr("Un&load"))
        self._computer = quiet()
        self._computer.setAccessibleName(self.tr("What models can run on"))
        words = QVBoxLayout()
        style.spaced(words, style.HALF)
        words.addWidget(self._loaded_text)
        words.addWidget(self._computer)
        row = QHBoxLayout(strip)
        style.spaced(row, style.SPACE, style.SPACE)
        row.addWidget(self._loaded_icon)
        row.addLayout(words, 1)
        row.addWidget(self._unload_button)
        return strip

    def _left(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Models"))
        self.list.setIconSize(QSize(20, 20))
        self.list.setSpacing(1)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentItemChanged.connect(self._take_selection)
        self.list.itemActivated.connect(self.use_current)
        self._hint = quiet()
        buttons = QHBoxLayout()
        style.spaced(buttons, 0)
        buttons.addWidget(action_button(self._add, self.tr("&Add a GGUF file…")), 1)
        buttons.addWidget(action_button(self._open, self.tr("&Open folder")), 1)
        left = QWidget()
        column = QVBoxLayout(left)
        style.spaced(column, 0)
        column.addWidget(self.list, 1)
        column.addWidget(self._hint)
        column.addWidget(action_button(self._download, self.tr("&Download a model…")))
        column.addLayout(buttons)
        return left

    # Filling

    def _take_found(self, shelved: Shelved) -> None:
        if self.sender() is self._finders[-1]:
            self._found.append(shelved)
            if not self._gather.isActive():
                self._gather.start()

    def _show_found(self, found: list[Shelved]) -> None:
        if self.sender() is not self._finders[-1]:
            return
        self._gather.stop()
        if found != self._found or self._wanted is not None or not self._complete:
            self._found, self._complete = found, True
            self._fill()
            self._wanted = None
        self._check_base()

    def _fill(self) -> None:
        found = self._found
        wanted = self._wanted if any(shelved.path == self._wanted for shelved in found) else None
        before = wanted or (self.current.path if self.current else self.next_model())
        self._wanted = None if wanted else self._wanted
        with QSignalBlocker(self.list):
            self.list.clear()
            program = OWN
            for shelved in found:
                if shelved.program != program:
                    self.list.addItem(heading(shelved.program, self.list))
                program = shelved.program
                self.list.addItem(self._item(shelved))
            self._select(before)
        usable = sum(shelved.model is not None for shelved in found)
        self._hint.setText(
            self.tr("Only the starter is here, for trying the app. Download a model or add a GGUF file of your own.")
            if usable <= 1
            else ""
        )
        self._hint.setVisible(usable <= 1)
        self._show_details()
        self.chat.show_models([shelved.model for shelved in found if shelved.model is not None])

    def _select(self, path: Path) -> None:
        rows = [row for row in range(self.list.count()) if (one := self._at(row)) is not None and one.path == path]
        self.list.setCurrentRow(rows[0] if rows else 0)

    def _item(self, shelved: Shelved) -> QListWidgetItem:
        model = shelved.model
        if model is None:
            words, glyph, meaning = self.tr("cannot be used"), "warning", "warning"
        else:
            words = " · ".join([parameter_words(model.parameters), model.quantisation, size_words(model.size)])
            glyph, meaning = "models", "quiet"
        if shelved.path == self.next_model() and model is not None:
            words, glyph, meaning = self.tr("next run · {}").format(words), "accept", "good"
        item = QListWidgetItem(f"{model.name if model else shelved.path.name}\n{words}")
        item.setIcon(style.icon(glyph, meaning))
        item.setSizeHint(QSize(0, 2 * self.fontMetrics().height() + 2 * style.SPACE))
        item.setData(_SHELVED, shelved)
        return item

    def _at(self, row: int) -> Shelved | None:
        item = self.list.item(row)
        return item.data(_SHELVED) if item else None

    @property
    def current(self) -> Shelved | None:
        """What is selected."""
        return self._at(self.list.currentRow())

    def _take_selection(self) -> None:
        self._wanted = None  # the user has chosen
        self._show_details()

    def _show_details(self) -> None:
        shelved = self.current
        model = shelved.model if shelved else None
        is_next = model is not None and model.path == self.next_model()
        self._use.setEnabled(model is not None and _can_ask(model) and not is_next)
        self._remove.setEnabled(shelved is not None and shelved.chosen)
        self.details.show_model(shelved, is_next)
        self.chat.show_model(model)

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

    def choose_download(self) -> None:
        """Asks what to download, and begins it."""
        dialog = DownloadDialog(self.session, self)
        if dialog.exec():
            start_download(self.session, self.jobs, *dialog.wish).arrived.connect(self.show_arrived)
        dialog.deleteLater()

    def show_arrived(self, model: ModelFile) -> None:
        """Selects a model that has come to the others."""
        self._wanted = model.path
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

    def show_chat(self) -> None:
        """Lets the user talk with the selected model."""
        self.tabs.setCurrentWidget(self.chat)
        self.chat.take_focus()

    def chat_with(self, adapter: AdapterRow) -> None:
        """Lets the user talk with the model that an adapter was made for, with the adapter added."""
        self._select(Path(adapter.base_path))
        self._wanted, self._adapter = Path(adapter.base_path), adapter
        if self._complete:
            self._check_base()
        self.show_chat()
        self.chat.first.use_own(adapter)

    def _check_base(self) -> None:
        """Says so where the model of the adapter that is to be talked with is not among those that were found."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None and (self.current is None or self.current.path != Path(adapter.base_path)):
            words = self.tr("“{}” was made for {}, which is not in this list. Add its file, {}, and choose it.")
            self.session.notify(words.format(adapter.name, adapter.base_name, adapter.base_path))

    def unload(self) -> None:
        """Frees the memory, once the run that uses it is over."""
        if self._loaded is not None:
            self._unloading = True
            if self.jobs.any_in("model"):
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
            if self._device_finder is None:
                self._device_finder = DeviceFinder()
                self._device_finder.found.connect(self._show_devices)
                self._device_finder.start()

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
