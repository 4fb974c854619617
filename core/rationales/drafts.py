"""Runs that draft the rationales of a project's examples, commit each as it is made, and go on where they stopped."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.engine.requests import EngineSettings, Loaded, Loading, Usage
from core.errors import UserError
from core.project.project import Project
from core.project.records import Evidence, Example, ExampleFilter, Rationale, Step
from core.questions import spans
from core.questions.prompts import REWRITES, WITHOUT_TEXT, Prompts
from core.rationales.drafting import Plan, draft
from core.rationales.findings import keep_verdict
from core.rationales.records import Drafted, NothingDrafted, Said, Subject
from core.rationales.repair import Repair
from core.rationales.running import (
    DRAFTS,
    NEEDED,
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

SAME_WAY = "Change it in the same way."  # the instruction where a repair has none


@dataclass(frozen=True)
class RationaleOptions:
    """What is to be drafted. With an instruction, or a repair, the present steps are written anew as drafts only."""

    model: Path
    examples: tuple[int, ...] = ()  # empty: all accepted ones that have no steps
    candidates: int = 2
    steps: int = 5  # at most
    instruction: str = ""
    repair: Repair | None = None  # is shown to the model: what was done to another example
    language: str = ""  # empty: that of the passage
    seed: int = 0
    check: bool = True
    limit: int | None = None  # examples
    engine: EngineSettings = field(default_factory=EngineSettings)


def draft_rationales(
    project: Project,
    worker: Worker,
    options: RationaleOptions,
    cancelled: Callable[[], bool] = bool,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[RationaleItem, None, None]:
    """Starts a run and yields what happens; every Rationale yielded has been committed.

    The best candidate of an example, by its checks, becomes its own where it has no steps; the others stay beside it.
    Raises UserError for a model or examples that cannot do it, TooManyCrashes, and Cancelled before there is a run.
    """
    model, prompts = model_and_prompts(options.model)
    repair = options.repair
    instruction = options.instruction or (repair.instruction or SAME_WAY if repair else "")
    if options.candidates < 1 or options.steps < 1:
        raise UserError("At least one candidate of at least one step must be asked for.")
    if instruction and not prompts.has(REWRITES):
        raise UserError(f"{model.name} follows no instructions. Choose a model that was tuned for chat.")
    if options.language and not prompts.writes_any_language:
        raise UserError("This model writes in one language only. Name no language, or choose another model.")
    examples = _to_explain(project, prompts, options, rewrites=bool(instruction))
    plan = Plan(
        candidates=options.candidates,
        steps=options.steps,
        check=options.check,
        language=options.language,
        instruction=instruction,
        before=tuple(step.text for step in repair.before) if repair else (),
        after=tuple(step.text for step in repair.after) if repair else (),
    )
    settings = {"examples": examples, **asdict(plan), "engine": asdict(options.engine)}
    run_id = start(project, DRAFTS, model, prompts, settings, options.seed, cancelled)
    yield from _Drafting(project, worker, run_id, model, prompts, cancelled, Retries(clock)).run()


def resume_rationales(
    project: Project, worker: Worker, model: Path | None = None, cancelled: Callable[[], bool] = bool
) -> Generator[RationaleItem, None, None]:
    """Goes on with the last run that did not finish; what it made is not made again.

    `model` says where the model file is now, when it has moved. Raises UserError when there is nothing to resume, or
    when the model or the prompts are not those that the run began with, and TooManyCrashes.
    """
    needed = NEEDED | {one.name for one in fields(Plan)}
    run = resumed(project, DRAFTS, model, cancelled, needed)
    yield from _Drafting(project, worker, *run, cancelled, Retries()).run()


def _to_explain(project: Project, prompts: Prompts, options: RationaleOptions, rewrites: bool) -> list[int]:
    """The ids of the examples that are to be explained, in order. Raises UserError when there are none."""
    if options.limit is not None and options.limit < 1:
        raise UserError("The limit must be at least 1.")
    found = chosen(project, options.examples, ExampleFilter(state="accepted", rationale=rewrites))
    wanted = [(one.id, _can_explain(prompts, one)) for one in found if one.rationale or not rewrites]
    if not wanted:
        if not rewrites and not project.counts()["accepted"]:
            raise UserError("No question is accepted yet. Accept some, or say which are to be explained.")
        raise UserError(
            "None of these questions has steps that could be written anew. Draft some first."
            if rewrites
            else "No accepted question is without steps. Accept more, or say which are to be explained."
        )
    fitting = [id for id, fits in wanted if fits]
    if not fitting:
        raise UserError(
            "This model explains an answer out of its passage only, and none of these questions has one with evidence. "
            "Choose a model that was tuned for chat."
        )
    return fitting[: options.limit]


def _can_explain(prompts: Prompts, example: Example) -> bool:
    if not example.answer.strip():
        return False
    if prompts.explains_by_steps:
        return example.passage_id is not None or prompts.has(WITHOUT_TEXT)
    return example.evidence is not None


class _Drafting(RationaleRun):
    """Makes candidates; the best is committed last, and becomes the example's where it has no steps."""

    def _made_before(self) -> int:
        return len(self.project.rationales_of_run(self.run_id))

    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]:
        return self.from_child(draft_job, subjects, self.prompts, _plan(self.settings), self.seed)

    def _commit(self, subject: Subject, item: Drafted) -> Iterator[Rationale]:
        example, best = self.project.example(subject.example_id), item.candidates[0]
        drafts = [[self._step(example, one) for one in candidate.steps] for candidate in item.candidates]
        adopted = same(subject, example) and not example.rationale and not self.settings["instruction"]
        if adopted:
            keep_verdict(self.project, self.run_id, replace(example, rationale=tuple(drafts[0])), best.verdict)
        for slot in reversed(range(len(drafts))):
            said, adopt = self.settings["instruction"], adopted and slot == 0
            yield self.project.add_rationale(self.run_id, example.id, slot, drafts[slot], said, adopt)
            self.made += 1

    def _step(self, example: Example, said: Said) -> Step:
        """A step with the place on a page that it cites."""
        if said.cited is None or example.passage_id is None:
            return Step(said.text)
        passage = self.project.passage(example.passage_id)
        place = spans.locate(passage.parts, *said.cited)
        if place is None:
            return Step(said.text)
        text = self.project.page_text(passage.document_id, place[0])[place[1] : place[2]]
        return Step(said.text, Evidence(*place, text))


def _plan(settings: dict[str, Any]) -> Plan:
    """How a run's rationales are drafted, out of what is kept of it."""
    kept: dict[str, Any] = {one.name: settings[one.name] for one in fields(Plan)}
    return Plan(**{**kept, "before": tuple(kept["before"]), "after": tuple(kept["after"])})


def draft_job(
    model: Path, settings: EngineSettings, subjects: list[Subject], prompts: Prompts, plan: Plan, seed: int
) -> Iterator[Loading | Loaded | Drafted | NothingDrafted | Usage]:
    """The child's part: loads the model, or finds it warm, and explains the examples, many at a time."""
    from core.engine import run_tasks

    yield from run_tasks(model, settings, lambda _: (draft(one, prompts, plan, seed) for one in subjects))
