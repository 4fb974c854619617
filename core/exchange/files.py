"""Writes rows as JSON lines, CSV, Parquet or a folder of Parquet, which appears under its name when it is whole."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from core.errors import UserError
from core.exchange.formats import KEY, SHAPES, Line, csv_columns, csv_row
from core.paths import finished_file

Write = Callable[[Line], object]
_BATCH = 1000  # rows of a Parquet file that are written at once


def text_writer(file: IO[str], shape: str, plain: bool, guard: bool) -> Write:
    """Writes lines of a shape as JSON, or as CSV, to a text file that was opened with newline=""."""
    if shape == "csv":
        rows = csv.writer(file)
        rows.writerow(csv_columns(plain, guard))
        return lambda line: rows.writerow(csv_row(line, guard))
    return lambda line: file.write(json.dumps(as_object(line, shape), ensure_ascii=False) + "\n")


def as_object(line: Line, shape: str) -> dict[str, Any]:
    """A line as one object.

    What stands under KEY is written out as a text: who reads a long file in blocks, as the datasets library does, takes
    the types of the first for those of all, and an object has nulls where a later one has something.
    """
    made = SHAPES[shape](line.row)
    return made if line.said is None else made | {KEY: json.dumps(line.said, ensure_ascii=False)}


@contextmanager
def text_file(path: Path, shape: str, plain: bool, guard: bool) -> Iterator[Write]:
    """A file of JSON lines, or of CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        yield text_writer(file, shape, plain, guard)


@contextmanager
def parquet_file(path: Path, shape: str, plain: bool) -> Iterator[Write]:
    """A Parquet file with the columns of a shape."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = _schema(shape, plain)
    rows: list[dict[str, Any]] = []

    def write(line: Line) -> None:
        rows.append(as_object(line, shape))
        if len(rows) == _BATCH:
            flush()

    def flush() -> None:
        file.write_table(pyarrow.Table.from_pylist(rows, schema))
        rows.clear()

    with ParquetWriter(path, schema) as file:
        yield write
        flush()


@contextmanager
def data_folder(path: Path, shape: str, plain: bool) -> Iterator[Write]:
    """The folder “data” of a dataset as the Hugging Face hub has it: a Parquet file for each side that has rows."""
    (path / "data").mkdir()
    with ExitStack() as stack:
        writers: dict[str, Write] = {}

        def write(line: Line) -> None:
            side = line.row.split
            if side not in writers:
                writers[side] = stack.enter_context(parquet_file(path / part_of(side), shape, plain))
            writers[side](line)

        yield write


def part_of(split: str) -> Path:
    """Where the rows of a side lie in a dataset's folder."""
    return Path("data") / f"{split}-00000-of-00001.parquet"


@contextmanager
def whole(path: Path, folder: bool = False) -> Iterator[Path]:
    """A temporary name to write to, which takes the path's in the end. Raises UserError where it cannot be written."""
    try:
        with _finished_folder(path) if folder else finished_file(path) as partial:
            yield partial
    except OSError as error:
        raise UserError(
            f"{path} could not be written: {error.strerror or error}. "
            "Nothing was changed there: choose another folder, or free some room, and export again."
        ) from error


@contextmanager
def _finished_folder(target: Path) -> Iterator[Path]:
    partial, old = (target.with_name(target.name + end) for end in (".partial", ".replaced"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if target.exists():
            os.replace(target, old)
        os.replace(partial, target)
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _schema(shape: str, plain: bool) -> Any:
    import pyarrow as pa

    text = pa.string()
    chat = pa.list_(pa.struct([("role", text), ("content", text)]))
    task = pa.struct([("prefix", text), ("target", text), ("weight", pa.float64())])
    columns: dict[str, dict[str, Any]] = {
        "alpaca": dict.fromkeys(("instruction", "input", "output", "system"), text)
        | {"history": pa.list_(pa.list_(text))},
        "sharegpt": {"conversations": pa.list_(pa.struct([("from", text), ("value", text)]))},
        "messages": {"messages": chat},
        "completion": dict.fromkeys(("prompt", "completion"), text),
        "two-task": dict.fromkeys(("input", "label", "rationale"), text) | {"tasks": pa.list_(task)},
        "dpo": dict.fromkeys(("prompt", "chosen", "rejected"), text),
        "dpo-messages": dict.fromkeys(("prompt", "chosen", "rejected"), chat),
    }
    return pa.schema(columns[shape] | ({} if plain else {KEY: text}))
