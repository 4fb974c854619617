"""What a tuning run would take, found out in the background while its options are chosen."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLocale, QObject, Signal

from core import datasets
from core.datasets import Selection
from core.engine.requests import Loaded, Loading
from core.errors import UserError
from core.tables import UnusableRows
from core.tuning import tune
from core.tuning.records import Prepared
from core.tuning.tune import TuneOptions
from gui.ask_dialog import duration
from gui.jobs import Job, Jobs, Status
from gui.offered_prompts import offered_prompts
from gui.session import Session
from gui.tuning_words import memory_words

translate = QCoreApplication.translate


class Estimating(QObject):
    """One estimate at a time; of options that have changed meanwhile nothing is said."""

    changed = Signal()
    prompts_found = Signal(list)  # of the dataset, to begin with
    model_loaded = Signal(object)  # the Loaded of an estimate, or None when its child is gone

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._job: Job | None = None
        self.selection: Selection | None = None
        self.prepared: Prepared | None = None
        self.problem = ""  # why there is none, in a sentence
        self.has_bad_rows = False  # and they may be left out

    @property
    def allows(self) -> bool:
        """Whether nothing speaks against a start, as far as is known."""
        return not self.problem and (self.prepared is None or self.prepared.estimate.fits)

    @property
    def words(self) -> str:
        """What was found out, or how far that is."""
        if self.problem:
            return self.problem
        if self.prepared is not None:
            return _words(self.prepared)
        if any(job.lane == "model" and job is not self._job for job in self._jobs.active):
            return self.tr("A run is using the model; what this one takes is reckoned after it.")
        return self.tr("Reading the examples, and measuring what a step takes…")

    @property
    def advice(self) -> str:
        """What is learned from, what to change where it would not fit, and what is not as one might expect."""
        said = datasets.describe(self.selection) if self.selection is not None else []
        return " ".join([*said, *(_advice(self.prepared) if self.prepared is not None else [])])

    def reckon(self, options: TuneOptions) -> None:
        """Finds out what these take."""
        self.forget()
        project = self._session.project

        def work(job: Job) -> None:
            assert job.worker is not None
            try:
                job.report(datasets.select(project, options.dataset, options.held_out, skip_bad=options.skip_bad))
                for item in tune.estimate(project, job.worker, options, job.cancelled):
                    if isinstance(item, Loading):
                        job.say(Status(job.title, int(item.fraction * 100), 100))
                    elif isinstance(item, Prepared | Loaded):
                        job.report(item)
            except UserError as error:
                if not job.cancelled():
                    job.report(error)
            finally:
                if not job.worker.alive:
                    job.report(None)  # the model went with the child

        self._job = self._jobs.start("model", self.tr("Reckoning"), work, in_bar=False)
        self._job.item_arrived.connect(self._hear)
        self._job.item_arrived.connect(self._take)
        self._job.ended.connect(self._end)
        self.changed.emit()

    def forget(self) -> None:
        """Of other options."""
        if self._job is not None:
            self._job.item_arrived.disconnect(self._take)
            self._job.ended.disconnect(self._end)
            self._job.cancel()
        self._job = self.prepared = self.selection = None
        self.problem, self.has_bad_rows = "", False

    def _hear(self, item: object) -> None:
        """Also of what is forgotten: what is in memory is so whatever was asked."""
        if item is None or isinstance(item, Loaded):
            self.model_loaded.emit(item)

    def _take(self, item: object) -> None:
        if isinstance(item, Prepared):
            self.prepared = item
        elif isinstance(item, UserError):
            self.problem, self.has_bad_rows = str(item), isinstance(item, UnusableRows)
        elif isinstance(item, Selection):
            self.selection = item
            self.prompts_found.emit(offered_prompts(self._session.project, item.rows))
        self.changed.emit()

    def _end(self, state: str) -> None:
        if state == "failed":
            self.problem = self.tr("What it takes could not be reckoned.")
        self._job = None
        self.changed.emit()


def _words(prepared: Prepared) -> str:
    number, estimate = QLocale().toString, prepared.estimate
    examples = translate("Estimating", "{} examples to learn from, {} held out")
    device = translate("Estimating", "on the {} in {}") if estimate.device == "cpu" else "{} · {}"
    names = {"cpu": translate("Estimating", "processor"), "cuda": "CUDA", "mps": "Metal"}
    first = [
        examples.format(number(prepared.examples), number(prepared.held_out)),
        translate("Estimating", "{} steps").format(number(prepared.steps)),
        duration(estimate.seconds),
    ]
    second = [
        translate("Estimating", "{} tokens/s").format(number(round(estimate.tokens_per_second))),
        memory_words(estimate),
        device.format(names.get(estimate.device, estimate.device), estimate.dtype),
    ]
    return "\n".join(map(" · ".join, (first, second)))


def _advice(prepared: Prepared) -> list[str]:
    """What does not fit, and what is otherwise than one might expect."""
    number, estimate = QLocale().toString, prepared.estimate
    said: list[str] = []
    if not estimate.fits:
        said.append(
            translate(
                "Estimating",
                "It does not fit. Under Advanced, choose a shorter longest example or a lower rank; or choose a "
                "smaller model, or close other programs.",
            )
        )
    if prepared.dropped:
        words = translate("Estimating", "{} examples are longer than the longest that is read, and are dropped.")
        said.append(words.format(number(prepared.dropped)))
    if prepared.cut:
        said.append(
            translate("Estimating", "{} examples lose the beginning of their prompt.").format(number(prepared.cut))
        )
    if not prepared.held_out:
        words = translate("Estimating", "Nothing is held out, so nothing tells when it has learned enough.")
        said.append(words)
    if estimate.fits and estimate.recompute:
        said.append(translate("Estimating", "It saves memory by computing some things twice, which takes longer."))
    return said
