"""Runs that check the rationales which a project's examples have, and keep what they find beside them."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.engine.requests import EngineSettings, Loaded, Loading, Usage
from core.errors import UserError
from core.project.project import Project
from core.project.records import Example, ExampleFilter
from core.questions.prompts import Prompts
from core.rationales.checking import judge
from core.rationales.findings import keep_verdict
from core.rationales.records import Checked, Judged, Subject
from core.rationales.running import (
    CHECKS,
    RationaleItem,
    RationaleRun,
    chosen,
    model_and_prompts,
    resumed,
    same,
    start,
)
from core.retrying import Retries
from core.worker import Worker


@dataclass(frozen=True)
class CheckOptions:
    """Which rationales are to be checked by which model."""

    model: Path
    examples: tuple[int, ...] = ()  # empty: all drafts and accepted ones that have steps
    seed: int = 0
    engine: EngineSettings = field(default_factory=EngineSettings)


def check_rationales(
    project: Project, worker: Worker, options: CheckOptions, cancelled: Callable[[], bool] = bool
) -> Generator[RationaleItem, None, None]:
    """Starts a run that checks the steps that examples have; every Checked yielded has been committed.

    Raises UserError for a model or examples that cannot be used, TooManyCrashes, and Cancelled before there is a run.
    """
    model, prompts = model_and_prompts(options.model)
    otherwise = (ExampleFilter(state=state, rationale=True) for state in ("draft", "accepted"))
    examples = [one.id for one in chosen(project, options.examples, *otherwise) if one.rationale]
    if not examples:
        raise UserError("There is no rationale to check. Draft some first, or write one.")
    settings = {"examples": examples, "engine": asdict(options.engine)}
    run_id = start(project, CHECKS, model, prompts, settings, options.seed, cancelled)
    yield from _Checking(project, worker, run_id, model, prompts, cancelled, Retries()).run()


def resume_checks(
    project: Project, worker: Worker, model: Path | None = None, cancelled: Callable[[], bool] = bool
) -> Generator[RationaleItem, None, None]:
    """Goes on with the last run of checks that did not finish. Raises UserError as `resume_rationales` does."""
    run = resumed(project, CHECKS, model, cancelled)
    yield from _Checking(project, worker, *run, cancelled, Retries()).run()


class _Checking(RationaleRun):
    """Checks the steps that examples have, and keeps what it finds beside them."""

    def _made_before(self) -> int:
        return len(self.finished)

    def lacks(self, example: Example) -> str:
        return super().lacks(example) if example.rationale else "It has no steps."

    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]:
        return self.from_child(check_job, subjects, self.prompts)

    def _commit(self, subject: Subject, item: Judged) -> Iterator[Checked]:
        example, verdict = self.project.example(subject.example_id), item.verdict
        if not same(subject, example):
            return  # it was edited meanwhile: what was found is about other steps
        scores = keep_verdict(self.project, self.run_id, example, verdict)
        self.made += 1
        yield Checked(example.id, verdict.leads, verdict.alone, verdict.gain, scores)


def check_job(
    model: Path, settings: EngineSettings, subjects: list[Subject], prompts: Prompts
) -> Iterator[Loading | Loaded | Judged | Usage]:
    """The child's part: checks the steps that examples have, many at a time."""
    from core.engine import run_tasks

    yield from run_tasks(model, settings, lambda _: (judge(one, prompts) for one in subjects))
