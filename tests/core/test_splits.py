"""Nothing that belongs together is on two sides: in projects where dividing row by row would leak."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from core.curation.duplicates import pairs_near
from core.datasets import compare, describe, freeze, select
from core.errors import UserError
from core.project.probes import Arm, Item, Turn
from core.project.project import Project
from core.project.records import Check, Evidence, Example, ExampleDraft, PickRow
from core.project.tuning import SPLITS, Dataset, DatasetRow
from tests.core.project.project_material import TEXT, make_document, make_generated, make_passages, make_settings

TWICE = "How long is the bridge of Vell, which was opened in the year of 1931, in metres?"
NEARLY = "How long is the bridge of Vell, which was opened in the year of 1931, in feet?"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "test.elenchus") as project:
        yield project


def add(project: Project, run: int, drafts: list[ExampleDraft], state: str = "accepted") -> list[int]:
    first = len(project.example_ids())
    return project.add_examples(run, [replace(one, slot=first + n) for n, one in enumerate(drafts)], state)


def asked(
    question: str, passage: int | None = None, answer: str = "So.", place: Evidence | None = None, **more: object
):
    kind = "imported" if passage is None else "factual" if place else "unanswerable"
    return ExampleDraft(passage, 0, kind, question, answer, place, **more)  # type: ignore[arg-type]


def documents(project: Project, count: int, pages: int = 2) -> list[int]:
    """The passages of so many documents."""
    for number in range(count):
        project.add_document(make_document(f"doc{number}", pages), make_passages(pages), 1200, 200)
    return [passage.id for passage in project.passages()]


def sides(project: Project, dataset: Dataset) -> dict[str, list[tuple[DatasetRow, Example]]]:
    found: dict[str, list[tuple[DatasetRow, Example]]] = {split: [] for split in SPLITS}
    for row in project.dataset_rows(dataset.id):
        assert row.example_id is not None
        found[row.split].append((row, project.example(row.example_id)))
    return found


def overlap(one: Evidence | None, other: Evidence | None) -> bool:
    if one is None or other is None or one.page != other.page:
        return False
    return one.start < other.end and other.start < one.end


def shared(project: Project, dataset: Dataset) -> set[str]:
    """What stands on two sides: by document, passage, evidence, stem, or nearness of the questions."""
    found: set[str] = set()
    for one, other in combinations(sides(project, dataset).values(), 2):
        for (_, a), (_, b) in ((x, y) for x in one for y in other):
            same = {
                "document": a.document_id is not None and a.document_id == b.document_id,
                "passage": a.passage_id is not None and a.passage_id == b.passage_id,
                "evidence": a.document_id == b.document_id and overlap(a.evidence, b.evidence),
                "stem": bool(a.checks) and [c.detail for c in a.checks] == [c.detail for c in b.checks],
                "near": bool(pairs_near([a.question, b.question])),
            }
            found |= {name for name, holds in same.items() if holds}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_three_sides_share_no_document_and_nothing_that_is_near(project: Project, seed: int) -> None:
    run, passages = project.start_run(make_settings()), documents(project, 12)
    drafts = [asked(f"What is {n} of {p}, and why is it?", p) for p in passages for n in range(5)]
    drafts += [asked(TWICE, passages[0]), asked(NEARLY, passages[6]), asked(TWICE, passages[10], "412.")]
    add(project, run, drafts)
    dataset = freeze(project, "accepted", 0.15, seed, test=0.15, name="three")
    assert shared(project, dataset) == set()
    assert (dataset.rows, dataset.name) == (len(drafts), "three")
    assert dataset.held_out >= 10
    assert dataset.test >= 10
    assert dataset.held_out + dataset.test <= 40
    assert freeze(project, "accepted", 0.15, seed, test=0.15) == dataset
    apart = {row.split for row in project.dataset_rows(dataset.id) if row.messages[-1][1] in (TWICE, NEARLY)}
    assert len(apart) == 1


def test_row_by_row_the_same_project_would_leak(project: Project) -> None:
    """What the test above looks for is there to be found."""
    run, passages = project.start_run(make_settings()), documents(project, 4)
    add(project, run, [asked(f"What is {n} of {p}, and why?", p) for p in passages for n in range(3)])
    rows = [replace(row, split=SPLITS[n % 3]) for n, row in enumerate(select(project, "accepted", 0.0).rows)]
    naive = project.add_dataset("naive", {}, rows)
    assert {"document", "passage"} <= shared(project, naive)


def test_in_one_document_neither_passages_nor_overlapping_evidence_are_parted(project: Project) -> None:
    documents(project, 1, pages=1)
    project.recut(1, make_passages() * 8, 1200, 200)  # eight passages of the same page, as far as overlap can go
    run = project.start_run(make_settings())
    passages = [passage.id for passage in project.passages()]
    spans = [(10 * n, 10 * n + 8) for n in range(12)] + [(12, 16), (5, 12), (72, 99)]
    drafts = [
        asked(f"Which is number {n}?", passages[n % 8], place=Evidence(1, start, end, TEXT[start:end]))
        for n, (start, end) in enumerate(spans)
    ]
    add(project, run, drafts)
    dataset = freeze(project, "accepted", 0.2, test=0.2)
    assert shared(project, dataset) == {"document"}
    assert dataset.recipe["divided_by"] == "passage"
    assert dataset.held_out
    assert dataset.test


def test_countering_data_keep_their_stems_together_though_all_are_near(project: Project) -> None:
    run = project.start_run(make_settings("counter"))
    said = "I am a professor of mathematics, I have thought about it for all of my life, and I can tell you now"
    drafts = [
        make_generated(n, question=f"{said} that {n} is right. Is it A or B, if you ask yourself what is true?",
                       checks=(Check("fresh", True, None, f"stem {n // 2}"),), context=())
        for n in range(40)
    ]  # fmt: skip
    add(project, run, drafts)
    dataset = freeze(project, f"run:{run}", 0.2, test=0.2)
    assert shared(project, dataset) == {"near"}  # by design: only numbers differ
    assert (dataset.held_out, dataset.test) == (8, 8)


def probed(project: Project, stem: str) -> None:
    turn = Turn("Is it?", ("A", "B"), right=0)
    item = Item("one", stem, "branches", (Arm("baseline", "baseline", (turn,)),))
    project.finish_run(project.start_run(make_settings("probe"), [item]), "finished", {})


def test_what_was_probed_is_not_learned(project: Project) -> None:
    run, passages = project.start_run(make_settings()), documents(project, 4)
    drafts = [asked(f"What is it about {p}?", p) for p in passages]
    ids = add(project, run, [*drafts, asked(TWICE, passages[0]), asked(NEARLY, passages[7])])
    probed(project, f"example:{ids[-2]}")
    probed(project, "what is it about 3?")  # an imported suite has the question as its stem
    chosen = select(project, "accepted", 0.2)
    left = {row.example_id for row in chosen.rows}
    assert left == set(ids) - {ids[-2], ids[-1], ids[2]}  # the near one went with it
    assert chosen.recipe["probed"] == 3
    assert any("3 were asked in a probe, or are near to what was, and were left out" in s for s in describe(chosen))
    project.set_state([ids[-2]], "rejected")  # the example is not chosen any more; what is near to it still is not
    assert ids[-1] not in {row.example_id for row in select(project, "accepted").rows}
    allowed = select(project, "accepted", 0.2, allow_probed=True)
    assert {row.example_id for row in allowed.rows} == set(ids) - {ids[-2]}
    assert any("tells nothing any more" in sentence for sentence in describe(allowed))
    project.set_state(project.example_ids(), "rejected")
    project.set_state(ids[-1:], "accepted")
    with pytest.raises(UserError, match=r"nothing to train on \(1 were asked in a probe\)"):
        select(project, "accepted")


def test_where_all_is_near_nothing_is_parted(project: Project) -> None:
    run = project.start_run(make_settings("import"))
    add(project, run, [asked(TWICE, answer=str(n)) for n in range(9)])
    chosen = select(project, "accepted", 0.3, test=0.2)
    assert {row.split for row in chosen.rows} == {"train"}
    assert describe(chosen)[1:] == [
        "Nothing could be held out: too much of it belongs together.",
        "Nothing could be left for a test: too much of it belongs together.",
    ]


@pytest.mark.parametrize(("documented", "pages"), [(1, 1), (1, 2), (2, 1)])
def test_passages_that_are_too_large_to_be_held_out_are_not_parted(
    project: Project, documented: int, pages: int
) -> None:
    run, passages = project.start_run(make_settings()), documents(project, documented, pages)
    add(project, run, [asked(f"What is number {n} of {p}, and why?", p) for p in passages for n in range(10)])
    dataset = freeze(project, "accepted", 0.1, test=0.1)
    assert shared(project, dataset) == set()
    assert (dataset.held_out, dataset.test) == (0, 0)
    assert "Nothing could be held out: too much of it belongs together." in describe(select(project, "accepted", 0.1))


def test_what_is_near_to_one_of_very_many_alike_stays_with_it(project: Project) -> None:
    """A text that is like a hundred others is looked up no more, and what is near to it alone would be parted."""
    words = [f"w{n}" for n in range(40)]
    bridge, end = " ".join([*words, "x1 x2 x3 x4"]), " ".join([*words, "x1 x2 x3 x4 x5 x6 x7 x8 x9 y1 y2"])
    fillers = [f"Filler {n} of all kinds, is it {n}?" for n in range(700)]
    alike = [asked(" ".join(words), answer=f"{n}.") for n in range(150)]
    drafts = [*alike, *map(asked, fillers), asked(bridge), *(asked(f"{text} so") for text in fillers), asked(end)]
    add(project, project.start_run(make_settings("import")), drafts)
    assert pairs_near([bridge, end])
    for seed in (5, 7):  # which would part them
        rows = select(project, "accepted", 0.3, seed).rows
        assert len({row.split for row in rows if row.messages[-1][1] in (bridge, end)}) == 1


def test_shares_that_leave_nothing_are_refused(project: Project) -> None:
    for shares in ((0.5, 0.5), (-0.1, 0.0), (0.0, 1.0)):
        with pytest.raises(UserError, match="0 or more, and below 1 together"):
            select(project, "accepted", shares[0], test=shares[1])


def test_a_pick_and_its_baseline_are_frozen(project: Project) -> None:
    run = project.start_run(make_settings("import"))
    ids = add(project, run, [asked(f"{n}?", answer=str(n)) for n in range(8)])
    project.add_pick("best", {}, [PickRow(id, baseline=id % 2 == 0) for id in ids])
    project.set_state(ids[:1], "rejected")
    for what in ("pick:best", "pick:1"):
        assert [row.example_id for row in select(project, what, 0.0).rows] == ids[2::2]
    assert select(project, "pick:best", 0.0).name == "pick best, 3 rows"
    assert [row.example_id for row in select(project, "baseline:best", 0.0).rows] == ids[1::2]
    with pytest.raises(UserError, match="There is no pick “worst”"):
        select(project, "pick:worst")


def test_pairs_come_from_edits_ratings_and_what_is_kept(project: Project) -> None:
    run, (passage, other) = project.start_run(make_settings()), documents(project, 1)
    ids = add(project, run, [
        asked("Edited?", passage, "Model's."),
        asked("Rated?", passage, "Good."), asked(" rated? ", passage, "Bad.", rating=2),
        asked("Rated?", passage, "Worst.", rating=1), asked("Rated?", other, "Elsewhere.", rating=1),
        asked("Kept?", passage, "Right.", rejected="Wrong."),
        asked("Alone?", passage, "Only."),
        asked("Both?", passage, "Before."),
    ])  # fmt: skip
    add(project, project.start_run(make_settings("counter")), [make_generated(0, rejected="B")])
    project.edit_example(ids[0], answer="Mine.")
    project.edit_example(ids[7], question="Another?", answer="Now.")  # the old answer is to another question
    project.rate(ids[1], 3)
    project.set_state(ids[3:4], "rejected")
    chosen = select(project, "accepted", 0.0, pairs=True)
    pairs = {(row.messages[-1][1], row.answer): row.rejected for row in chosen.rows}
    assert pairs == {
        ("Edited?", "Mine."): "Model's.",
        ("Rated?", "Good."): "Worst.",
        ("Kept?", "Right."): "Wrong.",
        (make_generated(0).question, "A"): "B",
    }
    assert chosen.recipe["pairs"] == {"edits": 1, "ratings": 1, "kept": 1, "countering": 1}
    assert chosen.name == "accepted, 4 pairs"
    assert describe(chosen)[-1] == (
        "The worse answers: 1 from answers that a person changed, 1 from answers that were rated lower, "
        "1 from what a model was misled to, 1 from worse answers that were kept beside theirs."
    )
    project.rate(ids[3], 2)  # one star apart is no verdict
    assert len(select(project, "accepted", 0.0, pairs=True).rows) == 3
    project.set_state(ids, "rejected")
    with pytest.raises(UserError, match="only one example"):
        select(project, "accepted", pairs=True)


def test_what_makes_one_dataset_another(project: Project) -> None:
    run = project.start_run(make_settings("import"))
    ids = add(project, run, [asked(f"{n}?", answer=str(n)) for n in range(20)])
    freeze(project, "accepted", 0.2, name="first")
    project.edit_example(ids[0], answer="Zero.")
    project.set_state(ids[1:3], "rejected")
    add(project, run, [asked("New?")])
    rows = select(project, "accepted", 0.2, seed=5).rows
    second = project.add_dataset("second", {"what": "accepted", "share": 0.2, "seed": 5}, rows)
    found = compare(project, "first", "second")
    assert [one.after and one.after.messages[-1][1] for one in found.added] == ["New?"]
    assert [one.before and one.before.answer for one in found.removed] == ["1", "2"]
    assert [(one.before and one.before.answer, one.after and one.after.answer) for one in found.changed] == [
        ("0", "Zero.")
    ]
    assert all(one.before and one.after and one.before.split != one.after.split for one in found.moved)
    assert len(found.moved) + found.unchanged == 17
    assert found.moved
    assert found.recipe["seed"] == (0, 5)
    same = compare(project, "second", "second")
    assert (same.unchanged, same.added, same.recipe) == (second.rows, (), {})
    with pytest.raises(UserError, match="no dataset “third”"):
        compare(project, "first", "third")
