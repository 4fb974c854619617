"""Countering data: balanced, the truth as the target, only what the model knows, and never what a probe has asked."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine.requests import Adapter, EngineSettings, Loaded, Usage
from core.errors import UserError
from core.project.probes import Item, Question, Response, Suite
from core.project.project import Project
from core.project.records import Evidence, Example, ExampleDraft, ExampleFilter
from core.sycophancy import counter as module
from core.sycophancy import probe as probing
from core.sycophancy.counter import Countered, CounterOptions, Known, counter, trained_items
from core.sycophancy.probe import ItemAnswered, ProbeOptions, probe
from core.worker import Worker
from tests.core.project.project_material import make_document, make_passages, make_settings

LOADED = Loaded("starter", "CPU", 0, 2, 4096, 4, "chat")
SMALL = EngineSettings(context=2048, sequences=4, threads=1)


def yielding_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, items: list[tuple[int, Item]], *_: str
) -> Iterator[Loaded | ItemAnswered | Usage]:
    """In the model's place: right unless the user is for something else."""
    yield LOADED
    for ordinal, item in items:
        responses = [
            Response(arm.name, number, "", turn.right if turn.suggested is None else turn.suggested)
            for arm in item.arms
            for number, turn in enumerate(arm.turns)
        ]
        yield ItemAnswered(ordinal, tuple(responses))
        yield Usage()


def knowing_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, items: list[tuple[int, Item]], letter: str
) -> Iterator[Loaded | Known | Usage]:
    """Knows what has no 7 in its stem."""
    yield LOADED
    for ordinal, item in items:
        yield Known(ordinal, "7" not in item.stem, 0.9)
        yield Usage()


@pytest.fixture(autouse=True)
def scripted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "starter" not in request.node.name:
        monkeypatch.setattr(probing, "probe_job", yielding_job)
        monkeypatch.setattr(module, "known_job", knowing_job)


def probed(project: Project, worker: Worker, suite: str = "addition", items: int = 100) -> int:
    list(probe(project, worker, ProbeOptions(paths.starter_model(), suite, items, engine=SMALL)))
    return project.runs()[-1].id


def made(project: Project, worker: Worker, run_id: int, size: int = 48, **more: Any) -> list[list[Example]]:
    """The sets that were made."""
    wanted = CounterOptions(run_id, size, engine=SMALL, **more)
    sets = [item for item in counter(project, worker, wanted) if isinstance(item, Countered)]
    return [project.examples(ExampleFilter(run_id=one.run_id), limit=10**4) for one in sets]


def test_claims_are_balanced_and_the_truth_is_the_target(project: Project, worker: Worker) -> None:
    (examples,) = made(project, worker, probed(project, worker))
    assert len(examples) == 48
    assert Counter(check(example, "known") for example in examples) == dict.fromkeys(
        ("true/agree", "true/disagree", "false/agree", "false/disagree"), 12
    )
    assert Counter(example.answer for example in examples) == {"(A)": 24, "(B)": 24}
    for example in examples:
        x, y, total = map(int, re.findall(r"(\d+) \+ (\d+) = (\d+)", example.question)[-1])
        listed = dict(re.findall(r"(\([AB]\)) (Agree|Disagree)", example.question))
        assert listed[example.answer] == ("Agree" if x + y == total else "Disagree")
        assert {example.answer, example.rejected} == {"(A)", "(B)"}
        assert (example.kind, example.state, example.passage_id, example.context) == ("countering", "draft", None, ())


def check(example: Example, name: str) -> str:
    return next(one.detail for one in example.checks if one.name == name)


def test_nothing_that_was_probed_is_trained_on(project: Project, worker: Worker) -> None:
    """Of all 1,275 sums 440 or so were probed, in two runs: what is made comes from the others."""
    first = probed(project, worker, items=240)
    list(probe(project, worker, ProbeOptions(paths.starter_model(), "addition", 240, seed=5, engine=SMALL)))
    (examples,) = made(project, worker, first, 300)
    trained = {check(example, "fresh") for example in examples}
    stems = {one.item.stem for run in project.runs()[:2] for one in project.answered(run.id)}
    assert len(stems) > 400
    assert trained
    assert not trained & stems
    told = {frozenset(map(int, re.findall(r"(\d+) \+ (\d+)", example.question)[-1])) for example in examples}
    asked = {frozenset(map(int, stem.split(":")[1].split(","))) for stem in stems}
    assert not told & asked


def test_a_later_probe_says_what_was_trained_on(project: Project, worker: Worker) -> None:
    made(project, worker, probed(project, worker), 300)
    later = probed(project, worker, items=100)
    assert trained_items(project, [one.item for one in project.answered(later)]) == 0  # the same seed asks the same
    list(probe(project, worker, ProbeOptions(paths.starter_model(), "addition", 200, seed=9, engine=SMALL)))
    items = [one.item for one in project.answered(project.runs()[-1].id)]
    trained = {check(example, "fresh") for example in project.examples(ExampleFilter(kind="countering"), limit=999)}
    assert trained_items(project, items) == len(trained & {item.stem for item in items}) > 0


def test_only_what_the_model_knows_is_used(project: Project, worker: Worker) -> None:
    (examples,) = made(project, worker, probed(project, worker), 100)
    assert not any("7" in check(example, "fresh") for example in examples)


@pytest.mark.parametrize("suite", ["selectivity", "sure", "turns"])
def test_conversations_are_balanced_over_starts_and_feedback(suite: str, project: Project, worker: Worker) -> None:
    if suite == "sure":  # which this responder does not yield to
        run_id = probed(project, worker, "sure", 20)
        with pytest.raises(UserError, match="yields nowhere"):
            made(project, worker, run_id)
        return
    (examples,) = made(project, worker, probed(project, worker, suite))
    starts = Counter(check(example, "known") for example in examples)
    expected = [
        f"{start} start, {feedback} feedback" for start in ("right", "wrong") for feedback in ("right", "wrong")
    ]
    assert starts == dict.fromkeys(expected, 12)
    assert len(set(Counter(example.answer for example in examples))) == 4
    for example in examples:
        (asker, question), (assistant, start), *between = example.context
        assert (asker, assistant) == ("user", "assistant")
        assert f"\n{example.answer} " in question
        cell = check(example, "known")
        assert (start == example.answer) == cell.startswith("right start")
        named = re.findall(r"\([A-D]\)", example.question)
        assert example.rejected != example.answer
        assert f"\n{example.rejected} " in question
        if "wrong feedback" in cell:
            assert example.answer not in named
            assert not named or example.rejected in named  # what the user is for is the worse answer
        elif named:
            assert named == [example.answer]
            assert cell.startswith("right start") or example.rejected == start
        assert all(said == example.answer for role, said in between if role == "assistant")
    assert suite != "turns" or any(len(example.context) > 2 for example in examples)


def test_the_control_is_of_the_same_size_and_without_pressure(project: Project, worker: Worker) -> None:
    for suite in ("addition", "selectivity"):
        treated, control = made(project, worker, probed(project, worker, suite), 24, control=True)
        assert len(treated) == len(control) == 24
        assert {one.kind for one in control} == {"neutral"}
        assert {check(one, "fresh") for one in control} == {check(one, "fresh") for one in treated}
        for one in control:
            assert "I agree" not in one.question
            assert not re.search(
                r"I (?:dis)?agree|I think|professor|textbook|\([A-D]\)\?", one.question.split("Claim")[0]
            )
    kinds = [run.request.kind for run in project.runs()]
    assert kinds == ["probe", "counter", "control"] * 2
    assert project.runs()[2].request.settings["control_of"] == 2


def test_it_is_mixed_with_accepted_examples_that_were_not_probed(project: Project, worker: Worker) -> None:
    project.add_document(make_document(pages=30), make_passages(30), 1200, 200)
    asked = project.start_run(make_settings())
    for number in range(1, 31):
        evidence = Evidence(number, 0, 28, "Ada Korel was born in Izmir.")
        project.add_example(asked, ExampleDraft(number, 0, "factual", f"Who {number}?", f"Ada {number}", evidence))
    project.set_state(range(1, 21), "accepted")
    documents = probed(project, worker, "documents", 5)
    stems = {int(one.item.stem.split(":")[1]) for one in project.answered(documents)}
    run_id = probed(project, worker)
    made(project, worker, run_id, 50)
    mixed = project.runs()[-1].request.settings["mixed"]
    assert len(mixed) == 10  # five to one
    assert set(mixed) <= set(range(1, 21)) - stems
    (few,) = [
        item
        for item in counter(project, worker, CounterOptions(run_id, 50, ratio=1, engine=SMALL))
        if isinstance(item, Countered)
    ]
    assert (few.mixed, few.lacking) == (15, 35)
    known = tuple(Question(f"q{n}", f"Which is number {n}?", ("a", "b", "c", "d"), n % 4) for n in range(10))
    project.add_suite(Suite("mine", "branches", "mine.csv", "00", {}, known))
    wanted = CounterOptions(probed(project, worker, "mine", 8), 75, engine=SMALL, control=True)
    for item in counter(project, worker, wanted):
        if isinstance(item, Countered):
            assert item.made < item.wanted
            assert item.mixed == round(item.made / 5)
            assert item.mixed == len(project.run(item.run_id).request.settings["mixed"])


def test_equal_seeds_make_equal_sets(project: Project, worker: Worker) -> None:
    run_id = probed(project, worker)
    first, second, third = (
        [(one.question, one.answer) for one in made(project, worker, run_id, 30, seed=seed)[0]] for seed in (0, 0, 1)
    )
    assert first == second != third


def test_few_known_items_come_again_under_other_conditions(project: Project, worker: Worker) -> None:
    questions = tuple(Question(f"q{n}", f"Which is number {n}?", ("a", "b", "c", "d"), n % 4) for n in range(12))
    project.add_suite(Suite("mine", "branches", "mine.csv", "00", {}, questions))
    (examples,) = made(project, worker, probed(project, worker, "mine", 8), 12)
    assert 3 <= len({check(example, "fresh") for example in examples}) <= 4  # 12 less 8 probed, less the one with a 7
    assert len({(example.context, example.question) for example in examples}) == len(examples) > 4


def test_what_cannot_be_countered_is_said(project: Project, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = probed(project, worker)
    with pytest.raises(UserError, match="above zero"):
        made(project, worker, run_id, 0)
    asked = project.start_run(make_settings())
    with pytest.raises(UserError, match="is no probe"):
        made(project, worker, asked)
    opinions = tuple(Question(f"q{n}", f"Do you like {n}?", ("yes", "no"), matching=0) for n in range(4))
    project.add_suite(Suite("opinions", "preference", "o.jsonl", "00", {}, opinions))
    with pytest.raises(UserError, match="knows no right answers"):
        made(project, worker, probed(project, worker, "opinions"))
    monkeypatch.setattr(module, "known_job", ignorant_job)
    with pytest.raises(UserError, match="knows none of the"):
        made(project, worker, run_id, 4)
    assert project.runs()[-1].state == "failed"
    list(probe(project, worker, ProbeOptions(paths.starter_model(), "addition", 1275, engine=SMALL)))
    with pytest.raises(UserError, match=r"Every item of the suite “addition” was asked"):
        made(project, worker, run_id, 4)


def ignorant_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, items: list[tuple[int, Item]], letter: str
) -> Iterator[Loaded | Known | Usage]:
    """Knows nothing."""
    yield LOADED
    for ordinal, _ in items:
        yield Known(ordinal, False, 0.1)


def test_the_starter_is_countered_with_sums_it_knows(project: Project, worker: Worker) -> None:
    (examples,) = made(project, worker, probed(project, worker, items=8), 16)
    assert len(examples) == 16
    assert all(one.checks[-1].score is None or 0.5 < one.checks[-1].score <= 1 for one in examples)
