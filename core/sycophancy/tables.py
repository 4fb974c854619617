"""Reads a file that somebody else made, as CSV, TSV, JSON or JSON lines, into columns and rows, under limits."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.project.schema import storable

MOST_BYTES = 100_000_000
MOST_ROWS = 100_000
MOST_COLUMNS = 1_000
LONGEST_CELL = 1_000_000  # characters, of a CSV file: Python's csv refuses those over 131,072 else
_DELIMITERS = (",", "\t", ";")
_NESTED = 2  # objects in objects that become columns; what lies deeper is no text


@dataclass(frozen=True)
class Row:
    """One row. `number` is the line of the file on which it begins, or its place in a JSON array, counted from 1."""

    number: int
    cells: dict[str, Any]
    fault: str = ""  # why it could not be read; empty when it could


@dataclass(frozen=True)
class Table:
    """What a file holds. A cell is text, a number, a truth value, None, or a list, as its format knows them."""

    path: Path
    sha256: str  # of the file
    columns: tuple[str, ...]  # an object in an object gives columns like “base.question”
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """The file, whatever its name says of its format. Raises UserError where it is none of them, empty or too large."""
    data = _bytes(path)
    text = _decoded(path, data)
    begin = text.lstrip()[:1]
    if begin == "[":
        rows = _from_array(path, text)
    elif begin == "{":
        rows = _from_lines(text)
    else:
        rows = _from_csv(path, text)
    kept: list[Row] = []
    columns: dict[str, None] = {}
    for row in rows:
        kept.append(row)
        columns |= dict.fromkeys(row.cells)
        if len(kept) > MOST_ROWS:
            raise UserError(f"{path.name} has more than {MOST_ROWS:,} rows. Split it, and import what you need of it.")
        if len(columns) > MOST_COLUMNS:
            raise UserError(f"{path.name} has more than {MOST_COLUMNS:,} columns. Leave out those that are not needed.")
    if not kept:
        raise UserError(f"{path.name} has no rows. Choose a file with something in it.")
    return Table(path, hashlib.sha256(data).hexdigest(), tuple(columns), tuple(kept))


def cell_text(value: Any) -> str:
    """A cell as text without space around it; empty for a list, an object or nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    return storable(str(value)).strip() if isinstance(value, str | int | float) else ""


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would keep who reads it waiting
            raise UserError(f"{path} is not a file. Choose a CSV, TSV, JSON or JSON lines file.")
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror}. Choose another file.") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path.name} is larger than {MOST_BYTES // 1_000_000} MB. Split it, and import a part.")
    return data


def _decoded(path: Path, data: bytes) -> str:
    advice = "Save it as UTF-8, in CSV, TSV, JSON or JSON lines, and try again."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path.name} is in UTF-16. {advice}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name} is not text in UTF-8: line {line} cannot be read. {advice}") from error
    if "\0" in text:
        raise UserError(f"{path.name} is not a text file. {advice}")
    if not text.strip():
        raise UserError(f"{path.name} is empty. Choose a file with something in it.")
    return text


def _from_array(path: Path, text: str) -> Iterator[Row]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = _json_fault(error)
        raise UserError(f"{path.name} is not valid JSON: {reason}. Correct the file and try again.") from error
    for number, entry in enumerate(entries, 1):
        yield _from_object(number, entry)


def _from_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would split at what may stand within a string
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(number, {}, f"it is not valid JSON: {_json_fault(error)}")
        else:
            yield _from_object(number, entry)


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, character {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def _from_object(number: int, entry: Any) -> Row:
    if not isinstance(entry, dict):
        return Row(number, {}, "it is not a JSON object")
    return Row(number, dict(_flat(entry, "", _NESTED)))


def _flat(entry: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        name = f"{prefix}{storable(key)}"
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{name}.", depth - 1)
        else:
            yield name, value


def _from_csv(path: Path, text: str) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header: list[str] = []
    begin = 1
    try:
        for cells in reader:
            number, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(path, cells)
            elif len(cells) > len(header):
                yield Row(number, {}, f"it has {len(cells)} cells, where the header has {len(header)}")
            else:  # programs leave out the last cells of a row where they are empty
                yield Row(number, dict(zip(header, cells + [""] * len(header), strict=False)))
    except csv.Error as error:
        raise UserError(
            f"{path.name} is not valid CSV near line {reader.line_num}: {error}. Correct the file and try again."
        ) from error


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path.name} has two columns called “{name}”. Rename one of them and try again.")
    return names


def _delimiter(text: str) -> str:
    """The one that cuts the first line into most cells."""
    first = text.lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=lambda delimiter: len(_cells(first, delimiter)))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
