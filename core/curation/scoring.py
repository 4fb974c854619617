"""Runs that have a model judge examples by a rubric of 1 to 5, which go on where they stopped; and what to do with it.

After instruction backtranslation (Li et al., arXiv 2308.06259): the model gives a reason first, then the score. The
score is not a digit that is drawn, but the mean of the five by their probabilities, which tells more examples apart.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from core.documents.records import PAGE_BREAK
from core.engine.requests import (
    GREEDY,
    Adapter,
    Completion,
    EngineSettings,
    Loaded,
    Loading,
    Request,
    Score,
    Scores,
    Task,
    TooLong,
    Usage,
)
from core.errors import Cancelled, UserError
from core.exchange.formats import prompt_and_answer
from core.models.files import ModelFile, read_model
from core.project.project import CHUNK, Project
from core.project.records import GENERATED_KINDS, Example, ExampleFilter, Run, ScoreRow, wording
from core.questions.prompts import Prompts, load_prompts, refuse_changed
from core.retrying import Restarted, Retries
from core.runs import Filling, adapter_settings, found_adapter, kept_adapter, run_settings, same_model
from core.statistics import percentiles, resampled
from core.worker import Worker

# Names of what is kept: 1 to 5, and how likely it was to say a digit, with a fingerprint of the words that were judged.
RUBRIC, CERTAINTY = "rubric", "rubric_certainty"
KEEP = 4.5  # the score from which on backtranslation kept what it had scored
NEEDED = {"examples", "adapter", "engine"}  # of a run
RESAMPLES = 10_000

_DIGITS = ("1", "2", "3", "4", "5")
_REASON_TOKENS = 120
_REASON = r"root ::= [^\n<] [^\n<]{0,600}"  # one paragraph in which no tag begins: a model cannot think aloud


@dataclass(frozen=True)
class ScoreOptions:
    """What is to be scored, and by which model."""

    model: Path
    examples: tuple[int, ...] = ()  # empty: all drafts and accepted ones, but for those that were generated
    adapter: Adapter | None = None
    adapter_name: str = ""  # as the project calls it; empty: as its file is called
    seed: int = 0  # kept with the run; nothing is drawn
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Progress:
    """How far a run is: examples scored of all, and those that could not be."""

    run_id: int
    done: int
    total: int
    unscored: int
    usage: Usage


@dataclass(frozen=True)
class Scored:
    """An example's score from 1 to 5, with the model's reason; `certainty` is how likely it was to say a digit."""

    example_id: int
    value: float
    detail: str
    certainty: float


@dataclass(frozen=True)
class Unscored:
    """An example that the model could not judge, and why. A resumed run tries it again."""

    example_id: int
    reason: str


@dataclass(frozen=True)
class Subject:
    """What is judged: a question as it would be put, after what was said before it; `passage` is empty without one."""

    example_id: int
    question: str
    answer: str
    passage: str = ""


@dataclass(frozen=True)
class Compared:
    """The scores of examples that two runs have both scored: the second less the first, with its interval.

    `kept` are those scored at least `KEEP`. The interval is bootstrapped over passages.
    """

    n: int
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    kept_first: int
    kept_second: int


ScoreItem = Loading | Loaded | Progress | Scored | Unscored | Restarted


def score(
    project: Project,
    worker: Worker,
    options: ScoreOptions,
    cancelled: Callable[[], bool] = bool,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[ScoreItem, None, None]:
    """Starts a run and yields what happens; every Scored yielded has been committed.

    Raises UserError for a model, adapter or examples that cannot be used, TooManyCrashes, and Cancelled before there
    is a run.
    """
    model, prompts = judge_and_prompts(options.model)
    lora = options.adapter
    settings = {
        "examples": _to_score(project, options.examples),
        "adapter": adapter_settings(lora.path, lora.scale, cancelled, options.adapter_name) if lora else None,
        "engine": asdict(options.engine),
    }
    request = run_settings(
        "score", model, settings, options.seed, cancelled, prompts.style, prompts.version, prompts.texts
    )
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    run_id = project.start_run(request)
    yield from _Scoring(project, worker, run_id, model, prompts, cancelled, Retries(clock)).run()


def resume_scores(
    project: Project, worker: Worker, model: Path | None = None, cancelled: Callable[[], bool] = bool
) -> Generator[ScoreItem, None, None]:
    """Goes on with the last run that did not finish; what it scored is not scored again.

    `model` says where the model file is now, when it has moved. Raises UserError when there is nothing to resume, or
    when the model, its adapter or the prompts are not those that the run began with, and TooManyCrashes.
    """
    run = project.last_unfinished_run("score")
    if run is None:
        raise UserError("There is no unfinished run of scores in this project. Start a new one.")
    header = same_model(run, model, cancelled)
    prompts = load_prompts(header.prompt_style, RUBRIC)
    refuse_changed(run, prompts, NEEDED)
    adapter = run.request.settings["adapter"]
    if (found := found_adapter(project, adapter, cancelled)) != adapter:
        project.add_settings(run.id, adapter=found)
    project.resume_run(run.id)
    yield from _Scoring(project, worker, run.id, header, prompts, cancelled, Retries()).run()


def how_far(project: Project, run: Run) -> tuple[int, int]:
    """Examples scored and examples in all of a run that has begun."""
    done = len(project.scored(run.id))
    return done, max(done, len(run.request.settings.get("examples", ())))


def certainty(project: Project, run_id: int) -> float | None:
    """How likely a run's model was to answer with a digit, on average; None where it scored nothing.

    A model of which this is low does not do what it is asked, and its scores say little.
    """
    found = [row.value for row in project.scores_of_run(run_id) if row.name == CERTAINTY]
    return sum(found) / len(found) if found else None


def keep_scored(project: Project, threshold: float = KEEP, ids: Sequence[int] | None = None) -> int:
    """Accepts what scored at least `threshold` and rejects the rest, as one action that can be undone.

    Of these examples, or of all drafts: without being named, none that a person has decided on is touched. Those
    without a score of their present words stay as they are, and so do quarantined ones, whose evidence is not where it
    was. Returns how many changed.
    """
    quarantined = set(project.example_ids(ExampleFilter(state="quarantined")))
    named = project.example_ids(ExampleFilter(state="draft")) if ids is None else ids
    among = [id for id in named if id not in quarantined]
    scores = standing(project, among)
    states = {id: "accepted" if scores[id].value >= threshold else "rejected" for id in among if id in scores}
    return project.set_states(states, f"Keep what scored {threshold:g} or more of {{}}")


def standing(project: Project, ids: Sequence[int]) -> dict[int, ScoreRow]:
    """The newest scores of these examples, but for those whose question or answer was edited since."""
    scores, judged = project.scores(RUBRIC, ids), project.scores(CERTAINTY, ids)
    scored, found = [id for id in ids if id in scores], dict[int, ScoreRow]()
    for start in range(0, len(scored), CHUNK):
        for example in project.examples_by_id(scored[start : start + CHUNK]):
            if is_of(judged.get(example.id), example):
                found[example.id] = scores[example.id]
    return found


def is_of(judged: ScoreRow | None, example: Example) -> bool:
    """Whether a score is of the example's words as they are; of one that does not say it is believed."""
    return judged is None or judged.detail in ("", wording(example, steps=False))


def compare_scores(project: Project, first: int, second: int) -> Compared:
    """How two runs scored the same examples, as before and after tuning.

    Raises UserError for a run of another kind, and when they share none.
    """
    for run in (project.run(first), project.run(second)):
        if run.request.kind != "score":
            raise UserError(f"Run {run.id} is of the kind “{run.request.kind}” and gave no scores. Name two that did.")
    before, after = (
        {row.example_id: row.value for row in project.scores_of_run(run_id) if row.name == RUBRIC}
        for run_id in (first, second)
    )
    both = sorted(before.keys() & after.keys())
    if not both:
        raise UserError(f"Runs {first} and {second} scored none of the same examples, so they cannot be compared.")
    passages = project.passages_of(both)
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for id in both:
        groups[passages.get(id) or -id].append(after[id] - before[id])  # one without a passage stands for itself
    sums = np.array([(sum(changes), len(changes)) for changes in groups.values()], np.float64)
    totals = resampled(sums, RESAMPLES, 0)
    interval = percentiles(totals[:, 0] / totals[:, 1]) if len(groups) > 1 else None
    n = len(both)
    return Compared(
        n,
        sum(before[id] for id in both) / n,
        sum(after[id] for id in both) / n,
        float(sums[:, 0].sum()) / n,
        *(interval or (None, None)),
        sum(before[id] >= KEEP for id in both),
        sum(after[id] >= KEEP for id in both),
    )


def judge(subject: Subject, prompts: Prompts) -> Task[Scored | Unscored]:
    """The task that scores one example: a short reason, word by likeliest word, then the five digits' probabilities."""
    task = "judge" if subject.passage else "judge_alone"
    asked = prompts.messages(task, question=subject.question, answer=subject.answer, passage=subject.passage)
    done: Completion = yield Request(asked, _REASON_TOKENS, GREEDY, constraint=_REASON)
    too_long = Unscored(subject.example_id, "Its text is too long for this model.")
    if done.finish == "context":
        return too_long
    reason = " ".join(done.text.split())
    try:
        talk = (*asked, ("assistant", reason), ("user", prompts.texts["score"]))
        answer: Scores = yield Score(talk, _DIGITS, letters=True)
    except TooLong:
        return too_long
    return Scored(subject.example_id, expected(answer), reason, sum(math.exp(one.sum) for one in answer.options))


def expected(scores: Scores) -> float:
    """The mean of the digits 1 to 5 by their probabilities, which are taken to make one together."""
    return sum(digit * share for digit, share in enumerate(scores.shares, 1))


def judge_and_prompts(path: Path) -> tuple[ModelFile, Prompts]:
    """A model and its prompts. Raises UserError when it cannot judge."""
    model = read_model(path)
    if model.is_embedding:
        raise UserError(f"{model.name} makes vectors and no text, so it cannot judge. Choose another model.")
    prompts = load_prompts(model.prompt_style, RUBRIC)
    if not prompts.texts:
        raise UserError(
            f"{model.name} was made for a few tasks, and to judge examples is none of them. "
            "Choose a model that follows instructions, or use the rules alone, which need no model."
        )
    return model, prompts


def _to_score(project: Project, named: Sequence[int]) -> list[int]:
    if named:
        if missing := set(named) - set(project.example_ids()):
            raise UserError(f"There is no question {min(missing)} in {project.path.name}.")
        return sorted(set(named))
    generated = {id for kind in GENERATED_KINDS for id in project.example_ids(ExampleFilter(kind=kind))}
    found = [id for state in ("draft", "accepted") for id in project.example_ids(ExampleFilter(state=state))]
    if not (wanted := sorted(set(found) - generated)):
        raise UserError("There is nothing to score: the project has no drafts and no accepted questions.")
    return wanted


class _Scoring(Filling[int]):
    """One run being filled; the keys are ids of examples."""

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
        self.prompts, self.examples = prompts, self.settings["examples"]
        self.finished = project.scored(run_id)
        self.lost: set[int] = set()

    @property
    def made_any(self) -> bool:
        return bool(self.finished)

    def run(self) -> Iterator[ScoreItem]:
        """Scores what was not scored yet, and closes the run with how it ended."""
        return self.fill(self.examples)

    def begin(self) -> Iterator[ScoreItem]:
        yield self._progress()

    def open(self, key: int) -> bool:
        return key not in self.finished and key not in self.lost

    def ask(self, keys: list[int]) -> Iterator[ScoreItem]:
        examples = self.project.examples_by_id(keys)
        for id in set(keys) - {example.id for example in examples}:
            yield self._lose(Unscored(id, "It is no longer in the project."))
        subjects = [_subject(self.project, example) for example in examples]
        judged = {example.id: wording(example, steps=False) for example in examples}
        for item in self.from_child(score_job, kept_adapter(self.settings["adapter"]), subjects, self.prompts):
            if isinstance(item, Scored):
                rows = [
                    ScoreRow(item.example_id, RUBRIC, item.value, item.detail),
                    ScoreRow(item.example_id, CERTAINTY, item.certainty, judged[item.example_id]),
                ]
                self.project.add_scores(self.run_id, rows)
                self.finished.add(item.example_id)
                self.retries.made()
                yield item
            elif isinstance(item, Unscored):
                yield self._lose(item)
            elif isinstance(item, Usage):
                yield self._progress()
            else:
                yield item

    def give_up(self, key: int) -> Iterator[ScoreItem]:
        yield self._lose(Unscored(key, "The model's process crashed on it."))
        yield self._progress()

    def _lose(self, item: Unscored) -> Unscored:
        self.lost.add(item.example_id)
        return item

    def _progress(self) -> Progress:
        done, total = len(self.finished), max(len(self.finished), len(self.examples))
        return Progress(self.run_id, done, total, len(self.lost), self.usage)


def _subject(project: Project, example: Example) -> Subject:
    question, answer = prompt_and_answer(example)
    said = [f"{role}: {text}" for role, text in example.context]
    if said:
        question = "\n".join([*said, f"user: {question}"])
    passage = "" if example.passage_id is None else project.passage(example.passage_id).text.replace(PAGE_BREAK, "\n")
    return Subject(example.id, question, answer, passage)


def score_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, subjects: list[Subject], prompts: Prompts
) -> Iterator[Loading | Loaded | Scored | Unscored | Usage]:
    """The child's part: loads the model, or finds it warm, and judges, many at a time."""
    from core.engine import run_tasks

    yield from run_tasks(model, settings, lambda _: (judge(subject, prompts) for subject in subjects), adapter)
