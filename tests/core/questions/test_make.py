"""The logic of making a question, with a scripted responder in the model's place."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.engine.requests import Completion, Request, Sampling, Span
from core.questions.make import ATTEMPTS, MadeQuestion, NothingMade, Slot, make_question
from core.questions.prompts import NEEDS, Prompts, load_prompts

TEXT = "Mira Sol founded Belmar in 1902. The harbour of Belmar is deep because the river cut it. Corda lies inland."
Reply = str | tuple[int, int]
Responder = Callable[[str, Request], Reply]
Made = MadeQuestion | NothingMade


TASKS = {task for needs in NEEDS.values() for task in needs}
PROMPTS = Prompts("test", {task: f"{task}|{{passage}}|{{question}}|{{answer}}" for task in TASKS}, ("factual",), 0.7)


def drive(
    kind: str,
    respond: Responder,
    number: int = 0,
    count: int = 1,
    seed: int = 7,
    finish: str = "stop",
    text: str = TEXT,
) -> tuple[Made, list[str]]:
    """Runs a task with `respond(task, request)` in the model's place; returns the result and the tasks asked."""
    task, asked = make_question(Slot(1, text, number, count, kind), PROMPTS, "", Sampling(), seed), []
    try:
        request = next(task)
        while True:
            name = request.messages[-1][1].partition("|")[0]
            asked.append(name)
            request = task.send(replace(completion(respond(name, request), request), finish=finish))
    except StopIteration as end:
        return end.value, asked


def completion(reply: Reply, request: Request) -> Completion:
    if isinstance(reply, str):
        return Completion(reply, "stop", 10, 0, 5)
    assert isinstance(request.constraint, Span)
    assert reply[0] in request.constraint.starts
    assert reply[1] in request.constraint.ends
    return Completion(TEXT[slice(*reply)], "stop", 10, 0, 5, span=reply)


def place(words: str) -> tuple[int, int]:
    return TEXT.index(words), TEXT.index(words) + len(words)


SENTENCE = place("Mira Sol founded Belmar in 1902.")


def good(task: str, request: Request) -> Reply:
    return {
        "pick_factual": place("Mira Sol"),
        "ask_factual": "Question: Who founded Belmar in 1902?",
        "ask_unanswerable": "How many people live in Corda?",
        "cite": SENTENCE,
        "answer": "Mira Sol.",
        "claim_true": "Mira Sol founded Belmar.",
        "claim_false": "Anna Lund founded Belmar.",
        "distractors": "A) Anna Lund\nB) Per Holm\nC) Mira Sol\nD) Jon Vik",
        "choose": "A",
        "judge": "True",
    }[task]


def checks_of(made: MadeQuestion) -> dict[str, bool]:
    return {check.name: check.passed for check in made.checks}


def test_an_open_question_is_made_answer_first() -> None:
    made, asked = drive("factual", good)
    assert asked == ["pick_factual", "ask_factual", "cite", "answer"]
    assert isinstance(made, MadeQuestion)
    assert (made.question, made.answer) == ("Who founded Belmar in 1902?", "Mira Sol")
    assert made.evidence == SENTENCE
    assert checks_of(made) == {"round_trip": True, "leak": True, "standalone": True, "length": True}
    assert made.attempts == 1


def test_the_attempt_that_fails_fewest_checks_is_kept() -> None:
    answers = iter(["Corda", "Mira Sol", "Corda"])
    made, asked = drive("factual", lambda task, request: next(answers) if task == "answer" else good(task, request))
    assert isinstance(made, MadeQuestion)
    assert made.attempts == 2
    assert len(asked) == 8


def test_evidence_is_a_whole_sentence_at_least() -> None:
    short = place("Mira Sol")
    made, _ = drive("factual", lambda task, request: short if task == "cite" else good(task, request))
    assert isinstance(made, MadeQuestion)
    assert made.evidence == SENTENCE


def test_a_failed_round_trip_is_shown_when_no_attempt_passes() -> None:
    made, asked = drive("factual", lambda task, request: "Corda" if task == "answer" else good(task, request))
    assert isinstance(made, MadeQuestion)
    assert not checks_of(made)["round_trip"]
    assert made.checks[0].detail.endswith("Corda")
    assert asked.count("answer") == ATTEMPTS


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Belmar was founded by her.", "no question"),
        ("Did Mira Sol found Belmar?", "contained its answer"),
        ("", "no question"),
    ],
)
def test_a_slot_that_gives_nothing_says_why(reply: str, reason: str) -> None:
    made, asked = drive("factual", lambda task, request: reply if task == "ask_factual" else good(task, request))
    assert isinstance(made, NothingMade)
    assert reason in made.reason
    assert asked.count("ask_factual") == ATTEMPTS


def test_attempts_use_different_seeds_and_the_same_slot_the_same_ones() -> None:
    def seeds() -> list[int]:
        found: list[int] = []

        def bad(task: str, request: Request) -> Reply:
            found.append(request.seed)
            return "no" if task == "ask_factual" else good(task, request)

        drive("factual", bad)
        return found

    assert seeds() == seeds()
    assert len(set(seeds())) == ATTEMPTS


def test_a_multiple_choice_question_has_the_answer_among_three_others() -> None:
    made, _ = drive("multiple_choice", good)
    assert isinstance(made, MadeQuestion)
    assert sorted(made.choices) == ["Anna Lund", "Jon Vik", "Mira Sol", "Per Holm"]
    assert checks_of(made)["round_trip"] is (made.choices.index("Mira Sol") == 0)


def claims(respond: Responder) -> list[tuple[Made, list[str]]]:
    """The same slot under seeds that make true and false claims."""
    made = [drive("true_false", respond, seed=seed) for seed in range(12)]
    assert {asked[1] for _, asked in made} == {"claim_true", "claim_false"}
    return made


def test_a_claim_is_judged_against_what_it_was_made_as() -> None:
    for made, asked in claims(good):
        assert isinstance(made, MadeQuestion)
        assert made.evidence == SENTENCE
        assert "leak" not in checks_of(made)
        if made.attempts == 1:
            assert made.answer == str(asked[1] == "claim_true")
            assert checks_of(made)["round_trip"] is (made.answer == "True")


def test_a_false_claim_that_is_true_is_refused() -> None:
    for made, _ in claims(lambda t, r: "Mira Sol founded Belmar." if t == "claim_false" else good(t, r)):
        assert isinstance(made, NothingMade) or made.answer == "True"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("A) 1.5 million\nB) 2:30 pm\nC) -5 °C", {"1.5 million", "2:30 pm", "-5 °C"}),
        ("D. H. Lawrence\nAnna Lund\nPer Holm", {"D. H. Lawrence", "Anna Lund", "Per Holm"}),
        ("1. Per Holm\n2. Jon Vik\n3. Anna Lund", {"Per Holm", "Jon Vik", "Anna Lund"}),
    ],
)
def test_choices_keep_their_words(said: str, expected: set[str]) -> None:
    made, _ = drive("multiple_choice", lambda t, r: said if t == "distractors" else good(t, r))
    assert isinstance(made, MadeQuestion)
    assert set(made.choices) == expected | {"Mira Sol"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2. Dünya Savaşı ne zaman başladı?", "2. Dünya Savaşı ne zaman başladı?"),
        ("**Question 1:** Who founded it all?", "Who founded it all?"),
        ("Here is a question:\n“Who founded Corda?”", "Who founded Corda?"),
        ('"Foo" or "Bar"?', '"Foo" or "Bar"?'),
    ],
)
def test_questions_keep_their_words(said: str, expected: str) -> None:
    made, _ = drive("factual", lambda t, r: said if t == "ask_factual" else good(t, r))
    assert isinstance(made, MadeQuestion)
    assert made.question == expected


def test_an_answer_that_does_not_fit_says_so() -> None:
    made, _ = drive("factual", good, finish="context")
    assert isinstance(made, NothingMade)
    assert "too long" in made.reason
    made, _ = drive("true_false", good, finish="length")
    assert isinstance(made, NothingMade)
    assert "end" in made.reason


def test_an_unanswerable_question_must_be_refused_by_the_passage() -> None:
    made, _ = drive("unanswerable", lambda t, r: "Not in the text." if t == "answer" else good(t, r))
    assert isinstance(made, MadeQuestion)
    assert (made.answer, made.evidence) == ("Not in the text.", None)
    assert checks_of(made)["round_trip"]
    made, _ = drive("unanswerable", lambda t, r: "Four hundred" if t == "answer" else good(t, r))
    assert isinstance(made, MadeQuestion)
    assert not checks_of(made)["round_trip"]


def test_what_the_app_words_itself_is_in_the_language_of_the_passage() -> None:
    text = "Belmar limanı derindir, çünkü nehir onu oymuştur. Corda iç kesimdedir ve nüfusu azdır."
    made, _ = drive("unanswerable", lambda t, r: "Not in the text." if t == "answer" else good(t, r), text=text)
    assert isinstance(made, MadeQuestion)
    assert made.answer == "Metinde yok."
    assert checks_of(made)["round_trip"]
    chat = load_prompts("chat")
    request = next(make_question(Slot(1, text, 0, 1, "unanswerable"), chat, "", Sampling(), 7))
    assert "Write it in Turkish." in request.messages[-1][1]
    request = next(make_question(Slot(1, text, 0, 1, "unanswerable"), chat, "German", Sampling(), 7))
    assert "Write it in German." in request.messages[-1][1]


def test_slots_of_a_passage_look_at_different_sentences() -> None:
    starts: list[set[int]] = []

    def look(task: str, request: Request) -> Reply:
        if task.startswith("pick"):
            assert isinstance(request.constraint, Span)
            starts.append(set(request.constraint.starts))
            span = request.constraint
            return span.starts[0], min(end for end in span.ends if end > span.starts[0])
        return "no"

    drive("factual", look, number=0, count=3)
    drive("factual", look, number=2, count=3)
    assert not set.union(*starts[:ATTEMPTS]) & set.union(*starts[ATTEMPTS:])
    drive("why_how", look, number=2, count=3)
    assert starts[-1] > starts[-ATTEMPTS] == starts[ATTEMPTS]


def test_braces_in_a_passage_are_left_alone() -> None:
    prompts = load_prompts("chat")
    content = prompts.messages("answer", passage="{question} {answer}", question="Who?")[-1][1]
    assert "{question} {answer}" in content
    assert "Question: Who?" in content
