"""A choice of one model: those at hand, found while one looks, or a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QGridLayout, QPushButton, QWidget

from core.errors import UserError
from core.models.files import ModelFile, read_model
from core.models.shelf import Shelved
from gui import style
from gui.labels import plain
from gui.model_finder import ModelFinder
from gui.session import Session
from gui.words import size_words


class ModelChoice(QWidget):
    """Chooses what was chosen for the next run, else the first that is found. `stop` ends the search."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._models: list[ModelFile] = []
        self.models = QComboBox()
        self.models.setAccessibleName(self.tr("Model"))
        self.models.setPlaceholderText(self.tr("Looking for models…"))
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(24)
        self.models.currentIndexChanged.connect(lambda: self.changed.emit())
        self._choose = QPushButton(self.tr("&File…"))
        self._choose.setToolTip(self.tr("Choose a model in GGUF from this computer"))
        self._choose.setAutoDefault(False)
        self._choose.clicked.connect(self._choose_file)
        self._note = plain()
        self._note.hide()
        grid = QGridLayout(self)
        style.spaced(grid, 0)
        grid.addWidget(self.models, 0, 0)
        grid.addWidget(self._choose, 0, 1)
        grid.addWidget(self._note, 1, 0, 1, 2)
        grid.setColumnStretch(0, 1)
        self.setFocusProxy(self.models)
        self._finder = ModelFinder(session.chosen_models())
        self._finder.found.connect(self._take_found)
        self._finder.start()

    @property
    def model(self) -> ModelFile | None:
        """What is chosen."""
        place = self.models.currentIndex()
        return self._models[place] if 0 <= place < len(self._models) else None

    def stop(self) -> None:
        """Looks for no more."""
        self._finder.stop()

    def say(self, sentence: str) -> None:
        """What there is to know of the chosen one; nothing where it is empty."""
        self._note.setText(sentence)
        self._note.setVisible(bool(sentence))

    def add_file(self, path: Path) -> None:
        """Takes a model that the user chose, or says why it cannot be used."""
        try:
            model = read_model(path)
        except UserError as error:
            self.say(str(error))
            return
        self._add(model)
        self.models.setCurrentIndex(self._place(model))

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a model"), "", self.tr("Models (*.gguf)"))
        if name:
            self.add_file(Path(name))

    def _take_found(self, found: Shelved) -> None:
        if found.model is not None:
            self._add(found.model)

    def _add(self, model: ModelFile) -> None:
        if self._place(model) >= 0:
            return
        self._models.append(model)
        text = f"{model.name} · {model.quantisation} · {size_words(model.size)}"
        self.models.addItem(" ".join(text.split()))
        if self.models.count() == 1 or str(model.path) == str(self._session.settings.value("model", "")):
            self.models.setCurrentIndex(self.models.count() - 1)

    def _place(self, model: ModelFile) -> int:
        return next((place for place, known in enumerate(self._models) if known.path == model.path), -1)
