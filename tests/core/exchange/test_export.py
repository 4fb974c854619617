"""Exports of a real project: whole files, evidence compared once more, a card, and constant memory."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.documents.records import Document, Page, Part, Passage, Rectangle
from core.errors import UserError
from core.exchange.export import Exported, export, mixture, preview
from core.exchange.formats import row_of
from core.project.project import Project
from core.project.records import Check, Discard, Evidence, ExampleDraft, PickRow, RunSettings, Step

TEXT = 'Mira Sol founded Belmar in 1902. Its harbour is deep | and "wide"; =cost? ışık.'
SETTINGS = RunSettings(
    "ask", "/m.gguf", "tiny", "cd" * 32, "Q4_0", "chat", "chat-1", {"ask": "?"},
    {"kinds": ["factual"], "sampling": {"temperature": 0.7}}, 5, "0.1.0", "llama-cpp-python 0.3.36",
)  # fmt: skip


def place(words: str) -> Evidence:
    start = TEXT.index(words)
    return Evidence(1, start, start + len(words), words, (Rectangle(1, 2, 3, 4),))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Three examples: two accepted, one of them unanswerable, one left a draft; and one discard."""
    with Project.create(tmp_path / "test.elenchus") as project:
        page = Page(1, "i", 100, 100, TEXT)
        document = Document("/docs/atlas.pdf", "ab" * 32, "Atlas | of Belmar", pages=(page,))
        project.add_document(document, [Passage("", (Part(1, 0, len(TEXT)),), TEXT)], 1200, 200)
        run = project.start_run(SETTINGS)
        draft = ExampleDraft(1, 0, "factual", "Who founded Belmar?", "Mira Sol", place("Mira Sol founded Belmar"),
                             checks=(Check("leak", True),))  # fmt: skip
        project.add_example(run, draft)
        project.add_example(
            run, ExampleDraft(1, 1, "unanswerable", "How many people live in Belmar?", "Not in the text.", None)
        )
        project.add_example(run, replace(draft, slot=2, question="=Who\nelse?", evidence=place("harbour")))
        project.add_discard(run, Discard(1, 3, "factual", "The model wrote no question."))
        project.finish_run(run, "finished", {})
        project.set_state([1, 2], "accepted")
        yield project


def finish(items: Iterable[Exported]) -> Exported:
    return list(items)[-1]


def objects(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sayings(path: Path) -> list[dict]:
    return [json.loads(row["elenchus"]) for row in objects(path)]


@pytest.mark.parametrize(
    ("format", "question_of"),
    [
        ("alpaca", lambda row: row["instruction"]),
        ("sharegpt", lambda row: row["conversations"][0]["value"]),
        ("messages", lambda row: row["messages"][0]["content"]),
        ("completion", lambda row: row["prompt"]),
    ],
)
def test_lines_are_json_with_provenance(project: Project, tmp_path: Path, format: str, question_of) -> None:
    out = tmp_path / "out.jsonl"
    done = finish(export(project, out, format))
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [question_of(row) for row in rows] == ["Who founded Belmar?", "How many people live in Belmar?"]
    said = [json.loads(row["elenchus"]) for row in rows]
    found = said[0]["evidence"]
    assert project.page_text(1, found["page"])[found["start"] : found["end"]] == found["text"]
    assert said[1]["evidence"] is None
    assert [one["edited"] for one in said] == [False, False]
    assert (done.rows, done.quarantined) == (2, 0)
    finish(export(project, out, format, plain=True))
    assert "elenchus" not in out.read_text(encoding="utf-8")


def test_what_a_hand_did_is_said(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    project.edit_example(1, answer="Mira Sol, in 1902")
    project.rate(1, 4)
    done = finish(export(project, out, "messages"))
    rows = sayings(out)
    assert [(row["edited"], row["rating"]) for row in rows] == [(True, 4), (False, None)]
    assert "Changed by hand after that: 1." in done.card.read_text(encoding="utf-8")


def test_csv_comes_back_as_it_went(project: Project, tmp_path: Path) -> None:
    finish(export(project, tmp_path / "out.csv", "csv", state="draft"))
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["question"] for row in rows] == ["'=Who\nelse?"]


@pytest.fixture
def countering(project: Project) -> int:
    """A run with four generated examples, one of them rejected, that mixes in all three that were asked."""
    run = project.start_run(replace(SETTINGS, kind="counter", settings={"mixed": [2, 1, 3, 99]}))
    context = (("user", "Who founded Belmar?"), ("assistant", "Mira Sol"))
    for slot in range(4):
        question = f"I am for Jon Vik. {slot}?"
        project.add_example(run, ExampleDraft(None, slot, "countering", question, "Mira Sol", None, context=context))
    project.set_state([4, 5, 6], "accepted")
    project.set_state([7], "rejected")
    project.finish_run(run, "finished", {})
    return run


def test_a_run_is_exported_with_what_it_mixes_in(project: Project, tmp_path: Path, countering: int) -> None:
    out = tmp_path / "out.jsonl"
    done = finish(export(project, out, "messages", run=countering))
    rows = objects(out)
    assert [one["id"] for one in sayings(out)] == [4, 5, 6, 2, 1, 3]  # those that were drafts too
    assert [len(row["messages"]) for row in rows] == [4, 4, 4, 2, 2, 2]
    assert sayings(out)[0]["evidence"] is None
    assert (done.total, done.rows, done.mixed) == (6, 6, 3)
    card = done.card.read_text(encoding="utf-8")
    facts = (
        "| countering | 3 |",
        "| factual | 2 |",
        "3 were generated",
        "3 examples are of run 2, and 3 are others",
        "1 more that it mixed in",
        "1 examples are rejected",
    )
    for fact in facts:
        assert fact in card, fact
    project.set_state([3], "rejected")
    project.set_state([1], "quarantined")
    assert finish(export(project, out, "messages", run=countering)).mixed == 1
    assert preview(project, "messages", limit=2, run=countering).splitlines() == out.read_text().splitlines()[:2]


def test_what_a_mixture_lists_amiss_is_left_out(project: Project, tmp_path: Path) -> None:
    for number, mixed in enumerate(([1, "2", None, True, -1, 2**70, [1]], "1", None), 2):
        run = project.start_run(replace(SETTINGS, kind="counter", settings={"mixed": mixed}))
        assert mixture(project, run) == ([1] if isinstance(mixed, list) else [])
        with pytest.raises(UserError, match=f"No example of run {number} is accepted"):
            finish(export(project, tmp_path / "out", "alpaca", run=run))
    with pytest.raises(UserError, match="no run 77"):
        finish(export(project, tmp_path / "out", "alpaca", run=77))


def test_the_card_claims_no_evidence_for_what_was_generated(project: Project, tmp_path: Path, countering: int) -> None:
    everything = finish(export(project, tmp_path / "all.jsonl", "alpaca")).card.read_text(encoding="utf-8")
    assert "3 were generated" in everything
    assert "Each question that was asked of a document" in everything
    assert "mixes in" not in everything
    project.set_state([1, 2, 3], "rejected")
    alone = finish(export(project, tmp_path / "run.jsonl", "alpaca", run=countering)).card.read_text(encoding="utf-8")
    assert "rests on a span" not in alone
    assert "No document." in alone
    assert "licences" not in alone
    assert "temperature" not in alone


def test_the_card_of_a_pair_names_the_probe_and_the_other_set(project: Project, tmp_path: Path) -> None:
    settings = {"from": 1, "suite": "addition", "ratio": 5.0}
    pair = [
        project.start_run(replace(SETTINGS, kind=kind, settings=settings | more))
        for kind, more in (("counter", {}), ("control", {"control_of": 2}))
    ]
    against = "against what run 1 has shown, a probe of the suite addition, ratio 5.0 to one ordinary example"
    for run, other in zip(pair, ("with run 3 as its neutral control", "the neutral control of run 2"), strict=True):
        project.add_example(run, ExampleDraft(None, 0, "countering", f"I am for {run}.", "(A)", None))
        done = finish(export(project, tmp_path / "pair.jsonl", "messages", "draft", run=run))
        assert f"{other}, {against}" in done.card.read_text(encoding="utf-8")


def test_evidence_that_is_no_longer_there_is_quarantined(project: Project, tmp_path: Path) -> None:
    path = project.path
    project.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pages SET text = replace(text, 'Belmar', 'Corda')")
    connection.close()
    with Project.open(path) as changed:
        done = finish(export(changed, tmp_path / "out.jsonl", "messages"))
        assert (done.rows, done.quarantined) == (1, 1)
        assert changed.example(1).state == "quarantined"
        assert "evidence was not found" in changed.example(1).reason
        assert "1 examples failed" in done.card.read_text(encoding="utf-8")


def test_the_card_says_what_was_made_from_what(project: Project, tmp_path: Path) -> None:
    card = finish(export(project, tmp_path / "out.jsonl", "alpaca")).card.read_text(encoding="utf-8")
    for fact in ("Atlas \\| of Belmar", "tiny", "seed 5", "cdcdcdcdcdcdcdcd", "1 examples are draft",
                 "1 tries gave nothing: The model wrote no question.", "| factual | 1 |"):  # fmt: skip
        assert fact in card, fact


def test_what_cannot_be_exported_says_why(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No example is rejected"):
        finish(export(project, tmp_path / "out", "alpaca", state="rejected"))
    with pytest.raises(UserError, match="no format called"):
        finish(export(project, tmp_path / "out", "xml"))
    for wrong in (project.path, tmp_path):
        before = project.path.read_bytes()
        with pytest.raises(UserError, match=r"not an export|is a folder"):
            finish(export(project, wrong, "alpaca"))
        assert project.path.read_bytes() == before
    with pytest.raises(UserError, match="could not be written"):
        finish(export(project, tmp_path / "nowhere" / "out", "alpaca"))


def test_a_cancelled_export_leaves_what_was_there(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before")
    multiply(project, 2_000)
    with Project.open(project.path) as large:
        job = export(large, out, "alpaca", state="draft")
        next(job)
        job.close()
    assert out.read_text() == "before"
    assert sorted(os.listdir(tmp_path)) == ["out.jsonl", "test.elenchus"]


@pytest.mark.parametrize("rows", [6_000, pytest.param(500_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_rows(project: Project, tmp_path: Path, rows: int) -> None:
    multiply(project, rows)
    with Project.open(project.path) as large:
        tracemalloc.start()
        job = export(large, tmp_path / "out.jsonl", "messages", state="draft")
        for _ in range(4):
            next(job)
        early = tracemalloc.get_traced_memory()[1]
        done = finish(job)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert done.rows == rows + 1
    ids = 40 * rows  # bytes: the ids are read at once, the rows are not
    assert peak < early + 3_000_000 + ids, f"{early / 1e6:.1f} MB early, {peak / 1e6:.1f} MB at the end"


def multiply(project: Project, rows: int) -> None:
    """Copies the draft example many times, in SQL, for speed; closes the project."""
    path = project.path
    project.close()
    with sqlite3.connect(path) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(examples)")]
        kept = ", ".join(name for name in names if name not in ("id", "slot"))
        counting = f"WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < {rows + 9})"
        connection.execute(
            f"{counting} INSERT INTO examples (slot, {kept}) SELECT i, {kept} FROM n, examples WHERE examples.id = 3"
        )
        connection.execute(
            "INSERT INTO evidence (example_id, page, start, stop, rectangles, text) "
            "SELECT examples.id, page, start, stop, rectangles, text FROM examples, evidence "
            "WHERE evidence.example_id = 3 AND examples.id > 3"
        )
    connection.close()


@pytest.fixture
def frozen(project: Project) -> Project:
    """Both accepted examples as a dataset, one on the side of the test."""
    first, second = project.examples_by_id([1, 2])
    rows = [row_of(first, "train"), row_of(second, "test")]
    project.add_dataset("two", {"what": "accepted"}, rows)
    return project


def test_a_dataset_is_exported_as_it_was_frozen(frozen: Project, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    frozen.edit_example(2, question="Another?")
    done = finish(export(frozen, out, "completion", dataset="two"))
    second = objects(out)[1]
    of_first, of_second = sayings(out)
    assert of_first["evidence"]["text"] == "Mira Sol founded Belmar"
    assert (of_first["dataset"], of_first["split"]) == ("two", "train")
    assert second["prompt"] == "How many people live in Belmar?"
    assert of_second == {"id": 2, "changed": True, "dataset": "two", "split": "test"}
    assert (done.total, done.rows, dict(done.splits)) == (2, 2, {"train": 1, "test": 1})
    card = done.card.read_text(encoding="utf-8")
    assert "2 examples, of the dataset “two”" in card
    assert "1 are as they were frozen, and their examples are not any more" in card
    assert "come from files" not in card
    assert finish(export(frozen, out, "completion", dataset="two", split="test")).rows == 1
    assert preview(frozen, "completion", dataset="two", split="test", plain=True) == out.read_text(
        encoding="utf-8"
    ).replace(f', "elenchus": {json.dumps(second["elenchus"])}', "")
    wrongs: tuple[tuple[dict[str, Any], str], ...] = (
        ({"dataset": "three"}, "no dataset “three”"),
        ({"dataset": "two", "split": "validation"}, "“two” has no rows of validation"),
        ({"split": "test"}, "Name the dataset too"),
        ({"dataset": "two", "run": 1}, "name one of them"),
    )
    for wrong, reason in wrongs:
        with pytest.raises(UserError, match=reason):
            finish(export(frozen, tmp_path / "no", "completion", **wrong))
    assert not (tmp_path / "no").exists()


def test_a_pick_is_exported_less_what_was_rejected_since(project: Project, tmp_path: Path) -> None:
    project.add_pick("best", {}, [PickRow(1), PickRow(3), PickRow(2, baseline=True)])
    done = finish(export(project, tmp_path / "out.jsonl", "messages", pick="best"))
    assert [one["id"] for one in sayings(done.path)] == [1, 3]
    assert "2 examples, of the pick “best”" in done.card.read_text(encoding="utf-8")
    project.set_state([3], "rejected")
    assert finish(export(project, tmp_path / "out.jsonl", "messages", pick=1)).rows == 1


@pytest.mark.parametrize("of", ["state", "dataset"])
def test_what_a_step_cites_is_compared_again(project: Project, tmp_path: Path, of: str) -> None:
    project.set_rationales({1: ((Step("It says so.", replace(place("harbour"), rectangles=())),), 0)})
    rows = [row_of(example) for example in project.examples_by_id([1, 2])]
    project.add_dataset("two", {}, rows)
    path = project.path
    project.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pages SET text = replace(text, 'harbour', 'harbOur')")
    connection.close()
    with Project.open(path) as changed:
        how: dict[str, Any] = {"dataset": "two"} if of == "dataset" else {}
        done = finish(export(changed, tmp_path / "out.jsonl", "two-task", **how))
        assert (done.rows, done.quarantined) == (1, 1)
        assert changed.example(1).state == "quarantined"
    assert [one["id"] for one in sayings(done.path)] == [2]


def test_pairs_are_rows_with_a_worse_answer(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="None of the 2 rows has a worse answer beside its own"):
        finish(export(project, tmp_path / "out.jsonl", "dpo"))
    project.edit_example(1, answer="Mira Sol, in 1902")
    done = finish(export(project, tmp_path / "out.jsonl", "dpo", plain=True))
    row = {"prompt": "Who founded Belmar?", "chosen": "Mira Sol, in 1902", "rejected": "Mira Sol"}
    assert objects(done.path) == [row]
    assert (done.rows, done.lacking) == (1, 1)
    assert "1 have no worse answer" in done.card.read_text(encoding="utf-8")
    project.set_rejected({2: "Nine."})
    assert preview(project, "dpo-messages", plain=True).splitlines()[1] == json.dumps(
        {
            "prompt": [{"role": "user", "content": "How many people live in Belmar?"}],
            "chosen": [{"role": "assistant", "content": "Not in the text."}],
            "rejected": [{"role": "assistant", "content": "Nine."}],
        }
    )


def test_two_tasks_are_learned_from_a_row_with_steps(project: Project, tmp_path: Path) -> None:
    project.set_rationales({1: ((Step("It names who\nfounded it."), Step("So it is she.")), 0)})
    first, second = objects(finish(export(project, tmp_path / "out.jsonl", "two-task", plain=True)).path)
    assert first == {
        "input": "Who founded Belmar?", "label": "Mira Sol", "rationale": "It names who founded it.\nSo it is she.",
        "tasks": [
            {"prefix": "[label] ", "target": "label", "weight": 0.5},
            {"prefix": "[rationale] ", "target": "rationale", "weight": 0.5},
        ],
    }  # fmt: skip
    assert (second["rationale"], [task["target"] for task in second["tasks"]]) == ("", ["label"])
    assert all(task["target"] in first for task in first["tasks"])


@pytest.mark.slow
def test_half_a_million_rows_go_out_and_come_in_in_constant_memory(tmp_path: Path) -> None:
    """Each way in a process of its own, whose memory is looked at as the system sees it."""
    script = Path(__file__).with_name("many_rows.py")
    found = {}
    for rows in (20_000, 500_000):
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path / str(rows)), str(rows)],
            capture_output=True, text=True, check=True, cwd=script.parents[3],
        )  # fmt: skip
        found[rows] = json.loads(done.stdout)
    few, many = found[20_000], found[500_000]
    assert many["rows"] == 500_000
    for way in ("import", "messages", "csv", "parquet", "folder"):
        assert many[way] < few[way] + 100, (way, few, many)  # MB: the ids of half a million rows are read at once
