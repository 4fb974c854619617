"""Whether a model's scores follow a person's ratings, and where they may be trusted: small scorers often may not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.project.project import Project
from core.statistics import Interval, kendall, wilson

GOOD = 4  # a rating from which on an example is taken to be good
BANDS = 5
FEW = 20  # ratings, below which a figure is shown and nothing is concluded from it
WANTED = 0.1  # half the width of tau's interval, for which the ratings needed are reckoned
STEPS = tuple(1 + step / 2 for step in range(9))  # thresholds of the table: 1.0, 1.5, … 5.0


@dataclass(frozen=True)
class Share:
    """A share of examples with its interval: `count` of `of`; None where there are none to be a share of."""

    count: int
    of: int

    @property
    def value(self) -> float | None:
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> Interval | None:
        """Wilson's, of 95 %."""
        return wilson(self.count, self.of) if self.of else None


@dataclass(frozen=True)
class Threshold:
    """Keeping all scored at least `score`: `precision` of those are good, and `recall` of the good are kept."""

    score: float
    precision: Share
    recall: Share

    @property
    def kept(self) -> int:
        """Examples at or above it."""
        return self.precision.of

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall: 2·good kept ÷ (kept + good)."""
        return 2 * self.precision.count / max(1, self.precision.of + self.recall.of)


@dataclass(frozen=True)
class Calibration:
    """Scores of 1 to 5 against ratings of the same examples.

    `tau` is Kendall's τ-b from −1 to 1 with its interval, None where it cannot be reckoned. `bands[i][j]` counts
    examples scored nearest to i + 1 and rated j + 1. `best` has the highest F1 of all thresholds for telling those
    rated `GOOD` or better. `needed` ratings would give tau's interval half a width of `WANTED`; None: not known yet.
    """

    n: int
    tau: float | None
    low: float | None
    high: float | None
    bands: tuple[tuple[int, ...], ...]
    exact: Share
    within_one: Share
    good: Share
    thresholds: tuple[Threshold, ...]
    best: Threshold | None
    needed: int | None
    note: str

    @property
    def useful(self) -> bool:
        """Whether the scores were shown to follow the ratings."""
        return self.n >= FEW and self.low is not None and self.low > 0


def calibrate(pairs: Sequence[tuple[float, int]]) -> Calibration:
    """Compares scores (1 to 5, fractions too) with ratings (1 to 5), an example each: (score, rating)."""
    scores = np.array([score for score, _ in pairs], np.float64)
    ratings = np.array([rating for _, rating in pairs], np.int64)
    found = kendall(scores, ratings.astype(np.float64))
    tau, low, high = (found.value, *found.interval) if found else (None, None, None)
    band = np.clip(np.floor(scores + 0.5), 1, BANDS).astype(np.int64)
    bands = np.zeros((BANDS, BANDS), np.int64)
    np.add.at(bands, (band - 1, ratings - 1), 1)
    apart, good, n = np.abs(band - ratings), ratings >= GOOD, len(pairs)
    candidates = [_threshold(scores, good, float(score)) for score in np.unique(scores)]
    return Calibration(
        n=n,
        tau=tau,
        low=low,
        high=high,
        bands=tuple(tuple(map(int, row)) for row in bands),
        exact=Share(int((apart == 0).sum()), n),
        within_one=Share(int((apart <= 1).sum()), n),
        good=Share(int(good.sum()), n),
        thresholds=tuple(_threshold(scores, good, score) for score in STEPS),
        best=max(candidates, key=lambda one: (one.f1, one.score)) if good.any() else None,
        needed=_needed(n, low, high),
        note=_note(scores, ratings, low, high),
    )


def calibration_of(project: Project, name: str = "rubric", run_id: int | None = None) -> Calibration:
    """The scores of this name, those of one run or each example's newest, against a person's ratings of the same."""
    if run_id is None:
        scores = project.scores(name)
    else:
        found = project.scores_of_run(project.run(run_id).id)
        scores = {score.example_id: score for score in found if score.name == name}
    rated = project.ratings()
    return calibrate([(scores[id].value, rating) for id, rating in rated.items() if id in scores])


def _threshold(scores: NDArray[np.float64], good: NDArray[np.bool_], score: float) -> Threshold:
    kept = scores >= score
    both = int((kept & good).sum())
    return Threshold(score, Share(both, int(kept.sum())), Share(both, int(good.sum())))


def _needed(n: int, low: float | None, high: float | None) -> int | None:
    """An interval narrows with the root of the number of ratings."""
    if n < FEW or low is None or high is None:
        return None
    return math.ceil(n * ((high - low) / 2 / WANTED) ** 2)


def _note(scores: NDArray[np.float64], ratings: NDArray[np.int64], low: float | None, high: float | None) -> str:
    """What the figures allow one to say, and what to do next."""
    n = len(scores)
    if not n:
        return f"No example has both a score and a rating. Rate some of those that were scored, at least {FEW}."
    if n < FEW:
        return (
            f"Only {n} of the scored examples are rated: too few to say whether the scores can be trusted. "
            f"Rate at least {FEW}, good ones and bad ones."
        )
    if low is None or high is None:
        if len(np.unique(scores)) == 1:
            return "The model gave all of them the same score: it tells nothing apart. Do not pick by it."
        return "All ratings are the same, so nothing can be said of the scores. Rate good examples and bad ones."
    if high < 0:
        return "The scores go against your ratings. Do not pick by them."
    if low <= 0:
        return "Nothing shows that the scores follow your ratings: τ may be 0. Do not pick by them."
    optimism = "The best threshold was found on these very ratings: expect a little less of it elsewhere."
    return f"The scores follow your ratings. {optimism}"
