"""What drafting and checking rationales is told and tells: plain data that goes to the child and comes back."""

from dataclasses import dataclass, field

from core.engine.requests import Messages, Usage
from core.project.records import ScoreRow


@dataclass(frozen=True)
class Subject:
    """An example whose answer is to be explained, or whose explanation is to be checked."""

    example_id: int
    question: str  # as a person would ask it: choices are listed
    answer: str  # as a person would be told it: with the letter of a choice
    told: str  # what tells the answer: without that letter
    passage: str = ""  # empty: the example comes from none
    context: Messages = ()  # what was said before the question
    present: tuple[str, ...] = ()  # the steps that there are


@dataclass(frozen=True)
class Said:
    """A step as the model made it; `cited` are characters of the passage, None of an inference."""

    text: str
    cited: tuple[int, int] | None = None


@dataclass(frozen=True)
class Verdict:
    """Where the question leads the model with the steps and without them.

    Gains are nats a token of the answer over the question alone; None where the model has no room for the texts.
    """

    leads: bool
    alone: bool
    likeness: float  # of what was answered with the steps and the answer, as in the round trip
    answered: str
    answered_alone: str
    gain: float | None = None
    gain_before: float | None = None  # by the steps before the last; None where there is one step


@dataclass(frozen=True)
class Candidate:
    """One way to explain the answer."""

    steps: tuple[Said, ...]
    verdict: Verdict | None = None  # None: it was not asked for


@dataclass(frozen=True)
class Drafted:
    """The candidates of an example, the best first, from the child."""

    example_id: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class NothingDrafted:
    """An example that no rationale was made for, and why."""

    example_id: int
    reason: str


@dataclass(frozen=True)
class Judged:
    """What the check of an example's steps showed, from the child."""

    example_id: int
    verdict: Verdict


@dataclass(frozen=True)
class Checked:
    """An example whose check was committed. `gain` in nats a token of the answer."""

    example_id: int
    leads: bool
    alone: bool
    gain: float | None
    scores: tuple[ScoreRow, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How far a run is: examples done of all, rationales committed, examples that nothing was made for."""

    run_id: int
    done: int
    total: int
    made: int
    nothing: int
    usage: Usage = field(default_factory=Usage)
