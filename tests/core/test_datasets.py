"""What may be trained on is frozen as it is; nothing that belongs together is on both sides of the division."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import datasets
from core.datasets import describe, freeze, select
from core.errors import UserError
from core.exchange.export import export
from core.project.project import Project
from core.project.records import Check
from core.project.tuning import Dataset, DatasetRow
from core.tables import UnusableRows
from tests.core.project.project_material import (
    make_document,
    make_draft,
    make_generated,
    make_passages,
    make_settings,
)


@pytest.fixture
def project(tmp_path: Path) -> Any:
    with Project.create(tmp_path / "test.elenchus") as project:
        yield project


def fill(project: Project, documents: int, each: int, pages: int = 4) -> None:
    """Adds documents with so many accepted examples each, spread over their passages."""
    run_id = project.start_run(make_settings())
    for number in range(documents):
        row = project.add_document(make_document(f"doc{number}", pages), make_passages(pages), 1200, 200)
        passages = project.passages(row.id)
        for slot in range(each):
            passage = passages[slot % pages]
            changes = {"question": f"Question {slot} of {number}?", "kind": "unanswerable"}
            project.add_example(run_id, make_draft(slot, passage.id, evidence=None, choices=(), **changes))
    project.finish_run(run_id, "finished", {})
    project.set_state(project.example_ids(), "accepted")


def sides(project: Project, dataset: Dataset, key: str) -> tuple[set[Any], set[Any]]:
    """What the examples on either side belong to: trained on, and held out."""
    found: tuple[set[Any], set[Any]] = (set(), set())
    for row in project.dataset_rows(dataset.id):
        assert row.example_id is not None
        found[row.held_out].add(getattr(project.example(row.example_id), key))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_document_is_on_both_sides(project: Project, seed: int) -> None:
    fill(project, documents=7, each=6)
    dataset = freeze(project, "accepted", 0.2, seed)
    trained, held_out = sides(project, dataset, "document_id")
    assert not trained & held_out
    assert (len(trained), len(held_out)) == (6, 1)  # 0.2 of 42 rows are 8: one document of 6
    assert (dataset.rows, dataset.held_out, dataset.name) == (42, 6, "accepted, 42 rows")
    assert freeze(project, "accepted", 0.2, seed) == dataset
    assert freeze(project, dataset.name) == dataset
    assert describe(select(project, dataset.name)) == [
        "“accepted, 42 rows” has 42 rows, of which 6 are held out, so that no document, no stem and no question, nor "
        "what is near to one, is on two sides."
    ]


def test_seeds_hold_out_different_documents(project: Project) -> None:
    fill(project, documents=7, each=2)
    chosen = {tuple(sides(project, freeze(project, "accepted", 0.15, seed), "document_id")[1]) for seed in range(8)}
    assert len(chosen) > 1


@pytest.mark.parametrize("documents", [1, 2])
def test_where_no_document_can_be_spared_no_passage_is_on_both_sides(project: Project, documents: int) -> None:
    fill(project, documents, each=12)
    dataset = freeze(project, "accepted", 0.3)
    trained, held_out = sides(project, dataset, "passage_id")
    assert not trained & held_out
    assert held_out
    assert dataset.held_out <= dataset.rows / 3
    assert "by passage, for no document is small enough" in describe(select(project, dataset.name))[0]


def test_nothing_is_held_out_when_nothing_is_to_be(project: Project) -> None:
    fill(project, documents=2, each=2)
    assert freeze(project, "accepted", 0.0).held_out == 0
    with pytest.raises(UserError, match="0 or more, and below 1"):
        freeze(project, "accepted", 1.0)


def test_an_answer_that_a_person_changed_is_better_than_the_draft(project: Project) -> None:
    fill(project, documents=1, each=3)
    first = project.example(1)
    project.edit_example(1, answer="In Izmir, in 1901.")
    rows = project.dataset_rows(freeze(project, "accepted").id)
    assert (rows[0].answer, rows[0].rejected) == ("In Izmir, in 1901.", first.answer)
    assert [row.rejected for row in rows[1:]] == ["", ""]


def countering(project: Project, count: int) -> int:
    """A countering run, two examples a stem; it mixes in the first two ordinary examples."""
    run_id = project.start_run(make_settings("counter"))
    for slot in range(count):
        checks = (Check("fresh", True, None, f"stem {slot // 2}"),)
        project.add_example(run_id, make_generated(slot, checks=checks, question=f"Not {slot}! Which?"))
    project.add_settings(run_id, mixed=[1, 2])
    project.finish_run(run_id, "finished", {})
    return run_id


def test_a_run_brings_its_mixture_and_keeps_stems_together(project: Project) -> None:
    fill(project, documents=1, each=2)
    run_id = countering(project, 20)
    ids = [example.id for example in project.iter_examples() if example.run_id == run_id]
    project.set_state(ids[:1], "rejected")
    project.set_state(ids[1:3], "accepted")
    dataset = freeze(project, f"run:{run_id}", 0.25)
    rows = project.dataset_rows(dataset.id)
    assert dataset.rows == len(rows) == 19 + 2
    assert {row.example_id for row in rows} == {*ids[1:], 1, 2}
    assert rows[0].messages[:2] == make_generated(0).context
    stems: tuple[set[str], set[str]] = (set(), set())
    for row in rows:
        assert row.example_id is not None
        stems[row.held_out].update(
            check.detail for check in project.example(row.example_id).checks if check.name == "fresh"
        )
    assert not stems[0] & stems[1]
    assert stems[1]
    assert describe(select(project, dataset.name))[1:] == [
        "17 were not reviewed by anybody.",
        "2 are ordinary examples that the run mixes in.",
    ]


def test_too_little_is_said_with_what_there_is(project: Project) -> None:
    with pytest.raises(UserError, match=r"nothing to train on. No example of this project is accepted yet; or give"):
        freeze(project, "accepted")
    fill(project, documents=1, each=1)
    run_id = countering(project, 2)
    with pytest.raises(UserError, match="only one example, and tuning needs two or more"):
        freeze(project, "accepted")
    with pytest.raises(
        UserError, match=rf"no dataset “mine”, and no file .* “accepted” \(1 examples\), “run:{run_id}”;"
    ):
        freeze(project, "mine")
    with pytest.raises(UserError, match="There is no run 77"):
        freeze(project, "run:77")
    with pytest.raises(UserError, match="no dataset “x"):
        freeze(project, "x" * 5000)
    project.set_state(project.example_ids(), "rejected")
    with pytest.raises(UserError, match=f"Run {run_id} has no examples"):
        freeze(project, f"run:{run_id}")
    assert project.datasets() == []


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
ANSWER = {"role": "assistant", "content": "4"}
SHAPES: dict[str, tuple[dict[str, Any], DatasetRow]] = {
    "messages": ({"messages": [*CHAT, ANSWER]}, DatasetRow((("system", "Be brief."), ("user", "2 + 2?")), "4")),
    "completion": ({"prompt": "2 + 2?", "completion": "4"}, DatasetRow((("user", "2 + 2?"),), "4")),
    "conversational completion": (
        {"prompt": CHAT, "completion": [ANSWER]},
        DatasetRow((("system", "Be brief."), ("user", "2 + 2?")), "4"),
    ),
    "alpaca": (
        {"instruction": "Add.", "input": "2 + 2", "output": "4", "history": [["Hello.", "Hello!"]]},
        DatasetRow((("user", "Hello."), ("assistant", "Hello!"), ("user", "Add.\n\n2 + 2")), "4"),
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}]},
        DatasetRow((("user", "2 + 2?"),), "4"),
    ),
    "rationale": (
        {"input": "2 + 2?", "label": 4, "rationale": "Count on from two."},
        DatasetRow((("user", "2 + 2?"),), "4", rationale="Count on from two."),
    ),
    "pair": ({"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}, DatasetRow((("user", "2 + 2?"),), "4", "5")),
    "pair of conversations": (
        {"chosen": [*CHAT, ANSWER], "rejected": [*CHAT, {"role": "assistant", "content": "5"}]},
        DatasetRow((("system", "Be brief."), ("user", "2 + 2?")), "4", "5"),
    ),
}
OTHER = {
    "messages": {"messages": [{"role": "user", "content": "3 + 3?"}, {"role": "assistant", "content": "6"}]},
    "alpaca": {"instruction": "3 + 3?", "output": "6"},
    "sharegpt": {"conversations": [{"from": "human", "value": "3 + 3?"}, {"from": "gpt", "value": "6"}]},
    "rationale": {"input": "3 + 3?", "label": "6"},
    "pair": {"prompt": "3 + 3?", "chosen": "6", "rejected": "7"},
}


def written(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_files(project: Project, tmp_path: Path, shape: str) -> None:
    row, expected = SHAPES[shape]
    other = OTHER.get(shape.split(" of ")[0], {"prompt": "3 + 3?", "completion": "6"})
    dataset = freeze(project, str(written(tmp_path / "rows.jsonl", row, other)))
    rows = project.dataset_rows(dataset.id)
    assert replace(rows[0], split="train") == expected
    assert (dataset.name, dataset.held_out) == ("rows.jsonl", 1)
    assert dataset.recipe["file"] == "rows.jsonl"


BAD = (
    ('{"messages": [', "it is not valid JSON"),
    ({"messages": "hello"}, "its conversation is not a list"),
    ({"messages": [{"role": "user", "content": "2 + 2?"}]}, "does not end with an answer"),
    ({"messages": [{"role": "tool", "content": "a"}, ANSWER]}, "its role “tool” is none of system, user, assistant"),
    ({"messages": [{"role": "user", "content": " "}, ANSWER]}, "a text of its user is empty"),
    ({"messages": [ANSWER, ANSWER]}, "do not speak in turn"),
    ({"messages": [*CHAT, {"role": "assistant", "content": ""}]}, "its answer is empty"),
    ({"messages": [{"role": "user"}, ANSWER]}, "an entry without “role” and “content”"),
    (["not an object"], "it is not a JSON object"),
)


def test_each_bad_row_is_told_with_its_line(project: Project, tmp_path: Path) -> None:
    good = SHAPES["messages"][0]
    path = written(tmp_path / "rows.jsonl", good, *(row for row, _ in BAD), OTHER["messages"], good)
    with pytest.raises(UnusableRows, match=r"9 of 12 rows of rows.jsonl cannot be used, so nothing was") as error:
        freeze(project, str(path))
    for fault, (number, (_, reason)) in zip(error.value.faults, enumerate(BAD, 2), strict=True):
        assert fault.row == number
        assert reason in fault.reason
    assert project.datasets() == []
    dataset = freeze(project, str(path), skip_bad=True)
    assert dataset.rows == 2
    assert describe(select(project, dataset.name))[1:] == [
        "Left out as there already: 1.",
        "9 could not be used and were left out.",
    ]


def test_bad_pairs_and_histories(project: Project, tmp_path: Path) -> None:
    same = {"prompt": "2 + 2?", "chosen": "4", "rejected": "4"}
    path = written(tmp_path / "pairs.jsonl", same, {"prompt": "2 + 2?", "chosen": "4", "rejected": ""})
    with pytest.raises(UnusableRows, match=r"its two answers are the same.\n.*its rejected answer is empty"):
        freeze(project, str(path))
    wrong = [{"instruction": "2 + 2?", "output": "4", "history": history} for history in (5, "ab", [["a"]])]
    with pytest.raises(UnusableRows) as error:
        freeze(project, str(written(tmp_path / "alpaca.jsonl", *wrong)))
    assert {fault.reason for fault in error.value.faults} == {"its history is not a list of pairs"}


def test_files_of_no_known_shape_or_too_little(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not of a known shape: its columns are “a”, “b”. Known are: messages;"):
        freeze(project, str(written(tmp_path / "other.jsonl", {"a": 1, "b": 2})))
    with pytest.raises(UserError, match="is empty"):
        freeze(project, str(written(tmp_path / "empty.jsonl")))
    with pytest.raises(UserError, match="only one example"):
        freeze(project, str(written(tmp_path / "one.jsonl", SHAPES["messages"][0])))
    with pytest.raises(UserError, match="is not a file"):
        freeze(project, str(tmp_path))


def test_equal_questions_are_on_one_side(project: Project, tmp_path: Path) -> None:
    rows = [{"prompt": f"Question {number // 3}?", "completion": f"Answer {number}"} for number in range(30)]
    dataset = freeze(project, str(written(tmp_path / "rows.jsonl", *rows)), 0.2, seed=3)
    asked: tuple[set[str], set[str]] = (set(), set())
    for row in project.dataset_rows(dataset.id):
        asked[row.held_out].add(row.messages[-1][1])
    assert not asked[0] & asked[1]
    assert dataset.held_out == 6


def test_what_was_exported_is_divided_by_its_documents(project: Project, tmp_path: Path) -> None:
    run_id = project.start_run(make_settings())
    for number in range(6):
        row = project.add_document(make_document(f"doc{number}"), make_passages(), 1200, 200)
        for slot in range(2):
            passage = project.passages(row.id)[0].id
            project.add_example(run_id, make_draft(slot, passage, question=f"{number}{slot}?", answer=f"{number}"))
    project.set_state(project.example_ids(), "accepted")
    for _ in export(project, tmp_path / "out.jsonl", "messages"):
        pass
    dataset = freeze(project, str(tmp_path / "out.jsonl"), 0.17)
    held_out = [row.answer for row in project.dataset_rows(dataset.id) if row.held_out]
    assert len(held_out) == 2
    assert len(set(held_out)) == 1


def test_a_dataset_stays_when_its_examples_change(project: Project) -> None:
    fill(project, documents=2, each=2)
    dataset = freeze(project, "accepted")
    before = project.dataset_rows(dataset.id)
    project.edit_example(1, question="Another?", answer="Other.")
    project.set_state([2], "rejected")
    assert project.dataset_rows(dataset.id) == before
    assert freeze(project, "accepted").name == "accepted, 3 rows"
    assert datasets.ACCEPTED not in {one.name for one in project.datasets()}


def test_choosing_keeps_nothing(project: Project) -> None:
    fill(project, documents=3, each=4)
    assert len(select(project, "accepted").rows) == 12
    assert project.datasets() == []


def test_a_file_that_was_changed_is_another_dataset(project: Project, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"prompt": f"Say {n}", "completion": str(n)}) for n in range(4)]
    Path("some.jsonl").write_text("\n".join(lines[:3]), encoding="utf-8")
    first = freeze(project, "some.jsonl")
    Path("some.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert freeze(project, "some.jsonl").rows == 4
    Path("some.jsonl").unlink()
    assert freeze(project, "some.jsonl") == first
