"""One side of a chat: which model answers, with or without an adapter, and what was said with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLocale, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.chat import split_thought
from core.engine.requests import Adapter
from core.models.files import ModelFile
from core.project.tuning import AdapterRow
from gui import style
from gui.adapters import MOST_SCALE, SCALE_STEP, adapters, file_of
from gui.chat_transcript import Transcript, Turn
from gui.labels import strong
from gui.session import Session

Conversation = list[Turn]


class ChatColumn(QWidget):
    """Keeps a conversation for each model that was talked with. The second one of two has a choice of its own."""

    changed = Signal()  # another model or adapter was chosen

    def __init__(self, session: Session, name: str, second: bool = False) -> None:
        super().__init__()
        self._session, self._name, self._second = session, name, second
        self._given: ModelFile | None = None
        self._models: list[ModelFile] = []
        self._file: Path | None = None  # the adapter
        self._own: AdapterRow | None = None  # the same, where it is the project's
        self._compared = False
        self._conversations: dict[Path, Conversation] = {}
        self._build()
        self._show_choice()

    @property
    def model(self) -> ModelFile | None:
        """Who answers."""
        place = self.models.currentIndex() - 1  # the first is the same as in the other column
        return self._models[place] if self._second and 0 <= place < len(self._models) else self._given

    @property
    def adapter(self) -> Adapter | None:
        """What is added to the model."""
        return Adapter(self._file, round(self.scale.value() * SCALE_STEP, 2)) if self._file else None

    @property
    def conversation(self) -> Conversation:
        """What was said with the model so far."""
        return self._conversations.setdefault(self.model.path, []) if self.model else []

    def who(self) -> str:
        """Who answers, in words."""
        name = self.model.name if self.model else ""
        return f"{name} · {self.adapter_words()}" if self._file or self._compared else name

    def adapter_words(self) -> str:
        """Which adapter is added, and how strongly."""
        if (adapter := self.adapter) is None:
            return self.tr("without adapter")
        name = self._own.name if self._own else adapter.path.stem
        return self.tr("with {} at {}").format(name, QLocale().toString(adapter.scale, "g", 3))

    def give_model(self, model: ModelFile | None) -> None:
        """The model that is selected in the panel."""
        self._given = model
        self._show_choice()

    def offer_models(self, models: Sequence[ModelFile]) -> None:
        """The models that a second column may have."""
        chosen = self.model if self.models.currentIndex() > 0 else None
        self._models = list(models)
        with QSignalBlocker(self.models):
            self.models.clear()
            self.models.addItem(self.tr("The same model"))
            self.models.addItems([" ".join(f"{model.name} · {model.quantisation}".split()) for model in models])
            places = [place for place, model in enumerate(models, 1) if chosen and model.path == chosen.path]
            self.models.setCurrentIndex(places[0] if places else 0)
        self._show_choice()

    def use_adapter(self, path: Path | None) -> None:
        """Adds an adapter to the model from the next answer on, or none."""
        self._file, self._own = path, None
        if path is not None:
            self._session.remember_adapter(path)
        self._show_choice()

    def use_own(self, adapter: AdapterRow) -> None:
        """Adds an adapter of the project, as strongly as is kept there; the slider changes it for this chat."""
        if (file := file_of(self._session, adapter)) is not None:
            self._file, self._own = file, adapter
            with QSignalBlocker(self.scale):
                self.scale.setValue(round(adapter.scale / SCALE_STEP))
            self._show_choice()

    def set_compared(self, compared: bool) -> None:
        """Whether there is another column: then each says all of what it is."""
        self._compared = compared

    # The conversation

    def begin(self, question: str, again: bool) -> Conversation:
        """Adds a question, or the last one `again` in place of it; gives the conversation for `go_on`."""
        conversation = self.conversation
        if again and conversation and conversation[-1].question == question:
            last = conversation[-1]
            figures = " · ".join(filter(None, (last.figures, self.tr("asked again below"))))
            conversation[-1] = replace(last, figures=figures, dropped=True)
        conversation.append(Turn(question, self.who()))
        self._show_conversation()
        return conversation

    def go_on(self, conversation: Conversation, turn: Turn) -> None:
        """The last turn of a conversation is now this."""
        conversation[-1] = turn
        if conversation is self.conversation:
            self.transcript.show_last(turn)
            self._offer_thoughts()

    def clear(self) -> Callable[[], None]:
        """Forgets the conversation; gives what puts it back, before what was said since."""
        conversation = self.conversation
        before = list(conversation)
        conversation.clear()
        self._show_conversation()

        def bring_back() -> None:
            conversation[:0] = before
            self._show_conversation()

        return bring_back

    def copy_last(self) -> None:
        """Puts the last answer on the clipboard."""
        answers = [turn.answer for turn in self.conversation if turn.answer]
        if answers:
            QGuiApplication.clipboard().setText(split_thought(answers[-1])[1].strip())
            self._session.notify(self.tr("The last answer is on the clipboard."))

    # Building

    def _build(self) -> None:
        self.transcript = Transcript()
        self.transcript.setAccessibleName(self._name)
        self._title = strong()
        self.models = QComboBox()
        self.models.setAccessibleName(self.tr("Model to compare with"))
        self.models.addItem(self.tr("The same model"))
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(8)
        self.models.currentIndexChanged.connect(self._show_choice)
        self._title.setMinimumHeight(self.models.sizeHint().height())  # in line with the choice in the other column
        self.adapters = QPushButton()
        self.adapters.setToolTip(self.tr("A LoRA adapter in GGUF that is added to the model"))
        self._menu = QMenu(self.adapters)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.adapters.setMenu(self._menu)
        self._thoughts = QToolButton(autoRaise=True)
        self._thoughts.setCheckable(True)
        self._thoughts.setText(self.tr("Thoughts"))
        self._thoughts.setToolTip(self.tr("Show what the model thought before it answered"))
        self._thoughts.toggled.connect(self.transcript.show_thoughts)
        self._thoughts.hide()
        self._copy = QToolButton(autoRaise=True)
        self._copy.setToolTip(self.tr("Copy the last answer"))
        self._copy.setAccessibleName(self.tr("Copy the last answer"))
        self._copy.clicked.connect(self.copy_last)
        style.set_icon(self._copy, "copy")
        self.scale = QSlider(Qt.Orientation.Horizontal)
        self.scale.setRange(0, round(MOST_SCALE / SCALE_STEP))
        self.scale.setValue(round(1 / SCALE_STEP))
        self.scale.setPageStep(2)
        self.scale.setMinimumWidth(40)
        self.scale.setMaximumWidth(240)
        self.scale.setAccessibleName(self.tr("How strongly the adapter is added"))
        self.scale.setToolTip(self.tr("How strongly the adapter is added"))
        self.scale.valueChanged.connect(self._show_choice)
        name, added = QHBoxLayout(), QHBoxLayout()
        for row in (name, added):
            style.spaced(row, 0)
        name.addWidget(self.models if self._second else self._title, 1)
        name.addWidget(self._thoughts)
        name.addWidget(self._copy)
        added.addWidget(self.adapters)
        added.addWidget(self.scale, 1)
        added.addStretch()
        column = QVBoxLayout(self)
        style.spaced(column, 0)
        column.addLayout(name)
        column.addLayout(added)
        column.addWidget(self.transcript, 1)

    def _fill_menu(self) -> None:
        self._menu.clear()
        self._add_choice(self.tr("Without adapter"), self._file is None, partial(self.use_adapter, None))
        for own in adapters(self._session):
            used = self._own is not None and self._own.id == own.id
            self._add_choice(self._name_own(own), used, partial(self.use_own, own))
        for path in self._session.known_adapters():
            self._add_choice(path.stem, path == self._file, partial(self.use_adapter, path))
        self._menu.addSeparator()
        self._menu.addAction(self.tr("Choose a file…")).triggered.connect(self._choose_adapter)

    def _name_own(self, adapter: AdapterRow) -> str:
        """Its name, and whose it is where that is another model."""
        if self.model is None or adapter.base_name == self.model.name:
            return adapter.name
        return self.tr("{} (for {})").format(adapter.name, adapter.base_name)

    def _add_choice(self, text: str, chosen: bool, choose: Callable[[], object]) -> None:
        action = self._menu.addAction(text.replace("&", "&&"))
        action.setCheckable(True)
        action.setChecked(chosen)
        action.triggered.connect(lambda: choose())

    def _choose_adapter(self) -> None:
        title, kinds = self.tr("Choose an adapter"), self.tr("LoRA adapters in GGUF (*.gguf);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self, title, str(self._file or Path.home()), kinds)
        if name:
            self.use_adapter(Path(name))

    # Showing

    def _show_choice(self) -> None:
        self._title.setText(self.model.name if self.model else "")
        words = self.adapter_words()
        room = 30 * self.fontMetrics().averageCharWidth()
        shown = self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideMiddle, room)
        self.adapters.setText(shown[:1].upper() + shown[1:])
        self.adapters.setAccessibleName(self.tr("Adapter: {}").format(words))
        self.scale.setVisible(self._file is not None)
        self._show_conversation()
        self.changed.emit()

    def _show_conversation(self) -> None:
        conversation = self.conversation
        self._copy.setEnabled(bool(conversation))
        if conversation != self.transcript.turns:
            self.transcript.show_turns(conversation)
        self._offer_thoughts()

    def _offer_thoughts(self) -> None:
        self._thoughts.setVisible(any(split_thought(turn.answer)[0] for turn in self.conversation))
