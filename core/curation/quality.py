"""How good each example is thought to be, out of all that is known of it: one number from 0 to 1, and its parts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from core.curation.scoring import CERTAINTY, is_of
from core.project.project import CHUNK, Project
from core.project.records import OF_WORDING, Example, wording

Numbers = NDArray[np.float64]

ROUND_TRIP = "round_trip"  # a check with a part of its own, since its score says more than that it passed
UNKNOWN = 0.5  # of an example, where nothing is known of any


@dataclass(frozen=True)
class Weights:
    """How much each part counts. A person's word outweighs all that a small model says."""

    rating: float = 4.0
    rubric: float = 2.0
    checks: float = 2.0
    round_trip: float = 1.0
    rationale_gain: float = 1.0


@dataclass(frozen=True, eq=False)
class Quality:
    """The quality of examples, in the order in which they were asked about.

    `parts` by name as in Weights, each from 0 to 1 for every example, NaN where it is not known.
    """

    values: Numbers
    parts: dict[str, Numbers]

    def reason(self, place: int) -> str:
        """What is known of the example at this place, in words: “rated 4 of 5, 1 check failed”."""
        known = {name: float(part[place]) for name, part in self.parts.items() if not np.isnan(part[place])}
        return ", ".join(_SAID[name](value) for name, value in known.items()) or "nothing is known of it yet"


def quality(project: Project, ids: Sequence[int], weights: Weights | None = None) -> Quality:
    """The quality of these examples: the mean of their parts by `weights`.

    A part that no example has does not count. Where only some have it, the others are taken to be as those are on
    average: an example is neither better nor worse for not having been looked at.
    """
    parts = {
        "rating": np.full(len(ids), np.nan),
        "rubric": _scores(project, "rubric", ids, lambda value: (value - 1) / 4),
        "checks": np.full(len(ids), np.nan),
        "round_trip": np.full(len(ids), np.nan),
        "rationale_gain": _scores(project, "rationale_gain", ids, lambda gain: -math.expm1(-max(gain, 0.0))),
    }
    places = {id: place for place, id in enumerate(ids)}
    explained, judged = project.scores(OF_WORDING, ids), project.scores(CERTAINTY, ids)
    for start in range(0, len(ids), CHUNK):
        for example in project.examples_by_id(ids[start : start + CHUNK]):
            for name, value in _looked_at(example).items():
                parts[name][places[example.id]] = value
            # What was found of other words than there are now is not known of these.
            if example.id in explained and explained[example.id].detail != wording(example):
                parts["rationale_gain"][places[example.id]] = np.nan
            if not is_of(judged.get(example.id), example):
                parts["rubric"][places[example.id]] = np.nan
    return Quality(mean_of_parts(parts, weights or Weights()), parts)


def mean_of_parts(parts: dict[str, Numbers], weights: Weights) -> Numbers:
    """The mean by weight of parts that are not known of all: see `quality`."""
    rows = max((len(part) for part in parts.values()), default=0)
    total, weight = np.zeros(rows), 0.0
    for name, each in asdict(weights).items():
        part = parts.get(name, np.full(rows, np.nan))
        known = part[~np.isnan(part)]
        if len(known) and each:
            total += each * np.where(np.isnan(part), known.mean(), part)
            weight += each
    return total / weight if weight else np.full(rows, UNKNOWN)


def _looked_at(example: Example) -> dict[str, float]:
    """The parts that the example itself holds."""
    found = {}
    if example.rating is not None:
        found["rating"] = (example.rating - 1) / 4
    trips = [check for check in example.checks if check.name == ROUND_TRIP]
    others = [check for check in example.checks if check.name != ROUND_TRIP]
    if others:
        found["checks"] = 1 / (1 + sum(not check.passed for check in others))
    for check in trips:
        found["round_trip"] = float(check.passed) if check.score is None else min(max(check.score, 0.0), 1.0)
    return found


def _scores(project: Project, name: str, ids: Sequence[int], share: Callable[[float], float]) -> Numbers:
    found = project.scores(name, ids)
    return np.array([share(found[id].value) if id in found else np.nan for id in ids], np.float64)


def _checks(value: float) -> str:
    failed = round(1 / value) - 1
    return "all checks passed" if not failed else f"{failed} check{'s' if failed > 1 else ''} failed"


def _gained(share: float) -> float:
    """The nats a token that make up this part of a quality: see `quality`. So far as a number near 1 tells."""
    return -math.log(max(1 - share, 1e-16)) + 0.0


_SAID: dict[str, Callable[[float], str]] = {
    "rating": lambda value: f"rated {1 + 4 * value:.0f} of 5",
    "rubric": lambda value: f"model's score {1 + 4 * value:.1f} of 5",
    "checks": _checks,
    "round_trip": lambda value: f"round trip {value:.2f}",
    "rationale_gain": lambda value: f"its steps make the answer likelier by {_gained(value):.1f} nats a token",
}
