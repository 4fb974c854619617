"""Files of others become examples: guessed, mapped, looked at, brought in whole or not at all, and taken back."""

import csv
import json
from collections.abc import Generator, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from core.errors import Cancelled, UserError
from core.exchange import importing
from core.exchange.export import export
from core.exchange.importing import Imported, Looked, bring_in, earlier, look_through, open_table, preview, take_back
from core.exchange.mapping import FIELDS, Mapping, guess, guessed
from core.exchange.worked import worked
from core.project.project import Project
from core.project.records import Evidence, Example, ExampleDraft, Step
from core.tables import Fault, UnusableRows
from tests.core.project.project_material import TEXT, make_document, make_passages

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
ANSWER = {"role": "assistant", "content": "4"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "test.elenchus") as project:
        yield project


def written(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def examples(project: Project) -> list[Example]:
    return list(project.iter_examples())


GUESSED = {
    "messages": ({"messages": [*CHAT, ANSWER]}, "conversation=messages"),
    "sharegpt": ({"conversations": [], "system": "x"}, "conversation=conversations,system=system"),
    "pair": ({"prompt": "a", "chosen": "b", "rejected": "c"}, "question=prompt,answer=chosen,rejected=rejected"),
    "completion": ({"prompt": "a", "completion": "b", "id": 1}, "question=prompt,answer=completion"),
    "alpaca": (
        {"instruction": "a", "input": "", "output": "b"}, "question=instruction,input=input,answer=output",
    ),
    "two-task": (
        {"input": "a", "label": "b", "rationale": "c"}, "question=input,answer=label,rationale=rationale",
    ),
    "gsm8k": ({"question": "a", "answer": "So.\n#### 4"}, "question=question,worked=answer"),
    "other": ({"Query": "a", "RESPONSE": "b", "Stars": 4}, "question=Query,answer=RESPONSE,rating=Stars"),
}  # fmt: skip


@pytest.mark.parametrize("shape", GUESSED)
def test_what_columns_are_is_guessed(tmp_path: Path, shape: str) -> None:
    row, expected = GUESSED[shape]
    assert guessed(open_table(written(tmp_path / "rows.jsonl", row))).to_text() == expected


def test_what_cannot_be_guessed_is_asked(tmp_path: Path) -> None:
    table = open_table(written(tmp_path / "rows.jsonl", {"a": 1, "b": 2}))
    assert guess(table) is None
    with pytest.raises(UserError, match=r"its columns are “a”, “b”\. Known are: .* Say which column is the question"):
        guessed(table)


@pytest.mark.parametrize("column", ["q", "a b", "a,b", 'a"b', "a=b", "ışık"])
def test_a_mapping_is_a_text_and_back(column: str) -> None:
    mapping = Mapping({"question": column, "answer": "x", "rating": f"{column} 2"})
    assert Mapping.from_text(mapping.to_text()) == mapping


@pytest.mark.parametrize("text", ["question", "question=", "=q", "quest=q", 'question="q', 'question="q"x,answer=a'])
def test_what_is_no_mapping_is_told(text: str) -> None:
    with pytest.raises(UserError, match=r"does not say which column is what. Write it like question=q,answer=a"):
        Mapping.from_text(text)


def test_a_mapping_must_fit_the_file(tmp_path: Path) -> None:
    table = open_table(written(tmp_path / "rows.jsonl", {"q": "Who?", "a": "I."}))
    for fields, reason in (
        ({"question": "x", "answer": "a"}, "has no column “x”. Its columns are: “q”, “a”"),
        ({"question": "q"}, "which column of rows.jsonl is what is answered: name one for answer or worked or conv"),
        ({"answer": "a"}, "which column of rows.jsonl is what is asked"),
        ({"who": "q"}, "cannot be the “who” of an example. It can be: question, input"),
    ):
        with pytest.raises(UserError, match=reason):
            preview(table, Mapping(fields))


def test_all_fields_find_their_place(project: Project, tmp_path: Path) -> None:
    row = {
        "q": "Which?", "more": "Of two.", "a": "red", "s": "Be brief.", "h": [["Hello.", "Hello!"]],
        "w": ["One.", "Two."], "worse": "blue", "c": ["red", "blue"], "k": "factual", "r": 4,
    }  # fmt: skip
    names = {"q": "question", "more": "input", "a": "answer", "s": "system", "h": "history", "w": "rationale"}
    names |= {"worse": "rejected", "c": "choices", "k": "kind", "r": "rating"}
    assert set(names.values()) | {"conversation", "worked", "context"} == set(FIELDS)
    mapping = Mapping({field: column for column, field in names.items()})
    done: Imported = result(bring_in(project, written(tmp_path / "rows.jsonl", row), mapping))
    assert (done.rows, done.left_out, done.restored) == (1, 0, 0)
    (made,) = examples(project)
    assert (made.question, made.answer, made.rejected, made.rating) == ("Which?\n\nOf two.", "red", "blue", 4)
    assert made.context == (("system", "Be brief."), ("user", "Hello."), ("assistant", "Hello!"))
    assert (made.choices, made.rationale) == (("red", "blue"), (Step("One."), Step("Two.")))
    assert (made.kind, made.origin) == ("imported", {"kind": "factual", "file": "rows.jsonl", "row": 1})
    run = project.run(done.run_id)
    assert (run.request.kind, run.state) == ("import", "finished")
    assert run.request.settings["mapping"] == mapping.fields


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.csv", "r.tsv", "r.parquet"])
def test_every_format_brings_the_same(project: Project, tmp_path: Path, name: str) -> None:
    rows = [{"question": f"Who, “{n}”?\nSay.", "answer": f' "{n}"; '} for n in range(3)]
    path = tmp_path / name
    if name.endswith("parquet"):
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif name.endswith("sv"):
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if name.endswith("tsv") else ",")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(json.dumps(rows) if name.endswith("json") else "\n".join(map(json.dumps, rows)), "utf-8")
    result(bring_in(project, path, state="accepted"))
    assert [{"question": one.question, "answer": one.answer} for one in examples(project)] == rows
    assert {one.state for one in examples(project)} == {"accepted"}


def test_a_preview_shows_drafts_and_faults_and_keeps_nothing(tmp_path: Path) -> None:
    path = written(
        tmp_path / "rows.jsonl", {"question": "Who?", "answer": "I."}, {"question": "", "answer": "I."}, "[]"
    )
    table = open_table(path)
    first, *faults = preview(table, guessed(table))
    assert isinstance(first, ExampleDraft)
    assert (first.question, first.answer, first.slot) == ("Who?", "I.", 1)
    assert faults == [Fault(2, "a text of its user is empty"), Fault(3, "it is not a JSON object")]
    assert len(preview(table, guessed(table), limit=1)) == 1


def test_a_rating_is_one_to_five_stars_or_none(tmp_path: Path) -> None:
    stars = ("", "5", "4.0", "0", "6", "4.5", "good")
    rows = ({"question": "Who?", "answer": "I.", "rating": one} for one in (*stars, 3.0, None))
    table = open_table(written(tmp_path / "rows.jsonl", *rows))
    made = preview(table, guessed(table))
    assert [one.rating for one in made if isinstance(one, ExampleDraft)] == [None, 5, 4, 3, None]
    assert [str(one) for one in made if isinstance(one, Fault)] == [
        f"Row {4 + place}: its rating “{text}” is not 1 to 5 stars." for place, text in enumerate(stars[3:])
    ]


def test_one_bad_row_keeps_all_out_unless_it_is_left_out(project: Project, tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "answer": "" if n % 10 == 3 else "So."} for n in range(300)]
    path = written(tmp_path / "rows.jsonl", *rows)
    looked: Looked = result(look_through(project, path, guessed(open_table(path))))
    assert (looked.rows, looked.bad, len(looked.faults)) == (270, 30, 20)
    with pytest.raises(UnusableRows, match=r"30 of 300 rows .*\n  Row 4: its answer is empty\.\n[\s\S]*So are 10 more"):
        result(bring_in(project, path))
    assert (examples(project), project.runs()) == ([], [])
    done: Imported = result(bring_in(project, path, skip_bad=True))
    assert (done.rows, done.left_out, project.count()) == (270, 30, 270)
    assert project.run(done.run_id).request.settings["left_out"] == 30
    with pytest.raises(UserError, match=r"No row of bad.jsonl can be used. Row 1: its answer is empty"):
        result(bring_in(project, written(tmp_path / "bad.jsonl", rows[3]), skip_bad=True))


def test_an_import_that_was_stopped_goes_on(project: Project, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", *({"question": f"{n}?", "answer": "So."} for n in range(1_200)))
    stop = [False]
    steps = bring_in(project, path, cancelled=lambda: stop[0])
    for item in steps:
        if not item.checking:
            stop[0] = True
            break
    with pytest.raises(Cancelled, match=r"500 of 1,200 rows were imported. Import the same file again to go on"):
        result(steps)
    assert (project.count(), project.runs()[0].state) == (500, "cancelled")
    assert earlier(project, path_sha(path)) is None
    done: Imported = result(bring_in(project, path))
    assert (done.run_id, done.rows, project.count()) == (1, 1_200, 1_200)
    assert len({example.question for example in examples(project)}) == 1_200
    before = earlier(project, path_sha(path))
    assert before is not None
    assert before.id == 1
    with pytest.raises(Cancelled, match="before anything was imported"):
        result(bring_in(project, path, cancelled=lambda: True))
    assert len(project.runs()) == 1


def path_sha(path: Path) -> str:
    return importing.TableFile(path).sha256()


def test_an_import_is_taken_back_in_one_action(project: Project, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", *({"question": f"{n}?", "answer": "So."} for n in range(3)))
    run = result(bring_in(project, path, state="accepted")).run_id
    assert take_back(project, run) == 3
    assert project.counts()["rejected"] == 3
    project.undo()
    assert project.counts()["accepted"] == 3
    other = project.start_run(project.run(run).request.__class__(**{**vars(project.run(run).request), "kind": "ask"}))
    with pytest.raises(UserError, match=f"Run {other} imported nothing"):
        take_back(project, other)


def test_a_file_that_changes_meanwhile_is_told(project: Project, tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", *({"question": f"{n}?", "answer": "So."} for n in range(3)))
    steps = bring_in(project, path)
    for item in steps:
        if not item.checking:
            break
    path.write_text('{"question": "x", "answer": "y"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"rows.jsonl was changed while it was imported"):
        result(steps)
    assert project.runs()[0].state == "failed"


WORKED = [
    ("He sold 48/2 = <<48/2=24>>24.\n\nIn all <<48+24=72>>72.\n#### 72", (("He sold 48/2 = 24.", "In all 72."), "72")),
    ("#### -1,000.5", ((), "-1,000.5")),
    ("One #### two", None),
    ("So.\n####  ", None),
    ("So.", None),
    ("See #### 1.\n#### 2", (("See #### 1.",), "2")),
]


@pytest.mark.parametrize(("text", "parts"), WORKED)
def test_a_worked_solution_is_parted(text: str, parts: Any) -> None:
    assert worked(text) == parts


def test_gsm8k_comes_with_its_steps(project: Project, shared: Path) -> None:
    path = shared / "gsm8k" / "train.jsonl"
    table = open_table(path)
    assert guessed(table).to_text() == "question=question,worked=answer"
    looked: Looked = result(look_through(project, path, guessed(table)))
    assert (looked.rows, looked.bad) == (7_473, 0)
    first, *others = preview(table, guessed(table), 200)
    assert isinstance(first, ExampleDraft)
    assert first.answer == "72"
    assert [step.text for step in first.rationale] == [
        "Natalia sold 48/2 = 24 clips in May.",
        "Natalia sold 48+24 = 72 clips altogether in April and May.",
    ]
    for other in others:
        assert isinstance(other, ExampleDraft)
        assert other.rationale
        assert not any(mark in step.text for step in other.rationale for mark in ("<<", ">>", "####"))


def test_what_a_strangers_row_says_of_its_origin_is_kept(project: Project, tmp_path: Path) -> None:
    project.add_document(make_document(), make_passages(), 1200, 200)
    sha256 = project.document(1).sha256
    own = {"run": {}, "kind": "factual"}
    place = {"document_sha256": sha256, "page": 1, "start": 0, "end": 3, "text": TEXT[:3]}
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    hostile: list[Any] = [
        {"run": 5, "kind": "factual"},
        own | {"evidence": {"document_sha256": "x", "page": "1"}, "rationale": [{"cited": 5}], "choices": 5,
               "context": [1], "rating": 99, "stem": {}},
        *(own | {"evidence": place | change} for change in (
            {"page": 2**70}, {"page": 7}, {"start": -1}, {"start": 3, "end": 3}, {"end": 10**6}, {"text": "no"},
            {"rectangles": [[1]]}, {"rectangles": "x"}, {"rectangles": 5}, {"document_sha256": [1]},
        )),
        *(own | {"evidence": told} for told in ("text", [place], 5, True)),
        own | {"passage": place | {"page": 2**70}},
        own | {"evidence": place, "kind": "imported"}, own | {"passage": place},
    ]  # fmt: skip
    unkept = ["text", own | {"rating": float("nan")}, own | {"run": {"a": deep}}]
    rows = [{"question": f"{n}?", "answer": "So.", "elenchus": said} for n, said in enumerate([*hostile, *unkept])]
    result(bring_in(project, written(tmp_path / "rows.jsonl", *rows), state="accepted"))
    made = examples(project)
    told = {(one.kind, one.rating, one.rationale, one.choices, one.context, one.evidence) for one in made}
    assert told == {("imported", None, (), (), (), None)}
    whence = {"file": "rows.jsonl", "row": 1}
    assert [one.origin for one in made[: len(hostile)]] == [{"elenchus": hostile[0]} | whence, *hostile[1:]]
    assert [one.origin for one in made[len(hostile) :]] == [whence | {"row": len(hostile) + n} for n in (1, 2, 3)]
    for format in ("messages", "csv", "parquet"):
        assert list(export(project, tmp_path / "out", format))[-1].rows == len(rows)


def test_a_step_cites_only_what_stands_in_the_document(project: Project, tmp_path: Path) -> None:
    project.add_document(make_document(), make_passages(), 1200, 200)
    place = {"document_sha256": project.document(1).sha256, "page": 1, "start": 0, "end": 3, "text": TEXT[:3]}
    cited = [place, place | {"page": 2**70}, place | {"text": "no"}, place | {"page": 9}]
    said = {"run": {}, "kind": "factual", "evidence": place}
    steps = [{"text": f"{n}.", "cited": one, "accepted": True} for n, one in enumerate(cited)]
    rows = [{"question": f"{n}?", "answer": "So.", "elenchus": said | {"rationale": some}} for n, some in
            enumerate((steps[:1], steps[2:], steps[1:2]))]  # fmt: skip
    result(bring_in(project, written(tmp_path / "rows.jsonl", *rows)))
    first, second, third = examples(project)
    assert [step.cited for step in first.rationale] == [Evidence(1, 0, 3, TEXT[:3])]
    assert [(step.text, step.cited) for step in second.rationale] == [("2.", None), ("3.", None)]
    assert third.rationale == ()  # what is told there is no place
    assert {one.state for one in (first, second, third)} == {"draft"}


def test_cells_of_parquet_that_json_does_not_know(project: Project, tmp_path: Path) -> None:
    answers = [Decimal("42.50"), date(2020, 1, 2), datetime(2020, 1, 2, 3), b"Text.", 0.5]
    path = tmp_path / "rows.parquet"
    for answer in answers:
        columns = {"question": ["Why?"], "answer": [answer], "elenchus": [{"at": datetime(2020, 1, 2), "of": b"x"}]}
        parquet.write_table(pyarrow.table(columns), path)
        result(bring_in(project, path))
    assert [one.answer for one in examples(project)] == ["42.50", "2020-01-02", "2020-01-02 03:00:00", "Text.", "0.5"]
    parquet.write_table(pyarrow.table({"question": ["Why?"], "answer": [float("nan")]}), path)
    with pytest.raises(UserError, match="its answer is empty"):
        result(bring_in(project, path))
