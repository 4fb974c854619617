"""A run of rationales as the work of a job: drives `core.rationales.drafts` and tells how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.project.records import Rationale
from core.rationales import checks, drafts
from core.rationales.checks import CheckOptions
from core.rationales.drafts import RationaleOptions
from core.rationales.records import Checked, NothingDrafted, Progress
from core.rationales.running import CHECKS, DRAFTS, RationaleItem
from core.retrying import Restarted
from gui.jobs import Job, Status
from gui.running import ModelWork

Options = RationaleOptions | CheckOptions


class RationaleRun(ModelWork):
    """With options a new run, without them the rest of the last one of its kind."""

    def __init__(self, project: Project, options: Options | None, kind: str = DRAFTS) -> None:
        super().__init__()
        self.project, self.options = project, options
        self.kind = kind if options is None else CHECKS if isinstance(options, CheckOptions) else DRAFTS
        self.begun = options is None
        self.made: set[int] = set()  # examples that steps were drafted for
        self.checked: list[Checked] = []
        self.nothing: list[NothingDrafted] = []
        self._first: Progress | None = None

    @property
    def rewrites(self) -> bool:
        """Whether it was told how the steps that there are should be changed."""
        return isinstance(self.options, RationaleOptions) and bool(self.options.instruction)

    def _do(self, job: Job) -> None:
        for item in self._items(job):
            self._take(job, item)

    def _items(self, job: Job) -> Iterator[RationaleItem]:
        assert job.worker is not None
        if self.options is None:
            resume = checks.resume_checks if self.kind == CHECKS else drafts.resume_rationales
            return resume(self.project, job.worker, cancelled=job.cancelled)
        if isinstance(self.options, CheckOptions):
            return checks.check_rationales(self.project, job.worker, self.options, job.cancelled)
        return drafts.draft_rationales(self.project, job.worker, self.options, job.cancelled)

    def _take(self, job: Job, item: RationaleItem) -> None:
        self.begun = True
        if isinstance(item, Loading):
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Loaded):
            job.say(Status(self._verb(), detail=item.note))
            job.report(item)
        elif isinstance(item, Rationale):
            self.made.add(item.example_id)
        elif isinstance(item, Checked):
            self.checked.append(item)
        elif isinstance(item, NothingDrafted):
            self.nothing.append(item)
        elif isinstance(item, Restarted):
            job.say(Status(self.tr("Beginning again in a fresh process")))
            job.report(None)
            job.report(item)
        else:
            self._tell(job, item)

    def _verb(self) -> str:
        return self.tr("Checking steps") if self.kind == CHECKS else self.tr("Drafting steps")

    def _tell(self, job: Job, at: Progress) -> None:
        self._first = first = self._first or at
        speed = self.tr("{:.0f} tokens/s").format(at.usage.tokens_per_second)
        text = self.tr("{} · {:,} of {:,}").format(self._verb(), at.done, at.total)
        # What was done before this job is left out of its bar: the time that is left follows from its own pace.
        job.say(Status(text, at.done - first.done, at.total - first.done, speed))
