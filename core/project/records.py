"""Plain rows as they come out of and go into the project file, without a database in sight."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.documents.records import Rectangle

STATES = ("draft", "accepted", "rejected", "quarantined")
SORTS = ("id", "state", "kind", "rating", "document_id")
KINDS = ("factual", "definition", "why_how", "comparison", "multiple_choice", "true_false", "unanswerable")  # asked
GENERATED_KINDS = ("countering", "neutral")  # made to counter sycophancy, and their control: they need no passage
IMPORTED = "imported"  # the kind of a row of a file that comes from no passage of the project
WITHOUT_PASSAGE = (*GENERATED_KINDS, IMPORTED)
ALL_KINDS = (*KINDS, *WITHOUT_PASSAGE)
WITHOUT_EVIDENCE = ("unanswerable", *WITHOUT_PASSAGE)  # kinds of which none is expected
GENERATING_RUNS = ("counter", "control")  # kinds of runs that make them
STEP_CHECKS = ("leads", "citations", "last_step")  # checks of question, answer and steps together
OF_WORDING = "rationale_of"  # the score beside those of steps: how like the answer was, and of which words they are
FRESH = "fresh"  # the check that holds the stem of what an example was generated from


@dataclass(frozen=True)
class Evidence:
    """Characters `start`..`end` of the text of page `page`: `text`, verbatim, with its rectangles on the page."""

    page: int
    start: int
    end: int
    text: str
    rectangles: tuple[Rectangle, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a rationale, and the words of the document that it cites; an inference cites none.

    What is cited has no rectangles here: they are reckoned from the page when it is shown.
    """

    text: str
    cited: Evidence | None = None
    accepted: bool = False  # by a person


def rationale_text(steps: Sequence[Step]) -> str:
    """A rationale as a model reads and writes it: a step a line."""
    return "\n".join(" ".join(step.text.split()) for step in steps)


@dataclass(frozen=True)
class Check:
    """The result of one check of one example, e.g. ("round_trip", True, 0.92, "answered: …")."""

    name: str
    passed: bool
    score: float | None = None
    detail: str = ""


@dataclass(frozen=True)
class ExampleDraft:
    """An example as a run made it. (run, passage_id, slot) is unique: a resumed run makes no duplicates.

    `context` is what was said before the question: (role, text), by "user" and "assistant" in turn, after "system" if
    there is one. `rejected` is an answer that is known to be worse. `origin` is what an imported row says of itself.
    """

    passage_id: int | None  # None: it was generated
    slot: int
    kind: str
    question: str
    answer: str
    evidence: Evidence | None
    choices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    attempts: int = 1
    context: tuple[tuple[str, str], ...] = ()
    rationale: tuple[Step, ...] = ()
    rejected: str = ""
    rating: int | None = None
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rationale:
    """Steps as a run drafted them for an example; they never change. `slot` counts the candidates of one run."""

    id: int
    run_id: int
    example_id: int
    slot: int
    instruction: str  # what the model was asked to do with the steps there were; empty: it wrote anew
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ScoreRow:
    """One figure of an example that a run with a model found, such as its rubric's 1 to 5."""

    example_id: int
    name: str
    value: float
    detail: str = ""


@dataclass(frozen=True)
class PassageMark:
    """What is known of a passage's worth: a person's label (1 worth asking about, 0 not), and the filter's value."""

    passage_id: int
    label: int | None = None
    value: float | None = None  # the probability that it is worth it
    set_aside: bool = False  # no questions are asked of it


@dataclass(frozen=True)
class PickRow:
    """An example that was picked, and why; or that stands in the random baseline beside the pick."""

    example_id: int
    baseline: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Pick:
    """A selection of examples. `recipe` says how it was made: plain JSON."""

    id: int
    name: str
    created_at: str  # ISO 8601, UTC
    recipe: dict[str, Any]
    size: int  # without the baseline


@dataclass(frozen=True)
class Discard:
    """A passage's slot that gave nothing after its retries, and why."""

    passage_id: int
    slot: int
    kind: str
    reason: str


@dataclass(frozen=True)
class RunSettings:
    """Everything needed to repeat a run, and to resume it."""

    kind: str  # "ask", "ask_again", "probe", "counter", "control", "tune", "rationales", "rationale_check", "score" …
    model_path: str
    model_name: str
    model_sha256: str
    quantisation: str
    prompt_style: str
    prompt_version: str
    prompts: dict[str, str]  # file name → text
    settings: dict[str, Any]  # kinds, per passage, language, sampling, …: plain JSON
    seed: int
    app_version: str
    engine_version: str


@dataclass(frozen=True)
class Run:
    """A run in the project file. `state`: running, finished, cancelled, failed or interrupted."""

    id: int
    state: str
    started_at: str  # ISO 8601, UTC
    ended_at: str | None
    request: RunSettings
    usage: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class DocumentRow:
    """A document of the project. `state`: ready, or failed with `reason`."""

    id: int
    sha256: str
    path: str
    title: str
    state: str
    reason: str
    pages: int
    passages: int
    warnings: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    passage_size: int = 1200
    overlap: int = 200


@dataclass(frozen=True)
class PassageRow:
    """A passage of the project; the same fields as documents.records.Passage, and where it belongs."""

    id: int
    document_id: int
    ordinal: int
    section: str
    text: str
    parts: tuple[tuple[int, int, int], ...]  # (page, start, end)


@dataclass(frozen=True)
class Example:
    """An example as it is now (edited), with its draft and its provenance.

    One that was generated has no passage, and its document's fields are empty. `context` is as in ExampleDraft.
    """

    id: int
    run_id: int
    passage_id: int | None
    slot: int
    state: str
    kind: str
    question: str
    answer: str
    choices: tuple[str, ...]
    draft_question: str
    draft_answer: str
    draft_choices: tuple[str, ...]
    evidence: Evidence | None
    document_id: int | None
    document: str  # its title
    document_path: str
    document_sha256: str
    checks: tuple[Check, ...]
    rating: int | None
    reason: str  # why it is quarantined; empty otherwise
    model_sha256: str
    prompt_version: str
    seed: int
    created_at: str
    edited_at: str | None
    context: tuple[tuple[str, str], ...] = ()
    rationale: tuple[Step, ...] = ()
    rationale_draft: int = 0  # the Rationale that its steps come from; 0: none
    rejected: str = ""
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def overwritten(self) -> list[str]:
        """The texts of the draft that were changed by hand since."""
        pairs = (
            (self.draft_question, self.question),
            (self.draft_answer, self.answer),
            ("\n".join(self.draft_choices), "\n".join(self.choices)),
        )
        return [before for before, now in pairs if before != now]


@dataclass(frozen=True)
class Fact:
    """What is known of an example without its texts: small enough to be held of all."""

    state: str
    kind: str
    document_id: int | None
    rating: int | None
    failed: tuple[str, ...]  # names of the checks that it failed
    passed: tuple[str, ...]


@dataclass(frozen=True)
class ExampleFilter:
    """Which examples, and in which order; what is None or empty is not asked for. Ties are broken by the id."""

    state: str | None = None
    kind: str | None = None
    document_id: int | None = None
    run_id: int | None = None
    failed_check: str | None = None  # a check's name; examples that passed it, or never had it, are left out
    all_passed: bool = False  # only examples of which no check failed
    text: str = ""  # in question, answer, choices or steps, whatever the case and the diacritics
    rationale: bool | None = None  # with steps, or without
    rationale_run: int | None = None  # of which this run drafted steps
    pick_id: int | None = None  # that a pick chose
    sort: str = "id"  # one of SORTS
    descending: bool = False


@dataclass(frozen=True)
class Review:
    """One value of an example that the user changed: a state, a rating, a question, an answer or choices."""

    at: str  # ISO 8601, UTC
    label: str
    field: str
    before: str
    after: str
    undone: bool


def wording(example: Example) -> str:
    """A fingerprint of the question, choices, answer and steps of an example: a model's verdict is of these alone."""
    steps = [" ".join(step.text.split()) for step in example.rationale]
    said = json.dumps([example.question, example.choices, example.answer, steps])
    return hashlib.sha256(said.encode()).hexdigest()


def takes_turns(context: Sequence[tuple[str, str]]) -> bool:
    """Whether user and assistant speak in turn, after the system if it speaks, so that a question may follow."""
    roles = tuple(role for role, _ in context)
    spoken = roles[1:] if roles[:1] == ("system",) else roles
    return spoken == ("user", "assistant") * (len(spoken) // 2)
