"""A run of questions as the work of a job: drives `core.questions.ask` and tells how far it is."""

from __future__ import annotations

from collections.abc import Iterator

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.project.records import Discard, Example
from core.questions import ask as questions
from core.questions.ask import AskItem, AskOptions, Progress, Replaced
from core.retrying import Restarted
from gui.jobs import Job, Status
from gui.running import ModelWork


class AskRun(ModelWork):
    """With options a new run, without them the rest of the last one; `again`: another question in place of that one."""

    def __init__(self, project: Project, options: AskOptions | None, again: int | None = None) -> None:
        super().__init__()
        self.project, self.options, self.again = project, options, again
        self.begun = options is None
        self.made = self.discarded = 0
        self.nothing = ""  # why the last try gave nothing
        self.replaced: Replaced | None = None
        self._first: Progress | None = None

    def _do(self, job: Job) -> None:
        for item in self._items(job):
            self._take(job, item)

    def _items(self, job: Job) -> Iterator[AskItem]:
        assert job.worker is not None
        if self.again is not None:
            return questions.ask_again(self.project, job.worker, self.again, cancelled=job.cancelled)
        if self.options is None:
            return questions.resume(self.project, job.worker, cancelled=job.cancelled)
        return questions.ask(self.project, job.worker, self.options, job.cancelled)

    def _take(self, job: Job, item: AskItem) -> None:
        self.begun = True
        if isinstance(item, Loading):
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Loaded):
            job.say(Status(self.tr("Asking"), detail=item.note))
            job.report(item)
        elif isinstance(item, Example):
            self.made += 1
        elif isinstance(item, Discard):
            self.discarded += 1
            self.nothing = item.reason
        elif isinstance(item, Replaced):
            self.replaced = item
        elif isinstance(item, Restarted):
            job.say(Status(self.tr("Beginning again in a fresh process")))
            job.report(None)
            job.report(item)
        else:
            self._tell(job, item)

    def _tell(self, job: Job, at: Progress) -> None:
        self._first = first = self._first or at
        speed = self.tr("{:.0f} tokens/s").format(at.usage.tokens_per_second)
        made = self.tr("1 question") if at.made == 1 else self.tr("{:,} questions").format(at.made)
        # What was done before this job is left out of its bar: the time that is left follows from its own pace.
        done, total = at.done - first.done, at.total - first.done
        job.say(Status(self.tr("Asking · {:,} of {:,}").format(at.done, at.total), done, total, f"{made} · {speed}"))
