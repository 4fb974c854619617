"""Runs a project's passages through a model and commits each question as it is made; resumes where a run stopped."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from core.documents.passages import rectangles
from core.engine.requests import EngineSettings, Loaded, Loading, Sampling, Usage
from core.errors import Cancelled, UserError
from core.models.files import ModelFile, read_model
from core.project.project import Project
from core.project.records import (
    KINDS,
    WITHOUT_EVIDENCE,
    Check,
    Discard,
    Evidence,
    Example,
    ExampleDraft,
    Run,
    RunSettings,
)
from core.questions import checks, spans
from core.questions.make import MadeQuestion, NothingMade, Slot, make_question
from core.questions.prompts import Prompts, load_prompts, refuse_changed
from core.retrying import Restarted, Retries
from core.runs import CRASHED, Filling, run_settings, same_model
from core.worker import Worker

NEEDED = {"kinds", "per_passage", "limit", "language", "documents", "last_passage", "sampling", "engine"}  # of a run


@dataclass(frozen=True)
class AskOptions:
    """What a run is to make."""

    model: Path
    kinds: tuple[str, ...] = ()  # empty: what the model's prompt style recommends
    per_passage: int = 2
    limit: int | None = None  # questions
    language: str = ""  # empty: the language of the passage
    seed: int = 0
    documents: tuple[int, ...] = ()  # empty: all
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Progress:
    """How far a run is: slots done of all, rows committed, slots that gave nothing."""

    done: int
    total: int
    made: int
    discarded: int
    usage: Usage


@dataclass(frozen=True)
class Replaced:
    """A question was asked again: the example that was made, in place of the one that was rejected for it."""

    old: int
    new: int


AskItem = Loading | Loaded | Progress | Example | Discard | Replaced | Restarted
_Key = tuple[int, int, str]  # of a slot: passage, number, kind


def ask(
    project: Project,
    worker: Worker,
    options: AskOptions,
    cancelled: Callable[[], bool] = bool,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[AskItem, None, None]:
    """Starts a run and yields what happens; every Example yielded has been committed.

    Once `cancelled()` is true, or after `worker.cancel()`, the run ends as cancelled. When the child dies, the run
    goes on in a fresh one; `clock` (seconds) tells how fast crashes follow each other. Raises UserError for a model,
    kind or project that cannot do it, TooManyCrashes, and Cancelled before there is a run.
    """
    model = read_model(options.model)
    prompts = load_prompts(model.prompt_style)
    _refuse_impossible(project, prompts, options)
    kinds = options.kinds or prompts.default_kinds
    settings = {
        "kinds": list(kinds),
        "per_passage": options.per_passage,
        "limit": options.limit,
        "language": options.language,
        "documents": list(options.documents),
        "last_passage": max(passage_id for passage_id, _ in project.passage_keys()),
        "set_aside": _set_aside(project),
        "sampling": asdict(Sampling(temperature=prompts.temperature)),
        "engine": asdict(options.engine),
    }
    request = _request("ask", model, prompts, settings, options.seed, cancelled)
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    run_id = project.start_run(request)
    yield from _Run(project, worker, run_id, model, prompts, cancelled, Retries(clock)).run()


def resume(
    project: Project, worker: Worker, model: Path | None = None, cancelled: Callable[[], bool] = bool
) -> Generator[AskItem, None, None]:
    """Goes on with the last run that did not finish; what it made is not made again.

    `model` says where the model file is now, when it has moved. Raises UserError when there is nothing to resume, or
    when the model or the prompts are not those that the run began with, and TooManyCrashes.
    """
    run = project.last_unfinished_run("ask")
    if run is None:
        raise UserError("There is no unfinished run in this project. Start a new one.")
    header = same_model(run, model, cancelled)
    prompts = load_prompts(header.prompt_style)
    refuse_changed(run, prompts, NEEDED)
    project.resume_run(run.id)
    yield from _Run(project, worker, run.id, header, prompts, cancelled, Retries()).run()


def ask_again(
    project: Project,
    worker: Worker,
    example_id: int,
    model: Path | None = None,
    cancelled: Callable[[], bool] = bool,
) -> Generator[AskItem, None, None]:
    """Makes another question in place of one: of the same passage, kind and slot, with another seed.

    It is a run of its own, with the settings of the run that the first came from. The new question stands beside the
    old one, which is rejected (an action that can be undone); when nothing comes of it, the old one stays as it is.
    `model` says where the model file is now. Raises UserError when it, or its prompts for this kind, are not there,
    and for an example that comes from no passage.
    """
    old = project.example(example_id)
    if old.passage_id is None:
        raise UserError(
            f"Question {old.id} was generated and comes from no passage, so it cannot be asked again. "
            "Edit it by hand, or reject it."
        )
    earlier = project.run(old.run_id).request
    header = read_model(model or Path(earlier.model_path))
    prompts = load_prompts(header.prompt_style)
    if old.kind not in prompts.kinds:
        raise UserError(f"{header.name} cannot ask {old.kind} questions. Choose another model and start a new run.")
    settings = {**earlier.settings, "slots": [[old.passage_id, old.slot, old.kind]], "limit": None, "replaces": old.id}
    seed = old.seed + len(project.runs())
    request = _request("ask_again", header, prompts, settings, seed, cancelled)
    if cancelled():
        raise Cancelled("Cancelled before the question was asked again.")
    run = _Run(project, worker, project.start_run(request), header, prompts, cancelled, Retries())
    for item in run.run():
        yield item
        if isinstance(item, Example) and item.state != "quarantined":
            project.set_state([old.id], "rejected")
            yield Replaced(old.id, item.id)


def count_slots(project: Project, options: AskOptions) -> int:
    """How many questions a run with these options would try to make."""
    wanted, aside = set(options.documents), set(_set_aside(project))
    passages = sum(
        (not wanted or document_id in wanted) and passage_id not in aside
        for passage_id, document_id in project.passage_keys()
    )
    slots = passages * options.per_passage
    return slots if options.limit is None else min(slots, options.limit)


def how_far(project: Project, run: Run) -> tuple[int, int]:
    """Slots done and slots in all of a run that has begun."""
    settings, done = run.request.settings, len(project.done_slots(run.id))
    if NEEDED - settings.keys():  # a file from elsewhere
        return done, done
    return done, sum(1 for _ in islice(_slots(project, settings), settings["limit"]))


def _slots(project: Project, settings: dict[str, Any]) -> Iterator[_Key]:
    """Every slot of a run in order, done or not: the same at every resume."""
    if "slots" in settings:
        yield from ((passage_id, number, kind) for passage_id, number, kind in settings["slots"])
        return
    wanted, kinds, count = settings["documents"], settings["kinds"], settings["per_passage"]
    aside = set(settings.get("set_aside", ()))  # which older runs knew nothing of
    ordinal = 0
    for passage_id, document_id in project.passage_keys():
        if passage_id > settings["last_passage"] or (wanted and document_id not in wanted) or passage_id in aside:
            continue
        for number in range(count):
            yield passage_id, number, kinds[ordinal % len(kinds)]
            ordinal += 1


def _set_aside(project: Project) -> list[int]:
    """The passages of which nothing is to be asked."""
    return [id for id, mark in project.passage_marks().items() if mark.set_aside]


def _refuse_impossible(project: Project, prompts: Prompts, options: AskOptions) -> None:
    for kind in options.kinds:
        if kind not in KINDS:
            raise UserError(f"There is no kind of question called “{kind}”. The kinds are: {', '.join(KINDS)}.")
        if kind not in prompts.kinds:
            raise UserError(
                f"This model cannot ask {kind} questions, only: {', '.join(prompts.kinds)}. "
                "Choose among these kinds, or another model."
            )
    if options.language and not prompts.writes_any_language:
        raise UserError("This model writes in one language only. Name no language, or choose another model.")
    if options.per_passage < 1:
        raise UserError("At least one question a passage must be asked for.")
    if options.limit is not None and options.limit < 1:
        raise UserError("The limit must be at least 1.")
    if not project.passage_keys():
        raise UserError("The project has no passages to ask about. Add a PDF with text first.")
    if _set_aside(project) and not count_slots(project, options):
        raise UserError(
            "All passages that were chosen are set aside as not worth asking about. Restore them, or choose others."
        )


def _request(
    kind: str,
    model: ModelFile,
    prompts: Prompts,
    settings: dict[str, Any],
    seed: int,
    cancelled: Callable[[], bool],
) -> RunSettings:
    return run_settings(kind, model, settings, seed, cancelled, prompts.style, prompts.version, prompts.texts)


class _Run(Filling[_Key]):
    """One run being filled: hands slots to the child and commits what comes back."""

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
        self.duplicates = checks.Duplicates()
        for example_id, question in project.questions():
            if example_id != self.settings.get("replaces"):
                self.duplicates.add(example_id, question)
        self.finished = project.done_slots(run_id)
        self.plan = list(islice(_slots(project, self.settings), self.settings["limit"]))
        self.discarded = len(project.discards(run_id))

    @property
    def made(self) -> int:
        """Rows of this run."""
        return len(self.finished) - self.discarded

    @property
    def made_any(self) -> bool:
        return bool(self.finished)

    def _progress(self) -> Progress:
        return Progress(len(self.finished), len(self.plan), self.made, self.discarded, self.usage)

    def run(self) -> Iterator[AskItem]:
        """Fills the slots that are open and closes the run with how it ended."""
        return self.fill(self.plan)

    def open(self, key: _Key) -> bool:
        return key[:2] not in self.finished

    def related(self, key: _Key, other: _Key) -> bool:
        return key[0] == other[0]  # of the same passage

    def give_up(self, key: _Key) -> Iterator[AskItem]:
        yield self._commit_discard(NothingMade(self._slot(*key), CRASHED))
        yield self._progress()

    def _slot(self, passage_id: int, number: int, kind: str) -> Slot:
        return Slot(passage_id, self.project.passage(passage_id).text, number, self.settings["per_passage"], kind)

    def ask(self, keys: list[_Key]) -> Iterator[AskItem]:
        slots, sampling = [self._slot(*key) for key in keys], Sampling(**self.settings["sampling"])
        language = self.settings["language"]
        for item in self.from_child(ask_job, slots, self.prompts, language, sampling, self.seed):
            if isinstance(item, MadeQuestion):
                yield self._commit(item)
            elif isinstance(item, NothingMade):
                yield self._commit_discard(item)
            elif isinstance(item, Usage):
                yield self._progress()
            else:
                yield item

    def _commit(self, made: MadeQuestion) -> Example:
        passage = self.project.passage(made.slot.passage_id)
        evidence = None
        if made.evidence and (place := spans.locate(passage.parts, *made.evidence)):
            page = self.project.page(passage.document_id, place[0])
            text = page.text[place[1] : place[2]]
            evidence = Evidence(*place, text, rectangles(page, place[1], place[2]))
        verbatim = Check("verbatim", evidence is not None or made.slot.kind in WITHOUT_EVIDENCE)
        draft = ExampleDraft(
            passage_id=passage.id,
            slot=made.slot.number,
            kind=made.slot.kind,
            question=made.question,
            answer=made.answer,
            evidence=evidence,
            choices=made.choices,
            checks=(verbatim, *made.checks, self.duplicates.check(made.question)),
            attempts=made.attempts,
        )
        example_id = self.project.add_example(self.run_id, draft)
        self.duplicates.add(example_id, made.question)
        self.finished.add((passage.id, made.slot.number))
        self.retries.made()
        return self.project.example(example_id)

    def _commit_discard(self, nothing: NothingMade) -> Discard:
        slot = nothing.slot
        discard = Discard(slot.passage_id, slot.number, slot.kind, nothing.reason)
        self.project.add_discard(self.run_id, discard)
        self.finished.add((slot.passage_id, slot.number))
        self.retries.made()
        self.discarded += 1
        return discard


def ask_job(
    model: Path,
    settings: EngineSettings,
    slots: list[Slot],
    prompts: Prompts,
    language: str,
    sampling: Sampling,
    seed: int,
) -> Iterator[Loading | Loaded | MadeQuestion | NothingMade | Usage]:
    """The child's part: loads the model, or finds it warm, and fills the slots, many at a time."""
    from core.engine import run_tasks

    yield from run_tasks(
        model, settings, lambda _: (make_question(slot, prompts, language, sampling, seed) for slot in slots)
    )
