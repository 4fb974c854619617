"""Tries a model out: a conversation that streams, and a second one beside it with another model or an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QEvent, QLocale, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from core import paths
from core.chat import Answer, ChatSettings
from core.engine.requests import Adapter, Loaded, Piece
from core.engine.stepping import SteppingDown
from core.errors import UserError
from core.models.files import ModelFile
from gui import style
from gui.chat_column import ChatColumn, Conversation
from gui.chat_input import ChatInput
from gui.chat_options import ChatOptions
from gui.chat_run import ChatRun
from gui.chat_transcript import Turn
from gui.empty_page import EmptyPage
from gui.jobs import Job, Jobs
from gui.labels import quiet
from gui.session import Session

REFRESH = 200  # milliseconds between two looks at how far an answer is
MAIN, SECOND = "model", "compare"  # lanes: the first is that of runs, so that they share a model in memory


@dataclass(frozen=True)
class _Asked:
    """One side of a question as it was chosen when it was asked: another model may be selected meanwhile."""

    column: ChatColumn
    conversation: Conversation
    model: Path
    adapter: Adapter | None
    lane: str


class ChatPage(QWidget):
    """The conversations live as long as the page does; what is set for them, in the settings."""

    model_loaded = Signal(object)  # the Loaded of the first lane, or None when its child is gone

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._job: Job | None = None
        self._asking: _Asked | None = None  # whose answer comes now
        self._next: list[_Asked] = []
        self._settings, self._seed = ChatSettings(), 0  # of what is asked now
        self._stepping: dict[str, SteppingDown] = {}  # by lane
        self._second_used = False  # whether the second lane may have a model in memory
        self._progress = QTimer(self, interval=REFRESH)
        self._progress.timeout.connect(self._show_progress)
        self._build()
        self._connect()
        self.show_model(None)

    @property
    def active(self) -> bool:
        """Whether an answer is waited for."""
        return self._job is not None

    @property
    def comparing(self) -> bool:
        """Whether there are two columns."""
        return self.compare.isChecked()

    def show_model(self, model: ModelFile | None) -> None:
        """Talks with another model from now on; each keeps its own conversation."""
        usable = model is not None and not model.is_embedding
        for column in (self.first, self.second):
            column.give_model(model if usable else None)
        if model is None:
            self._empty.say(
                "models", self.tr("No model to talk with"), self.tr("Select one in the list, or add a GGUF file.")
            )
        elif not usable:
            self._empty.say(
                "models", self.tr("It makes vectors, not text"), self.tr("Select a model made for chat in the list.")
            )
        self._pages.setCurrentIndex(usable)
        self._say_hint(model)
        self._show_state()

    def show_models(self, models: Sequence[ModelFile]) -> None:
        """The models at hand, to compare with."""
        self.second.offer_models([model for model in models if not model.is_embedding])

    def take_focus(self) -> None:
        """The keys go to the field for the question."""
        self.input.setFocus()

    def save_state(self) -> None:
        """Keeps what was set."""
        self.options.keep()

    # What the user does

    def send(self) -> None:
        """Asks what stands in the field."""
        question = self.input.toPlainText().strip()
        if question and not self.active and self.first.model is not None:
            self.input.clear()
            self._ask(question, again=False)

    def stop(self) -> None:
        """Ends the answer, and keeps what came of it."""
        if self._job is not None:
            self._job.cancel()

    def regenerate(self) -> None:
        """Asks the last question again, with another seed."""
        if self.first.conversation and not self.active:
            self._ask(self.first.conversation[-1].question, again=True)

    def clear(self) -> None:
        """Begins anew; what was said can be brought back."""
        if self.active or not self._has_turns():
            return
        undos = [column.clear() for column in (self.first, self.second)]

        def undo() -> None:
            for bring_back in undos:
                bring_back()
            self._show_state()

        self._session.notify(self.tr("The conversation is cleared."), self.tr("Undo"), undo)
        self._show_state()
        self.input.setFocus()

    # Building

    def _build(self) -> None:
        self.options = ChatOptions(self._session)
        self.compare = QToolButton()
        self.compare.setText(self.tr("Compare"))
        self.compare.setToolTip(self.tr("Ask another model, or the same one with an adapter, beside it"))
        self.compare.setCheckable(True)
        self.options.add_at_end(self.compare)
        self.first = ChatColumn(self._session, self.tr("Conversation"))
        self.second = ChatColumn(self._session, self.tr("Conversation to compare with"), second=True)
        self.second.hide()
        self._columns = columns = QSplitter()
        columns.setChildrenCollapsible(False)
        for place, column in enumerate((self.first, self.second)):
            columns.addWidget(column)
            columns.setStretchFactor(place, 1)
        self.input = ChatInput()
        self.input.setAccessibleName(self.tr("Your question"))
        self.input.setPlaceholderText(self.tr("Ask something. Enter sends, Shift+Enter begins a new line."))
        talk = QWidget()
        column = QVBoxLayout(talk)
        style.spaced(column, style.SPACE)
        column.addWidget(self.options)
        column.addWidget(columns, 1)
        column.addWidget(self.input)
        column.addLayout(self._build_foot())
        self._empty = EmptyPage()
        self._pages = QStackedWidget()
        self._pages.addWidget(self._empty)
        self._pages.addWidget(talk)
        column = QVBoxLayout(self)
        style.spaced(column, 0, 0)
        column.addWidget(self._pages)

    def _build_foot(self) -> QHBoxLayout:
        self.again = QPushButton(self.tr("Re&generate"))
        self.again.setToolTip(self.tr("Ask the last question again, with another seed"))
        self.clearing = QPushButton(self.tr("Clea&r"))
        self.sending, self.stopping = QPushButton(self.tr("&Send")), QPushButton(self.tr("S&top"))
        self.stopping.setToolTip(self.tr("End the answer and keep what came (Esc)"))
        for button, glyph in (
            (self.again, "again"),
            (self.clearing, "remove"),
            (self.sending, "run"),
            (self.stopping, "stop"),
        ):
            style.set_icon(button, glyph)
        self.state = quiet()
        self.state.setAccessibleName(self.tr("What the model does"))
        foot = QHBoxLayout()
        style.spaced(foot, 0)
        foot.addWidget(self.again)
        foot.addWidget(self.clearing)
        foot.addWidget(self.state, 1)
        foot.addWidget(self.stopping)
        foot.addWidget(self.sending)
        return foot

    def _connect(self) -> None:
        self._escape = QAction(self)
        self._escape.setShortcut(QKeySequence(Qt.Key.Key_Escape))
        self._escape.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._escape.triggered.connect(self.stop)
        self.addAction(self._escape)
        self.input.sent.connect(self.send)
        self.input.textChanged.connect(self._show_state)
        self.sending.clicked.connect(self.send)
        self.stopping.clicked.connect(self.stop)
        self.again.clicked.connect(self.regenerate)
        self.clearing.clicked.connect(self.clear)
        self.compare.toggled.connect(self._show_second)
        for signal in (self.compare.toggled, self.first.changed, self.second.changed):
            signal.connect(self._free_second)
            signal.connect(self._show_state)

    # Asking

    def _ask(self, question: str, again: bool) -> None:
        self._settings, self._seed = self.options.settings, self.options.seed(again)
        columns = (self.first, self.second) if self.comparing else (self.first,)
        self._next = [self._begin(column, question, again) for column in columns]
        self._ask_next()

    def _begin(self, column: ChatColumn, question: str, again: bool) -> _Asked:
        assert column.model is not None
        conversation, lane = column.begin(question, again), self._lane_of(column)
        return _Asked(column, conversation, column.model.path, column.adapter, lane)

    def _ask_next(self) -> None:
        """One after the other: two at once would halve each other's speed."""
        self._asking = asked = self._next.pop(0)
        *before, last = asked.conversation
        turns = [(turn.question, turn.answer) for turn in before if not turn.dropped]
        self._second_used |= asked.lane == SECOND
        request = self._settings.request(turns, last.question, self._seed)
        run = ChatRun(asked.model, request, asked.adapter, self._stepping)
        self._job = self._jobs.start(asked.lane, self.tr("Chat"), run, in_bar=False)
        self._job.item_arrived.connect(self._take)
        self._job.ended.connect(self._end)
        self._progress.start()
        self._show_state()

    def _lane_of(self, column: ChatColumn) -> str:
        """The same model is in memory once, whatever adapter is added to it."""
        first, model = self.first.model, column.model
        return MAIN if first and model and first.path == model.path else SECOND

    def _take(self, item: object) -> None:
        assert self._asking is not None
        if (isinstance(item, Loaded) or item is None) and self._asking.lane == MAIN:
            self.model_loaded.emit(item)
        elif isinstance(item, Piece):
            self._go_on(answer=self._turn.answer + item.text)
        elif isinstance(item, Answer):
            self._go_on(figures=self._figures(item))
        elif isinstance(item, UserError):
            self._go_on(problem=str(item))

    def _end(self, state: str) -> None:
        turn, job = self._turn, self._job
        if state == "failed" and job is not None:
            self._go_on(problem=self.tr("This is a fault in Elenchus: {}").format(job.error))
        elif not turn.figures and not turn.problem:
            self._go_on(figures=self.tr("stopped"))
        self._job = self._asking = None
        if state != "finished":
            for left in self._next:
                left.column.go_on(left.conversation, replace(left.conversation[-1], figures=self.tr("not asked")))
            self._next = []
        if self._next:
            self._ask_next()
            return
        self._progress.stop()
        self.state.clear()
        self._free_second()
        self._show_state()

    @property
    def _turn(self) -> Turn:
        assert self._asking is not None
        return self._asking.conversation[-1]

    def _go_on(self, **changes: str) -> None:
        assert self._asking is not None
        self._asking.column.go_on(self._asking.conversation, replace(self._turn, **changes))

    def _free_second(self) -> None:
        """Gives the memory of the second model back once nothing needs it."""
        needed = self.active or (self.comparing and self._lane_of(self.second) == SECOND)
        if self._second_used and not needed:
            self._second_used = False
            self._jobs.free(SECOND)

    # Showing

    def _show_second(self, shown: bool) -> None:
        self.second.setVisible(shown)
        self._columns.setSizes([self.width(), self.width()])
        for column in (self.first, self.second):
            column.set_compared(shown)

    def _show_state(self) -> None:
        self.sending.setVisible(not self.active)
        self.stopping.setVisible(self.active)
        self.sending.setEnabled(bool(self.input.toPlainText().strip()))
        self.again.setEnabled(not self.active and bool(self.first.conversation))
        self.clearing.setEnabled(not self.active and self._has_turns())
        self.compare.setEnabled(not self.active)
        self._escape.setEnabled(self.active)

    def _show_progress(self) -> None:
        if self._job is None:
            return
        if self._job.state == "waiting":
            self.state.setText(self.tr("A run of questions is using the model; the answer comes after it."))
        else:
            self.state.setText(self._job.status.text)

    def _has_turns(self) -> bool:
        return bool(self.first.conversation or self.second.conversation)

    def _say_hint(self, model: ModelFile | None) -> None:
        hint = self.tr("What you ask and what the model answers stands here. It is kept until Elenchus is closed.")
        if model is not None and model.path == paths.starter_model():
            hint = self.tr(
                "The starter model is not made for chat: it knows only how to make questions of texts like the "
                "sample's, and answers everything else with nonsense. You may try it; add a model of your own to talk."
            )
        self.first.transcript.setPlaceholderText(hint)
        self.second.transcript.setPlaceholderText(
            self.tr("Choose another model above, or the same one with an adapter. Each question goes to both.")
        )

    def _figures(self, answer: Answer) -> str:
        number = QLocale().toString
        speed, ends = (
            answer.tokens_per_second,
            {
                "length": self.tr("reached {} tokens").format(number(self._settings.max_tokens)),
                "context": self.tr("context full"),
                "stopped": self.tr("stopped"),
            },
        )
        parts = [
            self.tr("{} tokens/s").format(number(speed, "f", 0 if speed >= 10 else 1)) if speed else "",
            self.tr("{} tokens").format(number(answer.tokens)) if answer.tokens else "",
            self.tr("first after {} s").format(number(answer.first_seconds, "f", 1)) if answer.text else "",
            ends.get(answer.finish, "" if answer.text.strip() else self.tr("it ended its turn at once")),
            self.tr("seed {}").format(answer.seed) if answer.text and self._settings.sampling.temperature else "",
        ]
        return " · ".join(filter(None, parts))

    # Qt's own

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            event.setAccepted(event.matches(QKeySequence.StandardKey.Delete))  # the panel's is for its list alone
            return event.isAccepted()
        return super().event(event)
