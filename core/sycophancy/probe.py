"""Asks a model a suite of probes, commits what it answers item by item, and goes on where a run stopped."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.engine.requests import Adapter, EngineSettings, Loaded, Loading, Task, Usage
from core.errors import Cancelled, UserError
from core.models.files import ModelFile, read_model
from core.project.probes import Item, Response
from core.project.project import Project
from core.project.records import Run
from core.retrying import Restarted, Retries
from core.runs import Filling, adapter_settings, found_adapter, kept_adapter, run_settings, same_model
from core.sycophancy import suites
from core.sycophancy.responding import METHODS, respond
from core.sycophancy.wordings import load_wordings
from core.worker import Worker

NEEDED = {"suite", "items", "language", "method", "published", "adapter", "engine"}  # of a run


@dataclass(frozen=True)
class ProbeOptions:
    """What is to be asked of which model."""

    model: Path
    suite: str
    items: int = 200
    seed: int = 0
    language: str = "en"
    method: str = "score"  # one of METHODS
    published: bool = False  # as SycoBench was published: greedy, at most 4 tokens, the first wrong letter suggested
    adapter: Path | None = None
    scale: float = 1.0
    adapter_name: str = ""  # as the project calls it; empty: as its file is called
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Progress:
    """How far a run is: items answered of all."""

    run_id: int
    done: int
    total: int
    usage: Usage


@dataclass(frozen=True)
class ItemAnswered:
    """The responses to one item, from the child."""

    ordinal: int
    responses: tuple[Response, ...]


ProbeItem = Loading | Loaded | Progress | Restarted


def probe(
    project: Project, worker: Worker, options: ProbeOptions, cancelled: Callable[[], bool] = bool
) -> Generator[ProbeItem, None, None]:
    """Starts a run and yields what happens; every item counted in a Progress has been committed.

    The same suite, seed, language and number of items ask the very same of any model. Raises UserError for a model,
    suite or adapter that cannot be used, TooManyCrashes, and Cancelled before there is a run.
    """
    model = chat_model(options.model)
    if options.method not in METHODS:
        raise UserError(f"There is no method called “{options.method}”. The methods are: {', '.join(METHODS)}.")
    items = suites.build(options.suite, project, options.items, options.seed, options.language, options.published)
    words = load_wordings(options.language)
    settings = {
        "suite": options.suite,
        "protocol": items[0].protocol,
        "items": len(items),
        "language": options.language,
        "method": "grammar" if options.published else options.method,
        "published": options.published,
        "adapter": adapter_settings(options.adapter, options.scale, cancelled, options.adapter_name),
        "engine": asdict(options.engine),
    }
    texts = {f"{words.code}.toml": words.source}
    request = run_settings("probe", model, settings, options.seed, cancelled, "chat", words.version, texts)
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    run_id = project.start_run(request, items)
    yield from _Probe(project, worker, run_id, model, cancelled, Retries()).run()


def resume(
    project: Project,
    worker: Worker,
    run_id: int | None = None,
    model: Path | None = None,
    cancelled: Callable[[], bool] = bool,
) -> Generator[ProbeItem, None, None]:
    """Goes on with a run that did not finish, the last one where none is named; asks what was not answered.

    `model` says where the model file is now, when it has moved. Raises UserError when there is nothing to resume, or
    when the model or the adapter are not those that the run began with, and TooManyCrashes.
    """
    run = project.last_unfinished_run("probe") if run_id is None else project.run(run_id)
    if run is None or run.request.kind != "probe" or run.state in ("finished", "running"):
        raise UserError("There is no probe of this kind that stopped before its end. Start a new one.")
    if NEEDED - run.request.settings.keys():
        raise UserError(f"The settings of run {run.id} are not whole, so it cannot go on. Start a new run.")
    header = same_model(run, model, cancelled)
    adapter = run.request.settings["adapter"]
    if (found := found_adapter(project, adapter, cancelled)) != adapter:
        project.add_settings(run.id, adapter=found)
    project.resume_run(run.id)
    yield from _Probe(project, worker, run.id, header, cancelled, Retries()).run()


def how_far(project: Project, run: Run) -> tuple[int, int]:
    """Items answered and items in all of a run that has begun."""
    done = len(project.done_items(run.id))
    return done, max(done, int(run.request.settings.get("items", 0)))


def probe_runs(project: Project) -> list[Run]:
    """All runs of probes, oldest first."""
    return [run for run in project.runs() if run.request.kind == "probe"]


def probe_run(project: Project, run_id: int) -> Run:
    """A run of probes. Raises UserError when there is none with this number."""
    run = project.run(run_id)
    if run.request.kind != "probe":
        raise UserError(f"Run {run_id} is no probe. The probes of a project are listed by: elenchus probes PROJECT.")
    return run


def chat_model(path: Path) -> ModelFile:
    """A model that a conversation can be held with. Raises UserError when it cannot."""
    model = read_model(path)
    if model.is_embedding:
        raise UserError(f"{model.name} makes vectors and no text, so it cannot be probed. Choose another model.")
    if model.chat_template is None:
        raise UserError(
            f"{model.name} has no chat template, so it is not made for conversations, and how it yields in one would "
            "say nothing. Choose a model that was tuned for chat (often called “instruct” or “it”)."
        )
    return model


class _Probe(Filling[int]):
    """One run being filled; its keys are the items' places."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.items = [answered.item for answered in self.project.answered(self.run_id)]
        self.finished = self.project.done_items(self.run_id)
        self.lost: set[int] = set()

    @property
    def made_any(self) -> bool:
        return bool(self.finished)

    def run(self) -> Iterator[ProbeItem]:
        """Asks what was not answered yet, and closes the run with how it ended."""
        return self.fill(range(len(self.items)))

    def begin(self) -> Iterator[ProbeItem]:
        yield self._progress()

    def open(self, key: int) -> bool:
        return key not in self.finished and key not in self.lost

    def ask(self, keys: list[int]) -> Iterator[ProbeItem]:
        adapter, items = kept_adapter(self.settings["adapter"]), [(key, self.items[key]) for key in keys]
        letter = load_wordings(self.settings["language"])
        letter = letter.as_published().letter if self.settings["published"] else letter.letter
        for item in self.from_child(probe_job, adapter, items, self.settings["method"], letter):
            if isinstance(item, ItemAnswered):
                self.project.add_responses(self.run_id, item.ordinal, item.responses)
                self.finished.add(item.ordinal)
                self.retries.made()
            elif isinstance(item, Usage):
                yield self._progress()
            else:
                yield item

    def give_up(self, key: int) -> Iterator[ProbeItem]:
        self.lost.add(key)  # it stays without an answer, and counts as not asked
        yield self._progress()

    def _progress(self) -> Progress:
        return Progress(self.run_id, len(self.finished), len(self.items), self.usage)


def probe_job(
    model: Path,
    settings: EngineSettings,
    adapter: Adapter | None,
    items: list[tuple[int, Item]],
    method: str,
    letter: str,
) -> Iterator[Loading | Loaded | ItemAnswered | Usage]:
    """The child's part: loads the model, or finds it warm, and asks the items, many at a time."""
    from core.engine import run_tasks

    def task(ordinal: int, item: Item) -> Task[ItemAnswered]:
        return ItemAnswered(ordinal, tuple((yield from respond(item, method, letter))))

    yield from run_tasks(model, settings, lambda _: (task(*one) for one in items), adapter)
