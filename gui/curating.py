"""The one piece of work that Curate may have going: drives a generator of `core`, and hands over what it returns."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QLocale, QObject

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.retrying import Restarted
from core.worker import Worker
from gui.jobs import Job, Jobs, Status
from gui.running import Running
from gui.session import Session

MANY = 1_000  # questions that are changed in one go, above which it is a job

Make = Callable[[Worker, Callable[[], bool]], Generator[Any, None, Any]]


@dataclass(frozen=True)
class Made:
    """What came of the work."""

    value: object


class Curating(Running):
    """Begins work for the pages of Curate, one after the other."""

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(session, jobs, parent)
        self._project: Project | None = None
        self._made: Made | None = None
        self._done: Callable[[Any], object] = bool

    def allowed(self) -> bool:
        """Whether work may begin now; says why not."""
        if self.active:
            self._session.notify(self.tr("Work on the set is going on already. Wait for the end, or cancel it below."))
        return self._session.is_open and not self.active

    def start(
        self,
        title: str,
        make: Make,
        done: Callable[[Any], object],
        retry: Callable[[], object] | None = None,
    ) -> None:
        """Drives what `make` gives for a worker and a look at whether to stop; `done` is called with what it returns.

        Not where it fails, is cancelled, or the project was closed meanwhile.
        """
        self._project, self._made, self._done = self._session.project, None, done
        self._begin(title, _Work(title, make), retry, self._end)

    def change(self, do: Callable[[], object]) -> None:
        """Changes so many questions that the window would stand still; `examples_changed` follows."""

        def work(_: Job) -> None:
            do()

        self._jobs.start("project", self.tr("Changing many questions"), work, stoppable=False)

    def _end(self, state: str) -> None:
        if self.active:
            return  # the next has begun already
        made, self._job, self._made = self._made, None, None
        self.changed.emit()
        there = self._session.is_open and self._session.project is self._project
        if state == "finished" and made is not None and there:
            self._done(made.value)

    def _take(self, item: object) -> None:
        if isinstance(item, Made):
            self._made = item
        else:
            super()._take(item)


class _Work(QObject):
    """In the thread of its lane."""

    def __init__(self, title: str, make: Make) -> None:
        super().__init__()
        self._title, self._make = title, make

    def __call__(self, job: Job) -> None:
        assert job.worker is not None
        generator = self._make(job.worker, job.cancelled)
        try:
            while True:
                self._tell(job, next(generator))
        except StopIteration as end:
            job.report(Made(end.value))
        finally:
            generator.close()
            if not job.worker.alive:
                job.report(None)  # the model went with the child

    def _tell(self, job: Job, item: Any) -> None:
        if isinstance(item, Loading):
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Loaded):
            job.report(item)
        elif isinstance(item, Restarted):
            job.say(Status(self.tr("Beginning again in a fresh process")))
            job.report(None)
            job.report(item)
        elif hasattr(item, "done") and hasattr(item, "total"):
            done, total = map(QLocale().toString, (item.done, item.total))
            job.say(Status(self.tr("{} · {} of {}").format(self._title, done, total), item.done, item.total))
