"""What the runs that draft rationales and those that check them have in common: models, examples, going on."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.engine.requests import Loaded, Loading, Usage
from core.errors import Cancelled, UserError
from core.exchange.formats import prompt_and_answer
from core.models.files import ModelFile, read_model
from core.project.project import Project
from core.project.records import Example, ExampleFilter, Rationale, Run
from core.questions.prompts import RATIONALE, Prompts, load_prompts, refuse_changed
from core.rationales.records import Checked, Drafted, Judged, NothingDrafted, Progress, Subject
from core.retrying import Restarted, Retries
from core.runs import CRASHED, Filling, run_settings, same_model
from core.worker import Worker

DRAFTS, CHECKS = "rationales", "rationale_check"  # kinds of runs
NEEDED = frozenset({"examples", "engine"})  # of either

RationaleItem = Loading | Loaded | Progress | Rationale | NothingDrafted | Checked | Restarted


def model_and_prompts(path: Path) -> tuple[ModelFile, Prompts]:
    """A model and its prompts. Raises UserError when it cannot explain."""
    model = read_model(path)
    if model.is_embedding:
        raise UserError(f"{model.name} makes vectors and no text. Choose another model.")
    prompts = load_prompts(model.prompt_style, RATIONALE)
    if not prompts.explains:
        raise UserError(
            f"{model.name} has prompts of the style “{prompts.style}”, which has none for rationales. "
            "Choose another model."
        )
    return model, prompts


def chosen(project: Project, named: Sequence[int], *otherwise: ExampleFilter) -> Iterator[Example]:
    """The examples that a user named, each once; where none are, those that any of the filters lets through.

    Raises UserError for one that is not there.
    """
    ids = list(dict.fromkeys(named)) or sorted(id for filter in otherwise for id in project.example_ids(filter))
    found = set[int]()
    for one in by_id(project, ids):
        found.add(one.id)
        yield one
    if missing := set(named) - found:
        raise UserError(f"There is no question {min(missing)} in this project.")


def by_id(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    """The examples with these ids, some hundreds at a time."""
    for start in range(0, len(ids), 500):
        yield from project.examples_by_id(ids[start : start + 500])


def start(
    project: Project,
    kind: str,
    model: ModelFile,
    prompts: Prompts,
    settings: dict[str, Any],
    seed: int,
    cancelled: Callable[[], bool],
) -> int:
    """Starts a run in the project and gives its number. Raises Cancelled."""
    request = run_settings(kind, model, settings, seed, cancelled, prompts.style, prompts.version, prompts.texts)
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    return project.start_run(request)


def resumed(
    project: Project, kind: str, model: Path | None, cancelled: Callable[[], bool], needed: frozenset[str] = NEEDED
) -> tuple[int, ModelFile, Prompts]:
    """The last run of a kind that did not finish, which is running again, with its model and prompts.

    Raises UserError when there is none, or when the model or the prompts are not those that it began with.
    """
    run = project.last_unfinished_run(kind)
    if run is None:
        raise UserError("There is no unfinished run of rationales in this project. Start a new one.")
    header = same_model(run, model, cancelled)
    prompts = load_prompts(header.prompt_style, RATIONALE)
    refuse_changed(run, prompts, needed)
    project.resume_run(run.id)
    return run.id, header, prompts


def how_far(project: Project, run: Run) -> tuple[int, int]:
    """Examples done and examples in all of a run that has begun."""
    done = _done(project, run)
    listed = run.request.settings.get("examples")
    return len(done), max(len(done), len(listed) if isinstance(listed, list) else 0)


def _done(project: Project, run: Run) -> set[int]:
    """The examples of a run that nothing is left to be made of."""
    if run.request.kind == CHECKS:
        return project.scored(run.id) | _nothing(run)
    # The best candidate is committed last: where it is, all are.
    return {one.example_id for one in project.rationales_of_run(run.id) if one.slot == 0} | _nothing(run)


def _nothing(run: Run) -> set[int]:
    """The examples that a run could make nothing of; the settings may be a stranger's."""
    listed = run.request.settings.get("nothing")
    return {id for id in listed if type(id) is int} if isinstance(listed, list) else set()


def subject_of(project: Project, example: Example) -> Subject:
    """An example as it is explained and checked: as it would be trained on, with its passage beside it."""
    question, answer = prompt_and_answer(example)
    passage = "" if example.passage_id is None else project.passage(example.passage_id).text
    present = tuple(step.text for step in example.rationale)
    return Subject(example.id, question, answer, example.answer, passage, example.context, present)


def same(subject: Subject, example: Example) -> bool:
    """Whether question, answer and steps are still those that the model was shown."""
    present = tuple(step.text for step in example.rationale)
    return (subject.question, subject.answer, subject.present) == (*prompt_and_answer(example), present)


class RationaleRun(Filling[int]):
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
        run = project.run(run_id)
        self.finished, self.nothing = _done(project, run), _nothing(run)
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

    def begin(self) -> Iterator[RationaleItem]:
        yield self._progress()

    def open(self, key: int) -> bool:
        return key not in self.finished

    def lacks(self, example: Example) -> str:
        """What an example no longer has and is needed, as a sentence; empty where it has all."""
        return "" if example.answer.strip() else "It has no answer."

    def ask(self, keys: list[int]) -> Iterator[RationaleItem]:
        found = {one.id: one for one in self.project.examples_by_id(keys)}
        for key in keys:
            if key not in found:
                yield self._give_up(key, "It is no longer in the project.")
            elif why := self.lacks(found[key]):
                yield self._give_up(key, why)
        subjects = [subject_of(self.project, found[key]) for key in keys if self.open(key)]
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
        done, total = len(self.finished), len(self.settings["examples"])
        return Progress(self.run_id, done, total, self.made, len(self.nothing), self.usage)

    @abstractmethod
    def _made_before(self) -> int: ...

    @abstractmethod
    def _from_child(self, subjects: list[Subject]) -> Iterator[Any]: ...

    @abstractmethod
    def _commit(self, subject: Subject, item: Any) -> Iterator[RationaleItem]: ...
