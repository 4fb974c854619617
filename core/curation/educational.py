"""Which passages are worth asking about: a person's labels on some, their vectors, and a classifier for the rest.

After phi-1's filter (Gunasekar et al., “Textbooks are all you need”, arXiv 2306.11644), with logistic regression in
place of a forest, since labels are few and the figure shown is to be a probability.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.engine.requests import Loading
from core.errors import Cancelled, UserError
from core.project.embedding import Progress, embed
from core.project.project import Project
from core.project.records import PassageMark, PassageRow
from core.statistics import Interval, wilson
from core.worker import Worker

Numbers = NDArray[np.float64]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]  # 1: worth it, 0: not

FOLDS = 5
STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # of the penalty, among which cross-validation chooses
THRESHOLDS = tuple(step / 20 for step in range(1, 20))
LEAST = 10  # labels of each kind, below which nothing is fitted
ENOUGH = 50  # labels of each kind, below which the intervals are too wide to choose a threshold by
UNSURE = 20  # passages that are looked at for each that is suggested

_STEPS = 100  # of Newton's method, which needs about six


@dataclass(frozen=True, eq=False)
class Filter:
    """A fitted classifier: p = 1 ÷ (1 + e^−(weights · (vector − middle) ÷ scale + bias)).

    Vectors of a language model lie close together: the mean of those labelled is taken away, and their mean length
    made one, so that a strength of the penalty means the same with any model.
    """

    weights: Numbers
    bias: float
    middle: Numbers
    scale: float
    strength: float

    def values(self, vectors: Vectors) -> Numbers:
        """The probability of each vector's passage to be worth asking about."""
        spread = self.weights / self.scale
        return _logistic(vectors @ spread + (self.bias - float(self.middle @ spread)))


@dataclass(frozen=True)
class Point:
    """What a threshold does to labelled passages, each judged by a filter that had not seen it.

    `precision` of those kept are worth it, `recall` of the worthy are kept, `kept` of all are; Wilson's intervals.
    Precision is None where none is kept.
    """

    threshold: float
    precision: float | None
    precision_interval: Interval | None
    recall: float
    recall_interval: Interval
    kept: float


Curve = tuple[Point, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """The filter of a project's labels: how sure it is, and the worth of every passage by id."""

    filter: Filter
    curve: Curve
    values: dict[int, float]
    worth: int  # labels
    not_worth: int
    note: str


def fit(vectors: Vectors, labels: Sequence[int], strength: float | None = None, seed: int = 0) -> Filter:
    """Logistic regression with half the squared weights times `strength` as its penalty; the bias has none.

    Without a strength, the one of `STRENGTHS` with the least loss on passages left out in turn. Raises UserError
    where there are fewer than `LEAST` labels of either kind.
    """
    known = np.asarray(labels, np.int64)
    _refuse_few(known)
    return _fit(vectors, known, strength, seed)


def cross_validate(vectors: Vectors, labels: Sequence[int], folds: int = FOLDS, seed: int = 0) -> Curve:
    """Precision and recall by threshold; the strength is chosen anew without each fold. Raises UserError as `fit`."""
    known = np.asarray(labels, np.int64)
    _refuse_few(known)
    values = np.zeros(len(known))
    for out in _folds(known, folds, seed):
        values[out] = _fit(vectors[~out], known[~out], None, seed).values(vectors[out])
    return tuple(_point(values, known == 1, threshold) for threshold in THRESHOLDS)


def label(project: Project, labels: Mapping[int, int | None]) -> None:
    """Keeps a person's labels of passages by their ids: 1 worth asking about, 0 not, None: no label any more."""
    marks = project.passage_marks()
    project.mark_passages([replace(marks.get(id, PassageMark(id)), label=said) for id, said in labels.items()])


def value_passages(
    project: Project, worker: Worker, model: Path, cancelled: Callable[[], bool] = bool, seed: int = 0
) -> Generator[Loading | Progress, None, Fitted]:
    """Fits a filter to the project's labels and keeps its value of every passage; yields how far the vectors are.

    `model` makes the vectors. What is set aside stays so. Raises UserError where there are too few labels, and
    Cancelled.
    """
    marks, passages = project.passage_marks(), project.passages()
    labelled = [(place, mark.label) for place, mark in _marked(passages, marks) if mark.label is not None]
    places, labels = [place for place, _ in labelled], [said for _, said in labelled]
    _refuse_few(np.array(labels, np.int64))
    vectors = yield from embed(project, worker, model, [passage.text for passage in passages], cancelled)
    fitted = list(worker.run(fit_job, vectors[places], labels, seed, cancelled=cancelled))
    if not fitted:
        raise Cancelled("Fitting the filter was stopped. Nothing was changed.")
    filter, curve = fitted[0]
    values = dict(zip((passage.id for passage in passages), map(float, filter.values(vectors)), strict=True))
    marks = project.passage_marks()  # as they are by now
    project.mark_passages([replace(marks.get(id, PassageMark(id)), value=value) for id, value in values.items()])
    worth = sum(labels)
    return Fitted(filter, curve, values, worth, len(labels) - worth, _note(worth, len(labels) - worth))


def fit_job(vectors: Vectors, labels: list[int], seed: int) -> Iterator[tuple[Filter, Curve]]:
    """The child's part: the filter, and what it is worth."""
    yield fit(vectors, labels, seed=seed), cross_validate(vectors, labels, seed=seed)


def set_aside(project: Project, threshold: float) -> int:
    """Sets aside the passages valued below a threshold, and no others; returns how many that are.

    A person's label stands above the filter's value; a passage with neither is left as it is.
    """
    marks = project.passage_marks().values()
    changed = [replace(mark, set_aside=not kept) for mark in marks if (kept := keeps(mark, threshold)) is not None]
    project.mark_passages(changed)
    return sum(mark.set_aside for mark in changed)


def keeps(mark: PassageMark, threshold: float) -> bool | None:
    """Whether a passage is worth asking about by its label, else by its value; None where it has neither."""
    if mark.label is not None:
        return mark.label == 1
    return None if mark.value is None else mark.value >= threshold


def restore(project: Project) -> int:
    """Takes back all that was set aside; returns how many passages that were. Labels and values stay."""
    aside = [mark for mark in project.passage_marks().values() if mark.set_aside]
    project.mark_passages([replace(mark, set_aside=False) for mark in aside])
    return len(aside)


def suggest_passages(
    project: Project, worker: Worker, model: Path, count: int = 10, cancelled: Callable[[], bool] = bool
) -> Generator[Loading | Progress, None, list[int]]:
    """Which passages to label next, by their ids: see `suggest`. Raises UserError for a bad model, and Cancelled."""
    marks, passages = project.passage_marks(), project.passages()
    vectors = yield from embed(project, worker, model, [passage.text for passage in passages], cancelled)
    values = np.full(len(passages), np.nan)
    for place, mark in _marked(passages, marks):
        values[place] = np.nan if mark.value is None else mark.value
    labelled = [place for place, mark in _marked(passages, marks) if mark.label is not None]
    return [passages[place].id for place in suggest(vectors, values, labelled, count)]


def suggest(vectors: Vectors, values: Numbers, labelled: Sequence[int], count: int) -> list[int]:
    """Rows to label next: those the filter is least sure of, each unlike those labelled and those before it.

    `values` are NaN where there is no filter yet: then all are looked at. Farthest first: T. F. Gonzalez, “Clustering
    to minimize the maximum intercluster distance”, Theoretical Computer Science 38 (1985) 293-306.
    """
    done = set(labelled)
    open_rows = np.array([row for row in range(len(vectors)) if row not in done], np.int64)
    doubt = np.abs(np.nan_to_num(values[open_rows], nan=0.5) - 0.5)
    if np.isfinite(values[open_rows]).any():
        open_rows = open_rows[np.argsort(doubt, kind="stable")[: UNSURE * count]]
    if not len(open_rows):
        return []
    pool, chosen = vectors[open_rows], list[int]()
    if len(labelled):
        likest = np.max(pool @ vectors[list(labelled)].T, axis=1)
    else:
        likest = -(pool @ pool.mean(axis=0))  # the first is the one most like all others
    for _ in range(min(count, len(open_rows))):
        row = int(np.argmin(likest))
        chosen.append(int(open_rows[row]))
        like = pool @ pool[row]
        likest = np.maximum(likest, like) if len(labelled) or len(chosen) > 1 else like
        likest[row] = np.inf
    return chosen


def _marked(passages: Sequence[PassageRow], marks: Mapping[int, PassageMark]) -> Iterator[tuple[int, PassageMark]]:
    """The marks there are, each with the place of its passage."""
    return ((place, marks[passage.id]) for place, passage in enumerate(passages) if passage.id in marks)


def _refuse_few(labels: Labels) -> None:
    worth, not_worth = int((labels == 1).sum()), int((labels == 0).sum())
    if min(worth, not_worth) < LEAST:
        raise UserError(
            f"{worth} passages are labelled as worth asking about and {not_worth} as not worth it, which is too few to "
            f"learn from. Label at least {LEAST} of each; {ENOUGH} of each give a figure that one can rely on."
        )


def _note(worth: int, not_worth: int) -> str:
    if min(worth, not_worth) >= ENOUGH:
        return ""
    return (
        f"With {worth} labels for and {not_worth} against, the intervals are wide. "
        f"Label {ENOUGH} of each before you rely on a threshold."
    )


def _fit(vectors: Vectors, labels: Labels, strength: float | None, seed: int) -> Filter:
    middle = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - middle
    scale = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    # The weights lie in what the vectors span: where those are fewer than their width, there is less to reckon.
    left, lengths, right = np.linalg.svd(centred / scale, full_matrices=False)
    rows = np.column_stack([left * lengths, np.ones(len(labels))])
    strength = _best_strength(rows, labels, seed) if strength is None else strength
    weights = _newton(rows, labels, strength)
    return Filter(weights[:-1] @ right, float(weights[-1]), middle, scale, strength)


def _best_strength(rows: Numbers, labels: Labels, seed: int) -> float:
    """The strength with the least loss on what is left out."""
    folds = _folds(labels, FOLDS, seed)

    def left_out(strength: float) -> float:
        return sum(_loss(rows[out], labels[out], _newton(rows[~out], labels[~out], strength)) for out in folds)

    return min(STRENGTHS, key=left_out)


def _newton(rows: Numbers, labels: Labels, strength: float) -> Numbers:
    """The weights, the bias last, of the least penalised loss."""
    penalty = np.full(rows.shape[1], strength)
    penalty[-1] = 0.0
    weights = np.zeros(rows.shape[1])

    def cost(weights: Numbers) -> float:
        return _loss(rows, labels, weights) + float(penalty @ weights**2) / 2

    for _ in range(_STEPS):
        chances = _logistic(rows @ weights)
        slope = rows.T @ (chances - labels) + penalty * weights
        if np.abs(slope).max() < 1e-9 * len(labels):
            break
        curvature = (rows * (chances * (1 - chances))[:, None]).T @ rows + np.diag(penalty)
        step, before = np.linalg.solve(curvature, slope), cost(weights)
        while np.abs(step).max() > 1e-12 and cost(weights - step) > before:
            step /= 2
        weights = weights - step
    return weights


def _loss(rows: Numbers, labels: Labels, weights: Numbers) -> float:
    """The negative logarithm of the labels' likelihood, in nats."""
    return float(np.logaddexp(0, np.where(labels == 1, -1, 1) * (rows @ weights)).sum())


def _logistic(values: Numbers) -> Numbers:
    return np.exp(-np.logaddexp(0, -values))


def _folds(labels: Labels, folds: int, seed: int) -> list[NDArray[np.bool_]]:
    """Which rows are left out of each fold: as many of either label in each as can be."""
    random, fold = np.random.default_rng(seed), np.zeros(len(labels), np.int64)
    for said in (0, 1):
        places = np.flatnonzero(labels == said)
        fold[random.permutation(places)] = np.arange(len(places)) % folds
    return [fold == number for number in range(folds)]


def _point(values: Numbers, worth: NDArray[np.bool_], threshold: float) -> Point:
    kept = values >= threshold
    right, all_kept, all_worth = int((kept & worth).sum()), int(kept.sum()), int(worth.sum())
    return Point(
        threshold,
        right / all_kept if all_kept else None,
        wilson(right, all_kept) if all_kept else None,
        right / all_worth,
        wilson(right, all_worth),
        all_kept / len(values),
    )
