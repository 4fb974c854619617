"""Scores against ratings: tables made by hand, scorers that are known to be good or of no use."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from core.curation.calibration import FEW, calibrate

# (score, rating): 4 of the 5 good ones score at least 4, and so does one of the 5 others.
HAND = [(4.6, 5), (4.2, 4), (4.0, 5), (4.1, 4), (2.4, 4), (4.4, 2), (3.2, 3), (2.6, 2), (1.4, 1), (1.0, 1)]


def test_a_table_made_by_hand() -> None:
    found = calibrate(HAND * 2)
    assert found.n == 20
    assert found.bands == (
        (4, 0, 0, 0, 0),
        (0, 0, 0, 2, 0),
        (0, 2, 2, 0, 0),
        (0, 2, 0, 4, 2),
        (0, 0, 0, 0, 2),
    )
    assert (found.exact.count, found.within_one.count) == (12, 16)
    assert (found.good.count, found.good.value) == (10, 0.5)
    four = found.thresholds[6]
    assert (four.score, four.kept, four.precision.value, four.recall.value) == (4.0, 10, 0.8, 0.8)
    assert four.precision.interval == pytest.approx((0.490, 0.943), abs=1e-3)  # Wilson's 8 of 10
    assert found.thresholds[0].recall.value == 1
    assert found.thresholds[0].precision.value == 0.5
    assert found.thresholds[8].precision.value is None
    assert found.best is not None
    assert (found.best.score, found.best.f1) == (4.0, pytest.approx(0.8))
    expected: Any = stats.kendalltau(*zip(*HAND, strict=True))
    assert found.tau == pytest.approx(expected.statistic)
    assert found.useful
    assert found.note.startswith("The scores follow your ratings.")


def test_a_scorer_that_is_of_no_use_is_shown_as_such() -> None:
    random = np.random.default_rng(1)
    pairs = [(float(random.uniform(1, 5)), int(random.integers(1, 6))) for _ in range(200)]
    found = calibrate(pairs)
    assert not found.useful
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert "Do not pick by them" in found.note
    assert found.needed is not None
    assert found.needed == pytest.approx(200 * ((found.high - found.low) / 0.2) ** 2, abs=1)


def test_one_score_for_all_tells_nothing_apart() -> None:
    found = calibrate([(3.0, 1 + place % 5) for place in range(FEW)])
    assert (found.tau, found.needed, found.useful) == (None, None, False)
    assert found.note == "The model gave all of them the same score: it tells nothing apart. Do not pick by it."


def test_what_cannot_be_said_is_said() -> None:
    assert calibrate([]).note.startswith("No example has both")
    assert calibrate([]).thresholds[0].precision.value is None
    few = calibrate(HAND)
    assert few.note.startswith("Only 10 of the scored examples are rated")
    assert not few.useful
    same = calibrate([(1 + place / 10, 5) for place in range(FEW)])
    assert same.note.startswith("All ratings are the same")
    against = calibrate([(6 - score, rating) for score, rating in HAND * 3])
    assert against.note == "The scores go against your ratings. Do not pick by them."
