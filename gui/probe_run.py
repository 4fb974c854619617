"""Runs of probes as the work of a job: drives `core.sycophancy.probe`, one run after the other, and tells how far."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from PySide6.QtCore import QLocale

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.retrying import Restarted
from core.sycophancy import probe as probes
from core.sycophancy.probe import ProbeItem, ProbeOptions, Progress
from gui.jobs import Job, Status
from gui.probe_words import suite_title
from gui.running import ModelWork


class ProbeRun(ModelWork):
    """With options new runs, in their order; or the rest of one that stopped."""

    def __init__(self, project: Project, options: Sequence[ProbeOptions], resumes: int | None = None) -> None:
        super().__init__()
        self.project, self.options, self.resumes = project, list(options), resumes
        self.runs: list[int] = []  # that have begun
        self._before = 0  # items of the runs that are over
        self._total = sum(one.items for one in self.options)
        self._title = ""
        self._first: tuple[float, int] | None = None  # when the present run was first heard of, and how far it was

    def _do(self, job: Job) -> None:
        for place, one in enumerate(self._all(job), 1):
            self._first = None
            for item in one:
                self._take(job, item, place)
            if job.cancelled():
                return

    def _all(self, job: Job) -> Iterator[Iterator[ProbeItem]]:
        assert job.worker is not None
        if self.resumes is not None:
            run = self.project.run(self.resumes)
            self._title = suite_title(str(run.request.settings.get("suite", "")))
            yield probes.resume(self.project, job.worker, self.resumes, cancelled=job.cancelled)
        for one in self.options:
            self._title = suite_title(one.suite)
            yield probes.probe(self.project, job.worker, one, job.cancelled)

    def _take(self, job: Job, item: ProbeItem, place: int) -> None:
        if isinstance(item, Loading):
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Loaded):
            job.report(item)
        elif isinstance(item, Restarted):
            job.say(Status(self.tr("Beginning again in a fresh process")))
            job.report(None)
            job.report(item)
        else:
            self._tell(job, item, place)

    def _tell(self, job: Job, at: Progress, place: int) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now, at.done
            self.runs.append(at.run_id)
            job.report(at)
        since, begun = self._first
        number = QLocale().toString
        text = self.tr("{} · {} of {} items").format(self._title, number(at.done), number(at.total))
        if len(self.options) > 1:
            text = self.tr("Run {} of {}: {}").format(place, len(self.options), text)
        passed, done = now - since, at.done - begun
        speed = self.tr("{} items/s").format(number(done / passed, "g", 2)) if done and passed > 0 else ""
        # What was done before this job is left out of its bar: the time that is left follows from its own pace.
        total = self._total or at.total - begun
        job.say(Status(text, self._before + done, max(total, self._before + at.total - begun), speed))
        if at.done == at.total:
            self._before += at.total - begun
