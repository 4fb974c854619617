"""Tables of strangers are read row by row: any chunk border, any length, and every fault with its place."""

import csv
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from core import tables
from core.errors import UserError
from core.tables import TableFile

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.lists(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4), max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(entries=ENTRIES, chunk=st.integers(1, 9), indent=st.sampled_from([None, 1]), ascii=st.booleans())
def test_an_array_is_read_in_pieces_as_it_is_at_once(
    entries: list[dict], chunk: int, indent: int | None, ascii: bool
) -> None:
    text = json.dumps(entries, indent=indent, ensure_ascii=ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CHUNK", chunk)
        assert list(tables._Array(io.StringIO(text)).entries()) == entries


@settings(max_examples=60, deadline=None, derandomize=True)
@given(entries=ENTRIES, cut=st.integers(0, 200), put=st.sampled_from(["", ",", "]", "{", '"', "1"]))
def test_a_harmed_array_is_told_where_json_tells_it(entries: list[dict], cut: int, put: str) -> None:
    text = json.dumps(entries, indent=1)
    text = text[: 1 + cut % len(text)] + put + text[2 + cut % len(text) :]
    try:
        expected = json.loads(text)
    except json.JSONDecodeError as error:
        expected = f"{error.msg} at line {error.lineno}, character {error.colno}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_CHUNK", 7)
        array = tables._Array(io.StringIO(text))
        try:
            found = list(array.entries())
        except json.JSONDecodeError as error:
            found = tables._json_fault(error, array.line, array.column)
    told = "Illegal trailing comma"  # which Python 3.13 says of what 3.11 expected a value or a name for
    assert found == expected or told in str(expected)


def test_numbers_of_rows_and_columns_of_a_parquet_file(tmp_path: Path) -> None:
    rows = [
        {"q": f"Is it {n}?", "a": None if n % 2 else "Yes.", "more": {"n": n}, "l": ["x"] * (n % 3)} for n in range(7)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.bin", row_group_size=3)
    file = TableFile(tmp_path / "p.bin")
    found = list(file.rows())
    assert file.format == "parquet"
    assert [row.number for row in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.entry for row in found] == rows
    assert found[4].cells == {"q": "Is it 4?", "a": "Yes.", "more.n": 4, "l": ["x"]}
    assert file.done == 1.0


def test_a_harmed_parquet_file_is_a_sentence(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([{"q": "x" * 50}] * 300), tmp_path / "p.parquet")
    data = (tmp_path / "p.parquet").read_bytes()
    for cut in (4, 8, 40, len(data) // 2, len(data) - 9, len(data) - 1):
        (tmp_path / "p.parquet").write_bytes(data[:cut])
        with pytest.raises(UserError, match=r"p.parquet could not be read as Parquet: "):
            list(TableFile(tmp_path / "p.parquet").rows())


def dying(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    yield 2, [{"q": path.name}]
    os.abort()


def test_a_parquet_file_that_crashes_its_reader_costs_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([{"q": "x"}] * 2), tmp_path / "p.parquet")
    monkeypatch.setattr(tables, "parquet_job", dying)
    rows = TableFile(tmp_path / "p.parquet").rows()
    assert next(rows).cells == {"q": "p.parquet"}
    with pytest.raises(
        UserError, match=r"p.parquet could not be read as Parquet: it crashed what reads it\. The worker"
    ):
        next(rows)


def test_who_has_seen_enough_of_a_parquet_file_leaves_no_child(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([{"q": "x"}] * 100_000), tmp_path / "p.parquet")
    before = set(psutil.Process().children())
    assert len(TableFile(tmp_path / "p.parquet").sample(3).rows) == 3
    assert set(psutil.Process().children()) == before


def test_rows_of_megabytes_come_one_by_one(tmp_path: Path) -> None:
    rows = [{"q": f"{n}" * 3_000_000} for n in range(4)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    assert [len(entries) for _, entries in tables.parquet_job(tmp_path / "p.parquet")] == [1, 1, 1, 1]
    assert [row.entry for row in TableFile(tmp_path / "p.parquet").rows()] == rows


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_file_is_read_in_constant_memory(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than what a table that is held may be, and looked at row by row."""
    monkeypatch.setattr(tables, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(tables, "MOST_ROWS", 1_000)
    row = {"question": "Who? " * 100, "answer": "It, said he. " * 10}
    with open(tmp_path / name, "w", encoding="utf-8", newline="") as file:
        if name == "a.csv":
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows([row] * 10_000)
        elif name == "a.json":
            file.write("[" + ",\n".join([json.dumps(row)] * 10_000) + "]")
        else:
            file.writelines([json.dumps(row) + "\n"] * 10_000)
    tracemalloc.start()
    try:
        assert sum(found.cells == row for found in TableFile(tmp_path / name).rows()) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000 < (tmp_path / name).stat().st_size
    with pytest.raises(UserError, match="larger than 1 MB"):
        TableFile(tmp_path / name).whole()


def test_limits_on_what_one_row_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LONGEST_ENTRY", 200)
    path = tmp_path / "long"
    path.write_text('{"a": 1}\n{"a": "' + "x" * 300 + '"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="Line 2 of long is too long to be a row"):
        list(TableFile(path).rows())
    path.write_text("a,b\n1,2\n" + "3" * 300, encoding="utf-8")
    with pytest.raises(UserError, match="Line 3 of long is too long to be a row"):
        list(TableFile(path).rows())
    monkeypatch.setattr(tables, "_CHUNK", 50)
    path.write_text('[{"a": "' + "x" * 3000 + '"}, {"a": 2}]', encoding="utf-8")
    with pytest.raises(UserError, match=r"long is not valid JSON: Unterminated string .* at line 1, character 8"):
        list(TableFile(path).rows())
    monkeypatch.setattr(tables, "MOST_COLUMNS", 3)
    path.write_text("".join(f'{{"c{n}": 1}}\n' for n in range(4)), encoding="utf-8")
    with pytest.raises(UserError, match="more than 3 columns"):
        list(TableFile(path).rows())


def test_what_lies_far_behind_is_told_when_it_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 20_000 + b'{"a": "\xff"}\n')
    rows = TableFile(path).rows()
    assert next(rows).cells == {"a": 1}
    with pytest.raises(UserError, match="is not text in UTF-8: line 20001 cannot be read"):
        list(rows)


def test_a_head_of_a_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{n}" for n in range(1_000_000)) + "\n")
    with pytest.raises(UserError, match="more than 1,000 columns"):
        TableFile(path).sample()
