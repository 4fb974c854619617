"""The map: each example as a point, so that what lies near in meaning lies near on the screen, with its topic."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.curation.reckoning import Reckoned, answer, handed_over, received
from core.curation.topics import names, natural, topics
from core.curation.vectors import Vectors, around_mean, each_example, meaning
from core.engine.requests import EngineSettings, Loading
from core.project.embedding import Progress, embed
from core.project.project import Project
from core.worker import Worker

_CHOSEN_FOR_ME = EngineSettings()


@dataclass(frozen=True, eq=False)
class Plane:
    """Examples as points (n, 2) in −1..1, the topic of each, what the topics are called, and what a plane can show."""

    ids: tuple[int, ...]
    points: NDArray[np.float32]
    topics: NDArray[np.int64]
    names: tuple[str, ...]
    shown: float  # the share of the vectors' variance that is seen in two directions


def lay_out(
    project: Project,
    worker: Worker,
    model: Path,
    ids: Sequence[int],
    cancelled: Callable[[], bool] = bool,
    seed: int = 0,
    engine: EngineSettings = _CHOSEN_FOR_ME,
) -> Generator[Loading | Progress | Reckoned, None, Plane]:
    """Yields how far it is and returns the map of these examples. Raises UserError and Cancelled."""
    rows = [(one.id, meaning(one)) for one in each_example(project, ids)]
    texts = [text for _, text in rows]
    vectors = yield from embed(project, worker, model, texts, cancelled, engine)
    with handed_over(vectors) as path:
        made = yield from answer(worker, Plane, cancelled, plane_job, [id for id, _ in rows], texts, path, seed)
    return made


def plane_job(ids: Sequence[int], texts: Sequence[str], vectors: Path, seed: int) -> Iterator[Reckoned | Plane]:
    """The child's part."""
    rows = received(vectors)
    yield Reckoned("topics", 0, len(rows))
    labels = topics(around_mean(rows), natural(len(rows)), seed)
    called = names(texts, labels)
    yield Reckoned("topics", len(rows), len(rows))
    made, shown = principal(rows)
    yield Plane(tuple(ids), made, labels, tuple(called), shown)


def points(vectors: Vectors) -> NDArray[np.float32]:
    """The vectors as points (n, 2) in −1..1, both directions on one scale: see `principal`."""
    return principal(vectors)[0]


def principal(vectors: Vectors) -> tuple[NDArray[np.float32], float]:
    """Points along the two directions in which the vectors differ most, and the share of their variance that is.

    K. Pearson, Philosophical Magazine 2 (1901) 559-572. Directions have no sign of their own: the largest part of
    each is positive.
    """
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2), np.float32), 1.0
    moved = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    variances, directions = np.linalg.eigh((moved.T @ moved).astype(np.float64))
    two = directions[:, ::-1][:, :2]
    if two.shape[1] < 2:
        two = np.column_stack((two, np.zeros(len(two))))
    two = two * np.sign(two[np.abs(two).argmax(axis=0), [0, 1]])
    made = moved.astype(np.float64) @ two
    total = float(np.maximum(variances, 0).sum())
    shown = float(np.maximum(variances[::-1][:2], 0).sum()) / total if total > 0 else 1.0
    return (made / max(float(np.abs(made).max()), 1e-12)).astype(np.float32), shown
