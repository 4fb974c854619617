"""Makes one question of a passage, answer first: pick an answer, ask for it, cite it, answer it again.

The order is that of answer-aware question generation; each step is a short answer of the model under a constraint,
so that a small model cannot break the form. What it wrote is kept with the result of every check.
"""

import hashlib
import random
import re
from collections.abc import Generator
from dataclasses import dataclass, replace

from core import language as languages
from core.documents.records import PAGE_BREAK
from core.engine.requests import GREEDY, Completion, Request, Sampling, Span
from core.project.records import Check
from core.questions import checks, spans
from core.questions.prompts import Prompts

ATTEMPTS = 3  # how often a slot is tried before its best row is taken, or none
LETTERS = "ABCD"
_PICK_TOKENS = {"pick_factual": 24, "pick_definition": 60, "pick_why_how": 60, "pick_comparison": 60}
_SAME_LANGUAGE = "the language of the text"
_WRITTEN_BY_THE_APP = ("true_false", "unanswerable")  # kinds whose answers the app words itself


@dataclass(frozen=True)
class Slot:
    """One question to be made: which passage, which of its questions, of which kind."""

    passage_id: int
    text: str
    number: int  # counts from 0 within the passage
    count: int  # slots of the passage
    kind: str


@dataclass(frozen=True)
class MadeQuestion:
    """A question that was made. `evidence` and offsets are characters of the passage's text."""

    slot: Slot
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    evidence: tuple[int, int] | None = None
    checks: tuple[Check, ...] = ()
    attempts: int = 1


@dataclass(frozen=True)
class NothingMade:
    """A slot that gave nothing after its attempts, and why."""

    slot: Slot
    reason: str


class _Unusable(Exception):
    """An attempt whose answer cannot be used; its text is the reason."""


Step = Generator[Request, Completion, MadeQuestion]
Making = Generator[Request, Completion, MadeQuestion | NothingMade]


def make_question(slot: Slot, prompts: Prompts, language: str, sampling: Sampling, seed: int) -> Making:
    """The task that fills a slot: the first attempt that passes every check, else the one that fails fewest.

    Drafts are sampled as `sampling` says, checks greedily. `language` is that of what is written; when empty, that of
    the passage.
    """
    if not language and (prompts.writes_any_language or slot.kind in _WRITTEN_BY_THE_APP):
        language = languages.guess(slot.text)
    best: MadeQuestion | None = None
    reason = "The passage has no words to ask about."
    for attempt in range(1, ATTEMPTS + 1):
        maker = _Attempt(slot, prompts, language, sampling, seed, attempt)
        try:
            made = replace((yield from maker.steps()), attempts=attempt)
        except _Unusable as error:
            reason = str(error)
            continue
        if best is None or _failures(made) < _failures(best):
            best = made
        if not _failures(best):
            break
    return best or NothingMade(slot, reason)


def _failures(made: MadeQuestion) -> int:
    return sum(not check.passed for check in made.checks)


class _Attempt:
    """One attempt at a slot. Each step asks the model one thing and returns what it said."""

    def __init__(
        self, slot: Slot, prompts: Prompts, language: str, sampling: Sampling, seed: int, attempt: int
    ) -> None:
        self.slot, self.prompts, self.attempt = slot, prompts, attempt
        self.language, self.phrases = language or _SAME_LANGUAGE, languages.phrases(language)
        key = f"{seed}\0{slot.text}\0{slot.kind}\0{slot.number}\0{attempt}"
        self.seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") & 0x7FFFFFFF
        self.sampling = sampling

    def steps(self) -> Step:
        if self.slot.kind == "unanswerable":
            return (yield from self._unanswerable())
        if self.slot.kind == "true_false":
            return (yield from self._true_false())
        if self.slot.kind == "multiple_choice":
            return (yield from self._multiple_choice())
        return (yield from self._open_question(f"pick_{self.slot.kind}", f"ask_{self.slot.kind}"))

    def _open_question(self, pick: str, ask: str) -> Step:
        where, answer = yield from self._pick(pick)
        question = yield from self._ask(ask, answer=answer)
        self._refuse_leak(question, answer)
        evidence = yield from self._cite(question, answer, where)
        task = "answer_long" if ask != "ask_factual" and "answer_long" in self.prompts.texts else "answer"
        answered = yield from self._say(task, {"question": question}, max_tokens=96, sampling=GREEDY)
        return self._made(question, answer, evidence, checks.round_trip(answered, answer))

    def _multiple_choice(self) -> Step:
        where, answer = yield from self._pick("pick_factual")
        question = yield from self._ask("ask_factual", answer=answer)
        self._refuse_leak(question, answer)
        lines = yield from self._say("distractors", {"question": question, "answer": answer}, max_tokens=120, lines=3)
        choices = self._choices(lines, answer)
        evidence = yield from self._cite(question, answer, where)
        letters = "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, choices, strict=True))
        letter = yield from self._say(
            "choose",
            {"question": question, "choices": letters},
            max_tokens=4,
            sampling=GREEDY,
            constraint="root ::= [ABCD]",
        )
        check = checks.choice(letter, LETTERS[choices.index(answer)])
        return replace(self._made(question, answer, evidence, check), choices=choices)

    def _true_false(self) -> Step:
        """A true or a false claim, as the seed decides, so that "True" is right half the time."""
        where, value = yield from self._pick("pick_factual")
        truth = bool(random.Random(self.seed).getrandbits(1))
        claim = yield from self._say("claim_true" if truth else "claim_false", {"answer": value})
        claim = _clean(claim)
        if len(checks.normalise(claim)) < 3:
            raise _Unusable("The model wrote no statement.")
        if not truth and not checks.leak(claim, value).passed:
            raise _Unusable("The statement that should be false repeats what the text says.")
        evidence = spans.sentence_around(self.slot.text, where)
        word = yield from self._say(
            "judge", {"question": claim}, max_tokens=4, sampling=GREEDY, constraint='root ::= "True" | "False"'
        )
        return self._made(claim, self.phrases.truth(truth), evidence, checks.choice(word, str(truth)))

    def _unanswerable(self) -> Step:
        question = yield from self._ask("ask_unanswerable")
        answered = yield from self._say("answer", {"question": question}, max_tokens=96, sampling=GREEDY)
        refused = checks.is_refusal(answered)
        check = Check("round_trip", refused, float(refused), f"Asked again, the answer was: {answered}")
        return self._made(question, self.phrases.not_in_the_text, None, check)

    def _made(self, question: str, answer: str, evidence: tuple[int, int] | None, round_trip: Check) -> MadeQuestion:
        found = [round_trip, checks.standalone(question), checks.length(question, answer)]
        if self.slot.kind not in ("true_false", "unanswerable"):
            found.insert(1, checks.leak(question, answer))
        return MadeQuestion(self.slot, question, answer, (), evidence, tuple(found))

    def _pick(self, task: str) -> Generator[Request, Completion, tuple[tuple[int, int], str]]:
        """An answer: contiguous words of the slot's own part of the passage, verbatim by construction."""
        text = self.slot.text
        region = spans.regions(text, self.slot.count)[self.slot.number]
        if self.attempt > 1 and task != "pick_factual":
            region = (0, len(text))  # facts are everywhere; a reason or a definition may stand in another part
        span = spans.answer_span(text, region)
        if not span.starts or not span.ends:
            raise _Unusable("The passage has no words to ask about.")
        done = yield self._request(task, _PICK_TOKENS[task], self.sampling, span, {})
        self._refuse_unfinished(done)
        if done.span is None or not checks.has_content(done.text):
            raise _Unusable("The model picked no answer.")
        return done.span, " ".join(text[done.span[0] : done.span[1]].split())

    def _ask(self, task: str, **values: str) -> Generator[Request, Completion, str]:
        said = yield from self._say(task, values, lines=3)
        for line in map(_clean, said.splitlines()):
            if checks.is_question(line):
                return line
        raise _Unusable("The model wrote no question.")

    def _cite(
        self, question: str, answer: str, where: tuple[int, int]
    ) -> Generator[Request, Completion, tuple[int, int]]:
        """Evidence around the answer, verbatim by construction."""
        text = self.slot.text
        span = spans.evidence_span(text, where)
        done = yield self._request("cite", 160, GREEDY, span, {"question": question, "answer": answer})
        around = spans.sentence_around(text, where)  # "In May" proves little: the whole sentence belongs to it
        first, last = done.span or around
        return min(first, around[0]), max(last, around[1])

    def _say(
        self,
        task: str,
        values: dict[str, str],
        max_tokens: int = 80,
        sampling: Sampling | None = None,
        constraint: str | None = None,
        lines: int = 1,
    ) -> Generator[Request, Completion, str]:
        """What the model writes, at most `lines` lines of it."""
        done = yield self._request(task, max_tokens, sampling or self.sampling, constraint, values)
        self._refuse_unfinished(done)
        said = done.text.strip()
        if lines > 1:
            return said
        first, more, _ = said.partition("\n")
        if done.finish == "length" and not more:
            raise _Unusable("The model did not come to an end.")
        return first.strip()

    def _refuse_unfinished(self, done: Completion) -> None:
        if done.finish == "context":
            raise _Unusable("The passage is too long for this model.")

    def _request(
        self, task: str, max_tokens: int, sampling: Sampling, constraint: str | Span | None, values: dict[str, str]
    ) -> Request:
        passage = self.slot.text.replace(PAGE_BREAK, "\n")
        messages = self.prompts.messages(task, passage=passage, language=self.language, **values)
        return Request(messages, max_tokens, sampling, seed=self.seed, constraint=constraint)

    def _refuse_leak(self, question: str, answer: str) -> None:
        if not checks.leak(question, answer).passed:
            raise _Unusable("The question contained its answer.")

    def _choices(self, lines: str, answer: str) -> tuple[str, ...]:
        """The answer among three wrong ones, in an order that the seed decides."""
        wrong = list(dict.fromkeys(text for text in map(_clean, _unlisted(lines.splitlines())) if text))
        wrong = [text for text in wrong if checks.normalise(text) != checks.normalise(answer)]
        if len(wrong) < 3:
            raise _Unusable("The model wrote fewer than three wrong answers.")
        choices = [answer, *wrong[:3]]
        random.Random(self.seed).shuffle(choices)
        return tuple(choices)


def _unlisted(lines: list[str]) -> list[str]:
    """The lines without the marks of a list, where each of them has one: "D. H. Lawrence" alone is a name."""
    filled = [line.strip() for line in lines if line.strip()]
    for mark in (r"[-*•]\s+", r"\(?[A-Da-d][.):]\s+", r"\(?\d[.):]\s+"):
        if filled and all(re.match(mark, line) for line in filled):
            return [re.sub(f"^{mark}", "", line) for line in filled]
    return filled


def _clean(line: str) -> str:
    """A line without the labels, list marks and quotation marks that models put around it."""
    line = line.strip().strip("*").strip()
    line = re.sub(r"^(?:[-•]\s+|(?:Question|Q|Soru|Frage|Statement|Sentence)\s*\d*\s*:[\s*]*)", "", line)
    line = " ".join(line.split())
    for opening, closing in ('""', "''", "“”", "„“", "«»", "「」"):
        inside = line[1:-1]
        if len(line) > 1 and line[0] == opening and line[-1] == closing and not {opening, closing} & set(inside):
            line = inside.strip()
    return line
