"""Checks of steps against an oracle, by hand, and against llama.cpp's own probabilities."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine import run_tasks
from core.engine.requests import Ask, Completion, EngineSettings, OptionScore, Request, Score, Scores, Task, TooLong
from core.questions.prompts import RATIONALE, load_prompts
from core.rationales.checking import citations, judge, last_step, leads, scores, tells
from core.rationales.checks import check_job
from core.rationales.records import Judged, Subject, Verdict
from core.worker import Worker

PROMPTS = load_prompts("chat", RATIONALE)
STEPS = ("The town was founded when the river froze.", "The river froze in 1902.", "So it was founded in 1902.")
SUBJECT = Subject(1, "When was the town founded?", "in 1902", "in 1902", present=STEPS)
Responder = Callable[[Ask], Completion | Scores]


def drive(task: Generator[Any, Any, Judged], respond: Responder) -> Verdict:
    """Runs a task with a responder in the model's place."""
    try:
        asked = next(task)
        while True:
            try:
                reply = tuple(map(respond, asked)) if isinstance(asked, tuple) else respond(asked)
            except TooLong as error:
                asked = task.throw(error)
                continue
            asked = task.send(reply)
    except StopIteration as end:
        return end.value.verdict


def oracle(ask: Ask) -> Completion | Scores:
    """Knows the answer only where the last step tells it: 4 tokens, at -0.5 in place of -3 nats a token."""
    prompt = ask.messages[-1][1]
    knows = STEPS[-1] in prompt
    if isinstance(ask, Request):
        return Completion("In 1902." if knows else "I do not know.", "stop", 9, 0, 3)
    assert ask.options == ("in 1902",)
    half = STEPS[1] in prompt
    each = -0.5 if knows else -1.5 if half else -3.0
    return Scores((OptionScore(4 * each, 4, 7),), 9)


def test_steps_lead_an_oracle_that_knows_nothing_else() -> None:
    found = drive(judge(SUBJECT, PROMPTS), oracle)
    assert (found.leads, found.alone) == (True, False)
    assert found.gain == pytest.approx(3.0 - 0.5)
    assert found.gain_before == pytest.approx(3.0 - 1.5)
    assert (found.likeness, found.answered, found.answered_alone) == (1.0, "In 1902.", "I do not know.")


def test_a_verdict_is_kept_as_figures_and_as_a_check() -> None:
    found = drive(judge(SUBJECT, PROMPTS), oracle)
    kept = {row.name: row for row in scores(7, found)}
    assert {name: row.value for name, row in kept.items()} == {
        "rationale_leads": 1.0,
        "question_alone": 0.0,
        "rationale_gain": pytest.approx(2.5),
    }
    assert {row.example_id for row in kept.values()} == {7}
    assert kept["rationale_gain"].detail == "+1.500 of it by the steps before the last"
    check = leads(found.leads, found.likeness, found.answered, found.answered_alone)
    assert (check.passed, check.score) == (True, 1.0)
    assert "In 1902." in check.detail
    assert "I do not know." in check.detail


def test_what_the_model_has_no_room_for_leads_nowhere_and_gains_nothing() -> None:
    def full(ask: Ask) -> Completion | Scores:
        if isinstance(ask, Score):
            raise TooLong("no room")
        return Completion("", "context", 0, 0, 0)

    found = drive(judge(SUBJECT, PROMPTS), full)
    assert (found.leads, found.alone, found.gain, found.gain_before) == (False, False, None, None)
    assert [row.name for row in scores(7, found)] == ["rationale_leads", "question_alone"]


def test_neither_the_passage_nor_what_a_style_says_of_texts_is_shown() -> None:
    seen: list[Ask] = []

    def respond(ask: Ask) -> Completion | Scores:
        seen.append(ask)
        return oracle(ask)

    context = (("user", "Hello."), ("assistant", "Good day."))
    drive(judge(Subject(1, "When?", "in 1902", "in 1902", "SECRET", context, STEPS), PROMPTS), respond)
    assert len(seen) == 5
    for ask in seen:
        assert ask.messages[:2] == context
        assert [role for role, _ in ask.messages] == ["user", "assistant", "user"]
        assert "SECRET" not in str(ask.messages)


def always(said: str) -> Responder:
    def respond(ask: Ask) -> Completion | Scores:
        return Completion(said, "stop", 1, 0, 1) if isinstance(ask, Request) else Scores((OptionScore(-1, 1, 1),), 1)

    return respond


@pytest.mark.parametrize(
    ("said", "expected"), [("B", True), ("b)", True), ("Rain.", True), ("B) Rain", True), ("A", False), ("Snow", False)]
)
def test_a_choice_may_be_named_by_its_letter_or_its_text(said: str, expected: bool) -> None:
    subject = Subject(1, "What falls?\nA) Snow\nB) Rain", "B) Rain", "Rain", present=("So: Rain.",))
    assert drive(judge(subject, PROMPTS), always(said)).leads is expected


def test_the_first_choice_is_no_article() -> None:
    subject = Subject(1, "What falls?\nA) Snow\nB) Rain", "A) Snow", "Snow", present=("So: Snow.",))
    assert [drive(judge(subject, PROMPTS), always(said)).leads for said in ("A", "(a)", "B")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("It was in 1902.", "In 1902", True),
        ("It was 1902.", "in 1902", False),
        ("In 19023 it froze.", "1902", False),
        ("Tam IŞIK olur.", "ışık", True),
        ("The river, when it froze, carried the ice away.", "because the river froze and carried ice", False),
        ("Since the river froze, ice was carried away by it.", "the river froze and ice was carried away", True),
        ("", "1902", False),
        ("1902", "", False),
    ],
)
def test_an_answer_is_told_in_its_words_or_a_long_one_in_most_of_them(text: str, answer: str, expected: bool) -> None:
    assert tells(text, answer) is expected


def test_only_the_last_step_tells_the_answer() -> None:
    assert last_step(["It froze.", "So it was in 1902."], "in 1902").passed
    early = last_step(["It froze in 1902.", "So it was in 1902."], "in 1902")
    assert not early.passed
    assert early.detail.startswith("Step 1 tells")
    late = last_step(["It froze.", "So it was then."], "in 1902")
    assert (late.passed, late.detail) == (False, "The last step does not tell the answer.")
    assert not last_step([], "in 1902").passed


def test_citations_that_stand_are_counted_and_others_named() -> None:
    assert citations([], 2, 4).passed
    assert citations([], 2, 4).score == 0.5
    wrong = citations([1, 3], 3, 3)
    assert not wrong.passed
    assert "step 1, 3" in wrong.detail


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def score_job(model: Path, settings: EngineSettings, asked: list[Score]) -> Iterator[Any]:
    """The probabilities of each by itself, one after the other."""

    def task(score: Score) -> Task[Scores]:
        return (yield score)

    for score in asked:
        yield from run_tasks(model, settings, lambda _, score=score: iter([task(score)]))


def test_the_gain_is_the_difference_of_llama_cpps_own_probabilities(worker: Worker) -> None:
    prompts, settings = load_prompts("starter", RATIONALE), EngineSettings(sequences=4)
    present = ('The passage says: "Mira Sol founded Belmar in 1902."', "So the answer is Mira Sol.")
    subject = Subject(3, "Who founded Belmar?", "Mira Sol", "Mira Sol", present=present)
    (judged,) = [
        item for item in worker.run(check_job, paths.starter_model(), settings, [subject], prompts)
        if isinstance(item, Judged)
    ]  # fmt: skip
    question = "Question: Who founded Belmar?\nTask: answer."
    shown = ["\n".join(present), present[0]]
    asked = [Score((("user", f"{steps}\n\n{question}"),), ("Mira Sol",)) for steps in shown]
    asked.append(Score((("user", question),), ("Mira Sol",)))
    found = [item for item in worker.run(score_job, paths.starter_model(), settings, asked) if isinstance(item, Scores)]
    with_steps, before, alone = (item.options[0].sum / item.options[0].tokens for item in found)
    assert judged.verdict.gain == pytest.approx(with_steps - alone, abs=1e-4)
    assert judged.verdict.gain_before == pytest.approx(before - alone, abs=1e-4)
    assert with_steps - alone > 1
