"""Runs that draft the rationales of a project's examples, or check those they have; each goes on where it stopped."""

import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.engine.requests import EngineSettings, Loaded, Loading, Usage
from core.errors import Cancelled, UserError
from core.exchange.formats import prompt_and_answer
from core.models.files import ModelFile, read_model
from core.project.project import Project
from core.project.records import Evidence, Example, ExampleFilter, Rationale, Run, ScoreRow, Step
from core.questions import spans
from core.questions.prompts import REWRITES, WITHOUT_TEXT, Prompts, load_prompts
from core.rationales import checking
from core.rationales.drafting import Plan, draft
from core.rationales.records import Checked, Drafted, Judged, NothingDrafted, Progress, Said, Subject, Verdict
from core.rationales.repair import Repair
from core.retrying import Restarted, Retries
from core.runs import CRASHED, Filling, run_settings, same_model
from core.worker import Worker

DRAFTS, CHECKS = "rationales", "rationale_check"  # kinds of runs
NEEDED = {"examples", "engine"}  # of either
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


@dataclass(frozen=True)
class CheckOptions:
    """Which rationales are to be checked by which model."""

    model: Path
    examples: tuple[int, ...] = ()  # empty: all drafts and accepted ones that have steps
    seed: int = 0
    engine: EngineSettings = field(default_factory=EngineSettings)


RationaleItem = Loading | Loaded | Progress | Rationale | NothingDrafted | Checked | Restarted


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
    model, prompts = _model(options.model)
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
    run_id = _start(project, DRAFTS, model, prompts, settings, options.seed, cancelled)
    yield from _Drafting(project, worker, run_id, model, prompts, cancelled, Retries(clock)).run()


def check_rationales(
    project: Project, worker: Worker, options: CheckOptions, cancelled: Callable[[], bool] = bool
) -> Generator[RationaleItem, None, None]:
    """Starts a run that checks the steps that examples have; every Checked yielded has been committed.

    Raises UserError for a model or examples that cannot be used, TooManyCrashes, and Cancelled before there is a run.
    """
    model, prompts = _model(options.model)
    filter = ExampleFilter(rationale=True)
    ids = _existing(project, options.examples) or [
        id for state in ("draft", "accepted") for id in project.example_ids(ExampleFilter(state=state, rationale=True))
    ]
    examples = sorted(project.example_ids(filter, among=ids))
    if not examples:
        raise UserError("There is no rationale to check. Draft some first, or write one.")
    settings = {"examples": examples, "engine": asdict(options.engine)}
    run_id = _start(project, CHECKS, model, prompts, settings, options.seed, cancelled)
    yield from _Checking(project, worker, run_id, model, prompts, cancelled, Retries()).run()


def resume_rationales(
    project: Project,
    worker: Worker,
    model: Path | None = None,
    cancelled: Callable[[], bool] = bool,
    kind: str = DRAFTS,
) -> Generator[RationaleItem, None, None]:
    """Goes on with the last run of a kind, DRAFTS or CHECKS, that did not finish; what it made is not made again.

    `model` says where the model file is now, when it has moved. Raises UserError when there is nothing to resume, or
    when the model or the prompts are not those that the run began with, and TooManyCrashes.
    """
    run = project.last_unfinished_run(kind)
    if run is None:
        raise UserError("There is no unfinished run of rationales in this project. Start a new one.")
    header = same_model(run, model, cancelled)
    prompts = load_prompts(header.prompt_style)
    if prompts.version != run.request.prompt_version:
        raise UserError(
            f"Run {run.id} was begun with the prompts {run.request.prompt_version}, and this version of Elenchus has "
            f"{prompts.version}. What it made is kept: start a new run."
        )
    needed = NEEDED | ({one.name for one in fields(Plan)} if kind == DRAFTS else set())
    if needed - run.request.settings.keys():
        raise UserError(f"The settings of run {run.id} are not whole, so it cannot go on. Start a new run.")
    project.resume_run(run.id)
    filling = _Drafting if kind == DRAFTS else _Checking
    yield from filling(project, worker, run.id, header, prompts, cancelled, Retries()).run()


def how_far(project: Project, run: Run) -> tuple[int, int]:
    """Examples done and examples in all of a run that has begun."""
    done = _done(project, run)
    listed = run.request.settings.get("examples")
    return len(done), max(len(done), len(listed) if isinstance(listed, list) else 0)


def _done(project: Project, run: Run) -> set[int]:
    """The examples of a run that nothing is left to be made of."""
    if run.request.kind == CHECKS:
        return project.scored(run.id)
    # The best candidate is committed last: where it is, all are.
    drafted = {one.example_id for one in project.rationales_of_run(run.id) if one.slot == 0}
    return drafted | set(run.request.settings.get("nothing", ()))


def _model(path: Path) -> tuple[ModelFile, Prompts]:
    """A model and its prompts. Raises UserError when it cannot explain."""
    model = read_model(path)
    if model.is_embedding:
        raise UserError(f"{model.name} makes vectors and no text. Choose another model.")
    prompts = load_prompts(model.prompt_style)
    if not prompts.explains:
        raise UserError(
            f"{model.name} has prompts of the style “{prompts.style}”, which has none for rationales. "
            "Choose another model."
        )
    return model, prompts


def _to_explain(project: Project, prompts: Prompts, options: RationaleOptions, rewrites: bool) -> list[int]:
    """The ids of the examples that are to be explained, in order. Raises UserError when there are none."""
    if options.limit is not None and options.limit < 1:
        raise UserError("The limit must be at least 1.")
    wanted = ExampleFilter(rationale=True) if rewrites else ExampleFilter(state="accepted", rationale=False)
    if options.examples:
        among = _existing(project, options.examples)
        ids = project.example_ids(wanted, among=among) if rewrites else among
    else:
        ids = project.example_ids(wanted)
    if not ids:
        raise UserError(
            "None of these examples has steps that could be written anew. Draft some first."
            if rewrites
            else "No accepted example is without steps. Accept some, or say which are to be explained."
        )
    fitting = [one.id for one in _by_id(project, ids) if _can_explain(prompts, one)]
    if not fitting:
        raise UserError(
            "This model explains an answer out of its passage only, and none of these examples has one with evidence. "
            "Choose a model that was tuned for chat."
        )
    return fitting[: options.limit]


def _can_explain(prompts: Prompts, example: Example) -> bool:
    if not example.answer.strip():
        return False
    if prompts.explains_by_steps:
        return example.passage_id is not None or prompts.has(WITHOUT_TEXT)
    return example.evidence is not None


def _existing(project: Project, ids: Sequence[int]) -> list[int]:
    """Ids that a user named, each once. Raises UserError for one that is not there."""
    unique = list(dict.fromkeys(ids))
    missing = set(unique) - {one.id for one in _by_id(project, unique)}
    if missing:
        raise UserError(f"There is no example {min(missing)} in this project.")
    return unique


def _by_id(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    for start in range(0, len(ids), 500):
        yield from project.examples_by_id(ids[start : start + 500])


def _start(
    project: Project,
    kind: str,
    model: ModelFile,
    prompts: Prompts,
    settings: dict[str, Any],
    seed: int,
    cancelled: Callable[[], bool],
) -> int:
    request = run_settings(kind, model, settings, seed, cancelled, prompts.style, prompts.version, prompts.texts)
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    return project.start_run(request)


def subject_of(project: Project, example: Example) -> Subject:
    """An example as it is explained and checked: as it would be trained on, with its passage beside it."""
    question, answer = prompt_and_answer(example)
    passage = "" if example.passage_id is None else project.passage(example.passage_id).text
    present = tuple(step.text for step in example.rationale)
    return Subject(example.id, question, answer, example.answer, passage, example.context, present)


def misplaced(project: Project, example: Example) -> list[int]:
    """The steps, counted from 1, whose citation does not stand at its place in the document."""
    return [
        number
        for number, step in enumerate(example.rationale, 1)
        if step.cited and not _stands(project, example, step.cited)
    ]


def _stands(project: Project, example: Example, cited: Evidence) -> bool:
    if example.document_id is None:
        return False
    try:
        text = project.page_text(example.document_id, cited.page)
    except UserError:
        return False
    return bool(cited.text) and text[cited.start : cited.end] == cited.text


class _Run(Filling[int]):
    """One run being filled; its keys are the examples' ids."""

    def __init__(
        self,
        project: Project,
        worker: Worker,
        run_id: int,
        model: ModelFile,
        prompts: Prompts,
        cancelled: Callable[[], bool],
        retries: Retries,
    ) -> None:
        super().__init__(project, worker, run_id, model, cancelled, retries)
        self.prompts = prompts
        self.finished = _done(project, project.run(run_id))
        self.nothing: set[int] = set(self.settings.get("nothing", ()))
        self.made = self._made_before()

    @property
    def at_once(self) -> int:
        return 200

    @property
    def made_any(self) -> bool:
        return bool(self.finished)

    def run(self) -> Iterator[RationaleItem]:
        """Works on what is open, and closes the run with how it ended."""
        return self.fill(self.settings["examples"])

    def open(self, key: int) -> bool:
        return key not in self.finished

    def ask(self, keys: list[int]) -> Iterator[RationaleItem]:
        found = {one.id: one for one in self.project.examples_by_id(keys)}
        for key in keys:
            if key not in found:
                yield self._give_up(key, "The example is no longer in the project.")
        subjects = [subject_of(self.project, found[key]) for key in keys if key in found]
        asked = {one.example_id: one for one in subjects}
        for item in self._from_child(subjects) if subjects else ():
            if isinstance(item, Drafted | Judged):
                yield from self._commit(asked[item.example_id], item)
                self.finished.add(item.example_id)
                self.retries.made()
            elif isinstance(item, NothingDrafted):
                yield self._give_up(item.example_id, item.reason)
                self.retries.made()
            elif isinstance(item, Usage):
                yield self._progress()
            else:
                yield item

    def give_up(self, key: int) -> Iterator[RationaleItem]:
        yield self._give_up(key, CRASHED)
        yield self._progress()

    def _give_up(self, key: int, reason: str) -> NothingDrafted:
        self.nothing.add(key)
        self.finished.add(key)
        self.project.add_settings(self.run_id, nothing=sorted(self.nothing))
        return NothingDrafted(key, reason)

    def _progress(self) -> Progress:
        return Progress(len(self.finished), len(self.settings["examples"]), self.made, len(self.nothing), self.usage)

    @abstractmethod
    def _made_before(self) -> int: ...

    @abstractmethod
    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]: ...

    @abstractmethod
    def _commit(self, subject: Subject, item: Any) -> Iterator[RationaleItem]: ...


class _Drafting(_Run):
    """Makes candidates; the best is committed last, and becomes the example's where it has no steps."""

    def _made_before(self) -> int:
        return len(self.project.rationales_of_run(self.run_id))

    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]:
        return self.from_child(draft_job, subjects, self.prompts, _plan(self.settings), self.seed)

    def _commit(self, subject: Subject, item: Drafted) -> Iterator[Rationale]:
        example, best = self.project.example(subject.example_id), item.candidates[0]
        drafts = [[self._step(example, one) for one in candidate.steps] for candidate in item.candidates]
        adopted = not example.rationale and not self.settings["instruction"]
        if adopted:
            _keep_verdict(self.project, self.run_id, replace(example, rationale=tuple(drafts[0])), best.verdict)
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


class _Checking(_Run):
    """Checks the steps that examples have, and keeps what it finds beside them."""

    def _made_before(self) -> int:
        return len(self.finished)

    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]:
        return self.from_child(check_job, subjects, self.prompts)

    def _commit(self, subject: Subject, item: Judged) -> Iterator[Checked]:
        example, verdict = self.project.example(subject.example_id), item.verdict
        if subject.present != tuple(step.text for step in example.rationale):
            return  # it was edited meanwhile: what was found is about other steps
        scores = _keep_verdict(self.project, self.run_id, example, verdict)
        self.made += 1
        yield Checked(example.id, verdict.leads, verdict.alone, verdict.gain, scores)


def _keep_verdict(project: Project, run_id: int, example: Example, verdict: Verdict | None) -> tuple[ScoreRow, ...]:
    """Commits what the checks of an example's steps show; without a verdict, those that need no model."""
    texts = [step.text for step in example.rationale]
    cited = sum(step.cited is not None for step in example.rationale)
    checks = [checking.last_step(texts, example.answer)]
    checks.append(checking.citations(misplaced(project, example), cited, len(texts)))
    scores = checking.scores(example.id, verdict) if verdict else ()
    if verdict:
        checks.append(checking.leads(verdict))
        project.add_scores(run_id, scores)
    project.set_checks({example.id: checks})
    return scores


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


def check_job(
    model: Path, settings: EngineSettings, subjects: list[Subject], prompts: Prompts
) -> Iterator[Loading | Loaded | Judged | Usage]:
    """The child's part: checks the steps that examples have, many at a time."""
    from core.engine import run_tasks

    yield from run_tasks(model, settings, lambda _: (checking.judge(one, prompts) for one in subjects))
