"""A tuning run as the work of a job: drives `core.tuning.tune` and tells how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QLocale

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.retrying import Restarted
from core.tuning import tune as tuning
from core.tuning.records import Agreement, Prepared, Stepped, Trained
from core.tuning.tune import Kept, TuneItem, TuneOptions
from gui.jobs import Job, Status
from gui.running import ModelWork
from gui.tuning_words import loss_words


class TuneRun(ModelWork):
    """With options a new run, else the rest of one that stopped. Reports Loading once, Loaded, Restarted and Kept."""

    def __init__(self, project: Project, options: TuneOptions | None, resumes: int | None = None) -> None:
        super().__init__()
        self.project, self.options, self.resumes = project, options, resumes
        self.begun = options is None  # whether there is a run
        self._first: int | None = None  # the step before the first of this job

    def _do(self, job: Job) -> None:
        for item in self._items(job):
            self._take(job, item)

    def _items(self, job: Job) -> Iterator[TuneItem]:
        assert job.worker is not None
        if self.options is None:
            return tuning.resume(self.project, job.worker, self.resumes, cancelled=job.cancelled)
        return tuning.tune(self.project, job.worker, self.options, job.cancelled)

    def _take(self, job: Job, item: TuneItem) -> None:
        if isinstance(item, Loading):
            if self._first is None and item.fraction == 0.0:
                job.report(item)
            self.begun = True
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Agreement):
            job.say(Status(self.tr("Measuring what a step takes")))
        elif isinstance(item, Prepared):
            job.say(Status(self.tr("Answering the sample prompts")))
        elif isinstance(item, Stepped):
            self._tell(job, item)
        elif isinstance(item, Trained):
            job.say(Status(self.tr("Keeping the adapter")))
        elif isinstance(item, Restarted):
            job.say(Status(self.tr("Beginning again in a fresh process")))
            job.report(None)
            job.report(item)
        elif isinstance(item, Loaded | Kept):
            job.report(item)

    def _tell(self, job: Job, at: Stepped) -> None:
        number = QLocale().toString
        self._first = at.step - 1 if self._first is None else self._first
        text = self.tr("Tuning · step {} of {}").format(number(at.step), number(at.steps))
        speed = self.tr("{} tokens/s").format(number(round(at.tokens / at.seconds))) if at.seconds > 0 else ""
        loss = self.tr("loss {}").format(loss_words(at.loss))
        # What was done before this job is left out of its bar: the time that is left follows from its own pace.
        done, total = at.step - self._first, at.steps - self._first
        job.say(Status(text, done, total, " · ".join(filter(None, (loss, speed)))))
