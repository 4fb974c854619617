"""By what the points of the map are coloured: each column of the questions as groups of points.

It is imported with the map, which draws with numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from PySide6.QtCore import QCoreApplication

from core.curation.plane import Plane
from core.project.records import STATES, PickRow
from gui.charts.cloud import Group
from gui.row_facts import RowFact
from gui.words import fault_name, kind_name, state_name, state_sign

translate = QCoreApplication.translate

MOST = 9  # groups that can be told apart; what is rarer is put together
INKS = ("accent", "warning", "good", "bad", "quiet")  # in turn, each with another shape
STEPS = ("bad", "warning", "quiet", "accent", "good")  # of what goes from 1 to 5


def columns() -> list[tuple[str, str]]:
    """The name of each column and its key; those of picks are added where there are picks."""
    return [
        (translate("Map", "State"), "state"),
        (translate("Map", "Topic"), "topic"),
        (translate("Map", "Document"), "document"),
        (translate("Map", "Kind"), "kind"),
        (translate("Map", "Your rating"), "rating"),
        (translate("Map", "Model's score"), "score"),
        (translate("Map", "Checks"), "checks"),
    ]


def groups(by: str, plane: Plane, facts: Mapping[int, RowFact], scores: Mapping[int, float]) -> list[Group]:
    """The points by a column, in the order of their legend."""
    known = [facts.get(id) for id in plane.ids]
    if by == "state":
        return _named(
            [row.state if row else "" for row in known], [(s, state_name(s), state_sign(s)[1]) for s in STATES]
        )
    if by == "rating":
        by_stars = [(stars, "★" * stars, STEPS[stars - 1]) for stars in range(5, 0, -1)]
        return _named([row.rating if row else None for row in known], by_stars, translate("Map", "Not rated"))
    if by == "score":
        bands = [_band(scores.get(id)) for id in plane.ids]
        by_band = [(band, str(band), STEPS[band - 1]) for band in range(5, 0, -1)]
        return _named(bands, by_band, translate("Map", "Not scored"))
    if by == "topic":
        return _frequent([plane.names[topic] for topic in plane.topics.tolist()])
    if by == "kind":
        return _frequent([kind_name(row.kind) if row else "" for row in known])
    if by == "document":
        none = translate("Map", "No document")
        return _frequent([(row.document or none) if row else none for row in known])
    passed = translate("Map", "All passed")
    return _frequent([(fault_name(row.failed[0]) if row.failed else passed) if row else passed for row in known])


def pick_groups(plane: Plane, rows: Sequence[PickRow]) -> list[Group]:
    """The points by whether a pick has them, or the random baseline beside it."""
    sides: dict[int, set[bool]] = {}
    for row in rows:
        sides.setdefault(row.example_id, set()).add(row.baseline)
    labels = [frozenset(sides.get(id, ())) for id in plane.ids]
    names = [
        (frozenset({False}), translate("Map", "Picked"), "accent"),
        (frozenset({False, True}), translate("Map", "Picked and at random"), "good"),
        (frozenset({True}), translate("Map", "At random"), "warning"),
    ]
    return _named(labels, names, translate("Map", "Others"))


def _named(labels: Sequence[Hashable], names: Sequence[tuple[Hashable, str, str]], others: str = "") -> list[Group]:
    """Groups that are known beforehand, the rest in one that is drawn first."""
    places = {label: place for place, (label, _, _) in enumerate(names)}
    numbers = np.array([places.get(label, -1) for label in labels], np.int64)
    made = [Group(name, ink, np.flatnonzero(numbers == place)) for place, (_, name, ink) in enumerate(names)]
    rest = Group(others or translate("Map", "Others"), "line", np.flatnonzero(numbers == -1))
    return [*made, rest]


def _frequent(labels: Sequence[str]) -> list[Group]:
    """The groups that have most points; what is rarer is put together."""
    common = [label for label, _ in Counter(labels).most_common()]
    shown = common if len(common) <= MOST else common[: MOST - 1]
    return _named(labels, [(label, label, INKS[place % len(INKS)]) for place, label in enumerate(shown)])


def _band(score: float | None) -> int | None:
    return None if score is None else min(5, max(1, int(score + 0.5)))
