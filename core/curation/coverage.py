"""How well some of many examples stand for all of them: by their vectors, and by document, topic and kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.curation.vectors import BLOCK, Vectors

BY = ("document", "topic", "kind")


@dataclass(frozen=True)
class Part:
    """A document, a topic or a kind: its examples, those of them that were chosen, and their coverage."""

    name: str
    all: int
    chosen: int
    coverage: float  # as of all: see Coverage


@dataclass(frozen=True)
class Coverage:
    """How well `size` examples stand for all.

    `coverage` is the mean over all examples of the cosine with the nearest chosen one, each 0 at least: what facility
    location maximises. `least` is that of the example which is farthest from any. `quality` is the mean of the chosen.
    """

    size: int
    coverage: float
    least: float
    quality: float
    parts: dict[str, tuple[Part, ...]]  # by "document", "topic" and "kind", the largest first

    def share(self, by: str) -> float:
        """The share of documents, topics or kinds of which there is at least one among the chosen."""
        parts = self.parts.get(by, ())
        return sum(part.chosen > 0 for part in parts) / len(parts) if parts else 0.0


def nearest_chosen(vectors: Vectors, chosen: Sequence[int]) -> NDArray[np.float32]:
    """For each vector the cosine with the nearest of the chosen ones, 0 at least; in blocks."""
    near = np.zeros(len(vectors), np.float32)
    for first in range(0, len(chosen), BLOCK):
        some = vectors[list(chosen[first : first + BLOCK])]
        for start in range(0, len(vectors), BLOCK):
            cosines = vectors[start : start + BLOCK] @ some.T
            np.maximum(near[start : start + BLOCK], cosines.max(axis=1), out=near[start : start + BLOCK])
    return np.minimum(near, 1)


def cover(
    near: NDArray[np.float32],
    chosen: Sequence[int],
    values: NDArray[np.float64],
    groups: Mapping[str, tuple[Sequence[str], NDArray[np.int64]]],
) -> Coverage:
    """The coverage of the chosen places; `near` is what `nearest_chosen` gives, `groups` names and numbers by what."""
    places = np.asarray(chosen, np.int64)
    quality = float(values[places].mean()) if len(places) else 0.0
    parts = {by: _parts(names, numbers, near, places) for by, (names, numbers) in groups.items()}
    mean, least = (float(near.mean()), float(near.min())) if len(near) else (0.0, 0.0)
    return Coverage(len(places), mean, least, quality, parts)


def from_json(value: Any) -> Coverage | None:
    """A coverage as a recipe holds it (`dataclasses.asdict`); None where there is none, or not one of ours."""
    try:
        parts = {by: tuple(Part(**part) for part in some) for by, some in value["parts"].items()}
        return Coverage(**{**value, "parts": parts})
    except (TypeError, KeyError, AttributeError):
        return None


def _parts(
    names: Sequence[str], numbers: NDArray[np.int64], near: NDArray[np.float32], places: NDArray[np.int64]
) -> tuple[Part, ...]:
    count = len(names)
    sizes, taken = (np.bincount(some, minlength=count) for some in (numbers, numbers[places]))
    means = np.bincount(numbers, near, count) / np.maximum(sizes, 1)
    made = [Part(names[n], int(sizes[n]), int(taken[n]), round(float(means[n]), 4)) for n in range(count)]
    return tuple(sorted(made, key=lambda part: (-part.all, part.name)))
