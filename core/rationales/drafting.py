"""Drafts the steps from a question to its answer; each cites the passage, or is marked as an inference.

What a step cites is whole sentences of one page, verbatim by construction: the model can write nothing else there. A
style asks for one step at a time, or lets the model tell all at once, as it was trained to. An attempt that tells the
answer before its last step, or not even there, is made again; several that are sound are compared by what they add.
"""

import hashlib
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from core import language as languages
from core.documents.records import PAGE_BREAK
from core.engine.requests import GREEDY, Completion, Request, Sampling, Span
from core.questions import spans
from core.questions.checks import normalise, token_f1
from core.questions.prompts import Prompts
from core.rationales import checking
from core.rationales.checking import LINE, Answer, last_step, said_of, tells
from core.rationales.records import Candidate, Drafted, NothingDrafted, Said, Subject

ATTEMPTS = 3  # how often a candidate is tried before it is kept with its fault, or is none
STEP_TOKENS, CITE_TOKENS, TOLD_TOKENS = 80, 160, 240  # more where the answer, which the last step tells, is long
REPEATED = 0.9  # F1 of shared words, from which on a step says what another said
NO_STEPS = "(none)"
_SAME_LANGUAGE = "the language of the question"
_LABEL = re.compile(r"^(?:[-•*]\s+|\(?\d+[.)]\s+|(?:Next|Last|First)?\s?(?:Step|Adım|Schritt)\s*\d*\s*:\s*)+", re.I)


@dataclass(frozen=True)
class Plan:
    """How rationales are to be drafted."""

    candidates: int = 2
    steps: int = 5  # at most
    check: bool = True
    language: str = ""  # empty: that of the passage or question
    instruction: str = ""  # after which the present steps are written anew; empty: there are none
    before: tuple[str, ...] = ()  # steps of another example, shown with what became of them
    after: tuple[str, ...] = ()


class _Unusable(Exception):
    """An attempt that cannot be used; its text is the reason."""


Asking = Generator[Any, Any, str]
Steps = Generator[Any, Any, tuple[Said, ...]]


def draft(subject: Subject, prompts: Prompts, plan: Plan, seed: int) -> Generator[Any, Any, Drafted | NothingDrafted]:
    """The task that explains an example: its candidates, those that fail fewest checks and add most first."""
    alone = (yield from checking.answer_alone(subject, prompts)) if plan.check else None
    found: list[Candidate] = []
    reason = ""
    for number in range(plan.candidates):
        try:
            steps = yield from _candidate(subject, prompts, plan, seed, number)
        except _Unusable as error:
            reason = str(error)
            continue
        if steps not in [other.steps for other in found]:
            found.append((yield from _checked(subject, steps, alone, prompts)))
    if not found:
        return NothingDrafted(subject.example_id, reason)
    return Drafted(subject.example_id, tuple(sorted(found, key=lambda one: _faults(subject, one))))


def _checked(
    subject: Subject, steps: tuple[Said, ...], alone: Answer | None, prompts: Prompts
) -> Generator[Any, Any, Candidate]:
    if alone is None:
        return Candidate(steps)
    return Candidate(steps, (yield from checking.verdict(subject, said_of(steps), alone, prompts)))


def _faults(subject: Subject, candidate: Candidate) -> tuple[int, float]:
    """What candidates are ordered by: how many checks fail, then how little is gained."""
    verdict, cites = candidate.verdict, any(step.cited for step in candidate.steps)
    failed = not last_step(said_of(candidate.steps), subject.told).passed
    failed += bool(subject.passage and not cites) + bool(verdict and not verdict.leads)
    return failed, -(verdict.gain or 0.0) if verdict else 0.0


def _candidate(subject: Subject, prompts: Prompts, plan: Plan, seed: int, number: int) -> Steps:
    """The first attempt whose last step, and no other, tells the answer; else the first that came to an end."""
    kept: tuple[Said, ...] = ()
    reason = ""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            steps = yield from _Attempt(subject, prompts, plan, f"{seed}\0{number}\0{attempt}").steps()
        except _Unusable as error:
            reason = str(error)
            continue
        if last_step(said_of(steps), subject.told).passed:
            return steps
        kept = kept or steps
    if not kept:
        raise _Unusable(reason)
    return kept


class _Attempt:
    """One attempt at an example. Each method asks the model one thing and returns what it said."""

    def __init__(self, subject: Subject, prompts: Prompts, plan: Plan, key: str) -> None:
        self.subject, self.prompts, self.plan = subject, prompts, plan
        key = f"{key}\0{subject.passage}\0{subject.question}\0{subject.answer}"
        self.seed = int.from_bytes(hashlib.sha256(key.encode(errors="replace")).digest()[:4], "big") & 0x7FFFFFFF
        self.sampling = Sampling(temperature=prompts.temperature)
        self.language = plan.language or languages.guess(subject.passage or subject.question) or _SAME_LANGUAGE

    def steps(self) -> Steps:
        return self._step_by_step() if self.prompts.explains_by_steps else self._at_once()

    def _step_by_step(self) -> Steps:
        steps: list[Said] = []
        while len(steps) < self.plan.steps - 1:
            text = yield from self._say("next" if steps else "first", steps)
            if steps and (normalise(text) == ["done"] or _repeats(text, steps)):
                break
            steps.append((yield from self._founded(text)))
            if tells(text, self.subject.told):
                break  # what tells the answer can only be followed by the last step
        text = yield from self._say("last", steps)
        steps.append((yield from self._founded(text)))
        return tuple(steps)

    def _at_once(self) -> Steps:
        """All in one answer, in which what stands in quotation marks is a sentence of the passage by its grammar."""
        sentences = _sentences(self.subject.passage)
        if not sentences:
            raise _Unusable("The passage has no sentence to cite.")
        said = yield from self._ask(
            "explain", TOLD_TOKENS + len(self.subject.answer) // 2, self.sampling, _quoting(list(sentences))
        )
        quoted = max((text for text in sentences if f'"{text}"' in said), key=len)
        first, quote, rest = said.partition(f'"{quoted}"')
        citing, rest = Said((first + quote).strip(), sentences[quoted]), rest.strip()
        if rest and tells(citing.text, self.subject.told):  # then what follows belongs to the step that tells it
            return (Said(f"{citing.text} {rest}", citing.cited),)
        return (citing, Said(rest)) if rest else (citing,)

    def _founded(self, text: str) -> Generator[Any, Any, Said]:
        """A step with what it cites, where the model says that the text itself says it."""
        if not self.subject.passage:
            return Said(text)
        basis = yield from self._ask("basis", 16, GREEDY, 'root ::= "text" | "conclusion"', step=text)
        if basis != "text":
            return Said(text)
        span = spans.whole_sentences(self.subject.passage)
        if not span.starts:
            return Said(text)
        done = yield self._request("cite", CITE_TOKENS, GREEDY, span, step=text)
        return Said(text, done.span)

    def _say(self, task: str, steps: list[Said]) -> Asking:
        """One step in words of the model's own."""
        listed = _listed(said_of(steps)) or NO_STEPS
        values = {"steps": listed, "wish": self._wish(), "language": self.language}
        room = STEP_TOKENS + len(self.subject.answer) // 2
        text = _LABEL.sub("", (yield from self._ask(task, room, self.sampling, LINE, **values))).strip()
        if not normalise(text):
            raise _Unusable("The model wrote no step.")
        return text

    def _wish(self) -> str:
        """What the researcher wants of steps that are written anew; empty where they are new."""
        if not self.plan.instruction:
            return ""
        values = {"present": _listed(self.subject.present) or NO_STEPS, "instruction": self.plan.instruction}
        if self.plan.after:
            values |= {"before": _listed(self.plan.before), "after": _listed(self.plan.after)}
        task = "repair" if self.plan.after else "wish"
        return f"{self.prompts.messages(task, **values)[-1][1]}\n\n"

    def _ask(self, task: str, max_tokens: int, sampling: Sampling, constraint: str, **values: str) -> Asking:
        done: Completion = yield self._request(task, max_tokens, sampling, constraint, **values)
        if done.finish == "context":
            raise _Unusable("The passage is too long for this model.")
        if done.finish == "length":
            raise _Unusable("The model did not come to an end.")
        return done.text.strip()

    def _request(
        self, task: str, max_tokens: int, sampling: Sampling, constraint: str | Span, **values: str
    ) -> Request:
        subject = self.subject
        passage = subject.passage.replace(PAGE_BREAK, "\n")
        if not passage:
            passage = _listed_turns(subject) or self.prompts.texts.get("no_text", "")
        values |= {"passage": passage, "question": subject.question, "answer": subject.answer}
        messages = self.prompts.messages(task, **values)
        return Request(messages, max_tokens, sampling, seed=self.seed, constraint=constraint)


def _repeats(text: str, steps: list[Said]) -> bool:
    return any(token_f1(text, step.text) >= REPEATED for step in steps)


def _listed(steps: list[str] | tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(steps, 1))


def _listed_turns(subject: Subject) -> str:
    return "\n".join(f"{role.title()}: {text}" for role, text in subject.context)


def _sentences(text: str) -> dict[str, tuple[int, int]]:
    """The sentences of a text that have words, where they first stand; what runs over a page's end is cut."""
    span = spans.whole_sentences(text)
    found: dict[str, tuple[int, int]] = {}
    for start, end in zip(span.starts, span.ends, strict=True):
        found.setdefault(text[start:end], (start, end))
    return found


def _quoting(sentences: list[str]) -> str:
    """The grammar of an answer that quotes one of these sentences, and then concludes."""
    literals = " | ".join('"' + _escaped(text) + '"' for text in sentences)
    return f'root ::= [^"\\n]{{0,80}} "\\"" sentence "\\"" [^"\\n]*\nsentence ::= {literals}'


def _escaped(text: str) -> str:
    """A text as it stands in a literal of GBNF."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\r", "\\r")
