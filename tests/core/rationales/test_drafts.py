"""Runs over a project's questions: what is committed, what becomes theirs, what a crash costs, what is refused."""

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine.requests import EngineSettings, Loaded, Usage
from core.errors import Cancelled, UserError
from core.project.embedding import embed
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft, ExampleFilter, Rationale, RunSettings, Step
from core.questions.prompts import RATIONALE, load_prompts
from core.rationales import checks, drafts, repair
from core.rationales.checks import CheckOptions, check_rationales, resume_checks
from core.rationales.drafts import RationaleOptions, draft_rationales, resume_rationales
from core.rationales.findings import is_stale, misplaced, refresh
from core.rationales.records import (
    Candidate,
    Checked,
    Drafted,
    Judged,
    NothingDrafted,
    Progress,
    Said,
    Subject,
    Verdict,
)
from core.rationales.repair import Repair
from core.rationales.running import how_far
from core.retrying import Restarted
from core.runs import CRASHED
from core.worker import Worker
from tests.data.gguf_tiny import write_tiny

STARTER = RationaleOptions(paths.starter_model(), engine=EngineSettings(sequences=4, threads=1))
LOADED = Loaded("starter", "CPU", 0, 2, 4096, 16, "starter")
GOOD = Verdict(True, False, 1.0, "said", "nothing", 2.5, None)
BAD = Verdict(False, False, 0.0, "wrong", "nothing", 0.5, None)


def fake_job(model: Path, engine: Any, subjects: list[Subject], *_: Any) -> Iterator[Any]:
    """In the model's place: two candidates each; a question that says CRASH ends the process, NONE gives nothing."""
    yield LOADED
    for number, subject in enumerate(subjects, 1):
        if "CRASH" in subject.question:
            os.abort()
        if "NONE" in subject.question:
            yield NothingDrafted(subject.example_id, "The model wrote no step.")
        else:
            steps = (Said("Something is said.", (0, 39)), Said(f"So it is {subject.told}."))
            yield Drafted(subject.example_id, (Candidate(steps, GOOD), Candidate(steps[1:], BAD)))
        yield Usage(generated_tokens=number)


def judging_job(model: Path, engine: Any, subjects: list[Subject], *_: Any) -> Iterator[Any]:
    yield LOADED
    for subject in subjects:
        yield Judged(subject.example_id, GOOD)
        yield Usage(generated_tokens=1)


def made(items: Iterable[Any]) -> list[tuple[int, int]]:
    """The example and slot of each rationale that came."""
    return [(item.example_id, item.slot) for item in items if isinstance(item, Rationale)]


def steps_of(project: Project, ids: Iterable[int]) -> list[tuple[Step, ...]]:
    return [project.example(id).rationale for id in ids]


def checks_of(project: Project, id: int) -> dict[str, bool]:
    return {check.name: check.passed for check in project.example(id).checks}


def test_the_starter_explains_what_it_asks_with_verified_citations(
    project: Project, worker: Worker, asked: list[int]
) -> None:
    items = list(draft_rationales(project, worker, STARTER))
    assert {id for id, _ in made(items)} == set(asked)
    assert [item for item in items if isinstance(item, Progress)][-1].done == len(asked)
    for id in asked:
        example = project.example(id)
        cited = example.rationale[0].cited
        assert cited is not None
        assert project.page_text(1, 1)[cited.start : cited.end] == cited.text
        best = next(one for one in project.rationales(id) if one.slot == 0)
        assert (example.rationale, example.rationale_draft) == (best.steps, best.id)
        assert checks_of(project, id)["citations"]
        assert {"leads", "last_step"} <= checks_of(project, id).keys()
    found = project.scores("rationale_gain", asked)
    assert sum(score.value for score in found.values()) / len(found) > 1
    assert project.scores("rationale_leads", asked).keys() == set(asked)
    assert project.runs()[-1].state == "finished"


def test_equal_seeds_give_equal_rationales_and_the_checks_agree_with_those_made_alone(
    project: Project, worker: Worker, asked: list[int]
) -> None:
    list(draft_rationales(project, worker, STARTER))
    first = steps_of(project, asked)
    project.set_rationales(dict.fromkeys(asked, ((), 0)))
    list(draft_rationales(project, worker, STARTER))
    assert steps_of(project, asked) == first
    drafted = project.scores("rationale_gain")
    checked = [
        item
        for item in check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine))
        if isinstance(item, Checked)
    ]
    assert {item.example_id for item in checked} == set(asked)
    for item in checked:
        assert item.gain == pytest.approx(drafted[item.example_id].value, abs=1e-3)
        assert {row.name for row in item.scores} == {
            "rationale_gain",
            "rationale_leads",
            "question_alone",
            "rationale_of",
        }


def test_the_best_becomes_the_questions_own_and_no_action_of_the_users(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    changed: list[tuple[str, list[int]]] = []
    project.changed.append(lambda table, ids: changed.append((table, ids)))
    items = list(draft_rationales(project, worker, STARTER))
    assert made(items) == [(id, slot) for id in asked for slot in (1, 0)]
    steps = project.example(asked[1]).rationale
    assert [step.text for step in steps] == ["Something is said.", "So it is Mira Sol."]
    assert steps[0].cited == Evidence(1, 0, 39, "The town of Belmar was founded in 1902.")
    assert checks_of(project, asked[1]) == {"leads": True, "citations": True, "last_step": True}
    assert project.scores("rationale_gain")[asked[1]].value == 2.5
    assert ("examples", [asked[1]]) in changed
    assert project.example_ids(ExampleFilter(text="something is said")) == asked
    assert project.undo() == "Accept 3 questions"


def test_steps_that_are_there_are_left_as_they_are(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    mine = (Step("Mine."), Step("So 1902."))
    project.set_rationales({asked[0]: (mine, 0)})
    assert {id for id, _ in made(draft_rationales(project, worker, STARTER))} == set(asked[1:])
    assert made(draft_rationales(project, worker, replace(STARTER, examples=(asked[0],)))) == [
        (asked[0], 1),
        (asked[0], 0),
    ]
    assert project.example(asked[0]).rationale == mine
    assert project.scores("rationale_gain").keys() == set(asked[1:])


def test_steps_to_an_answer_that_was_changed_meanwhile_stay_drafts(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    job = draft_rationales(project, worker, STARTER)
    next(item for item in job if isinstance(item, Rationale))
    project.edit_example(asked[2], answer="Lanrick")
    assert (asked[2], 0) in made(job)
    assert project.example(asked[2]).rationale == ()


def test_a_run_goes_on_with_what_is_left_and_only_that(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    job = draft_rationales(project, worker, STARTER)
    first = []
    for item in job:
        first.append(item)
        if made([item]) == [(asked[1], 1)]:  # the better one of the second question is not there yet
            break
    job.close()
    run = project.runs()[-1]
    assert (run.state, how_far(project, run)) == ("cancelled", (1, 3))
    assert project.example(asked[1]).rationale == ()
    second = list(resume_rationales(project, worker))
    assert made(first) == [(asked[0], 1), (asked[0], 0), (asked[1], 1)]
    assert made(second) == [(asked[1], 1), (asked[1], 0), (asked[2], 1), (asked[2], 0)]
    kept = project.rationales_of_run(run.id)
    assert len(kept) == len({(one.example_id, one.slot) for one in kept}) == 6
    assert all(steps_of(project, asked))
    assert how_far(project, project.runs()[-1]) == (3, 3)
    with pytest.raises(UserError, match="no unfinished run"):
        list(resume_rationales(project, worker))


def test_one_bad_question_costs_no_more_than_itself(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    project.edit_example(asked[1], question="CRASH?")
    project.edit_example(asked[2], question="NONE?")
    items = list(draft_rationales(project, worker, STARTER))
    assert {id for id, _ in made(items)} == {asked[0]}
    assert {item.example_id: item.reason for item in items if isinstance(item, NothingDrafted)} == {
        asked[1]: CRASHED,
        asked[2]: "The model wrote no step.",
    }
    assert any(isinstance(item, Restarted) for item in items)
    run = project.runs()[-1]
    assert (run.state, how_far(project, run)) == ("finished", (3, 3))
    assert run.request.settings["nothing"] == sorted(asked[1:])


def test_a_question_that_went_away_meanwhile_is_passed_over(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    job = draft_rationales(project, worker, STARTER)
    next(job)
    job.close()
    gone = project.runs()[-1].request.settings["examples"]
    project.add_settings(project.runs()[-1].id, examples=[*gone, 999])
    items = list(resume_rationales(project, worker))
    assert [item.example_id for item in items if isinstance(item, NothingDrafted)] == [999]
    assert project.runs()[-1].state == "finished"


def chat_model(folder: Path) -> Path:
    return write_tiny(folder / "chat.gguf")


def test_steps_written_anew_are_drafts_until_they_are_taken(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    mine = (Step("Mine."), Step("So 1902."))
    project.set_rationales({asked[0]: (mine, 0), asked[1]: (mine, 0)})
    found = Repair(mine, mine[1:])
    options = RationaleOptions(chat_model(tmp_path), tuple(asked), repair=found)
    items = list(draft_rationales(project, worker, options))
    assert {id for id, _ in made(items)} == set(asked[:2])  # the third has no steps that could be written anew
    assert steps_of(project, asked) == [mine, mine, ()]
    assert project.scores("rationale_gain") == {}
    run = project.runs()[-1]
    assert run.request.settings["before"] == ["Mine.", "So 1902."]
    assert run.request.settings["after"] == ["So 1902."]
    assert {one.instruction for one in project.rationales_of_run(run.id)} == {drafts.SAME_WAY}
    proposals = repair.drafted(project, run.id)
    assert [one.example_id for one in proposals] == asked[:2]
    assert repair.apply(project, proposals) == 2
    assert project.example(asked[1]).rationale[1].text == "So it is Mira Sol."
    assert project.undo() == "Repair the rationales of 2 questions"
    assert steps_of(project, asked) == [mine, mine, ()]


def test_a_check_is_kept_beside_the_steps_and_goes_on(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "check_job", judging_job)
    early = (Step("It was 1902."), Step("So 1902."))
    project.set_rationales(dict.fromkeys(asked, (early, 0)))
    job = check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine))
    next(item for item in job if isinstance(item, Checked))
    job.close()
    assert project.scored(project.runs()[-1].id) == {asked[0]}
    project.set_rationales({asked[2]: ((Step("Other."),), 0)})
    rest = [item.example_id for item in resume_checks(project, worker) if isinstance(item, Checked)]
    assert rest == asked[1:]
    assert checks_of(project, asked[0]) == {"leads": True, "citations": True, "last_step": False}
    assert project.runs()[-1].state == "finished"


def test_what_was_found_of_steps_that_were_edited_meanwhile_is_not_kept(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "check_job", judging_job)
    project.set_rationales({id: ((Step("So 1902."),), 0) for id in asked})
    job = check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine))
    next(item for item in job if isinstance(item, Loaded))
    project.set_rationales({asked[0]: ((Step("Other."),), 0)})
    assert [item.example_id for item in job if isinstance(item, Checked)] == asked[1:]
    assert checks_of(project, asked[0]) == {}


def test_what_was_found_of_steps_goes_with_their_words_and_comes_back_with_them(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "check_job", judging_job)
    project.set_rationales(dict.fromkeys(asked, ((Step("Look."), Step("So 1902.")), 0)))
    list(check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine)))
    found = {check.name: check for check in project.example(asked[0]).checks}
    assert found.keys() == {"leads", "citations", "last_step"}
    project.set_rationales({asked[0]: ((Step("It was 1902."), Step("So 1902.")), 0)})
    assert checks_of(project, asked[0]) == {}
    assert is_stale(project, project.example(asked[0]))
    refresh(project, asked)
    assert checks_of(project, asked[0]) == {"citations": True, "last_step": False}
    project.undo()
    refresh(project, asked)
    assert {check.name: check for check in project.example(asked[0]).checks} == found
    assert not is_stale(project, project.example(asked[0]))
    told: list[str] = []
    project.changed.append(lambda table, _: told.append(table))
    refresh(project, asked)  # so that it may follow each change without end
    assert told == []


@pytest.mark.parametrize("change", [{"question": "When?"}, {"answer": "1903"}, {"choices": ("1903", "1904")}])
def test_a_verdict_is_of_the_question_and_the_answer_too(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(checks, "check_job", judging_job)
    project.set_rationales({asked[0]: ((Step("So 1902."),), 0)})
    list(check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine)))
    project.rate(asked[0], 3)
    project.set_rationales({asked[0]: ((Step("So 1902.", accepted=True),), 0)})
    assert not is_stale(project, project.example(asked[0]))  # who accepts a step or rates changes no word
    project.edit_example(asked[0], **change)
    assert is_stale(project, project.example(asked[0]))
    assert "leads" not in checks_of(project, asked[0])


def test_an_answer_or_steps_that_went_away_cost_no_other_its_check(
    project: Project, worker: Worker, asked: list[int]
) -> None:
    project.set_rationales(dict.fromkeys(asked, ((Step("It says so."),), 0)))
    job = check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine))
    next(job)
    project.edit_example(asked[1], answer=" ")
    project.set_rationales({asked[2]: ((), 0)})
    items = list(job)
    assert [item.example_id for item in items if isinstance(item, Checked)] == asked[:1]
    assert [item for item in items if isinstance(item, NothingDrafted)] == [
        NothingDrafted(asked[1], "It has no answer."),
        NothingDrafted(asked[2], "It has no steps."),
    ]
    assert checks_of(project, asked[2]) == {}


def test_a_run_that_is_cancelled_while_the_model_loads_says_which_it_is(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    items = draft_rationales(project, worker, STARTER)
    first = next(items)
    assert isinstance(first, Progress)
    assert (first.run_id, first.done, first.total) == (project.runs()[-1].id, 0, len(asked))
    items.close()


def test_a_citation_that_no_longer_stands_is_found(project: Project, asked: list[int]) -> None:
    good, bad = Evidence(1, 0, 8, "The town"), Evidence(1, 0, 8, "The city")
    example = project.example(asked[0])
    steps = (Step("a", good), Step("b", bad), Step("c", Evidence(9, 0, 8, "The town")), Step("d"))
    assert misplaced(project, replace(example, rationale=steps)) == [2, 3]
    assert misplaced(project, replace(example, rationale=steps, document_id=None)) == [1, 2, 3]


def test_a_cancel_leaves_what_was_made(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "draft_job", fake_job)
    with pytest.raises(Cancelled):
        list(draft_rationales(project, worker, STARTER, cancelled=lambda: True))
    assert [run.request.kind for run in project.runs()] == ["ask"]
    assert asked


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"candidates": 0}, "At least one candidate"),
        ({"steps": 0}, "At least one candidate"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"instruction": "Shorter."}, "follows no instructions"),
        ({"language": "Turkish"}, "one language only"),
        ({"examples": (999,)}, "no question 999"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    project: Project, worker: Worker, asked: list[int], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        list(draft_rationales(project, worker, replace(STARTER, **changes)))
    assert len(project.runs()) == 1


def test_a_model_that_needs_a_passage_is_given_none_without(project: Project, worker: Worker) -> None:
    run = project.start_run(RunSettings("import", "", "", "", "", "", "", {}, {}, 0, "", ""))
    ids = project.add_examples(run, [ExampleDraft(None, 0, "imported", "2 + 2?", "4", None)], "accepted")
    with pytest.raises(UserError, match="out of its passage only"):
        list(draft_rationales(project, worker, STARTER))
    project.set_state(ids, "rejected")
    with pytest.raises(UserError, match="No question is accepted yet"):
        list(draft_rationales(project, worker, STARTER))
    with pytest.raises(UserError, match="no rationale to check"):
        list(check_rationales(project, worker, CheckOptions(STARTER.model, engine=STARTER.engine)))


def test_a_style_without_prompts_for_it_is_refused(
    project: Project, worker: Worker, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = load_prompts("starter", RATIONALE)
    texts = {name: text for name, text in lacking.texts.items() if name != "explain"}
    monkeypatch.setattr("core.rationales.running.load_prompts", lambda *_: replace(lacking, texts=texts))
    with pytest.raises(UserError, match="has none for rationales"):
        list(draft_rationales(project, worker, STARTER))


def finished(job: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def test_similar_questions_come_nearest_first_with_their_cosine(
    project: Project, worker: Worker, asked: list[int]
) -> None:
    project.set_rationales({id: ((Step(text),), 0) for id, text in zip(asked, ("One.", "Two.", "Three."), strict=True)})
    found = finished(repair.similar(project, worker, STARTER.model, asked[0]))
    texts = [f"{one.question}\n{one.rationale[0].text}" for one in project.examples_by_id(asked)]
    vectors = finished(embed(project, worker, STARTER.model, texts, bool))
    cosines = {asked[place]: float(vectors[place] @ vectors[0]) for place in (1, 2)}
    assert dict(found) == pytest.approx(cosines)
    assert found == sorted(found, key=lambda pair: -pair[1])
    assert len(finished(repair.similar(project, worker, STARTER.model, asked[0], limit=1))) == 1
    assert [id for id, _ in finished(repair.similar(project, worker, STARTER.model, asked[0], asked[:2]))] == [asked[1]]
    assert finished(repair.similar(project, worker, STARTER.model, asked[0], [])) == []
