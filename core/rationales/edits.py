"""What a person does to steps: each function takes a list of steps and gives the one after the change."""

from collections.abc import Sequence
from dataclasses import replace

from core.errors import UserError
from core.project.records import Evidence, Step

Steps = tuple[Step, ...]


def add(steps: Sequence[Step], at: int, text: str) -> Steps:
    """A new step, an inference, before the one that stands at `at`; at the end where that is their number."""
    return (*steps[:at], Step(_words(text)), *steps[at:])


def change(steps: Sequence[Step], at: int, text: str) -> Steps:
    """Other words for a step; what it cites stays. Raises UserError when there are none."""
    return _put(steps, at, replace(steps[at], text=_words(text)))


def remove(steps: Sequence[Step], at: int) -> Steps:
    """The others."""
    return _put(steps, at)


def split(steps: Sequence[Step], at: int, offset: int) -> Steps:
    """Two steps of one, cut before a character of its text; both cite what it cited.

    Raises UserError when there would be no words on one side.
    """
    text = steps[at].text
    halves = (text[:offset].strip(), text[offset:].strip())
    if not all(halves):
        raise UserError("A step is split between two words: put the cursor where the second step is to begin.")
    return _put(steps, at, *(replace(steps[at], text=half) for half in halves))


def merge(steps: Sequence[Step], at: int) -> Steps:
    """One step of two, the one at `at` and the next. It cites what the first cites, or else the second.

    Raises UserError when no step follows.
    """
    if at + 1 >= len(steps):
        raise UserError("A step is merged with the one below it, and there is none below the last.")
    first, second = steps[at], steps[at + 1]
    both = Step(f"{first.text} {second.text}", first.cited or second.cited, first.accepted and second.accepted)
    return (*steps[:at], both, *steps[at + 2 :])


def move(steps: Sequence[Step], at: int, to: int) -> Steps:
    """A step in another place: `to` is where it stands afterwards."""
    rest = remove(steps, at)
    return (*rest[:to], steps[at], *rest[to:])


def cite(steps: Sequence[Step], at: int, cited: Evidence | None) -> Steps:
    """What a step cites; None makes an inference of it."""
    return _put(steps, at, replace(steps[at], cited=cited))


def accept(steps: Sequence[Step], at: int, accepted: bool) -> Steps:
    """Whether a person stands by a step."""
    return _put(steps, at, replace(steps[at], accepted=accepted))


def _put(steps: Sequence[Step], at: int, *instead: Step) -> Steps:
    return (*steps[:at], *instead, *steps[at + 1 :])


def _words(text: str) -> str:
    if not text.strip():
        raise UserError("A step needs words. Write some, or remove the step.")
    return " ".join(text.split())
