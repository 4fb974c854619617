"""What a person changed, done to other rationales."""

import pytest

from core.errors import UserError
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft, RunSettings, Step
from core.rationales import repair
from core.rationales.repair import Changes, Proposal, Repair, changes, propose

CITED = Evidence(1, 0, 4, "Rain")


def steps(*texts: str) -> tuple[Step, ...]:
    return tuple(map(Step, texts))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (steps("The passage says rain."), steps("The text tells rain."), (("passage says", "text tells"),)),
        (steps("So the answer is rain."), steps("Hence rain."), (("So the answer is", "Hence"),)),
        (steps("The passage is short."), steps("The text is short."), (("The passage", "The text"),)),
        (steps("It rains."), steps("It rains a lot."), (("It rains", "It rains a lot"),)),
        (steps("It is well known that rain falls."), steps("Rain falls."), (("It is well known that rain", "Rain"),)),
    ],
)
def test_replaced_words_are_found_with_enough_around_them(
    before: tuple[Step, ...], after: tuple[Step, ...], expected: tuple[tuple[str, str], ...]
) -> None:
    assert changes(before, after).replaced == expected


def test_dropped_steps_are_told_from_those_that_were_reworded() -> None:
    before = steps("The question is about rain.", "Rain falls from clouds.", "So the answer is clouds.")
    after = steps("Rain falls from grey clouds.", "So the answer is clouds.")
    found = changes(before, after)
    assert found.dropped == ("The question is about rain.",)
    assert found.replaced == (("falls from", "falls from grey"),)


def test_what_was_added_moved_cut_or_joined_says_nothing_of_other_rows() -> None:
    one, two = steps("Rain falls.", "Snow melts.")
    assert changes((one, two), (two, one)) == Changes((), ())
    assert changes((one,), (one, two)) == Changes((), ())
    assert changes((one, two), steps("Rain falls. Snow melts.")) == Changes((), ())
    assert changes(steps("Rain falls. Snow melts."), (one, two)) == Changes((), ())
    assert changes(steps("Rain falls."), steps("Nothing of the kind.")) == Changes((), ())


def test_the_same_is_done_to_other_steps_and_what_they_cite_stays() -> None:
    found = Repair(
        steps("The question asks about rain.", 'The passage says: "Rain."', "So rain."),
        steps('The text says: "Rain."', "So rain."),
    )
    other = (
        Step("The question asks about rain.", None, True),
        Step('The passage says: "Snow falls."', CITED, True),
        Step("So it is snow.", None, True),
    )
    assert propose(found, other) == (
        Step('The text says: "Snow falls."', CITED, False),
        Step("So it is snow.", None, True),
    )


def test_words_inside_others_are_left_alone() -> None:
    found = Repair(steps("Big cat sits."), steps("Big dog sits."))
    assert propose(found, steps("The big catalogue sits.")) is None
    assert propose(found, steps("Then the Big cat sits.")) == steps("Then the Big dog sits.")


def test_words_that_were_taken_away_take_their_space_with_them() -> None:
    found = Repair(steps("Well, rain falls, of course."), steps("Well, rain falls."))
    assert changes(found.before, found.after).replaced == ((", of course", ""),)
    assert propose(found, steps("It pours, of course.")) == steps("It pours.")
    assert propose(found, steps("Il pleut  ?")) is None


def test_no_rationale_is_left_without_steps() -> None:
    found = Repair(steps("Rain falls.", "So rain."), steps("So rain."))
    assert propose(found, steps("Rain falls.")) is None


@pytest.fixture
def questions(project: Project) -> list[int]:
    """Three questions with steps."""
    run = project.start_run(RunSettings("import", "", "", "", "", "", "", {}, {}, 0, "", ""))
    texts = ("The passage says rain.", "The passage says snow.", "Nothing is said.")
    drafts = [
        ExampleDraft(None, slot, "imported", f"Question {slot}?", "rain", None, rationale=steps(text, "So rain."))
        for slot, text in enumerate(texts)
    ]
    return project.add_examples(run, drafts)


FOUND = Repair(steps("The passage says rain."), steps("The text tells rain."))


def test_proposals_are_made_the_rows_own_and_undone_as_one(project: Project, questions: list[int]) -> None:
    proposals = repair.literal(project, FOUND, questions)
    assert [one.example_id for one in proposals] == questions[:2]
    assert repair.apply(project, proposals) == 2
    assert project.example(questions[1]).rationale[0].text == "The text tells snow."
    assert project.undo() == "Repair the rationales of 2 questions"
    assert [project.example(id).rationale for id in questions[:2]] == [one.before for one in proposals]
    assert project.undo() is None


def test_a_row_that_was_changed_meanwhile_is_not_overwritten(project: Project, questions: list[int]) -> None:
    proposals = repair.literal(project, FOUND, questions)
    project.set_rationales({questions[1]: (steps("Mine."), 0)})
    with pytest.raises(UserError, match=f"question {questions[1]} was changed"):
        repair.apply(project, proposals)
    assert project.example(questions[0]).rationale == proposals[0].before
    assert repair.apply(project, []) == 0


def test_the_best_draft_of_a_run_is_proposed(project: Project, questions: list[int]) -> None:
    run = project.start_run(RunSettings("rationales", "", "", "", "", "", "", {}, {}, 0, "", ""))
    for slot, text in ((1, "Worse."), (0, "Better.")):
        project.add_rationale(run, questions[0], slot, steps(text), "Be better.")
    same = project.example(questions[2]).rationale
    project.add_rationale(run, questions[2], 0, same, "Be better.")
    (best,) = [draft.id for draft in project.rationales_of_run(run) if draft.steps == steps("Better.")]
    before = project.example(questions[0]).rationale
    assert repair.drafted(project, run) == [Proposal(questions[0], before, steps("Better."), best)]
