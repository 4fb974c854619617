"""The one tuning run that may go on at a time: begins it, goes on with one that stopped, and says what came of it."""

from __future__ import annotations

from PySide6.QtCore import QLocale, QObject, Signal

from core.engine.requests import Loading
from core.project.records import Run
from core.project.tuning import AdapterRow
from core.tuning.tune import Kept, TuneOptions
from gui.jobs import Jobs
from gui.running import Running
from gui.session import Session
from gui.tune_run import TuneRun
from gui.tuning_words import dataset_name, steps_of

STOPPED = ("interrupted", "cancelled", "failed")  # states of runs that can go on


class Tuning(Running):
    """Starts runs for the window, and knows whether one goes on."""

    adapter_wanted = Signal(int)  # the user wants to see what came of a run: its id
    run_begun = Signal()

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(session, jobs, parent)
        self._work: TuneRun | None = None
        self._kept: AdapterRow | None = None

    def allowed(self) -> bool:
        """Whether a run may begin now; says why not."""
        if self.active:
            self._session.notify(self.tr("A model is being tuned already. Wait for the end, or stop it below."))
        return not self.active and self._session.may_write()

    def start(self, options: TuneOptions) -> None:
        """Begins a run."""
        self._start(TuneRun(self._session.project, options))

    def resume(self, run_id: int) -> None:
        """Goes on with a run that did not finish."""
        if self.allowed():
            self._start(TuneRun(self._session.project, None, run_id))

    def stop(self) -> None:
        """Ends the run that goes on, and keeps what came of it."""
        if self._job is not None:
            self._job.cancel()

    def offer_to_resume(self) -> None:
        """Tells of a run that was interrupted when the project was open last. Raises UserError.

        Not where other runs are to be resumed too: one thing after the other, and the panel shows it anyway.
        """
        project = self._session.project
        run = project.last_unfinished_run("tune")
        if any(map(project.last_unfinished_run, ("ask", "probe"))) or run is None or project.read_only:
            return
        if run.state == "interrupted":
            self._offer(run, self.tr("Tuning on “{}” stopped at step {} of {}."))

    def _start(self, work: TuneRun) -> None:
        self._work, self._kept = work, None
        self._begin(self.tr("Tuning"), work, self._try_again, self._end, self.tr("Stop and keep"))

    def _take(self, item: object) -> None:
        if isinstance(item, Kept):
            self._kept = item.adapter
        elif isinstance(item, Loading):
            self.run_begun.emit()
        else:
            self.model_loaded.emit(item)

    def _try_again(self) -> None:
        """After a failure: goes on where it stopped, or asks anew when it had not begun."""
        work = self._work
        if work is None or self.active or not self._session.may_write():
            return
        with self._session.reporting():
            run = self._session.project.last_unfinished_run("tune") if work.begun else None
            if work.resumes is not None:
                self.resume(work.resumes)
            elif run is not None and run.state in STOPPED:
                self.resume(run.id)
            else:
                self.options_wanted.emit()

    def _end(self, state: str) -> None:
        if self.active:
            return  # the next has begun already
        work, kept, self._job = self._work, self._kept, None
        self.changed.emit()
        if work is None or not self._session.is_open or work.project is not self._session.project:
            return
        with self._session.reporting():
            if state == "finished" and kept is not None:
                sentence = self.tr("Tuning is finished: “{}” is among the adapters.").format(kept.name)
                show = self.tr("Before and after")
                self._session.notify(sentence, show, lambda: self.adapter_wanted.emit(kept.id))
            elif state == "cancelled" and (run := work.project.last_unfinished_run("tune")) is not None:
                after = self.tr("What it learned is kept as “{}”.").format(kept.name) if kept else ""
                self._offer(run, self.tr("Stopped tuning on “{}” at step {} of {}."), after)

    def _offer(self, run: Run, words: str, after: str = "") -> None:
        far = steps_of(run, self._session.project.last_tuning_step(run.id))
        done, total = map(QLocale().toString, far)
        sentence = f"{words.format(dataset_name(run), done, total)} {after}".strip()
        self._session.notify(sentence, self.tr("Resume"), lambda: self.resume(run.id))
