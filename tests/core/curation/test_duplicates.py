"""Groups of examples that ask the same, the one that is kept, and what stands in a held-out set too."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.curation import duplicates
from core.curation.duplicates import Duplicates, Found, duplicates_job, find, keep_best, semantic_blocks
from core.curation.leaks import HeldOut, leaks, of_dataset, of_file
from core.errors import Cancelled, UserError
from core.exchange.mapping import Mapping
from core.project.project import Project
from core.project.records import ExampleDraft
from core.project.tuning import DatasetRow
from core.worker import Worker
from tests.data.curated import add_rows, give_vectors
from tests.data.gguf_tiny import write_tiny

# 17 words without articles, with 15 shingles.
LONG = "the captain of the river boat who watches from the northern shore while his sailors mend their old white sails"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def test_groups_of_each_kind_and_their_least_link(project: Project, worker: Worker, model: Path) -> None:
    ids = add_rows(
        project,
        [
            ("Where is Işık?", "Here."),
            (f"Who is {LONG} today?", "Ada."),
            ("where  is ışık?", "In the north."),
            (f"Who is {LONG} tomorrow?", "Ada."),
            ("What is ice?", "Water."),
            ("What makes the sky blue?", "Air."),
            ("Frozen water is called what?", "Ice."),
            (f"Who is {LONG} today?", "Ada Korel."),
        ],
    )
    vectors = np.eye(8, 64, dtype=np.float32)
    vectors[6] = 0.97 * vectors[4] + np.sqrt(1 - 0.97**2) * vectors[6]
    give_vectors(project, model, ids, vectors)
    found = result(find(project, worker, Duplicates(model=model)))
    assert [(group.kind, [ids.index(id) for id in group.ids]) for group in found] == [
        ("exact", [0, 2]),
        ("near", [1, 3, 7]),
        ("semantic", [4, 6]),
    ]
    assert found[1].similarity == pytest.approx(17 / 19, abs=1e-4)
    assert found[2].similarity == pytest.approx(0.97, abs=1e-3)
    without = result(find(project, worker, Duplicates()))
    assert without == found[:2]
    assert result(find(project, worker, Duplicates(examples=tuple(ids[1:3])))) == []
    assert [group.kind for group in result(find(project, worker, Duplicates(near=0.95)))] == ["exact", "exact"]


def test_the_best_is_kept_for_a_reason_and_the_rest_can_be_brought_back(project: Project, worker: Worker) -> None:
    ids = add_rows(project, [(f"Question {n // 2}?", "A" * (2 + n % 2)) for n in range(8)], state="draft")
    project.rate(ids[0], 4)
    project.rate(ids[1], 3)
    project.set_state([ids[2]], "accepted")
    project.set_state([ids[6]], "rejected")
    found = result(find(project, worker, Duplicates()))
    assert [(group.best, group.why) for group in found] == [
        (ids[0], "it is rated 4 of 5, and no other as high"),
        (ids[2], "it is accepted, and the others are not"),
        (ids[5], "its answer is the longest"),
    ]
    assert keep_best(project, found) == 3
    assert project.example(ids[3]).state == "rejected"
    assert project.example(ids[3]).reason == f"duplicate of question {ids[2]}"
    assert project.undo() == "Reject 3 questions"
    assert project.counts() == {"draft": 6, "accepted": 1, "rejected": 1, "quarantined": 0}
    assert project.example(ids[3]).reason == ""
    assert keep_best(project, []) == 0


def test_quality_then_evidence_then_the_first_decide() -> None:
    one = duplicates._Verdict(7, 0, False, 0.5, False, 3)
    better = duplicates._Verdict(8, 0, False, 0.75, False, 3)
    proven = duplicates._Verdict(9, 0, False, 0.5, True, 3)
    assert duplicates._best([one, better]) == (8, "its quality is the highest (0.75)")
    rated, accepted = duplicates._Verdict(4, 5, False, 0.5, False, 3), duplicates._Verdict(5, 0, True, 0.9, True, 3)
    among = "of the 2 that are best in what counts more, its quality is the highest (0.75)"
    assert duplicates._best([rated, replace(rated, id=6, quality=0.75), accepted]) == (6, among)
    assert duplicates._best([one, proven]) == (9, "it has evidence, and the others have none")
    assert duplicates._best([proven, duplicates._Verdict(3, 0, False, 0.5, True, 3)])[0] == 3


def test_a_chain_is_one_group_and_its_weakest_kind_is_told() -> None:
    texts = ["One?", "one?", f"{LONG} one", f"{LONG} two"]
    (*_, last) = duplicates_job(texts, 0.8, None, 0.95)
    assert isinstance(last, Found)
    assert last.groups == (((0, 1), "exact", 1.0), ((2, 3), "near", pytest.approx(15 / 17, abs=1e-4)))


def test_meanings_are_compared_in_blocks_as_in_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((130, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr(duplicates, "BLOCK", 32)

    def pairs(**options: Any) -> set[tuple[int, int]]:
        blocks = [block for _, block in semantic_blocks(vectors, 0.9, **options)]
        found = [pair for first, second, _ in blocks for pair in zip(first.tolist(), second.tolist(), strict=True)]
        assert len(found) == len(set(found))
        return set(found)

    cosines = vectors @ vectors.T
    wanted = {(a, b) for a in range(130) for b in range(a + 1, 130) if cosines[a, b] >= 0.9}
    assert pairs() == wanted
    assert pairs(apart=50) == {(a, b) for a, b in wanted if a < 50 <= b}
    assert pairs(cancelled=lambda: True) == set()


def test_a_model_to_which_all_is_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 1_000)
    with pytest.raises(UserError, match=r"To this model 100% of all pairs .* Raise the threshold, or choose a model"):
        list(semantic_blocks(np.ones((100, 2), np.float32) / np.sqrt(2).astype("f4"), 0.95))


def test_an_empty_project_and_a_cancel(project: Project, worker: Worker) -> None:
    assert result(find(project, worker, Duplicates())) == []
    add_rows(project, [("One?", "1")] * 2)
    with pytest.raises(Cancelled, match="Nothing was changed"):
        result(find(project, worker, Duplicates(), cancelled=lambda: True))


def test_what_is_held_out_and_asked_too_is_told_with_its_row(project: Project, worker: Worker, model: Path) -> None:
    ids = add_rows(project, [("What is ice?", "Water."), (f"Who is {LONG} today?", "Ada."), ("Why is it?", "Because.")])
    held_out = [
        HeldOut(4, "Nothing of the kind"),
        HeldOut(5, "what is  ICE?"),
        HeldOut(6, f"Who is {LONG} tomorrow?"),
        HeldOut(7, ""),
        HeldOut(8, "How come?", "How come? Because."),
    ]
    vectors = np.eye(8, 64, dtype=np.float32)
    give_vectors(project, model, ids, vectors[:3])
    others = add_rows(project, [("Nothing of", "the kind"), ("How come?", "Because.")], state="draft")
    give_vectors(project, model, others, np.stack([vectors[4], vectors[2]]))
    for slot, text in enumerate(("what is  ICE?", f"Who is {LONG} tomorrow?")):
        question, _, answer = text.rpartition(" ")
        (id,) = add_rows(project, [(question, answer)], state="draft")
        give_vectors(project, model, [id], vectors[[5 + slot]])
    found = result(leaks(project, worker, held_out, Duplicates(model=model, examples=tuple(ids))))
    assert [(leak.example_id, leak.row, leak.kind) for leak in found] == [
        (ids[0], 5, "exact"),
        (ids[1], 6, "near"),
        (ids[2], 8, "semantic"),
    ]
    assert found[1].text == f"Who is {LONG} tomorrow?"
    assert found[1].similarity == pytest.approx(17 / 19, abs=1e-4)
    assert result(leaks(project, worker, [], Duplicates())) == []


def test_the_rows_of_a_dataset_that_are_not_trained_on_are_held_out(project: Project, worker: Worker) -> None:
    ids = add_rows(project, [("What is ice?", "Water."), ("What is snow?", "Ice."), ("what is ice", "Frozen water.")])
    rows = [
        DatasetRow((("user", "What is snow?"),), "Ice.", example_id=ids[1]),
        DatasetRow((("system", "Be brief."), ("user", "What is ice?")), "Water.", split="test", example_id=ids[0]),
    ]
    project.add_dataset("frozen", {}, rows)
    held_out = of_dataset(project, "frozen")
    assert held_out == [HeldOut(2, "What is ice?", "What is ice? Water.", ids[0])]
    found = result(leaks(project, worker, held_out, Duplicates()))
    assert [(leak.example_id, leak.kind) for leak in found] == [(ids[2], "near")]  # punctuation aside
    with pytest.raises(UserError, match="There is no dataset “none”"):
        of_dataset(project, "none")


def test_the_questions_of_a_file_are_held_out(tmp_path: Path) -> None:
    file = tmp_path / "quiz.jsonl"
    file.write_text('{"question": "What is ice?", "answer": "Water."}\n{"question": "Why?", "answer": ""}\n', "utf-8")
    assert of_file(file) == [HeldOut(1, "What is ice?", "What is ice? Water."), HeldOut(2, "Why?", "Why?")]
    file.write_text('{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ice?"}, '
                    '{"role": "assistant", "content": "Water."}]}\n', "utf-8")  # fmt: skip
    assert of_file(file) == [HeldOut(1, "Ice?", "Ice? Water.")]
    file.write_text("code,question\n7,What is ice?\n", "utf-8")
    assert of_file(file) == [HeldOut(2, "What is ice?", "What is ice?")]
    file.write_text('{"question": "Sum?", "answer": "2 + 2 = 4\\n#### 4"}\n{"question": "Why?", "answer": "So"}\n'
                    '{"question": "Who?"}\n{"question": "Two?", "answer": "#### 2"}', "utf-8")  # fmt: skip
    assert [one.asked for one in of_file(file)] == ["Sum?", "Why?", "Who?", "Two?"]
    file.write_text("code,said\n7,What is ice?\n8,\n", "utf-8")
    with pytest.raises(UserError, match=r"its columns are “code”, “said”\. .* Say which column is the question\."):
        of_file(file)
    with pytest.raises(UserError, match=r"1 of 2 rows of quiz.jsonl .* line 3: its question is empty"):
        of_file(file, Mapping({"question": "said"}))
    with pytest.raises(UserError, match="has no column “asked”"):
        of_file(file, Mapping({"question": "asked"}))
    file.write_text('{"question": "What is ice?"}\n{"question": \n', "utf-8")
    with pytest.raises(UserError, match=r"1 of 2 rows of quiz.jsonl cannot be read, the first on line 2: .* Correct"):
        of_file(file)


def test_a_choice_is_compared_as_it_is_exported(project: Project) -> None:
    from core.curation.vectors import asked

    (id,) = add_rows(project, [("Which is it?", "Ice")])
    project.edit_example(id, choices=["Ice", "Snow"])
    assert asked(project.example(id)) == "Which is it?\nA) Ice\nB) Snow"
    run = project.run(1).id
    said = (("system", "Be brief."), ("user", "One?"), ("assistant", "1."))
    project.add_examples(run, [ExampleDraft(None, 9, "imported", "Two?", "2.", None, context=said)])
    assert asked(project.example(id + 1)) == "One?\n1.\nTwo?"
