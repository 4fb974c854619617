"""The logic of drafting steps, with a scripted responder in the model's place, and its constraints with llama.cpp."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.engine import run_tasks
from core.engine.requests import (
    Ask,
    Completion,
    EngineSettings,
    OptionScore,
    Request,
    Sampling,
    Score,
    Scores,
    Span,
    Task,
)
from core.questions import spans
from core.questions.prompts import CHECKS_STEPS, RATIONALE, REWRITES, STEP_BY_STEP, WITHOUT_TEXT, Prompts, load_prompts
from core.rationales.drafting import ATTEMPTS, Plan, draft
from core.rationales.records import Drafted, NothingDrafted, Said, Subject
from core.worker import Worker
from tests.data.gguf_tiny import write_tiny

PASSAGE = "Mira Sol founded Belmar. It was the year of the great frost. The frost came in 1902.\fCorda lies inland."
SUBJECT = Subject(1, "When was Belmar founded?", "1902", "1902", PASSAGE)
CHAT = load_prompts("chat", RATIONALE)
NAMED = replace(CHAT, texts={name: f"{name}|{text}" for name, text in CHAT.texts.items()})
PLAN = Plan(candidates=1, check=False)
Reply = str | tuple[int, int]
Responder = Callable[[str, Request], Reply]


def place(words: str) -> tuple[int, int]:
    return PASSAGE.index(words), PASSAGE.index(words) + len(words)


FROST, YEAR = place("It was the year of the great frost."), place("The frost came in 1902.")


def drive(
    respond: Responder, subject: Subject = SUBJECT, plan: Plan = PLAN, finish: str = "stop", prompts: Prompts = NAMED
) -> tuple[Drafted | NothingDrafted, list[str], list[Request]]:
    """Runs a task with `respond(task, request)` in the model's place; also gives what was asked."""
    task, names, requests = draft(subject, prompts, plan, seed=7), [], []

    def answer(ask: Ask) -> Any:
        if isinstance(ask, Score):
            return Scores((OptionScore(-1.0, 1, 4),), 9)
        name = str(ask.messages[-1][1]).partition("|")[0]
        names.append(name)
        requests.append(ask)
        reply = respond(name, ask)
        if isinstance(reply, str):
            return Completion(reply, finish, 9, 0, 3)
        assert isinstance(ask.constraint, Span)
        assert reply[0] in ask.constraint.starts
        assert reply[1] in ask.constraint.ends
        return Completion(PASSAGE[slice(*reply)], finish, 9, 0, 3, span=reply)

    try:
        asked = next(task)
        while True:
            asked = task.send(tuple(map(answer, asked)) if isinstance(asked, tuple) else answer(asked))
    except StopIteration as end:
        return end.value, names, requests


def scripted(*texts: str) -> Responder:
    """Says these steps one after the other; a step that names the frost stands in the text, and others follow."""
    said = iter(texts)

    def respond(task: str, request: Request) -> Reply:
        if task == "basis":
            return (
                "text"
                if "frost" in request.messages[-1][1].rpartition("wrote:")[2].partition("\n")[0]
                else "conclusion"
            )
        return FROST if task == "cite" else next(said)

    return respond


def steps(drafted: Drafted | NothingDrafted, candidate: int = 0) -> tuple[Said, ...]:
    assert isinstance(drafted, Drafted)
    return drafted.candidates[candidate].steps


def test_steps_are_made_one_at_a_time_and_cite_or_infer() -> None:
    made, asked, _ = drive(
        scripted("1. Step: It was in the year of the frost.", "That year is known.", "Done", "So 1902.")
    )
    assert steps(made) == (
        Said("It was in the year of the frost.", FROST),
        Said("That year is known."),
        Said("So 1902."),
    )
    assert asked == [
        *("first", "basis", "cite"),
        *("next", "basis"),
        "next",
        *("last", "basis"),
    ]


def test_each_step_is_told_those_before_it() -> None:
    _, asked, requests = drive(scripted("One frost.", "Two.", "Done", "So 1902."))
    shown = {name: request.messages[-1][1] for name, request in zip(asked, requests, strict=True)}
    assert "1. One frost.\n2. Two." in shown["last"]
    assert PASSAGE.replace("\f", "\n") in shown["first"]


def test_there_are_no_more_steps_than_were_asked_for() -> None:
    made, _, _ = drive(scripted("One frost.", "Two.", "So 1902."), plan=replace(PLAN, steps=3))
    assert len(steps(made)) == 3
    made, _, requests = drive(scripted("So 1902."), plan=replace(PLAN, steps=1))
    assert steps(made) == (Said("So 1902."),)
    assert "(none)" in requests[0].messages[-1][1]


def test_a_step_that_says_what_another_said_is_the_end() -> None:
    made, _, _ = drive(scripted("The frost came.", "The frost came.", "So 1902."))
    assert steps(made) == (Said("The frost came.", FROST), Said("So 1902."))


def test_an_attempt_that_tells_the_answer_too_early_is_made_again() -> None:
    made, asked, requests = drive(scripted("It was 1902.", "So 1902.", "One frost.", "Done", "So 1902."))
    assert steps(made) == (Said("One frost.", FROST), Said("So 1902."))
    first = [request.seed for name, request in zip(asked, requests, strict=True) if name == "first"]
    assert len(set(first)) == 2


def test_what_always_tells_the_answer_too_early_is_kept_with_that_fault() -> None:
    made, asked, _ = drive(scripted(*["It was 1902.", "So 1902."] * ATTEMPTS))
    assert steps(made) == (Said("It was 1902."), Said("So 1902."))
    assert asked.count("first") == ATTEMPTS


def test_what_never_tells_it_is_kept_too() -> None:
    made, asked, _ = drive(scripted(*["One frost.", "Done", "So it was then."] * ATTEMPTS))
    assert steps(made)[-1] == Said("So it was then.")
    assert asked.count("last") == ATTEMPTS


@pytest.mark.parametrize(
    ("reply", "finish", "reason"),
    [("…", "stop", "wrote no step"), ("One.", "context", "too long for this model"), ("One.", "length", "to an end")],
)
def test_an_example_of_which_nothing_came_says_why(reply: str, finish: str, reason: str) -> None:
    made, _, _ = drive(lambda *_: reply, finish=finish)
    assert isinstance(made, NothingDrafted)
    assert reason in made.reason


def test_without_a_passage_there_are_inferences_alone() -> None:
    subject = Subject(1, "And then?", "1902", "1902", context=(("user", "Hello."), ("assistant", "Good day.")))
    made, asked, requests = drive(scripted("The frost came.", "Done", "So 1902."), subject)
    assert steps(made) == (Said("The frost came."), Said("So 1902."))
    assert not {"basis", "cite"} & set(asked)
    assert "User: Hello.\nAssistant: Good day." in requests[0].messages[-1][1]
    _, _, requests = drive(scripted("The frost came.", "Done", "So 1902."), replace(subject, context=()))
    assert "There is no text" in requests[0].messages[-1][1]


def test_an_instruction_is_shown_with_the_present_steps() -> None:
    subject = replace(SUBJECT, present=("Long ago it was cold.", "So 1902."))
    plan = replace(PLAN, instruction="Be brief, {passage}.")
    _, asked, requests = drive(scripted("One frost.", "Done", "So 1902."), subject, plan)
    for name, request in zip(asked, requests, strict=True):
        shown = "1. Long ago it was cold.\n2. So 1902." in request.messages[-1][1]
        assert shown == (name in ("first", "next", "last"))
    assert "Be brief, {passage}." in requests[0].messages[-1][1]


def test_a_repair_of_another_row_is_shown_as_an_example() -> None:
    plan = replace(PLAN, instruction="Shorter.", before=("It is so that rain falls.",), after=("Rain falls.",))
    _, _, requests = drive(scripted("One frost.", "Done", "So 1902."), replace(SUBJECT, present=("Old.",)), plan)
    first = requests[0].messages[-1][1]
    assert first.index("1. It is so that rain falls.") < first.index("1. Rain falls.") < first.index("1. Old.")


def test_candidates_differ_and_the_best_comes_first() -> None:
    """The first fails: the steps do not lead to the answer. The third is the second again."""
    texts = ["Bad frost.", "Done", "So 1902.", *(["Good frost.", "Done", "So 1902."] * 2)]
    said = scripted(*texts)

    def respond(task: str, request: Request) -> Reply:
        if task in ("leads", "alone"):
            return "1902" if "Good" in request.messages[-1][1] else "1800"
        return said(task, request)

    made, asked, requests = drive(respond, plan=Plan(candidates=3))
    assert isinstance(made, Drafted)
    assert [one.steps[0].text for one in made.candidates] == ["Good frost.", "Bad frost."]
    assert [one.verdict and one.verdict.leads for one in made.candidates] == [True, False]
    assert asked.count("alone") == 1
    first = [request.seed for name, request in zip(asked, requests, strict=True) if name == "first"]
    assert len(set(first)) == 3


def test_no_placeholder_is_left_in_what_is_asked() -> None:
    plan = Plan(1, instruction="Shorter.", before=("Old.",), after=("New.",))

    def respond(task: str, request: Request) -> Reply:
        assert not re.search(r"\{\w+\}", request.messages[-1][1])
        return "1902" if task in ("leads", "alone") else said(task, request)

    said = scripted("One frost.", "Two.", "Done", "So 1902.")
    _, asked, _ = drive(respond, replace(SUBJECT, present=("One.",)), plan)
    assert {*STEP_BY_STEP, *CHECKS_STEPS} == set(asked)


def test_which_style_can_do_what() -> None:
    assert CHAT.explains
    assert CHAT.explains_by_steps
    assert CHAT.has((*WITHOUT_TEXT, *REWRITES))
    assert STARTER.explains
    assert not STARTER.explains_by_steps
    assert not any(map(STARTER.has, (WITHOUT_TEXT, REWRITES)))
    assert not replace(CHAT, texts={"explain": "…"}).explains


STARTER = load_prompts("starter", RATIONALE)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("1902", (Said('The passage says: "The frost came in 1902." So the answer is 1902.', YEAR),)),
        ("then", (Said('The passage says: "The frost came in 1902."', YEAR), Said("So the answer is then."))),
    ],
)
def test_what_is_told_at_once_is_taken_apart_unless_the_quote_tells_the_answer(
    answer: str, expected: tuple[Said, ...]
) -> None:
    reply = f'The passage says: "The frost came in 1902." So the answer is {answer}.'
    made, _, requests = drive(lambda *_: reply, replace(SUBJECT, answer=answer, told=answer), prompts=STARTER)
    assert steps(made) == expected
    assert requests[0].messages[-1][1].endswith("Task: explain.")


def test_sentences_are_cut_where_a_page_ends() -> None:
    text = "One ends here. Two runs\fover the page. – !\n\fThree"
    found = spans.whole_sentences(text)
    cut = [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]
    assert cut == ["One ends here.", "Two runs", "over the page.", "Three"]


def free_job(model: Path, settings: EngineSettings, requests: list[Request]) -> Iterator[Any]:
    def task(request: Request) -> Task[Completion]:
        return (yield request)

    yield from run_tasks(model, settings, lambda _: map(task, requests))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def test_even_a_model_without_sense_cites_whole_sentences_of_one_page(worker: Worker, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "tiny.gguf")
    span = spans.whole_sentences(PASSAGE)
    requests = [Request((("user", "Go."),), 40, Sampling(1.5), seed, constraint=span) for seed in range(12)]
    found = [
        item for item in worker.run(free_job, model, EngineSettings(2048, 4), requests) if isinstance(item, Completion)
    ]
    assert len(found) == 12
    for one in found:
        assert one.span is not None
        start, end = one.span
        assert start in span.starts
        assert end in span.ends
        assert "\f" not in PASSAGE[start:end]


def test_the_starter_quotes_the_passage_and_nothing_else(worker: Worker) -> None:
    hard = 'Zeno said "all \\ is one". Mira Sol founded Belmar in 1902.\tThe frost came. Corda lies\finland near Ulm.'
    subjects = [Subject(id, "Who founded Belmar?", "Mira Sol", "Mira Sol", hard) for id in range(3)]

    seen = worker.run(draft_some, paths.starter_model(), EngineSettings(2048, 4), subjects)
    drafts = [item for item in seen if isinstance(item, Drafted)]
    assert len(drafts) == 3
    whole = spans.whole_sentences(hard)
    for one in drafts:
        step = one.candidates[0].steps[0]
        assert step.cited in list(zip(whole.starts, whole.ends, strict=True))
        assert f'"{hard[slice(*step.cited)]}"' in step.text


def draft_some(model: Path, settings: EngineSettings, subjects: list[Subject]) -> Iterator[Any]:
    plan = Plan(candidates=1, check=False)
    yield from run_tasks(model, settings, lambda _: (draft(one, STARTER, plan, one.example_id) for one in subjects))
