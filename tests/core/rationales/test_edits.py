"""What a person does to steps."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.project.records import Evidence, Step
from core.rationales import edits

CITED = Evidence(1, 0, 5, "Water")
STEPS = (Step("Water boils.", CITED, True), Step("So it turns to steam.", None, True), Step("The answer is steam."))
texts = st.text("ab é", min_size=1).filter(str.strip)
steps = st.lists(st.builds(Step, texts, st.sampled_from([None, CITED]), st.booleans()), min_size=2, max_size=6)


def test_a_step_is_added_changed_and_removed() -> None:
    added = edits.add(STEPS, 1, "  It is\nhot. ")
    assert [step.text for step in added] == [
        "Water boils.",
        "It is hot.",
        "So it turns to steam.",
        "The answer is steam.",
    ]
    assert added[1] == Step("It is hot.")
    assert edits.add(STEPS, 3, "End.")[-1] == Step("End.")
    assert edits.remove(added, 1) == STEPS
    assert edits.change(STEPS, 0, "It boils.")[0] == Step("It boils.", CITED, True)


def test_a_citation_is_given_and_taken_away_and_a_step_accepted() -> None:
    assert edits.cite(STEPS, 1, CITED)[1].cited == CITED
    assert edits.cite(STEPS, 0, None)[0] == Step("Water boils.", None, True)
    assert edits.accept(STEPS, 2, True)[2].accepted
    assert not edits.accept(STEPS, 0, False)[0].accepted


def test_both_halves_of_a_step_cite_what_it_cited() -> None:
    first, second, *rest = edits.split(STEPS, 0, len("Water"))
    assert (first, second) == (Step("Water", CITED, True), Step("boils.", CITED, True))
    assert tuple(rest) == STEPS[1:]


def test_merged_steps_cite_what_either_cites_and_are_accepted_where_both_were() -> None:
    assert edits.merge(STEPS, 0)[0] == Step("Water boils. So it turns to steam.", CITED, True)
    assert edits.merge(STEPS, 1)[1] == Step("So it turns to steam. The answer is steam.")


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda: edits.add(STEPS, 0, " \n"), "needs words"),
        (lambda: edits.change(STEPS, 0, ""), "needs words"),
        (lambda: edits.split(STEPS, 0, 0), "between two words"),
        (lambda: edits.split(STEPS, 0, 99), "between two words"),
        (lambda: edits.merge(STEPS, 2), "none below the last"),
    ],
)
def test_what_would_leave_no_words_is_refused(edit: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        edit()


@given(steps, st.data())
def test_moving_loses_no_step_and_moving_back_undoes_it(some: list[Step], data: st.DataObject) -> None:
    at, to = (data.draw(st.integers(0, len(some) - 1)) for _ in range(2))
    moved = edits.move(some, at, to)
    assert moved[to] == some[at]
    assert edits.move(moved, to, at) == tuple(some)


@given(steps, st.data())
def test_merging_what_was_split_gives_the_words_back(some: list[Step], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(some) - 1))
    offset = data.draw(st.integers(0, len(some[at].text)))
    if not some[at].text[:offset].strip() or not some[at].text[offset:].strip():
        return
    merged = edits.merge(edits.split(some, at, offset), at)
    assert "".join(merged[at].text.split()) == "".join(some[at].text.split())
    assert merged[at].cited == some[at].cited
    assert (merged[:at], merged[at + 1 :]) == (tuple(some[:at]), tuple(some[at + 1 :]))
