"""The same prompts answered without and with an adapter, by one model in one process, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QSlider, QVBoxLayout, QWidget

from core.chat import Answer, ChatSettings, converse
from core.engine.requests import GREEDY, Adapter, Loaded, Loading, Piece
from core.engine.stepping import SteppingDown
from core.project.project import Project
from core.project.tuning import AdapterRow
from gui import style
from gui.adapters import MOST_SCALE, SCALE_STEP, base_of
from gui.answer_pairs import AnswerPairs
from gui.jobs import Job, Jobs, Status
from gui.labels import caption, line, quiet
from gui.session import Session
from gui.tuning_words import join_prompts, split_prompts

MOST_TOKENS = 256  # of an answer
LINES = 5  # of the prompts that are seen
SETTLE = 400  # milliseconds without a change before the strength is kept


@dataclass(frozen=True)
class Said:
    """More of an answer; `text` is all of it when it is `over`."""

    place: int  # of the prompt
    tuned: bool  # with the adapter
    text: str
    over: bool


@dataclass
class _Asked:
    """What was asked of an adapter: kept while another one is looked at."""

    prompts: tuple[str, ...]
    scale: float
    answers: list[list[str]] = field(default_factory=list)  # of each prompt: without and with the adapter
    over: int = 0  # answers that are whole


def answer_both(
    job: Job, project: Project, adapter: AdapterRow, prompts: tuple[str, ...], scale: float, chosen: list[Path]
) -> None:
    """The work of a job: answers each prompt with the model alone, and at once with the adapter. Reports Said."""
    translate = QCoreApplication.translate
    job.say(Status(translate("BeforeAfter", "Checking the model file")))
    assert job.worker is not None
    model, file = base_of(adapter, chosen, job.cancelled), project.adapter_file(adapter.id)
    stepping, settings = SteppingDown(job.worker), replace(ChatSettings(), sampling=GREEDY, max_tokens=MOST_TOKENS)
    answers = [(place, tuned) for place in range(len(prompts)) for tuned in (False, True)]
    try:
        for done, (place, tuned) in enumerate(answers):
            request, added = settings.request((), prompts[place], 0), Adapter(file, scale) if tuned else None
            for item in converse(stepping, model, request, added, job.cancelled):
                if isinstance(item, Loading):
                    job.say(Status(translate("BeforeAfter", "Loading the model"), int(item.fraction * 100), 100))
                elif isinstance(item, Loaded):
                    words = translate("BeforeAfter", "Answering · {} of {}").format(done + 1, len(answers))
                    job.say(Status(words, done, len(answers)))
                    job.report(item)
                elif isinstance(item, Piece):
                    job.report(Said(place, tuned, item.text, over=False))
                else:
                    assert isinstance(item, Answer)
                    job.report(Said(place, tuned, item.text, over=True))
            if job.cancelled():
                return
    finally:
        if not job.worker.alive:
            job.report(None)  # the model went with the child


class BeforeAfterPage(QWidget):
    """Prompts to be edited, how strongly the adapter is added, and below what comes of both."""

    model_loaded = Signal(object)  # the Loaded of a job, or None when its child is gone

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self._session, self._jobs = session, jobs
        self._adapter: AdapterRow | None = None
        self._asked: dict[int, _Asked] = {}  # by adapter
        self._written: dict[int, str] = {}  # the prompts as they were left, by adapter
        self._job: Job | None = None
        self._of: _Asked | None = None  # what the job answers
        self._moved = False  # whether the strength is not kept yet
        self._later = QTimer(self, singleShot=True, interval=SETTLE)
        self._later.timeout.connect(self.keep)
        self._build()
        self._show_state()

    @property
    def active(self) -> bool:
        """Whether answers are waited for."""
        return self._job is not None and self._job.active

    @property
    def adapter_scale(self) -> float:
        """How strongly the adapter is to be added."""
        return round(self.scale.value() * SCALE_STEP, 2)

    def show_adapter(self, adapter: AdapterRow, prompts: list[str]) -> None:
        """Another adapter, or the same as it is now; `prompts` are to begin with."""
        same = self._adapter is not None and adapter.id == self._adapter.id
        if not same:
            self.keep()
            if self._adapter is not None:
                self._written[self._adapter.id] = self.prompts.toPlainText()
            self.prompts.setPlainText(self._written.get(adapter.id, join_prompts(prompts)))
        self._adapter = adapter
        if not self._moved:  # else the user moves it now
            with QSignalBlocker(self.scale):
                self.scale.setValue(round(adapter.scale / SCALE_STEP))
        self._show_scale()
        self._show_answers()
        self._show_state()

    def forget(self) -> None:
        """Of a project that was closed."""
        self.stop()
        self._later.stop()
        self._moved = False
        self._asked.clear()
        self._written.clear()
        self._adapter = self._of = None

    def keep(self) -> None:
        """Writes the strength into the project."""
        self._later.stop()
        moved, self._moved = self._moved, False
        adapter, scale = self._adapter, self.adapter_scale
        if moved and adapter is not None and self._session.is_open and not self._session.project.read_only:
            with self._session.reporting():
                self._session.project.set_adapter_scale(adapter.id, scale)

    def ask(self) -> None:
        """Has all prompts answered, without and with the adapter."""
        adapter, prompts = self._adapter, split_prompts(self.prompts.toPlainText())
        if adapter is None or not prompts or self.active:
            return
        project, scale, chosen = self._session.project, self.adapter_scale, self._session.chosen_models()
        self._of = self._asked[adapter.id] = _Asked(prompts, scale, [["", ""] for _ in prompts])
        self._job = self._jobs.start(
            "model",
            self.tr("Before and after"),
            lambda job: answer_both(job, project, adapter, prompts, scale, chosen),
        )
        self._job.retry = self.ask
        self._job.item_arrived.connect(self._take)
        self._job.ended.connect(self._end)
        self._show_answers()
        self._show_state()

    def stop(self) -> None:
        """Ends the answers, and keeps what came."""
        if self._job is not None:
            self._job.cancel()

    # Building

    def _build(self) -> None:
        self.prompts = QPlainTextEdit()
        self.prompts.setAccessibleName(self.tr("Prompts"))
        self.prompts.setPlaceholderText(self.tr("What to ask; an empty line begins another prompt"))
        self.prompts.setTabChangesFocus(True)
        self.prompts.setAcceptDrops(False)  # files that are dropped are the window's
        self.prompts.setFixedHeight(LINES * self.fontMetrics().lineSpacing() + 2 * style.SPACE)
        self.prompts.textChanged.connect(self._show_state)
        self.scale, self._strength = QSlider(Qt.Orientation.Horizontal), line()
        self.scale.setRange(0, round(MOST_SCALE / SCALE_STEP))
        self.scale.setPageStep(2)
        self.scale.setMinimumWidth(40)
        self.scale.setMaximumWidth(240)
        self.scale.setAccessibleName(self.tr("How strongly the adapter is added"))
        self.scale.setToolTip(self.tr("0 is the base model, 1 as it was trained"))
        self.scale.valueChanged.connect(self._move)
        self._strength.setFixedWidth(self.fontMetrics().horizontalAdvance("0.00 ×") + style.SPACE)
        self.asking, self.stopping = QPushButton(self.tr("&Answer both")), QPushButton(self.tr("S&top"))
        style.set_icon(self.asking, "run")
        style.set_icon(self.stopping, "stop")
        self.asking.clicked.connect(self.ask)
        self.stopping.clicked.connect(self.stop)
        self.pairs = AnswerPairs(self.tr("Answers without and with the adapter"))
        self._hint = quiet(
            self.tr("The same model answers each prompt twice, in its likeliest words: alone, then with the adapter.")
        )
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(caption(self.tr("Strength"), self.scale))
        row.addWidget(self.scale, 1)
        row.addWidget(self._strength)
        row.addStretch()
        row.addWidget(self.stopping)
        row.addWidget(self.asking)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addWidget(caption(self.tr("Prompts, with an empty line between them"), self.prompts))
        column.addWidget(self.prompts)
        column.addLayout(row)
        column.addWidget(self._hint, 1)
        column.addWidget(self.pairs, 1)

    # Working

    def _take(self, item: object) -> None:
        if not isinstance(item, Said):
            self.model_loaded.emit(item)
        elif (asked := self._of) is not None:
            answers = asked.answers[item.place]
            answers[item.tuned] = item.text if item.over else answers[item.tuned] + item.text
            asked.over += item.over
            if self._adapter is not None and self._asked.get(self._adapter.id) is asked:
                self._show_answer(asked, item.place)

    def _end(self, _: str) -> None:
        self._job = self._of = None
        self._show_answers()
        self._show_state()

    def _move(self) -> None:
        self._moved = True
        self._later.start()
        self._show_scale()

    # Showing

    def _show_scale(self) -> None:
        self._strength.setText(QLocale().toString(self.adapter_scale, "f", 2) + " ×")

    def _show_answers(self) -> None:
        asked = self._asked.get(self._adapter.id) if self._adapter else None
        self.pairs.setVisible(asked is not None)
        self._hint.setVisible(asked is None)
        if asked is None or self._adapter is None:
            return
        scale = QLocale().toString(asked.scale, "g", 3)
        self.pairs.show_heads(self.tr("Base model alone"), self.tr("With “{}” at {}").format(self._adapter.name, scale))
        self.pairs.show_prompts(asked.prompts)
        for place in range(len(asked.prompts)):
            self._show_answer(asked, place)

    def _show_answer(self, asked: _Asked, place: int) -> None:
        whole = asked is not self._of or asked.over >= 2 * (place + 1)
        self.pairs.show_answers(place, *asked.answers[place], marked=whole)

    def _show_state(self) -> None:
        self.asking.setEnabled(self._adapter is not None and bool(split_prompts(self.prompts.toPlainText())))
        self.asking.setVisible(not self.active)
        self.stopping.setVisible(self.active)
