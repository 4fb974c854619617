"""Runs over a project: what is committed, what a crash costs, what a resume refuses."""

import json
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from core import paths, runs
from core.documents.records import Document, Page, Part, Passage
from core.engine.requests import EngineSettings, Loaded, Trying, Usage
from core.errors import Cancelled, UserError
from core.project.project import Project
from core.project.records import Discard, Example, ExampleDraft, PassageMark, RunSettings
from core.questions import ask as module
from core.questions.ask import CRASHED, AskOptions, Progress, Replaced, ask, ask_again, count_slots, how_far, resume
from core.questions.make import MadeQuestion, NothingMade, Slot
from core.retrying import Restarted, TooManyCrashes
from core.worker import Worker

STARTER = AskOptions(paths.starter_model(), kinds=("factual",), per_passage=2)
LOADED = Loaded("starter", "CPU", 0, 2, 4096, 16, "starter")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.elenchus") as project:
        yield project


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def fill(project: Project, texts: list[str]) -> None:
    """One passage a page, one page a text."""
    pages = tuple(Page(number, str(number), 100, 100, text) for number, text in enumerate(texts, 1))
    passages = [Passage("", (Part(page.number, 0, len(page.text)),), page.text) for page in pages]
    project.add_document(Document("/d.pdf", "ab" * 32, "D", pages=pages), passages, 1200, 200)


def fake_job(
    model: Path, engine: Any, slots: list[Slot], *_: Any
) -> Iterator[Loaded | MadeQuestion | NothingMade | Usage]:
    """In the model's place: the passage's first word is the answer; NONE gives nothing.

    CRASH ends the process, HANG does nothing more. ONCE and the name of a file ends it when the file is not there yet,
    and so does LOAD, before the model has come up.
    """
    for slot in slots:
        if "LOAD" in slot.text:
            die_once(slot.text)
    yield LOADED
    for number, slot in enumerate(slots, 1):
        if "CRASH" in slot.text:
            os.abort()
        if "HANG" in slot.text:
            time.sleep(60)
        if "ONCE" in slot.text:
            die_once(slot.text)
        if "NONE" in slot.text:
            yield NothingMade(slot, "The model wrote no question.")
        else:
            yield MadeQuestion(slot, f"Which is {slot.text} {slot.number}?", "x", (), (0, 4))
        yield Usage(generated_tokens=number)


def die_once(text: str) -> None:
    """`text` is a word and the name of a file, with a number before it that is how often."""
    _, times, path = text.split(" ", 2)
    for number in range(int(times)):
        flag = Path(f"{path}{number}")
        if not flag.exists():
            flag.touch()
            os.abort()


def test_one_bad_passage_costs_no_more_than_itself(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar", "CRASH", "Corda", "NONE", "Dunmore"])
    items = list(ask(project, worker, STARTER))
    made = [item for item in items if isinstance(item, Example)]
    assert [example.evidence and example.evidence.text for example in made] == ["Avel"] * 2 + ["Belm"] * 2 + [
        "Cord"
    ] * 2 + ["Dunm"] * 2
    assert (
        sorted(item.reason for item in items if isinstance(item, Discard))
        == ["The model wrote no question."] * 2 + [CRASHED] * 2
    )
    (run,) = project.runs()
    assert run.state == "finished"
    assert run.usage["engine"]["generated_tokens"] == 10
    last = [item for item in items if isinstance(item, Progress)][-1]
    assert (last.done, last.total, last.made) == (12, 12, 8)


def test_a_model_that_always_crashes_ends_the_run_and_loses_no_slot(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["CRASH"] * 20)
    items: list[object] = []
    with pytest.raises(TooManyCrashes, match=r"crash 3 within 90 seconds.*What was made is kept"):
        items.extend(ask(project, worker, STARTER))
    (run,) = project.runs()
    assert run.state == "failed"
    assert "crash 3" in run.reason
    assert project.done_slots(run.id) == set()


def dying_while_loading_job(path: Path, settings: EngineSettings, *_: object) -> Iterator[object]:
    yield Trying(0.0, settings.rung)
    os.abort()


@pytest.mark.parametrize("job", [fake_job, dying_while_loading_job])
def test_a_model_that_always_crashes_slowly_ends_the_run_too(
    job: Any, project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", job)
    fill(project, ["CRASH"] * 2)
    minutes = count()
    with pytest.raises(TooManyCrashes, match=r"nothing made in between"):
        list(ask(project, worker, STARTER, clock=lambda: 120.0 * next(minutes)))
    assert project.done_slots(1) == set()


def test_a_model_that_crashes_on_its_only_slot_is_to_blame(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["CRASH"])
    with pytest.raises(TooManyCrashes):
        list(ask(project, worker, AskOptions(STARTER.model, kinds=("factual",), per_passage=1)))
    assert project.done_slots(1) == set()


@pytest.mark.parametrize(("seconds", "stops"), [(29.0, True), (46.0, False)])
def test_three_crashes_stop_a_run_when_they_come_within_ninety_seconds(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float, stops: bool
) -> None:
    """Of real children; only the time is told."""
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", *(f"ONCE 1 {tmp_path}/{name}" for name in "abc"), "Belmar"])
    crashes = iter(range(9))
    job = ask(project, worker, STARTER, clock=lambda: seconds * next(crashes))
    items = []
    if stops:
        with pytest.raises(TooManyCrashes):
            items.extend(job)
        job = resume(project, worker)
    items = list(job)
    assert len([item for item in items if isinstance(item, Restarted)]) == (0 if stops else 3)
    assert project.runs()[0].state == "finished"
    assert project.done_slots(1) == {(passage, slot) for passage in range(1, 6) for slot in range(2)}
    assert project.discards(1) == []


def test_who_crashed_alone_once_is_asked_again(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", f"ONCE 2 {tmp_path}/a", "Belmar"])
    items = list(ask(project, worker, STARTER))
    assert [item.reason for item in items if isinstance(item, Restarted)] == [
        "The worker process ended unexpectedly (SIGABRT)."
    ] * 2
    assert project.discards(1) == []
    order = [(item.passage_id, item.slot) for item in items if isinstance(item, Example)]
    assert order == [(1, 0), (1, 1), (3, 0), (3, 1), (2, 0), (2, 1)]


def test_a_crash_while_the_model_loads_is_no_passages_fault(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, [f"LOAD 2 {tmp_path}/a"])
    options = AskOptions(STARTER.model, kinds=("factual",), per_passage=1)
    items = list(ask(project, worker, options))
    assert [type(item) for item in items] == [Restarted, Restarted, Loaded, Example, Progress]


def test_a_hang_is_a_crash(project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    list(worker.run(empty_job, Path(), None, []))  # starting a child takes longer than the patience
    monkeypatch.setattr(module, "ask_job", fake_job)
    monkeypatch.setattr(runs, "HANG_TIMEOUT", 1.0)
    fill(project, ["Avel", "HANG"])
    items = ask(project, worker, STARTER)
    said = next(item.reason for item in items if isinstance(item, Restarted))
    assert "no sign of life" in said
    items.close()
    assert project.done_slots(1) == {(1, 0), (1, 1)}


def test_a_resumed_run_does_what_is_left_and_only_that(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar", "Corda"])
    job = ask(project, worker, STARTER)
    first = [item for item in (next(job) for _ in range(5)) if isinstance(item, Example)]
    job.close()
    assert project.runs()[0].state == "cancelled"
    fill_more = Document("/e.pdf", "cd" * 32, "E", pages=(Page(1, "1", 9, 9, "Later"),))
    project.add_document(fill_more, [Passage("", (Part(1, 0, 5),), "Later")], 1200, 200)
    second = [item for item in resume(project, worker) if isinstance(item, Example)]
    slots = [(example.passage_id, example.slot) for example in first + second]
    assert slots == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
    assert project.runs()[0].state == "finished"


def test_a_resume_refuses_another_model_or_other_prompts(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel"])
    job = ask(project, worker, STARTER)
    next(job)
    job.close()
    other = tmp_path / "other.gguf"
    other.write_bytes(paths.starter_model().read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="another file"):
        list(resume(project, worker, other))
    monkeypatch.setattr(paths, "resources", lambda: tmp_path)
    style = tmp_path / "prompts" / "starter"
    style.mkdir(parents=True)
    (style / "style.toml").write_text('kinds = ["factual"]\ntemperature = 0.5\n')
    (style / "answer.txt").write_text("[user]\nother")
    with pytest.raises(UserError, match="prompts"):
        list(resume(project, worker))


def test_a_cancel_is_heard_before_the_child_has_begun(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel"])
    with pytest.raises(Cancelled):
        list(ask(project, worker, STARTER, cancelled=lambda: True))
    assert project.runs() == []
    answers = iter([False] + [True] * 100)
    assert list(ask(project, worker, STARTER, cancelled=lambda: next(answers))) == []
    assert project.runs()[0].state == "cancelled"


def test_every_provenance_is_written(project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel"])
    list(ask(project, worker, STARTER))
    made = project.runs()[0].request
    assert made.model_sha256 == hashlib.sha256(paths.starter_model().read_bytes()).hexdigest()
    assert made.quantisation in ("F16", "Q8_0", "F32")
    assert made.prompts["ask_factual"].startswith("{passage}")
    assert made.settings["sampling"]["temperature"] > 0
    assert made.engine_version == "llama-cpp-python 0.3.36"


def test_near_duplicates_are_found_across_runs(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel"])
    for expected in (True, False):
        made = next(item for item in list(ask(project, worker, STARTER)) if isinstance(item, Example))
        (check,) = [check for check in made.checks if check.name == "near_duplicate"]
        assert check.passed is expected


def test_a_question_asked_again_stands_beside_the_old_one(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar"])
    list(ask(project, worker, STARTER))
    items = list(ask_again(project, worker, 2))
    (replaced,) = [item for item in items if isinstance(item, Replaced)]
    assert replaced == Replaced(2, 5)
    old, new = project.examples_by_id([2, 5])
    assert (old.state, new.state) == ("rejected", "draft")
    assert (new.passage_id, new.slot, new.kind) == (old.passage_id, old.slot, old.kind)
    assert new.seed != old.seed
    run = project.run(new.run_id)
    assert (run.state, how_far(project, run)) == ("finished", (1, 1))
    assert project.undo() == "Reject 1 question"
    assert project.counts()["draft"] == 5


def test_a_question_that_gives_nothing_when_asked_again_is_kept(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel"])
    list(ask(project, worker, STARTER))
    monkeypatch.setattr(module, "ask_job", empty_job)
    (nothing,) = [item for item in ask_again(project, worker, 1) if isinstance(item, Discard)]
    assert nothing.reason == "Nothing."
    assert project.example(1).state == "draft"
    assert project.last_unfinished_run("ask") is None


def test_what_comes_from_no_passage_is_not_asked_again(project: Project, worker: Worker) -> None:
    run = project.start_run(RunSettings("counter", "", "tiny", "", "", "", "", {}, {}, 1, "", ""))
    id = project.add_example(run, ExampleDraft(None, 0, "countering", "Is it 5?", "It is 4.", None))
    with pytest.raises(UserError, match=r"comes from no passage.* or reject it\."):
        list(ask_again(project, worker, id))
    assert project.example(id).state == "draft"


def empty_job(model: Path, engine: Any, slots: list[Slot], *_: Any) -> Iterator[NothingMade]:
    """In the model's place: nothing comes of any slot."""
    yield from (NothingMade(slot, "Nothing.") for slot in slots)


def test_what_a_run_would_make_and_how_far_it_is(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar", "Corda"])
    options = AskOptions(paths.starter_model(), kinds=("factual",), per_passage=2, limit=5)
    assert count_slots(project, options) == 5
    assert count_slots(project, AskOptions(paths.starter_model(), documents=(9,))) == 0
    job = ask(project, worker, options)
    while not isinstance(next(job), Example):
        pass
    job.close()
    assert how_far(project, project.runs()[0]) == (1, 5)


def test_passages_set_aside_are_not_asked_about_and_a_resumed_run_sees_them_as_it_began(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar", "Corda", "Dunmore"])
    project.mark_passages([PassageMark(2, set_aside=True), PassageMark(3, label=1)])
    assert count_slots(project, STARTER) == 6
    going = ask(project, worker, STARTER)
    next(item for item in going if isinstance(item, Example))
    going.close()
    project.mark_passages([PassageMark(2), PassageMark(4, set_aside=True)])
    assert how_far(project, project.runs()[-1]) == (1, 6)
    list(resume(project, worker))
    assert {passage_id for passage_id, _ in project.done_slots(1)} == {1, 3, 4}


def test_a_run_from_before_there_was_a_filter_goes_on_as_it_began(
    project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ask_job", fake_job)
    fill(project, ["Avel", "Belmar", "Corda"])
    going = ask(project, worker, STARTER)
    next(item for item in going if isinstance(item, Example))
    going.close()
    settings = project.run(1).request.settings
    del settings["set_aside"]
    project._update_run(1, settings=json.dumps(settings))
    project.mark_passages([PassageMark(3, set_aside=True)])
    list(resume(project, worker))
    assert {passage_id for passage_id, _ in project.done_slots(1)} == {1, 2, 3}


def test_nothing_is_asked_where_all_is_set_aside(project: Project, worker: Worker) -> None:
    fill(project, ["Avel"])
    project.mark_passages([PassageMark(1, set_aside=True)])
    with pytest.raises(UserError, match="All passages that were chosen are set aside"):
        list(ask(project, worker, STARTER))
    assert project.runs() == []
