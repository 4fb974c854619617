"""Has the worker's child tune a model, commits what it tells, goes on after crashes and stops, keeps the adapter."""

import json
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core import datasets, paths
from core.engine.requests import EngineSettings, Loaded, Loading
from core.engine.stepping import SteppingDown
from core.errors import Cancelled, UserError
from core.models.files import ModelFile
from core.project.names import one_line
from core.project.project import Project
from core.project.records import Run
from core.project.tuning import AdapterRow, Dataset, DatasetRow, TuningPoint, TuningSample
from core.retrying import Restarted, Retries
from core.runs import run_settings, same_model
from core.sycophancy.probe import chat_model
from core.tuning import extra
from core.tuning.records import (
    Agreement,
    Checkpointed,
    Evaluated,
    Prepared,
    Recipe,
    Sampled,
    Stepped,
    Trained,
    TrainingRow,
    TuningItem,
    TuningJob,
)
from core.tuning.traits import read_traits
from core.worker import Worker, WorkerDied

NEEDED = {"dataset", "recipe", "prompts", "engine", "name"}  # of a run
HANG_TIMEOUT = 1800.0  # seconds without a sign of life: one pass over a long text takes minutes on a slow processor
BETWEEN = 0.5  # seconds between two commits of steps


@dataclass(frozen=True)
class TuneOptions:
    """What is tuned, on what and how."""

    dataset: str  # as `datasets.freeze` takes it
    model: Path
    recipe: Recipe
    prompts: tuple[str, ...] = ()  # answered before, during and after
    name: str = ""  # of the adapter; empty: after the dataset and the run
    held_out: float = 0.1  # share of a dataset that is new
    skip_bad: bool = False  # leaves out the rows of a file that cannot be used
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True)
class Kept:
    """The adapter is in the project."""

    adapter: AdapterRow


TuneItem = Loading | Loaded | TuningItem | Restarted | Kept


def tune(
    project: Project, worker: Worker, options: TuneOptions, cancelled: Callable[[], bool] = bool
) -> Generator[TuneItem, None, None]:
    """Begins a run and yields what happens; what it tells is committed at least every half second.

    Cancelled or broken off, it keeps what was learned by then as an adapter, and may go on later. Raises UserError for
    a dataset or a model that cannot be used, for want of memory or room, and where the numbers grow beyond bounds;
    TooManyCrashes; and Cancelled before there is a run.
    """
    model = _usable(options)
    dataset = datasets.freeze(project, options.dataset, options.held_out, skip_bad=options.skip_bad)
    settings = {
        "dataset": {"id": dataset.id, "name": dataset.name, "sha256": dataset.sha256},
        "recipe": asdict(options.recipe),
        "prompts": list(options.prompts),
        "name": options.name.strip(),
        "engine": asdict(options.engine),
    }
    request = run_settings("tune", model, settings, options.recipe.seed, cancelled)
    if cancelled():
        raise Cancelled("Cancelled before the run began.")
    run_id = project.start_run(request)
    shutil.rmtree(checkpoint_folder(project, run_id), ignore_errors=True)  # of a project that was put back
    yield from _Tuning(project, worker, run_id, model, dataset, cancelled).run()


def resume(
    project: Project,
    worker: Worker,
    run_id: int | None = None,
    model: Path | None = None,
    cancelled: Callable[[], bool] = bool,
) -> Generator[TuneItem, None, None]:
    """Goes on from the last checkpoint of a run that did not finish, the last one where none is named.

    `model` says where the model file is now, when it has moved. Raises as `tune` does, and UserError when there is
    nothing to go on with, or the model or the dataset are not those that the run began with.
    """
    run = project.last_unfinished_run("tune") if run_id is None else project.run(run_id)
    if run is None or run.request.kind != "tune" or run.state in ("finished", "running"):
        raise UserError("There is no tuning that stopped before its end. Start a new one.")
    _refuse_without_extra()
    recipe_of(run)
    dataset = _same_dataset(project, run)
    header = same_model(run, model, cancelled)
    project.resume_run(run.id)
    yield from _Tuning(project, worker, run.id, header, dataset, cancelled).run()


def estimate(
    project: Project, worker: Worker, options: TuneOptions, cancelled: Callable[[], bool] = bool
) -> Generator[TuneItem, None, None]:
    """What a run would take: ends with Prepared. Nothing is trained or kept. Raises as `tune` does."""
    from core.tuning.training import estimate_job

    model = _usable(options)
    chosen = datasets.select(project, options.dataset, options.held_out, skip_bad=options.skip_bad)
    job = _job(chosen.rows, options.recipe, checkpoint_folder(project, 0), options.prompts)
    how: dict[str, Any] = {"cancelled": cancelled, "hang_timeout": HANG_TIMEOUT}
    yield from SteppingDown(worker).run(estimate_job, model.path, options.engine, job, **how)


def parity_job(path: Path, text: str | None = None) -> Iterator[Loading | Agreement]:
    """A worker's job: how far torch and llama.cpp agree on a text. Raises UserError as `core.tuning.parity` does."""
    from core.tuning import parity  # it imports torch, as the child alone may

    yield from parity.parity_job(path, text)


def checkpoint_folder(project: Project, run_id: int) -> Path:
    """Where a run keeps what it needs to go on."""
    return paths.data_folder() / "tuning" / project.id / f"run-{run_id}"


def recipe_of(run: Run) -> Recipe:
    """The recipe of a run. Raises UserError where its settings are not whole, as a stranger's may be."""
    settings, usual = run.request.settings, asdict(Recipe())
    recipe = settings.get("recipe")
    if isinstance(recipe, dict) and settings.keys() >= NEEDED and isinstance(settings["prompts"], list):
        kept: dict[str, Any] = {name: value for name, value in recipe.items() if _alike(usual.get(name), value)}
        if kept == recipe:
            return Recipe(**kept)
    raise UserError(f"The settings of run {run.id} are not whole, so it cannot go on. Start a new run.")


class _Tuning:
    """One run that goes on."""

    def __init__(
        self,
        project: Project,
        worker: Worker,
        run_id: int,
        model: ModelFile,
        dataset: Dataset,
        cancelled: Callable[[], bool],
    ) -> None:
        self.project, self.worker, self.run_id = project, worker, run_id
        self.model, self.dataset, self.cancelled = model, dataset, cancelled
        self.request = project.run(run_id).request
        self.recipe = recipe_of(project.run(run_id))
        self.folder = checkpoint_folder(project, run_id)
        self.trained: Trained | None = None
        self._retries, self._furthest = Retries(), 0
        self._point = TuningPoint(0)  # the last
        self._points: dict[int, TuningPoint] = {}  # to be committed
        self._samples: list[TuningSample] = []
        self._committed_at = 0.0

    def run(self) -> Iterator[TuneItem]:
        """Trains to the end or until it is cancelled, and closes the run with how it ended."""
        state, reason = "failed", ""
        try:
            self._recall()
            try:
                yield from self._train()
            except Exception:
                yield from self._rescue()
                raise
            self._commit()
            if self.trained is not None and self.trained.why != "stopped":
                state = "finished"
            elif self.cancelled():
                state = "cancelled"
            else:
                raise UserError("The training ended before its end. Go on with it.")
            yield from self._keep()
        except Exception as error:
            state, reason = "failed", str(error)
            raise
        finally:
            self._commit()
            self.project.finish_run(self.run_id, state, {}, reason)
        if state == "finished":
            shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # there are other runs that may go on
            self.folder.parent.rmdir()

    def _train(self) -> Iterator[TuneItem]:
        from core.tuning.training import train_job

        prompts = tuple(map(str, self.request.settings["prompts"]))
        job = _job(self.project.dataset_rows(self.dataset.id), self.recipe, self.folder, prompts)
        engine = EngineSettings(**self.request.settings["engine"])
        stepping = SteppingDown(self.worker)
        how: dict[str, Any] = {"cancelled": self.cancelled, "hang_timeout": HANG_TIMEOUT}
        while self.trained is None:
            try:
                for item in stepping.run(train_job, self.model.path, engine, job, **how):
                    self._take(item)
                    yield item
                return
            except WorkerDied as error:
                self._commit()
                yield self._retries.crashed(error)

    def _recall(self) -> None:
        """Takes what the last checkpoint has told: the application may have been killed before it was committed."""
        with suppress(ValueError, TypeError, KeyError):
            for kind, values in _checkpoint(self.folder).get("told", ()):
                item = _TOLD[kind](**values)
                if isinstance(item, Evaluated) and item.step not in (0, self._point.step):
                    continue  # its step was told too long ago
                self._take(item)
        self._commit()

    def _take(self, item: Any) -> None:
        """Notes what is to be kept, and commits it when the last commit is some time ago."""
        if isinstance(item, Stepped):
            self._note(TuningPoint(**{name: getattr(item, name) for name in _SHARED}))
        elif isinstance(item, Evaluated):
            last = self._point if self._point.step == item.step else TuningPoint(item.step)
            self._note(replace(last, held_out=item.loss, accuracy=item.accuracy))
        elif isinstance(item, Sampled):
            self._samples.append(TuningSample(item.step, item.prompt, item.text))
        elif isinstance(item, Prepared | Agreement):
            self.project.add_settings(self.run_id, **{type(item).__name__.lower(): asdict(item)})
        elif isinstance(item, Trained):
            self.trained = item
        elif isinstance(item, Checkpointed) and item.step > self._furthest:
            self._furthest = item.step  # steps that are made again after a crash are no progress
            self._retries.made()
        if time.monotonic() - self._committed_at >= BETWEEN:
            self._commit()

    def _note(self, point: TuningPoint) -> None:
        self._point = self._points[point.step] = point

    def _commit(self) -> None:
        if self._points:
            self.project.add_tuning_steps(self.run_id, list(self._points.values()))
        if self._samples:
            self.project.add_tuning_samples(self.run_id, self._samples)
        self._points, self._samples, self._committed_at = {}, [], time.monotonic()

    def _rescue(self) -> Iterator[TuneItem]:
        """Keeps what was learned before the training broke off."""
        self._commit()
        with suppress(Exception):  # what broke it off is what has to be said
            yield from self._keep()

    def _keep(self) -> Iterator[TuneItem]:
        """Puts the adapter of the last checkpoint into the project; there is none before the first step."""
        from core.tuning.training import kept_job

        if not _checkpoint(self.folder).get("step"):
            return
        name, out = self._name(), self.folder / "adapter.gguf"
        written = list(self.worker.run(kept_job, str(self.folder), self.model.path, out, self._facts(name)))
        if not written:
            raise UserError("The adapter was not written. Go on with the run.")
        done = self.trained or written[0]
        if self.trained is None:  # the child was ended before it could say so
            yield done
        self.project.add_settings(self.run_id, trained=asdict(done))
        if done.why == "stopped":
            name = f"{name}, step {done.step}"
        adapter = self._kept_before(name, done) or self._added(name, done, out)
        out.unlink(missing_ok=True)
        yield Kept(adapter)

    def _kept_before(self, name: str, done: Trained) -> AdapterRow | None:
        """The same adapter, of a run that was stopped twice in one place."""
        stopped = (one for one in self.project.adapters() if one.run_id == self.run_id and done.why == "stopped")
        return next((one for one in stopped if (one.name, one.step) == (name, done.best_step)), None)

    def _added(self, name: str, done: Trained, file: Path) -> AdapterRow:
        rank, alpha = self.recipe.rank, self.recipe.alpha
        return self.project.add_adapter(self.run_id, name, file, done.best_step, done.best_loss, rank, alpha)

    def _name(self) -> str:
        given = one_line(str(self.request.settings["name"]))
        return given or one_line(f"{self.dataset.name} r{self.recipe.rank} #{self.run_id}")

    def _facts(self, name: str) -> dict[str, str | int | float]:
        """Where the adapter comes from, for its file; the general.… are those of ggml's gguf.md."""
        curve = [[point.step, point.loss, point.held_out] for point in self.project.tuning_points(self.run_id)]
        return {
            "general.name": name,
            "general.base_model.count": 1,
            "general.base_model.0.name": self.request.model_name,
            "general.dataset.count": 1,
            "general.dataset.0.name": self.dataset.name,
            "elenchus.base.sha256": self.request.model_sha256,
            "elenchus.base.quantisation": self.request.quantisation,
            "elenchus.dataset.sha256": self.dataset.sha256,
            "elenchus.recipe": json.dumps(asdict(self.recipe)),
            "elenchus.seed": self.recipe.seed,
            "elenchus.curve": json.dumps(curve, separators=(",", ":")),  # step, loss, held-out loss
            "elenchus.version": self.request.app_version,
            "elenchus.engine": self.request.engine_version,
        }


_TOLD = {one.__name__: one for one in (Stepped, Evaluated, Sampled)}
_SHARED = [one.name for one in fields(TuningPoint) if one.name in {other.name for other in fields(Stepped)}]


def _usable(options: TuneOptions) -> ModelFile:
    _refuse_without_extra()
    model = chat_model(options.model)
    read_traits(model.path)
    return model


def _refuse_without_extra() -> None:
    if reason := extra.missing():
        raise UserError(reason)


def _same_dataset(project: Project, run: Run) -> Dataset:
    kept = run.request.settings["dataset"]
    for dataset in project.datasets():
        if isinstance(kept, dict) and dataset.sha256 == kept.get("sha256"):
            return dataset
    raise UserError(f"The dataset that run {run.id} was begun with is not in the project. Start a new run.")


def _job(rows: Sequence[DatasetRow], recipe: Recipe, folder: Path, prompts: tuple[str, ...]) -> TuningJob:
    learned, held_out = (tuple(_row(row) for row in rows if row.split == side) for side in ("train", "validation"))
    return TuningJob(learned, held_out, recipe, str(folder), prompts)


def _row(row: DatasetRow) -> TrainingRow:
    return TrainingRow(row.messages, row.answer, row.rejected, row.rationale)


def _checkpoint(folder: Path) -> dict[str, Any]:
    """What the last checkpoint says, but for its tensors; nothing where there is none."""
    try:
        facts = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _alike(usual: Any, value: Any) -> bool:
    """Whether a value has the type of the usual one; a whole number is a number too."""
    kinds = (int, float) if isinstance(usual, float) else (type(usual),)
    return usual is not None and isinstance(value, kinds) and isinstance(value, bool) == isinstance(usual, bool)
