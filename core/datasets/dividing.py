"""Divides rows into those that are trained on, looked at meanwhile, and left for the end, and parts nothing that
belongs together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from core.project.tuning import DatasetRow

MOST_HELD_OUT = 1 / 3  # of the rows, for one side: a document that is more of them is not held out whole


@dataclass(frozen=True)
class Candidate:
    """A row, and what tells with which others it must stay: from the widest to the narrowest."""

    row: DatasetRow
    source: str  # a document or a stem
    passage: str
    asked: str  # its question, and those before, as far as only their words count
    stems: frozenset[str] = frozenset()  # by which a probe may have asked it
    span: tuple[int, int, int, int] | None = None  # of its evidence: document, page, start, end
    templated: bool = False  # like others by design: its stem tells what it belongs with


@dataclass(frozen=True)
class Divided:
    """Rows with their sides, and what was not parted: "source", "passage", or "" where nothing was divided."""

    rows: list[DatasetRow]
    by: str


def divide(
    found: Sequence[Candidate], shares: Mapping[str, float], seed: int, links: Iterable[tuple[int, int]]
) -> Divided:
    """Divides about these shares of the rows from the rest, by chance, the same by the same seed.

    `links` join what is near: joined rows, and those that ask the same, are always on one side. No document or stem is
    on two sides, unless there is but one, or none that is small enough: then no passage is, and no evidence. Where all
    of it belongs together, nothing is divided.
    """
    wanted = {side: max(1, round(share * len(found))) for side, share in shares.items() if share > 0}
    joined = [*links, *_alike(found, lambda one: one.asked)]
    levels: tuple[tuple[str, Callable[[], list[tuple[int, int]]]], ...] = (
        ("source", lambda: _alike(found, lambda one: one.source)),
        ("passage", lambda: [*_alike(found, lambda one: one.passage), *_overlapping(found)]),
    )
    best: tuple[dict[int, str], str] = ({}, "")
    for way, also in levels if wanted else ():
        sides = _drawn(_groups(len(found), [*joined, *also()]), wanted, len(found), seed)
        if len(set(sides.values())) > len(set(best[0].values())):
            best = sides, way
        if set(sides.values()) == set(wanted):
            break
    sides, by = best
    return Divided([replace(one.row, split=sides.get(place, "train")) for place, one in enumerate(found)], by)


def joined_with(count: int, links: Iterable[tuple[int, int]], marked: set[int]) -> set[int]:
    """Those of so many places that links join with any of the marked ones, with these."""
    return {place for group in _groups(count, links) if not marked.isdisjoint(group) for place in group}


def _drawn(groups: Sequence[Sequence[int]], wanted: Mapping[str, int], rows: int, seed: int) -> dict[int, str]:
    """The side of each place that is held out: whole groups, drawn until about as many places as wanted are in them."""
    sides: dict[int, str] = {}
    for side, target in wanted.items():
        free = [group for group in groups if group[0] not in sides]
        Random(f"{seed}/{side}").shuffle(free)
        most = min(rows - len(sides) - 1, round(MOST_HELD_OUT * rows) or 1)  # something is left to learn from
        drawn: list[int] = []
        for group in free:
            if len(drawn) + len(group) <= min(target, most):
                drawn += group
        if not drawn and free and len(smallest := min(free, key=len)) <= most:
            drawn += smallest
        sides |= dict.fromkeys(drawn, side)
    return sides


def _alike(found: Sequence[Candidate], key: Callable[[Candidate], str]) -> list[tuple[int, int]]:
    """Links between the places of candidates of one key."""
    first: dict[str, int] = {}
    return [(first.setdefault(key(one), place), place) for place, one in enumerate(found)]


def _overlapping(found: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Links between candidates whose evidence is partly the same: passages overlap."""
    spans = sorted((one.span, place) for place, one in enumerate(found) if one.span is not None)
    links: list[tuple[int, int]] = []
    end = 0
    for (before, last), (span, place) in pairwise(spans):
        end = max(end, before[3]) if before[:2] == span[:2] else 0
        if before[:2] == span[:2] and span[2] < end:
            links.append((last, place))
    return links


def _groups(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The places that links join, directly or through others, in order."""
    parents = list(range(count))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = place = parents[parents[place]]
        return place

    for one, other in links:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    groups: dict[int, list[int]] = {}
    for place in range(count):
        groups.setdefault(root(place), []).append(place)
    return list(groups.values())
