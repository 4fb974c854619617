"""Rationales, scores, picks and marks of passages in the project file; and what a stranger's file may say of them."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from project_material import (
    DATASET_ROWS,
    SENTENCES,
    curate,
    fill,
    make_draft,
    make_generated,
    make_settings,
    make_steps,
)

from core.errors import UserError
from core.project.errors import ProjectDamaged
from core.project.project import Project
from core.project.records import (
    Check,
    Evidence,
    ExampleFilter,
    Fact,
    PassageMark,
    PickRow,
    ScoreRow,
    Step,
    rationale_text,
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "test.elenchus") as project:
        fill(project)
        yield project


def test_a_draft_is_kept_once_and_never_changes(project: Project) -> None:
    run_id = project.start_run(make_settings("rationales"))
    made = project.add_rationale(run_id, 1, 0, make_steps())
    assert project.add_rationale(run_id, 1, 0, [Step("Another.")]) == made
    assert project.rationales(1) == project.rationales_of_run(run_id) == [made]
    assert project.example(1).rationale == ()  # until it is chosen
    project.set_rationales({1: ((Step("Changed."),), made.id)})
    assert project.example(1).rationale == (Step("Changed."),)
    assert project.rationales(1) == [made]


def test_rationales_of_many_examples_are_one_action(project: Project) -> None:
    told: list[tuple[str, list[int]]] = []
    project.changed.append(lambda table, ids: told.append((table, ids)))
    assert project.set_rationales({1: (make_steps(0), 0), 2: (make_steps(1), 0), 3: ((), 0)}, "Repair {}") == 2
    assert told == [("examples", [1, 2])]
    assert project.example_ids(ExampleFilter(rationale=True)) == [1, 2]
    assert project.example_ids(ExampleFilter(rationale=False)) == [3, 4]
    assert project.undo() == "Repair 2 questions"
    assert [example.rationale for example in project.iter_examples()] == [()] * 4
    assert project.redo() == "Repair 2 questions"
    assert [example.rationale for example in project.iter_examples()] == [make_steps(0), make_steps(1), (), ()]
    fields = {review.field for review in project.reviews(1)}
    assert fields == {"rationale"}


def test_a_review_of_steps_tells_their_words_and_not_who_accepted_them(project: Project) -> None:
    project.set_rationales({1: ((Step("Because."), Step("So 1902.")), 0)})
    project.set_rationales({1: ((Step("Because.", accepted=True), Step("So 1902.")), 0)})
    reviews = [(review.before, review.after) for review in project.reviews(1)]
    assert reviews == [("", "Because.\nSo 1902."), ("Because.\nSo 1902.", "Because.\nSo 1902.")]


def test_redone_steps_come_from_what_they_came_from_though_a_run_gave_others_meanwhile(project: Project) -> None:
    project.set_rationales({1: ((Step("Mine."),), 0)})
    project.undo()
    drafted = project.add_rationale(project.start_run(make_settings("rationales")), 1, 0, make_steps(), adopt=True)
    assert project.example(1).rationale_draft == drafted.id
    project.redo()
    example = project.example(1)
    assert (example.rationale, example.rationale_draft) == ((Step("Mine."),), 0)


def test_steps_are_searched(project: Project) -> None:
    project.set_rationales({2: ((Step("IŞIK means light."),), 0)})
    assert project.example_ids(ExampleFilter(text="ışık means")) == [2]
    project.undo()
    assert project.example_ids(ExampleFilter(text="ışık means")) == []


@pytest.mark.parametrize(
    "cited",
    [
        Evidence(1, 0, 3, "Eve"),
        Evidence(1, 0, 0, ""),
        Evidence(9, 0, 3, "Ada"),
        Evidence(1, -3, 3, "Ada"),
    ],
)
def test_words_that_are_not_there_are_not_cited(project: Project, cited: Evidence) -> None:
    with pytest.raises(UserError):
        project.set_rationales({1: ((Step("So.", cited),), 0)})
    with pytest.raises(UserError):
        project.add_rationale(1, 1, 0, [Step("So.", cited)])
    assert project.example(1).rationale == ()
    assert project.rationales(1) == []


def test_an_example_without_a_document_cites_nothing(project: Project) -> None:
    id = project.add_example(1, make_generated(9))
    with pytest.raises(UserError, match="it comes from none"):
        project.set_rationales({id: (make_steps(), 0)})


def test_many_examples_at_once(project: Project) -> None:
    wrong = Step("So.", Evidence(1, 0, 3, "Eve"))
    drafts = [
        make_draft(0),  # there already
        make_generated(
            10, kind="imported", context=(("system", "Be brief."),), rejected="B", rating=4, origin={"row": 7}
        ),
        make_draft(11, rationale=make_steps()),
        make_draft(12, rationale=(wrong,)),
    ]
    ids = project.add_examples(1, drafts, "accepted")
    assert ids[0] == 1
    first, imported, steps, bad = map(project.example, ids)
    assert (first.state, imported.state, steps.state, bad.state) == ("draft", "accepted", "accepted", "quarantined")
    assert (imported.rejected, imported.rating, imported.origin) == ("B", 4, {"row": 7})
    assert imported.context == (("system", "Be brief."),)
    assert steps.rationale == make_steps()
    assert bad.reason == "What a step cites does not stand on page 1 word for word."
    assert project.add_examples(1, drafts, "accepted") == ids


def test_the_newest_score_counts(project: Project) -> None:
    first, second = (project.start_run(make_settings("score")) for _ in range(2))
    project.add_scores(first, [ScoreRow(1, "rubric", 2.5), ScoreRow(2, "rubric", 3.0), ScoreRow(1, "gain", -0.5)])
    project.add_scores(second, [ScoreRow(1, "rubric", 4.5, "Better.")])
    assert project.scores("rubric") == {1: ScoreRow(1, "rubric", 4.5, "Better."), 2: ScoreRow(2, "rubric", 3.0)}
    assert project.scores("rubric", [2, 3]) == {2: ScoreRow(2, "rubric", 3.0)}
    assert [row.name for row in project.scores_of_run(first)] == ["gain", "rubric", "rubric"]
    assert (project.scored(first), project.scored(second)) == ({1, 2}, {1})
    with pytest.raises(ValueError, match="not a score"):
        project.add_scores(second, [ScoreRow(2, "rubric", float("nan"))])


def test_checks_take_the_place_of_those_of_their_name(project: Project) -> None:
    before = {check.name: check.passed for check in project.example(1).checks}
    assert before == {"round_trip": True, "leak": True}
    project.set_checks({1: [Check("leak", False), Check("length", True, 12)]})
    assert {check.name: check.passed for check in project.example(1).checks} == before | {"leak": False, "length": True}
    assert project.example_ids(ExampleFilter(failed_check="leak")) == [1, 2]


def test_picks(project: Project) -> None:
    rows = [PickRow(3, False, "First."), PickRow(1, False, "Second."), PickRow(2, True), PickRow(3, True)]
    pick = project.add_pick("best\nof all", {"size": 2}, rows)
    assert (pick.name, pick.size, pick.recipe) == ("best of all", 2, {"size": 2})
    assert project.pick_rows(pick.id) == rows
    assert project.example_ids(ExampleFilter(pick_id=pick.id)) == [1, 3]
    assert project.add_pick("best of all", {}, []).name == "best of all (2)"
    with pytest.raises(UserError, match="no pick “worst”"):
        project.pick("worst")
    project.remove_pick(pick.id)
    assert [other.name for other in project.picks()] == ["best of all (2)"]


def test_marks_go_with_their_passages(project: Project) -> None:
    project.mark_passages([PassageMark(1, 1, 0.5), PassageMark(2)])
    project.mark_passages([PassageMark(1, 0, None, True)])
    assert project.passage_marks() == {1: PassageMark(1, 0, None, True)}


def test_a_dataset_that_was_learned_from_stays(project: Project) -> None:
    dataset = project.add_dataset("accepted", {}, DATASET_ROWS)
    run_id = project.start_run(make_settings("tune"))
    project.add_settings(run_id, dataset={"id": dataset.id})
    with pytest.raises(UserError, match="It stays"):
        project.remove_dataset(dataset.id)
    other = project.add_dataset("other", {}, DATASET_ROWS[:1])
    with pytest.raises(UserError, match="already"):
        project.rename_dataset(other.id, "accepted")
    project.remove_dataset(other.id)
    assert [left.name for left in project.datasets()] == ["accepted"]


@pytest.mark.parametrize("steps", ["{}", "[1]", '[["a", 0, [1, 2, 3]]]', '[["a", 0, ["1", 2, 3, "b"]]]', "[" * 9999])
def test_steps_of_a_strangers_file(project: Project, steps: str) -> None:
    curate(project)
    path = project.path
    project.close()
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE examples SET rationale = ? WHERE id = 1", (steps,))
    connection.close()
    with Project.open(path) as again, pytest.raises(ProjectDamaged):
        again.example(1)


def test_a_rationale_is_a_line_a_step() -> None:
    assert (
        rationale_text([Step(" One\n two "), Step("Three.", Evidence(1, 0, 3, SENTENCES[0][:3]))]) == "One two\nThree."
    )


def test_facts_are_those_of_the_examples(tmp_path: Path) -> None:
    with Project.create(tmp_path / "facts.elenchus") as project:
        fill(project, 6)
        project.set_state([2], "accepted")
        project.rate(3, 4)
        facts = project.facts()
        assert list(facts) == project.example_ids()
        for one in project.iter_examples():
            failed, passed = (tuple(sorted(c.name for c in one.checks if c.passed == side)) for side in (False, True))
            assert facts[one.id] == Fact(one.state, one.kind, one.document_id, one.rating, failed, passed)
        assert project.facts([3, 99]) == {3: facts[3]}
        assert project.facts([]) == {}
