"""What models are tuned on and what comes of it, as plain records, and how the project file keeps them."""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peewee import fn

from core import paths
from core.errors import UserError
from core.paths import finished_file
from core.project import packing
from core.project.errors import Unreadable
from core.project.names import free_name
from core.project.schema import (
    AdapterTable,
    DatasetRowTable,
    DatasetTable,
    ProjectDatabase,
    RunTable,
    TuningSampleTable,
    TuningStepTable,
)
from core.storable import storable

LARGEST_INSIDE = 60 * 1024 * 1024  # bytes of an adapter in the project file, below SQLite's limit; others lie beside it
ROLES = ("system", "user", "assistant")
SPLITS = ("train", "validation", "test")  # trained on, looked at while training, left for the end
_CHUNK = 500


@dataclass(frozen=True)
class DatasetRow:
    """One example of a dataset, as it is trained on."""

    messages: tuple[tuple[str, str], ...]  # (role, text), the user's last
    answer: str
    rejected: str = ""
    rationale: str = ""
    split: str = "train"  # one of SPLITS
    example_id: int | None = None

    @property
    def held_out(self) -> bool:
        """Whether it tells, while others are trained on, when enough was learned."""
        return self.split == "validation"


@dataclass(frozen=True)
class Dataset:
    """Rows that never change. `recipe` says where they come from and how they were divided: plain JSON."""

    id: int
    name: str
    created_at: str  # ISO 8601, UTC
    sha256: str  # of its rows
    recipe: dict[str, Any]
    rows: int
    held_out: int  # of the rows: validation
    test: int = 0  # of the rows


@dataclass(frozen=True)
class TuningPoint:
    """A step of a tuning run. Step 0 is before the first and has only what was held out. Losses are nats a token."""

    step: int
    epoch: float = 0.0
    loss: float | None = None
    learning_rate: float = 0.0
    gradient: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    memory: int = 0  # bytes
    held_out: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class TuningSample:
    """What a run's prompt was answered after a step; 0 is the base model."""

    step: int
    prompt: int
    text: str


@dataclass(frozen=True)
class AdapterRow:
    """An adapter of the project, and the model it belongs to. `scale` is how strongly it is to be used."""

    id: int
    run_id: int
    name: str
    created_at: str  # ISO 8601, UTC
    step: int
    best_loss: float | None
    rank: int
    alpha: float
    scale: float
    sha256: str
    size: int  # bytes
    path: str  # its name in the folder beside the project; empty: it is in the project file
    base_name: str
    base_sha256: str
    base_path: str


def add_dataset(
    database: ProjectDatabase, name: str, recipe: dict[str, Any], rows: Sequence[DatasetRow], now: str
) -> int:
    """Keeps rows and returns the dataset's id: that of an earlier one of the same rows, if there is one."""
    packed = [(row, packing.pack(_content(row))) for row in rows]
    told = "".join(f"{SPLITS.index(row.split)}{text}\n" for row, text in packed)
    sha256 = hashlib.sha256(storable(told).encode()).hexdigest()
    known = DatasetTable.select(DatasetTable.id).where(DatasetTable.sha256 == sha256)
    for (id,) in known.tuples().execute(database):
        return id
    id = DatasetTable.insert(
        name=free_name(database, DatasetTable, name, "dataset"),
        created_at=now,
        sha256=sha256,
        recipe=packing.pack(recipe),
        size=len(rows),
        held_out=sum(row.split == "validation" for row in rows),
        test=sum(row.split == "test" for row in rows),
    ).execute(database)
    values = [
        {
            "dataset_id": id,
            "ordinal": n,
            "example_id": row.example_id,
            "split": SPLITS.index(row.split),
            "content": text,
        }
        for n, (row, text) in enumerate(packed)
    ]
    for start in range(0, len(values), _CHUNK):
        DatasetRowTable.insert_many(values[start : start + _CHUNK]).execute(database)
    return id


def datasets(database: ProjectDatabase, condition: Any = None) -> list[Dataset]:
    """The datasets that meet a condition, oldest first; all without one."""
    query = DatasetTable.select().order_by(DatasetTable.id)
    query = query if condition is None else query.where(condition)
    return [
        Dataset(
            id=row["id"],
            name=row["name"],
            created_at=row["created_at"],
            sha256=row["sha256"],
            recipe=packing.unpack_map(row["recipe"]),
            rows=row["size"],
            held_out=row["held_out"],
            test=row["test"],
        )
        for row in query.dicts().execute(database)
    ]


def dataset_rows(database: ProjectDatabase, dataset_id: int) -> list[DatasetRow]:
    """The rows of a dataset, in order."""
    return dataset_page(database, dataset_id, 0, -1)


def dataset_page(database: ProjectDatabase, dataset_id: int, after: int, limit: int) -> list[DatasetRow]:
    """At most so many rows of a dataset, from the place `after` on, which counts from 0; with -1 all of them."""
    table = DatasetRowTable
    query = table.select(table.content, table.split, table.example_id).where(table.dataset_id == dataset_id)
    found = query.where(table.ordinal >= after).order_by(table.ordinal).limit(limit).tuples().execute(database)
    return [_row(content, split, example_id) for content, split, example_id in found]


def add_steps(database: ProjectDatabase, run_id: int, points: Sequence[TuningPoint]) -> None:
    """Keeps steps of a run; a step that was made again, or of which more is known now, is put in place of the old."""
    for start in range(0, len(points), _CHUNK):
        values = [{"run_id": run_id, **vars(point)} for point in points[start : start + _CHUNK]]
        TuningStepTable.insert_many(values).on_conflict_replace().execute(database)


def points(database: ProjectDatabase, run_id: int) -> list[TuningPoint]:
    """The steps of a run in order. A figure that is no number, as only a stranger's file has it, is left out."""
    columns = [getattr(TuningStepTable, name) for name in TuningPoint.__dataclass_fields__]
    query = TuningStepTable.select(*columns).where(TuningStepTable.run_id == run_id).order_by(TuningStepTable.step)
    return [
        TuningPoint(
            step=row["step"],
            epoch=_finite(row["epoch"]) or 0.0,
            loss=_finite(row["loss"]),
            learning_rate=_finite(row["learning_rate"]) or 0.0,
            gradient=_finite(row["gradient"]) or 0.0,
            tokens=row["tokens"],
            seconds=_finite(row["seconds"]) or 0.0,
            memory=row["memory"],
            held_out=_finite(row["held_out"]),
            accuracy=_finite(row["accuracy"]),
        )
        for row in query.dicts().execute(database)
    ]


def last_step(database: ProjectDatabase, run_id: int) -> int:
    """The last step of a run; 0 before the first."""
    query = TuningStepTable.select(fn.MAX(TuningStepTable.step)).where(TuningStepTable.run_id == run_id)
    return query.scalar(database) or 0


def add_samples(database: ProjectDatabase, run_id: int, samples: Sequence[TuningSample]) -> None:
    """Keeps answers to a run's prompts; one that was made again is put in place of the old."""
    values = [{"run_id": run_id, **vars(sample)} for sample in samples]
    if values:
        TuningSampleTable.insert_many(values).on_conflict_replace().execute(database)


def samples(database: ProjectDatabase, run_id: int) -> list[TuningSample]:
    """The answers to a run's prompts, by step."""
    table = TuningSampleTable
    query = table.select(table.step, table.prompt, table.text).where(table.run_id == run_id)
    return [TuningSample(*row) for row in query.order_by(table.step, table.prompt).tuples().execute(database)]


def insert_adapter(database: ProjectDatabase, name: str, values: dict[str, Any]) -> int:
    """Keeps an adapter and returns its id; a name that is taken gets a number."""
    name = free_name(database, AdapterTable, name, "adapter")
    return AdapterTable.insert(**values, name=name).execute(database)


def adapters(database: ProjectDatabase, condition: Any = None) -> list[AdapterRow]:
    """The adapters that meet a condition, oldest first, without their contents; all without one."""
    own = [name for name in AdapterRow.__dataclass_fields__ if not name.startswith("base_")]
    base = (
        RunTable.model_name.alias("base_name"),
        RunTable.model_sha256.alias("base_sha256"),
        RunTable.model_path.alias("base_path"),
    )
    query = AdapterTable.select(*(getattr(AdapterTable, name) for name in own), *base)
    query = query.join(RunTable, on=(RunTable.id == AdapterTable.run_id)).order_by(AdapterTable.id)
    query = query if condition is None else query.where(condition)
    found = [AdapterRow(**row) for row in query.dicts().execute(database)]
    for adapter in found:
        if not re.fullmatch("[0-9a-f]{64}", adapter.sha256) or not all(map(math.isfinite, _figures(adapter))):
            raise Unreadable("an adapter in it is not as Elenchus keeps it")
    return found


def inside_or_beside(file: Path, project: Path) -> dict[str, Any]:
    """How a file is kept: in the project, or, when it is large, as a copy beside it, which is made. Raises OSError."""
    size = file.stat().st_size
    digest = _digest(file)
    kept: dict[str, Any] = {"sha256": digest, "size": size, "path": "", "content": None}
    if size <= LARGEST_INSIDE:
        return kept | {"content": file.read_bytes()}
    name = f"{digest}.gguf"
    target = _beside(project, name)
    target.parent.mkdir(exist_ok=True)
    _copy(file, target)
    return kept | {"path": name}


def written_out(adapter: AdapterRow, project: Path, content: Callable[[], bytes | None]) -> Path:
    """The adapter as a file of its own, whose checksum is right: a copy in the cache, or what lies beside the project.

    Raises UserError when it is missing or another than was kept.
    """
    if adapter.path:
        return _whole_beside(adapter, project)
    file = paths.made(paths.cache_folder() / "adapters" / adapter.sha256[:16]) / f"{_file_name(adapter.name)}.gguf"
    if file.is_file() and file.stat().st_size == adapter.size and _digest(file) == adapter.sha256:
        return file
    data = content()
    if data is None or hashlib.sha256(data).hexdigest() != adapter.sha256:
        raise Unreadable("an adapter in it has another checksum than was written down")
    with finished_file(file) as partial:
        partial.write_bytes(data)
    return file


def forget_beside(adapter: AdapterRow, project: Path) -> None:
    """Removes what lies beside the project of an adapter, if it is that."""
    if adapter.path:
        try:
            _whole_beside(adapter, project).unlink()
            _beside(project, adapter.path).parent.rmdir()
        except (UserError, Unreadable, OSError):
            pass  # it is not there, or not ours, or others lie there too


def _whole_beside(adapter: AdapterRow, project: Path) -> Path:
    file = _beside(project, adapter.path)
    # A stranger's file may name any path, and have links put beside it: only a plain file in this folder is touched.
    if file.is_symlink() or file.parent.is_symlink() or not file.is_file():
        raise UserError(
            f"The adapter “{adapter.name}” should lie at {file}, and is not there. It belongs to the project: "
            "when you move one, move the folder beside it too."
        )
    if file.stat().st_size != adapter.size or _digest(file) != adapter.sha256:
        raise UserError(
            f"{file} is not the adapter “{adapter.name}” any more: it was changed since it was kept. "
            "Put the right file back, or remove the adapter and tune again."
        )
    return file


def _beside(project: Path, name: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{64}\.gguf", name):
        raise Unreadable("an adapter in it lies where Elenchus keeps none")
    return project.with_name(project.name + ".adapters") / name


def _copy(file: Path, target: Path) -> None:
    with finished_file(target) as partial, open(file, "rb") as source, open(partial, "wb") as copy:
        while data := source.read(1 << 20):
            copy.write(data)


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _file_name(name: str) -> str:
    """A name that any system takes, and that leads nowhere else."""
    return re.sub(r"[^\w #()-]+", "-", name).strip(" -")[:60] or "adapter"


def _figures(adapter: AdapterRow) -> tuple[float, ...]:
    return adapter.alpha, adapter.scale, adapter.best_loss or 0.0


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _content(row: DatasetRow) -> dict[str, Any]:
    texts = {"messages": row.messages, "answer": row.answer, "rejected": row.rejected, "rationale": row.rationale}
    return {name: value for name, value in texts.items() if value}


def _row(content: Any, split: int, example_id: int | None) -> DatasetRow:
    messages, texts = _unpack_row(content)
    if not 0 <= split < len(SPLITS):
        raise Unreadable("a row of a dataset in it is on no side")
    return DatasetRow(messages, *texts, split=SPLITS[split], example_id=example_id)


@packing.unpacking
def _unpack_row(value: Any) -> tuple[tuple[tuple[str, str], ...], tuple[str, str, str]]:
    content = packing.unpack_map(value)
    messages = tuple((str(role), text) for role, text in content["messages"])
    answer, rejected, rationale = (content.get(name, "") for name in ("answer", "rejected", "rationale"))
    if not all(isinstance(text, str) for text in (answer, rejected, rationale, *(text for _, text in messages))):
        raise TypeError("not a text")
    if not messages or any(role not in ROLES for role, _ in messages) or messages[-1][0] != "user":
        raise ValueError("not a conversation")
    return messages, (answer, rejected, rationale)
