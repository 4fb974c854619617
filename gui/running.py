"""The one piece of work with a model that a panel may have going: what its job does, and whether it goes on."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from core.retrying import Restarted
from gui.jobs import Job, Jobs, Status
from gui.session import Session


class ModelWork(QObject):
    """The work of a job that runs a model in its child; who inherits says in `_do` what is done."""

    def __call__(self, job: Job) -> None:
        job.say(Status(self.tr("Checking the model file")))
        try:
            self._do(job)
        finally:
            if job.worker is not None and not job.worker.alive:
                job.report(None)  # the model went with the child

    def _do(self, job: Job) -> None:
        """Drives the generators of `core` to their end."""
        raise NotImplementedError


class Running(QObject):
    """What starts runs for a panel. Who inherits says what is heard of one, how it ends, and what a retry is."""

    changed = Signal()  # one has begun or ended
    model_loaded = Signal(object)  # the Loaded of a run, or None when its child is gone
    options_wanted = Signal()  # what failed had not begun: ask the user anew

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._job: Job | None = None

    @property
    def active(self) -> bool:
        """Whether a run waits or goes on."""
        return self._job is not None and self._job.active

    def _begin(
        self,
        title: str,
        work: Callable[[Job], None],
        retry: Callable[[], object] | None,
        end: Callable[[str], object],
        stop_words: str = "",
    ) -> None:
        self._job = self._jobs.start("model", title, work, stop_words=stop_words)
        self._job.retry = retry
        self._job.item_arrived.connect(self._hear)
        self._job.ended.connect(end)
        self.changed.emit()

    def _hear(self, item: object) -> None:
        if isinstance(item, Restarted):
            self._session.notify(self.tr("{} The run goes on in a fresh one.").format(item.reason))
        else:
            self._take(item)

    def _take(self, item: object) -> None:
        """Anything else that the work reports."""
        self.model_loaded.emit(item)
