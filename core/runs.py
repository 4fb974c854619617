"""What all runs of a model over a project have in common: settings, batches, commits, going on after crashes."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import core
from core.engine.requests import Adapter, EngineSettings, Loaded, Usage
from core.engine.stepping import HANG_TIMEOUT, SteppingDown
from core.errors import UserError
from core.models.checksum import sha256
from core.models.files import ModelFile, read_model
from core.project.project import Project
from core.project.records import Run, RunSettings
from core.retrying import Restarted, Retries
from core.worker import Worker, WorkerDied

K = TypeVar("K")

CRASHED = "The model's process crashed on it."


def run_settings(
    kind: str,
    model: ModelFile,
    settings: dict[str, Any],
    seed: int,
    cancelled: Callable[[], bool],
    style: str = "",
    version: str = "",
    prompts: dict[str, str] | None = None,
) -> RunSettings:
    """All that is needed to repeat a run with a model, which is read for its checksum. Raises Cancelled."""
    from importlib.metadata import version as version_of

    return RunSettings(
        kind=kind,
        model_path=str(model.path.resolve()),
        model_name=model.name,
        model_sha256=sha256(model.path, cancelled),
        quantisation=model.quantisation,
        prompt_style=style,
        prompt_version=version,
        prompts=prompts or {},
        settings=settings,
        seed=seed,
        app_version=core.__version__,
        engine_version=f"llama-cpp-python {version_of('llama-cpp-python')}",
    )


def same_model(run: Run, path: Path | None, cancelled: Callable[[], bool]) -> ModelFile:
    """The model of a run that is to go on; `path` says where it is now, when it has moved.

    Raises UserError when it is another file, and Cancelled.
    """
    model = read_model(path or Path(run.request.model_path))
    if sha256(model.path, cancelled) != run.request.model_sha256:
        raise UserError(
            f"Run {run.id} was begun with the model {run.request.model_name}, and {model.path} is another file. "
            "Give the same model file, or start a new run."
        )
    return model


def adapter_settings(
    path: Path | None, scale: float, cancelled: Callable[[], bool], name: str = ""
) -> dict[str, Any] | None:
    """What a run keeps of its adapter. Raises UserError when the file cannot be read, and Cancelled."""
    if path is None:
        return None
    whole = path.resolve()
    return {"path": str(whole), "name": name or path.stem, "sha256": sha256(whole, cancelled), "scale": scale}


def found_adapter(
    project: Project, settings: dict[str, Any] | None, cancelled: Callable[[], bool]
) -> dict[str, Any] | None:
    """What a run keeps of its adapter, with where it is now: a copy of the project's own may have been cleared away.

    Raises UserError when it is in neither place as it was, and Cancelled.
    """
    if settings is None:
        return None
    path = Path(settings["path"])
    if path.is_file() and sha256(path, cancelled) == settings["sha256"]:
        return settings
    for adapter in project.adapters():
        if adapter.sha256 == settings["sha256"]:
            return {**settings, "path": str(project.adapter_file(adapter.id))}
    raise UserError(
        f"The run was begun with another state of the adapter {settings['name']}, or it is no longer at {path}. "
        "Put it back, or start a new run."
    )


def kept_adapter(settings: dict[str, Any] | None) -> Adapter | None:
    """The adapter that a run was begun with."""
    return Adapter(Path(settings["path"]), float(settings["scale"])) if settings else None


class Filling(ABC, Generic[K]):
    """One run being filled: hands keys to the worker's child, and commits what comes back of each.

    Keys are of any kind that can be hashed; what each is, and what is made of it, the classes below this one know.
    """

    def __init__(
        self,
        project: Project,
        worker: Worker,
        run_id: int,
        model: ModelFile,
        cancelled: Callable[[], bool],
        retries: Retries,
    ) -> None:
        self.project, self.run_id, self.model = project, run_id, model
        self.cancelled, self.retries = cancelled, retries
        run = project.run(run_id)
        self.settings, self.seed = run.request.settings, run.request.seed
        self.usage = Usage(**run.usage.get("engine", {}))
        self._stepping = SteppingDown(worker)
        self._todo: deque[K] = deque()
        self._suspects: deque[K] = deque()  # to be asked at the end, one by one
        self._struck: set[K] = set()  # the child died while it was asked this alone
        self._careful = 0  # keys still to be asked one by one
        self._loaded = False  # whether the model came up in the last child

    # What a kind of run says of itself.

    @property
    def at_once(self) -> int:
        """Keys that are handed to the child in one message."""
        return 500

    @abstractmethod
    def open(self, key: K) -> bool:
        """Whether nothing was made of a key yet."""

    @abstractmethod
    def ask(self, keys: list[K]) -> Iterator[Any]:
        """Has the child work on keys (`from_child`), commits what it makes, and yields what there is to tell."""

    @abstractmethod
    def give_up(self, key: K) -> Iterator[Any]:
        """Notes that nothing can be made of a key: the child died of it twice."""

    @property
    @abstractmethod
    def made_any(self) -> bool:
        """Whether anything was made so far; if not, it is the model's fault and no key's."""

    def begin(self) -> Iterator[Any]:
        """What there is to tell before anything is asked."""
        return iter(())

    def conclude(self) -> Iterator[Any]:
        """What is done when nothing is open any more, before the run is closed."""
        return iter(())

    def related(self, key: K, other: K) -> bool:
        """Whether another key is as suspect as one that the child died of."""
        return False

    # What it is given.

    def fill(self, keys: Iterable[K]) -> Iterator[Any]:
        """Works on the keys that are open, and closes the run with how it ended."""
        plan = list(keys)
        self._todo.extend(filter(self.open, plan))
        state, reason = "cancelled", ""
        try:
            yield from self.begin()
            yield from self._fill()
            if not any(map(self.open, plan)):
                yield from self.conclude()
                state = "finished"
        except Exception as error:
            state, reason = "failed", str(error)
            raise
        finally:
            self.project.finish_run(self.run_id, state, {"engine": asdict(self.usage)}, reason)

    def from_child(self, job: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
        """What a job yields that is called with the model, the engine's settings and these arguments."""
        self._loaded = False
        before, engine = self.usage, EngineSettings(**self.settings["engine"])
        options = {"cancelled": self.cancelled, "hang_timeout": HANG_TIMEOUT}
        for item in self._stepping.run(job, self.model.path, engine, *arguments, **options):
            if isinstance(item, Usage):
                self.usage = _sum(before, item)
            self._loaded = self._loaded or isinstance(item, Loaded)
            yield item

    # Inside

    def _fill(self) -> Iterator[Any]:
        while (self._todo or self._suspects) and not self.cancelled():
            queue = self._todo or self._suspects
            alone = self._careful or not self._todo
            keys = [queue.popleft() for _ in range(1 if alone else min(self.at_once, len(queue)))]
            if not (keys := list(filter(self.open, keys))):
                continue
            self._careful = max(0, self._careful - 1)
            try:
                yield from self.ask(keys)
            except WorkerDied as error:
                yield from self._go_on(error, queue, list(filter(self.open, keys)))
                continue
            if any(map(self.open, keys)):
                return  # cancelled

    def _go_on(self, error: WorkerDied, queue: deque[K], left: list[K]) -> Iterator[Any]:
        """After a crash: plans how to make what is `left` in a fresh child. Raises TooManyCrashes.

        llama.cpp can end its process on one bad text: what was in the batch is asked one by one. A key on which the
        child dies alone comes again at the end, with those related to it, and is given up when that happens twice;
        unless nothing was made at all, when it is the model's fault.
        """
        alone = left[0] if self._loaded and len(left) == 1 else None
        if alone is not None and alone in self._struck and self.made_any:
            self.retries.forget()
            yield Restarted(str(error))
            yield from self.give_up(alone)
            return
        if alone is not None:
            self._suspect(alone)
        else:
            queue.extendleft(reversed(left))
            if self._loaded:
                self._careful = self.settings["engine"]["sequences"]
        yield self.retries.crashed(error)

    def _suspect(self, key: K) -> None:
        """Puts off a key that was asked alone, and those related to it."""
        self._struck.add(key)
        mates = [other for other in self._todo if self.related(key, other)]
        self._todo = deque(other for other in self._todo if other not in mates)
        self._suspects += [key, *mates]


def _sum(a: Usage, b: Usage) -> Usage:
    return Usage(**{name: value + getattr(b, name) for name, value in asdict(a).items()})
