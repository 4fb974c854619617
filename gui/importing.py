"""An import in the background: what is to be taken out of a file, and what is said, and can be undone, at its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLocale, QObject

from core.exchange.importing import KIND, Imported, bring_in, take_back
from core.exchange.mapping import Mapping
from core.project.project import Project
from gui.jobs import Job, Jobs, Status
from gui.session import Session

STEPS = 1000  # into which a job's progress is divided: how many rows a file has is known at its end


@dataclass(frozen=True)
class Wish:
    """What is to be imported, and how."""

    path: Path
    mapping: Mapping
    state: str
    skip_bad: bool


def start_import(session: Session, jobs: Jobs, wish: Wish) -> Job:
    """Takes rows out of a file in the background, and says so at the end."""
    reading = _Reading(session, jobs, wish)
    job = jobs.start("documents", reading.tr("Importing {}").format(wish.path.name), reading.read)
    job.retry = partial(start_import, session, jobs, wish)
    job.item_arrived.connect(reading.tell)
    job.ended.connect(reading.finish)
    return job


class _Reading(QObject):
    """One import: lives until it has ended, though the dialog is gone."""

    def __init__(self, session: Session, jobs: Jobs, wish: Wish) -> None:
        super().__init__(session)
        self._session, self._jobs, self._wish = session, jobs, wish
        self._project: Project = session.project

    def read(self, job: Job) -> None:
        """The work, in the thread of its lane."""
        wish = self._wish
        work = bring_in(self._project, wish.path, wish.mapping, wish.state, wish.skip_bad, job.cancelled)
        looking, number = self.tr("Looking through {}").format(wish.path.name), QLocale().toString
        while True:
            try:
                far = next(work)
            except StopIteration as end:
                job.report(end.value)
                return
            rows = self.tr("{} rows").format(number(far.rows))
            job.say(Status(looking if far.checking else job.title, round(STEPS * far.share), STEPS, rows))

    def tell(self, done: Imported) -> None:
        """Says how many rows came in, and offers to take them back."""
        number, file = QLocale().toString, self._wish.path.name
        parts = [self.tr("Rows imported from {}: {}.").format(file, number(done.rows))]
        if done.left_out:
            parts.append(self.tr("Left out: {}.").format(number(done.left_out)))
        if done.restored:
            parts.append(self.tr("With their evidence in this project: {}.").format(number(done.restored)))
        self._offer(" ".join(parts), done.run_id)

    def finish(self, state: str) -> None:
        """Its end; what was kept of one that was stopped can go on, or be taken back."""
        if state == "cancelled" and self._session.is_open and self._session.project is self._project:
            with self._session.reporting():
                run = self._project.last_unfinished_run(KIND)
                if run is not None and run.state == "cancelled":
                    words = self.tr("The import was stopped. Import {} again to go on with it.")
                    self._offer(words.format(self._wish.path.name), run.id)
        self.deleteLater()

    def _offer(self, words: str, run_id: int) -> None:
        undo = partial(start_undo, self._session, self._jobs, self._project, run_id)
        self._session.notify(words, self.tr("Undo"), undo)


def start_undo(session: Session, jobs: Jobs, project: Project, run_id: int) -> None:
    """Rejects all that an import brought in, in the background, since that may be much."""
    if session.is_open and session.project is project:
        undoing = _TakingBack(session, run_id)
        job = jobs.start("documents", undoing.tr("Taking back the import"), undoing.work, stoppable=False)
        job.item_arrived.connect(undoing.tell)
        job.ended.connect(undoing.deleteLater)


class _TakingBack(QObject):
    """The way back: lives until it has ended."""

    def __init__(self, session: Session, run_id: int) -> None:
        super().__init__(session)
        self._session, self._project, self._run_id = session, session.project, run_id

    def work(self, job: Job) -> None:
        """In the thread of its lane."""
        job.report(take_back(self._project, self._run_id))

    def tell(self, count: int) -> None:
        """Says what became of the rows."""
        self._session.notify(self.tr("Taken back: {} rows are rejected.").format(QLocale().toString(count)))
