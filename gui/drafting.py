"""The one run of rationales that may go on at a time: begins it, goes on with it, and says what came of it."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from core.rationales.running import CHECKS, DRAFTS, how_far
from gui.jobs import Jobs
from gui.rationale_findings import finding
from gui.rationale_run import Options, RationaleRun
from gui.rationale_words import verdict_words
from gui.running import Running
from gui.session import Session


class Drafting(Running):
    """Starts runs for the window, and knows whether one goes on."""

    rewritten = Signal(list)  # ids of examples whose steps were written anew as drafts

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(session, jobs, parent)
        self._run: RationaleRun | None = None

    def allowed(self) -> bool:
        """Whether a run may begin now; says why not."""
        if self.active:
            self._session.notify(self.tr("Steps are being drafted or checked. Wait for the end, or cancel it below."))
        return not self.active and self._session.may_write()

    def start(self, options: Options) -> None:
        """Begins to draft or to check."""
        self._start(RationaleRun(self._session.project, options))

    def resume(self, kind: str = DRAFTS) -> None:
        """Goes on with the last run of a kind that did not finish."""
        if self.allowed():
            self._start(RationaleRun(self._session.project, None, kind))

    def offer_to_resume(self) -> None:
        """Tells of a run that was interrupted when the project was open last. Raises UserError.

        Not where questions are to be resumed too: one thing after the other, and the dialog offers it anyway.
        """
        project = self._session.project
        if project.read_only or project.last_unfinished_run("ask"):
            return
        for kind in (DRAFTS, CHECKS):
            if (run := project.last_unfinished_run(kind)) is not None and run.state == "interrupted":
                self._offer(kind)
                return

    def _start(self, run: RationaleRun) -> None:
        self._run = run
        title = self.tr("Checking steps") if run.kind == CHECKS else self.tr("Drafting steps")
        self._begin(title, run, self._try_again, self._end)

    def _try_again(self) -> None:
        """After a failure: goes on where it stopped, or asks anew when it had not begun."""
        run = self._run
        if run is None or self.active or not self._session.may_write():
            return
        with self._session.reporting():
            if run.begun and self._session.project.last_unfinished_run(run.kind) is not None:
                self.resume(run.kind)
            else:
                self.options_wanted.emit()

    def _end(self, state: str) -> None:
        if self.active:
            return  # the next has begun already
        run, self._job = self._run, None
        self.changed.emit()
        if run is None or not self._session.is_open or run.project is not self._session.project:
            return
        if run.rewrites and run.made:
            self.rewritten.emit(sorted(run.made))
        with self._session.reporting():
            if state == "cancelled" and run.project.last_unfinished_run(run.kind) is not None:
                self._offer(run.kind)
            elif state == "finished" and (sentence := self._summary(run)):
                self._session.notify(sentence)

    def _offer(self, kind: str) -> None:
        run = self._session.project.last_unfinished_run(kind)
        assert run is not None
        done, total = how_far(self._session.project, run)
        checks = self.tr("Checking steps stopped: {:,} of {:,} rationales are done.")
        drafts = self.tr("Drafting steps stopped: {:,} of {:,} questions are done.")
        sentence = (checks if kind == CHECKS else drafts).format(done, total)
        self._session.notify(sentence, self.tr("Resume"), lambda: self.resume(kind))

    def _summary(self, run: RationaleRun) -> str:
        """What came of it, in a sentence or two."""
        why = run.nothing[-1].reason if run.nothing else ""
        if run.kind == CHECKS:
            return self._checks_words(run)
        if not run.made:
            return self.tr("No steps were drafted: {}").format(why) if why else ""
        count = len(run.made)
        if run.rewrites:
            words = self.tr("A new draft stands beside the steps: take it or leave it.")
            several = self.tr("New drafts stand beside the steps of {:,} questions: take them or leave them.")
        else:
            words = self.tr("Steps were drafted for 1 question")
            several = self.tr("Steps were drafted for {:,} questions")
        words = words if count == 1 else several.format(count)
        if run.nothing:
            words = words.rstrip(".") + self.tr("; for {:,} nothing came of it: {}").format(len(run.nothing), why)
        return words if words.endswith(".") else f"{words}."

    def _checks_words(self, run: RationaleRun) -> str:
        if len(run.checked) == 1:
            (one,) = run.checked
            return verdict_words(finding({row.name: row for row in one.scores}))
        leading = sum(one.leads for one in run.checked)
        needed = sum(one.leads and not one.alone for one in run.checked)
        words = self.tr("{:,} of {:,} rationales lead to the answer; {:,} where the question alone does not.")
        return words.format(leading, len(run.checked), needed) if run.checked else ""
