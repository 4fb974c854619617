"""What a repair of one rationale would change in others, looked for as the work of a job."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.requests import Loaded, Loading
from core.project.project import Project
from core.project.records import ExampleFilter, Rationale
from core.rationales import drafts, repair
from core.rationales.drafts import RationaleOptions
from core.rationales.repair import Proposal, Repair
from core.retrying import Restarted
from gui.jobs import Job, Status
from gui.running import ModelWork

CHUNK = 500  # examples that are read at once


@dataclass(frozen=True)
class Found:
    """What would become of others, the most similar first, and how alike each is (cosine of the vectors)."""

    proposals: tuple[Proposal, ...] = ()
    likeness: tuple[float, ...] = ()


class RepairSearch(ModelWork):
    """Words are changed where they stand, or where it `writes`, the model does the same to the most similar ones."""

    def __init__(self, project: Project, model: Path, example_id: int, wanted: Repair, most: int, writes: bool) -> None:
        super().__init__()
        self.project, self.model, self.example_id, self.wanted, self.most = project, model, example_id, wanted, most
        self.writes = writes
        self.found = Found()

    def _do(self, job: Job) -> None:
        for item in self._search(job):
            self._tell(job, item)

    def _search(self, job: Job) -> Iterator[Any]:
        assert job.worker is not None
        others = [id for id in self.project.example_ids(ExampleFilter(rationale=True)) if id != self.example_id]
        changed = {} if self.writes else self._literal(job, others)
        among = others if self.writes else list(changed)
        if not among:
            return
        near = yield from repair.similar(
            self.project, job.worker, self.model, self.example_id, among, self.most, job.cancelled
        )
        if self.writes and near:
            changed = yield from self._write(job, [id for id, _ in near])
        there = [(changed[id], likeness) for id, likeness in near if id in changed]
        self.found = Found(tuple(one for one, _ in there), tuple(likeness for _, likeness in there))

    def _literal(self, job: Job, ids: Sequence[int]) -> dict[int, Proposal]:
        """What the same words for words would change, by example."""
        job.say(Status(self.tr("Looking for the same words")))
        made: dict[int, Proposal] = {}
        for start in range(0, len(ids), CHUNK):
            if job.cancelled():
                break
            found = repair.literal(self.project, self.wanted, ids[start : start + CHUNK])
            made |= {proposal.example_id: proposal for proposal in found}
        return made

    def _write(self, job: Job, ids: Sequence[int]) -> Generator[Any, None, dict[int, Proposal]]:
        """Yields as a run of drafts does; returns what it would change, by example."""
        assert job.worker is not None
        options = RationaleOptions(self.model, tuple(ids), candidates=1, repair=self.wanted, check=False)
        run_id = 0
        for item in drafts.draft_rationales(self.project, job.worker, options, job.cancelled):
            if isinstance(item, Rationale):
                run_id = item.run_id
            yield item
        return {one.example_id: one for one in repair.drafted(self.project, run_id)} if run_id else {}

    def _tell(self, job: Job, item: Any) -> None:
        from core.project.embedding import Progress as Comparing
        from core.rationales.records import Progress as Writing

        if isinstance(item, Loading):
            job.say(Status(self.tr("Loading the model"), int(item.fraction * 100), 100))
        elif isinstance(item, Loaded):
            job.report(item)
        elif isinstance(item, Comparing):
            job.say(Status(self.tr("Comparing"), item.done, item.total))
        elif isinstance(item, Writing):
            job.say(Status(self.tr("Writing steps anew"), item.done, item.total))
        elif isinstance(item, Restarted):
            job.report(None)
            job.report(item)
