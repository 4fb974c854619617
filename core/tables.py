"""Reads a file that somebody else made, as CSV, TSV, JSON, JSON lines or Parquet, row by row, under limits."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

from core.errors import UserError
from core.storable import storable
from core.worker import Worker, WorkerDied

MOST_BYTES = 100_000_000  # of a file that is held as a whole, as MOST_ROWS is
MOST_ROWS = 100_000
MOST_COLUMNS = 1_000
LONGEST_CELL = 1_000_000  # characters, of a CSV file: Python's csv refuses those over 131,072 else
LONGEST_ENTRY = 16_000_000  # characters of a line, or of an entry of a JSON array
SAMPLE = 200  # rows that tell what columns a file has
TOLD = 20  # rows whose faults are told one by one
_HEAD = 1 << 16  # bytes by which the format of a file is told
_CHUNK = 1 << 18  # characters of a JSON array read at a time
_PARQUET = b"PAR1"
_BATCH = 500  # rows of a Parquet file
_MESSAGE = 8_000_000  # bytes of such a batch, beyond which each row is a message of its own
_SILENT = 300.0  # seconds that a batch may take
_LARGEST_GROUP = 4_000_000_000  # bytes of a Parquet file's row group, unpacked: a small file may unpack to anything
_DELIMITERS = (",", "\t", ";")
_NESTED = 2  # objects in objects that become columns; what lies deeper is no text
_PLAIN = str | int | float | Decimal | date | time  # what a cell is that can be written as text
_ADVICE = "Save it as UTF-8, in CSV, TSV, JSON or JSON lines, and try again."


@dataclass(frozen=True)
class Row:
    """One row. `number` is the line of the file on which it begins, or its place in a JSON array or a Parquet file,
    counted from 1. A cell is text, a number, a date, a truth value, None, or a list, as its format knows them; an
    object in an object gives columns like “base.question”.
    """

    number: int
    cells: dict[str, Any]
    fault: str = ""  # why it could not be read; empty when it could
    entry: dict[str, Any] = field(default_factory=dict)  # the object of which the cells are, as it stands there


@dataclass(frozen=True)
class Table:
    """What a file holds, or its beginning."""

    path: Path
    sha256: str  # of the file; empty where only the beginning was read
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Fault:
    """A row that cannot be used, and why, as the end of a sentence about it."""

    row: int
    reason: str

    def __str__(self) -> str:
        return f"Row {self.row}: {self.reason}."


class UnusableRows(UserError):
    """Some rows cannot be used; nothing was imported. `faults` are the first of them."""

    def __init__(self, name: str, rows: int, faults: Sequence[Fault], bad: int | None = None) -> None:
        bad = len(faults) if bad is None else bad
        told = "\n".join(f"  {fault}" for fault in faults[:TOLD])
        more = f"\n  So are {bad - TOLD:,} more." if bad > TOLD else ""
        super().__init__(
            f"{bad:,} of {rows:,} rows of {name} cannot be used, so nothing was imported.\n{told}{more}\n"
            "Correct the file, or leave out what cannot be used."
        )
        self.faults = tuple(faults)


class TableFile:
    """A file of rows, whatever its name says of its format: "csv", "json", "jsonl" or "parquet".

    `done` is the share of it that was read by `rows`. Raises UserError where it is none of them, or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.done = path, 0.0
        self.format = self._format()

    def rows(self) -> Iterator[Row]:
        """Every row, in constant memory. Raises UserError where the file is at fault, and not just a row of it."""
        found: dict[str, None] = {}
        for row in self._from_parquet() if self.format == "parquet" else self._from_text():
            found |= dict.fromkeys(row.cells)
            if len(found) > MOST_COLUMNS:
                raise _too_wide(self.path)
            yield row
        self.done = 1.0

    def sample(self, rows: int = SAMPLE) -> Table:
        """The beginning of the file. Raises UserError as `rows` does, and where there is none."""
        return self._table(tuple(islice(self.rows(), rows)), "")

    def whole(self) -> Table:
        """All of the file. Raises UserError as `sample` does, and where it is too large to be held."""
        try:
            if self.path.stat().st_size > MOST_BYTES:
                raise UserError(
                    f"{self.path.name} is larger than {MOST_BYTES // 1_000_000} MB. Split it, and import a part."
                )
            rows = tuple(islice(self.rows(), MOST_ROWS + 1))
        except OSError as error:
            raise self._unreadable(error) from error
        if len(rows) > MOST_ROWS:
            raise UserError(
                f"{self.path.name} has more than {MOST_ROWS:,} rows. Split it, and import what you need of it."
            )
        return self._table(rows, self.sha256())

    def sha256(self) -> str:
        """The checksum of the file. Raises UserError."""
        try:
            with open(self.path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._unreadable(error) from error

    def _table(self, rows: tuple[Row, ...], sha256: str) -> Table:
        if not rows:
            raise UserError(f"{self.path.name} has no rows. Choose a file with something in it.")
        columns: dict[str, None] = {}
        for row in rows:
            columns |= dict.fromkeys(row.cells)
        return Table(self.path, sha256, tuple(columns), rows)

    def _unreadable(self, error: OSError) -> UserError:
        return UserError(f"{self.path} could not be read: {error.strerror or error}. Choose another file.")

    def _format(self) -> str:
        try:
            if self.path.exists() and not self.path.is_file():  # a pipe would keep who reads it waiting
                raise UserError(f"{self.path} is not a file. Choose a CSV, TSV, JSON, JSON lines or Parquet file.")
            with open(self.path, "rb") as file:
                head = file.read(_HEAD)
        except OSError as error:
            raise self._unreadable(error) from error
        if head.startswith(_PARQUET):
            return "parquet"
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise UserError(f"{self.path.name} is in UTF-16. {_ADVICE}")
        text = head.decode("utf-8-sig", "replace").lstrip()
        if "\0" in text.partition("\n")[0]:
            raise UserError(f"{self.path.name} is not a text file. {_ADVICE}")
        if not text:
            raise UserError(f"{self.path.name} is empty. Choose a file with something in it.")
        return {"[": "json", "{": "jsonl"}.get(text[0], "csv")

    def _from_text(self) -> Iterator[Row]:
        read = {"json": self._from_array, "jsonl": self._from_lines, "csv": self._from_csv}[self.format]
        try:
            with open(self.path, "rb") as binary:
                size = max(1, self.path.stat().st_size)
                # Lines are ended by what the format says, and read with the signs that end them.
                text = io.TextIOWrapper(binary, "utf-8-sig", newline="" if self.format == "csv" else "\n")
                for row in read(text):
                    self.done = binary.tell() / size
                    yield row
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path.name} is not text in UTF-8: line {self._undecodable()} cannot be read. {_ADVICE}"
            ) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def _undecodable(self) -> int:
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return number
        return 0

    def _lines(self, file: IO[str]) -> Iterator[str]:
        number = 0
        while line := file.readline(LONGEST_ENTRY + 1):
            number += 1
            if len(line) > LONGEST_ENTRY:
                raise UserError(f"Line {number} of {self.path.name} is too long to be a row. {_ADVICE}")
            yield line

    def _from_lines(self, file: IO[str]) -> Iterator[Row]:
        for number, line in enumerate(self._lines(file), 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line.rstrip("\n"))
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, f"it is not valid JSON: {_json_fault(error, 1, 0)}")
            else:
                yield _from_object(number, entry)

    def _from_array(self, file: IO[str]) -> Iterator[Row]:
        array = _Array(file)
        try:
            for number, entry in enumerate(array.entries(), 1):
                yield _from_object(number, entry)
        except (ValueError, RecursionError) as error:
            if isinstance(error, UnicodeDecodeError):
                raise
            reason = _json_fault(error, array.line, array.column)
            raise UserError(f"{self.path.name} is not valid JSON: {reason}. Correct the file and try again.") from error

    def _from_csv(self, file: IO[str]) -> Iterator[Row]:
        csv.field_size_limit(LONGEST_CELL)
        lines = self._lines(file)
        beginning = []
        for line in lines:
            beginning.append(line)
            if line.strip():
                break
        delimiter = _delimiter("".join(beginning))
        reader = csv.reader(_chained(beginning, lines), delimiter=delimiter, strict=True)
        header: list[str] = []
        begin = 1
        try:
            for cells in reader:
                number, begin = begin, reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if not header:
                    header = _header(self.path, cells)
                elif len(cells) > len(header):
                    yield Row(number, {}, f"it has {len(cells)} cells, where the header has {len(header)}")
                else:  # programs leave out the last cells of a row where they are empty
                    found = dict(zip(header, cells + [""] * len(header), strict=False))
                    yield Row(number, found, entry=found)
        except csv.Error as error:
            raise UserError(
                f"{self.path.name} is not valid CSV near line {reader.line_num}: {error}. "
                "Correct the file and try again."
            ) from error

    def _from_parquet(self) -> Iterator[Row]:
        number = 0
        try:
            with Worker() as worker:  # native code reads a stranger's bytes: let it crash elsewhere
                for total, entries in worker.run(parquet_job, self.path, hang_timeout=_SILENT):
                    for entry in entries:
                        number += 1
                        self.done = number / total
                        yield _from_object(number, entry)
        except WorkerDied as error:
            raise UserError(
                f"{self.path.name} could not be read as Parquet: it crashed what reads it. {error} "
                "Make the file anew, or save it as CSV or JSON lines."
            ) from error


def parquet_job(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The child's part: how many rows a Parquet file has, with some of them. Raises UserError where it is at fault."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            groups = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
            if any(group.total_byte_size > _LARGEST_GROUP for group in groups):
                raise UserError(f"{path.name} holds more in one piece than can be read. Split it.")
            for batch in file.iter_batches(_BATCH, use_threads=False):
                at_once = _BATCH if batch.nbytes < _MESSAGE else 1
                for start in range(0, len(batch), at_once):
                    yield file.metadata.num_rows, batch.slice(start, at_once).to_pylist()
    except (pyarrow.ArrowException, OSError, OverflowError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path.name} could not be read as Parquet: {reason}. Make the file anew.") from error


def read_table(path: Path) -> Table:
    """The whole of a file. Raises UserError where it is no table, empty or too large to be held."""
    return TableFile(path).whole()


def cell_text(value: Any) -> str:
    """A cell as text without space around it; empty for a list, an object or nothing."""
    return cell_verbatim(value).strip()


def cell_verbatim(value: Any) -> str:
    """A cell as text, as it stands there; empty for a list, an object or nothing, which not-a-number stands for."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):  # some programs do not write into a Parquet file that their texts are texts
        return value.decode("utf-8", "replace")
    return storable(str(value)) if isinstance(value, _PLAIN) and value == value else ""


class _Array:
    """The entries of a JSON array, one at a time. `line` and `column` are where what is held of its text begins."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._text, self._at, self._over = file, "", 0, False
        self.line, self.column = 1, 0

    def entries(self) -> Iterator[Any]:
        """Each entry. Raises JSONDecodeError, RecursionError or ValueError where the text is at fault."""
        self._sign()
        self._at += 1  # the bracket, which told that it is an array
        sign = self._sign()
        while sign != "]":
            yield self._entry()
            sign = self._sign()
            if sign == ",":
                self._at += 1
                self._sign()
            elif sign != "]":
                raise self._fault("Expecting ',' delimiter")
        self._at += 1
        if self._sign():
            raise self._fault("Extra data")

    def _entry(self) -> Any:
        size, decode = _CHUNK, json.JSONDecoder().raw_decode
        while True:
            try:
                value, end = decode(self._text, self._at)
            except json.JSONDecodeError:  # it may only be that the rest of it was not read yet
                if self._over or len(self._text) - self._at > LONGEST_ENTRY:
                    raise
            else:
                if end < len(self._text) or self._over:  # else a number may go on
                    self._at = end
                    return value
            self._more(size)
            size *= 2

    def _sign(self) -> str:
        """The next sign that is no space; empty at the end."""
        while True:
            rest = len(self._text) - self._at
            while rest and self._text[self._at] in " \t\r\n":
                self._at, rest = self._at + 1, rest - 1
            if rest:
                return self._text[self._at]
            if self._over:
                return ""
            self._more(_CHUNK)

    def _more(self, size: int) -> None:
        dropped = self._text[: self._at]
        if newlines := dropped.count("\n"):
            self.line, self.column = self.line + newlines, len(dropped) - dropped.rindex("\n") - 1
        else:
            self.column += len(dropped)
        read = self._file.read(size)
        self._over = not read
        self._text, self._at = self._text[self._at :] + read, 0

    def _fault(self, reason: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(reason, self._text, self._at)


def _chained(beginning: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from beginning
    yield from rest


def _json_fault(error: Exception, line: int, column: int) -> str:
    """What is wrong, and where; `line` and `column` are where the text that was read begins."""
    if isinstance(error, json.JSONDecodeError):
        place = error.colno + (column if error.lineno == 1 else 0)
        return f"{error.msg} at line {line + error.lineno - 1}, character {place}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"


def _from_object(number: int, entry: Any) -> Row:
    if not isinstance(entry, dict):
        return Row(number, {}, "it is not a JSON object")
    return Row(number, dict(_flat(entry, "", _NESTED)), entry=entry)


def _flat(entry: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        name = f"{prefix}{storable(key)}"
        if isinstance(value, dict) and depth:
            yield from _flat(value, f"{name}.", depth - 1)
        else:
            yield name, value


def _too_wide(path: Path) -> UserError:
    return UserError(f"{path.name} has more than {MOST_COLUMNS:,} columns. Leave out those that are not needed.")


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    if len(cells) > MOST_COLUMNS:
        raise _too_wide(path)
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
