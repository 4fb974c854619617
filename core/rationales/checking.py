"""Checks steps without a judge: whether they lead the model to the answer, what they add, and when they tell it."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.requests import GREEDY, Completion, Messages, OptionScore, Request, Score, Scores, TooLong
from core.project.records import Check, ScoreRow
from core.questions.checks import ROUND_TRIP_F1, normalise, token_f1
from core.questions.prompts import Prompts
from core.rationales.records import Judged, Said, Subject, Verdict

LINE = r"root ::= [^\n<] [^\n]*"  # one line that no tag begins: a model cannot think aloud
ANSWER_TOKENS = 96  # and more where the right answer is long
MANY_WORDS = 5  # of an answer, from which on it may be told in other words
BEFORE = " of it by the steps before the last"  # what is said of a gain, behind a number
MOST_WORDS = 0.8  # share of an answer's words by which it is then told

Asking = Generator[Any, Any, "Answer"]


@dataclass(frozen=True)
class Answer:
    """What the model answers, and how likely the right answer is to it; None where there is no room."""

    text: str
    right: OptionScore | None = None


def judge(subject: Subject, prompts: Prompts) -> Generator[Any, Any, Judged]:
    """The task that checks an example's present steps."""
    alone = yield from answer_alone(subject, prompts)
    return Judged(subject.example_id, (yield from verdict(subject, subject.present, alone, prompts)))


def answer_alone(subject: Subject, prompts: Prompts) -> Asking:
    """What the model answers to the question by itself."""
    return _ask(_messages(subject, prompts, "alone"), subject.answer)


def verdict(subject: Subject, steps: Sequence[str], alone: Answer, prompts: Prompts) -> Generator[Any, Any, Verdict]:
    """Where question and steps, without the passage, lead the model; `alone` is where the question does.

    The answer is generated greedily and compared as the round trip of questions is. The gain is the difference of the
    right answer's log-probabilities a token: positive where the steps make it likelier.
    """
    answer = yield from _ask(_leading(subject, prompts, steps), subject.answer)
    before = None
    if len(steps) > 1:
        before = yield from _score(_leading(subject, prompts, steps[:-1]), subject.answer)
    likeness, likeness_alone = (_likeness(subject, one.text) for one in (answer, alone))
    return Verdict(
        leads=likeness >= ROUND_TRIP_F1,
        alone=likeness_alone >= ROUND_TRIP_F1,
        likeness=round(likeness, 3),
        answered=answer.text,
        answered_alone=alone.text,
        gain=_gain(answer.right, alone.right),
        gain_before=_gain(before, alone.right),
    )


def last_step(steps: Sequence[str], answer: str) -> Check:
    """Whether the last step, and none before it, tells the answer."""
    for number, text in enumerate(steps[:-1], 1):
        if tells(text, answer):
            return Check("last_step", False, None, f"Step {number} tells the answer already: {text}")
    if not steps or not tells(steps[-1], answer):
        return Check("last_step", False, None, "The last step does not tell the answer.")
    return Check("last_step", True)


def tells(text: str, answer: str) -> bool:
    """Whether a text tells the answer: in its very words, or a long one in most of them."""
    said, wanted = normalise(text), normalise(answer)
    width = len(wanted)
    if any(said[at : at + width] == wanted for at in range(len(said) - width + 1)):
        return bool(wanted)
    return width >= MANY_WORDS and sum(word in said for word in wanted) / width >= MOST_WORDS


def citations(wrong: Sequence[int], cited: int, count: int) -> Check:
    """Whether every cited span stands where it is said to stand; `wrong` are the steps (from 1) of which it does not.

    The score is the share of the steps that cite; the others are inferences.
    """
    listed = ", ".join(map(str, wrong))
    detail = f"Not at its place in the document: what step {listed} cites." if wrong else f"{cited} of {count} cite."
    return Check("citations", not wrong, round(cited / count, 3) if count else None, detail)


def leads(passed: bool, likeness: float, answered: str, answered_alone: str) -> Check:
    """Where a model was led, as an example keeps it."""
    return Check(
        "leads", passed, likeness, f"With the steps, the answer was: {answered} Without them: {answered_alone}"
    )


def scores(example_id: int, verdict: Verdict) -> tuple[ScoreRow, ...]:
    """The verdict as figures: whether steps and question lead, whether the question alone does, and the gain."""
    rows = [
        ScoreRow(example_id, "rationale_leads", float(verdict.leads), verdict.answered),
        ScoreRow(example_id, "question_alone", float(verdict.alone), verdict.answered_alone),
    ]
    if verdict.gain is not None:
        before = verdict.gain_before
        detail = "" if before is None else f"{before:+.3f}{BEFORE}"
        rows.append(ScoreRow(example_id, "rationale_gain", verdict.gain, detail))
    return tuple(rows)


def gain_before(gain: ScoreRow) -> float | None:
    """What of a kept gain the steps before the last bring, in nats a token; None where that was not reckoned."""
    number, found, _ = gain.detail.partition(BEFORE)
    return float(number) if found else None


def said_of(steps: Sequence[Said]) -> list[str]:
    """The texts of steps."""
    return [step.text for step in steps]


def _leading(subject: Subject, prompts: Prompts, steps: Sequence[str]) -> Messages:
    return _messages(subject, prompts, "leads", steps="\n".join(steps))


def _messages(subject: Subject, prompts: Prompts, task: str, **values: str) -> Messages:
    """What was said before the question, then the question; without what the style says of texts, for there is none."""
    return (*subject.context, prompts.messages(task, question=subject.question, **values)[-1])


def _ask(messages: Messages, right: str) -> Asking:
    asked = Request(messages, ANSWER_TOKENS + len(right) // 2, GREEDY, constraint=LINE)
    try:
        said, scored = yield asked, Score(messages, (right,))
    except TooLong:
        return Answer("")
    assert isinstance(said, Completion)
    return Answer(said.text.strip(), scored.options[0])


def _score(messages: Messages, right: str) -> Generator[Any, Any, OptionScore | None]:
    try:
        scored: Scores = yield Score(messages, (right,))
    except TooLong:
        return None
    return scored.options[0]


def _gain(with_steps: OptionScore | None, alone: OptionScore | None) -> float | None:
    return with_steps.mean - alone.mean if with_steps and alone else None


def _likeness(subject: Subject, answered: str) -> float:
    """F1 of shared words with the answer; a choice may also be named by its letter, or by its text alone."""
    if subject.answer != subject.told and answered.strip(" ().:").casefold() == subject.answer[:1].casefold():
        return 1.0
    return max(token_f1(answered, wanted) for wanted in {subject.answer, subject.told})
