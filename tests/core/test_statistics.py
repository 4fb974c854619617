"""Intervals, tests and power against scipy, statsmodels and published examples; coverage by simulation."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core import statistics

with warnings.catch_warnings():  # pandas warns of what it will do some day
    warnings.simplefilter("ignore")
    from statsmodels.stats import contingency_tables, multitest, proportion

RANDOM = np.random.default_rng(5)


def of(*numbers: float) -> statistics.Numbers:
    return np.array(numbers, np.float64)


@pytest.mark.parametrize(("successes", "trials", "low", "high"), [(50, 100, 40.4, 59.6), (0, 30, 0, 11.4)])
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert [round(100 * bound, 1) for bound in statistics.wilson(successes, trials)] == [low, high]


def test_wilson_is_statsmodels() -> None:
    for trials in (1, 2, 7, 30, 400, 12.5):
        for successes in {0, 1, trials / 3, trials // 2, trials - 1, trials}:
            expected = proportion.proportion_confint(successes, trials, method="wilson")
            assert statistics.wilson(successes, trials) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        statistics.wilson(successes, trials)
    with pytest.raises(ValueError, match="no share"):
        statistics.clustered_wilson(of(), of())


def test_clusters_of_one_trial_are_plain_wilson() -> None:
    for successes in (0, 1, 20, 39, 40):
        clusters = (np.arange(40) < successes).astype(np.float64)
        assert statistics.clustered_wilson(clusters, np.ones(40)) == pytest.approx(statistics.wilson(successes, 40))


def test_clusters_that_agree_within_count_once() -> None:
    assert statistics.clustered_wilson(of(4, 4, 0, 0, 0), of(4, 4, 4, 4, 4)) == pytest.approx(statistics.wilson(2, 5))
    assert statistics.clustered_wilson(of(0, 0, 0), of(4, 4, 4)) == pytest.approx(statistics.wilson(0, 3))
    assert statistics.clustered_wilson(of(4, 4, 4, 0), of(4, 4, 4, 0)) == pytest.approx(statistics.wilson(3, 3))


@pytest.mark.parametrize("clusters", [100, 200])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.3, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("within", [0.0, 0.3, 0.6])
def test_clustered_intervals_cover(clusters: int, share: float, within: float) -> None:
    """Four answers a stem, correlated within it by as much as `within` (beta-binomial)."""
    random, repeats = np.random.default_rng(1), 300
    if within:
        rest = 1 / within - 1
        chances = random.beta(share * rest, (1 - share) * rest, (repeats, clusters))
    else:
        chances = np.full((repeats, clusters), share)
    trials = np.full(clusters, 4.0)
    intervals = [statistics.clustered_wilson(row, trials) for row in random.binomial(4, chances).astype(np.float64)]
    assert sum(low <= share <= high for low, high in intervals) >= 0.93 * repeats


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((20, 12, 2, 16), 0.0562, 0.3292),  # Newcombe's own example (sputum cultures on two media)
        ((59, 6, 16, 80), -0.1186, -0.0046),  # Fagerland, Lydersen and Laake (2017), 8: Cavo et al.
    ],
)
def test_newcombe_gives_the_published_intervals(table: tuple[int, int, int, int], low: float, high: float) -> None:
    assert statistics.newcombe_paired(*table) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("table", [(0, 0, 0, 9), (9, 0, 0, 0), (0, 9, 0, 0), (0, 0, 9, 0), (5, 0, 0, 5), (1, 0, 0, 0)])
def test_newcombe_is_sane_at_the_edges(table: tuple[int, int, int, int]) -> None:
    low, high = statistics.newcombe_paired(*table)
    difference = (table[1] - table[2]) / sum(table)
    assert -1 <= low <= difference <= high <= 1
    assert low < high
    turned = statistics.newcombe_paired(table[0], table[2], table[1], table[3])
    assert turned == pytest.approx((-high, -low))


def test_newcombe_covers() -> None:
    random, chances = np.random.default_rng(2), (0.55, 0.05, 0.2, 0.2)
    intervals = [statistics.newcombe_paired(*map(int, random.multinomial(100, chances))) for _ in range(2000)]
    assert sum(low <= -0.15 <= high for low, high in intervals) >= 0.93 * 2000


def test_mcnemar_is_scipys() -> None:
    for first in range(12):
        for second in range(12):
            exact, mid = statistics.mcnemar(first, second)
            pairs, fewer = first + second, min(first, second)
            expected = stats.binomtest(fewer, pairs).pvalue if pairs else 1.0
            assert exact == pytest.approx(expected)
            # Mid-p as its paper defines it: less by the chance of just this table, by half of it where both are equal.
            point = float(stats.binom.pmf(fewer, pairs, 0.5)) if pairs else 0.0
            assert mid == pytest.approx(expected - (point if first != second else point / 2))
    assert statistics.mcnemar(1900, 2100)[0] == pytest.approx(stats.binomtest(1900, 4000).pvalue)


def test_mcnemar_is_statsmodels() -> None:
    for first, second in ((0, 9), (3, 8), (20, 31)):
        expected: Any = contingency_tables.mcnemar([[4, first], [second, 4]], exact=True)
        assert statistics.mcnemar(first, second)[0] == pytest.approx(expected.pvalue)


def test_mcnemar_gives_the_published_values() -> None:
    """Fagerland, Lydersen and Laake (2013), table 1 and the text: airway hyper-responsiveness, 1 against 7."""
    exact, mid = statistics.mcnemar(1, 7)
    assert (round(exact, 3), round(mid, 3)) == (0.070, 0.039)


def test_p_is_shown_from_six_discordant_pairs_on() -> None:
    assert [statistics.testable(n, 2) for n in (0, 3, 4, 5)] == [False, False, True, True]
    assert statistics.mcnemar(0, 5)[1] > 0.03


def test_holm_is_statsmodels() -> None:
    for count in (1, 2, 5, 9):
        p_values = [float(p) for p in RANDOM.beta(0.4, 2, count)]
        expected = np.asarray(multitest.multipletests(p_values, method="holm")[1])
        assert statistics.holm(p_values) == pytest.approx(expected.tolist())
    assert statistics.holm([]) == []


def test_resamples_are_of_whole_clusters_and_all_columns_see_the_same() -> None:
    sums = of(*(number for n in range(7) for number in (1, 2**n, 3 * 2**n))).reshape(7, 3)
    totals = statistics.resampled(sums, 500, 0)
    assert (totals[:, 0] == 7).all()
    assert (totals[:, 2] == 3 * totals[:, 1]).all()
    assert (totals == statistics.resampled(sums, 500, 0)).all()
    assert (totals != statistics.resampled(sums, 500, 1)).any()


def test_the_bootstraps_error_of_a_mean_is_known() -> None:
    values = RANDOM.normal(3, 2, 3000)
    means = statistics.resampled(values[:, None], 2000, 0)[:, 0] / 3000
    error = values.std() / np.sqrt(3000)
    assert means.std() == pytest.approx(error, rel=0.08)
    interval = statistics.percentiles(means)
    assert interval == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.2 * error)


def test_what_cannot_be_reckoned_in_a_resample_is_left_out() -> None:
    assert statistics.percentiles(of(1, np.nan, 1)) == (1, 1)
    assert statistics.percentiles(of(np.nan)) is None


@pytest.mark.parametrize(("items", "change", "expected"), [(50, -0.25, 0.91), (100, -0.15, 0.88), (200, -0.1, 0.90)])
def test_power_is_as_the_methods_say(items: int, change: float, expected: float) -> None:
    assert statistics.power(items, change) == pytest.approx(expected, abs=0.02)


def test_power_is_what_a_simulation_finds() -> None:
    chances = (0.17, statistics.OTHER_WAY, 0.83 - statistics.OTHER_WAY)
    drawn = np.random.default_rng(3).multinomial(60, chances, 4000)
    seen = [statistics.testable(one, other) and statistics.mcnemar(one, other)[1] <= 0.05 for one, other, _ in drawn]
    assert statistics.power(60, 0.17 - statistics.OTHER_WAY) == pytest.approx(np.mean(seen), abs=0.025)


def test_the_least_change_seen_is_where_power_reaches_what_is_wanted() -> None:
    assert statistics.detectable(200) == pytest.approx(0.10, abs=0.003)
    for items in (20, 100, 1000):
        change = statistics.detectable(items)
        assert change is not None
        assert statistics.power(items, change - 0.001) < 0.9 <= statistics.power(items, change)
    assert statistics.detectable(5) is None
    assert statistics.power(50, 0) <= 0.05
    assert statistics.power(50, 1) == 1


def test_kendall_is_scipys_with_ties_and_without() -> None:
    for levels in (2, 5, 1000):
        first, second = RANDOM.integers(0, levels, (2, 80)).astype(float)
        second = np.where(RANDOM.random(80) < 0.5, first, second)
        found = statistics.kendall(first, second)
        assert found is not None
        expected: Any = stats.kendalltau(first, second)
        assert found.value == pytest.approx(expected.statistic)
        turned = statistics.kendall(second, first)
        assert turned is not None
        assert (turned.value, turned.error) == pytest.approx((found.value, found.error))


def kendall_of(table: Any) -> statistics.Association:
    rows, columns = np.repeat(np.indices(table.shape).reshape(2, -1), table.ravel(), axis=1).astype(float)
    found = statistics.kendall(rows, columns)
    assert found is not None
    return found


def test_kendall_of_a_published_table() -> None:
    """Job satisfaction by income: A. Agresti, “Categorical Data Analysis” (1990), table 2.4. Its error is simulated."""
    table = np.array([[20, 24, 80, 82], [22, 38, 104, 125], [13, 28, 81, 113], [7, 18, 54, 92]])
    agree, differ, rows, columns = 109_520, 84_915, table.sum(axis=1), table.sum(axis=0)  # the first two as printed
    pairs = np.sqrt(float(901**2 - (rows**2).sum()) * float(901**2 - (columns**2).sum())) / 2
    found = kendall_of(table)
    assert found.value == pytest.approx((agree - differ) / pairs)
    drawn = np.random.default_rng(4).multinomial(901, (table / 901).ravel(), 400)
    assert found.error == pytest.approx(np.std([kendall_of(one.reshape(4, 4)).value for one in drawn]), rel=0.1)


def test_kendall_says_nothing_of_what_cannot_be_ordered() -> None:
    assert statistics.kendall(of(1, 1, 1, 1, 1), of(1, 2, 3, 4, 5)) is None
    assert statistics.kendall(of(1, 2, 3, 4, 5), of(3, 3, 3, 3, 3)) is None
    assert statistics.kendall(of(1, 2, 3, 4), of(1, 2, 3, 4)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_where_all_pairs_agree_the_interval_still_has_a_width(sign: int) -> None:
    found = statistics.kendall(np.arange(20.0), sign * np.arange(20.0))
    assert found is not None
    assert found.value == sign
    assert sorted((abs(found.interval[0]), abs(found.interval[1]))) == pytest.approx([2 * 0.7225 - 1, 1], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [20, 50, 200])
@pytest.mark.parametrize("strength", [0.0, 0.6, 0.9])
def test_kendall_covers(rows: int, strength: float) -> None:
    """Fractional scores against five ratings, of which the good ones are common."""

    def draw(count: int) -> tuple[statistics.Numbers, statistics.Numbers]:
        score = random.standard_normal(count)
        opinion = strength * score + np.sqrt(1 - strength**2) * random.standard_normal(count)
        return score, np.searchsorted([-2.0, -1.2, -0.6, 0.3], opinion).astype(float)

    random = np.random.default_rng(5)
    truth = statistics.kendall(*draw(200_000))
    assert truth is not None
    found = [one for one in (statistics.kendall(*draw(rows)) for _ in range(3000)) if one]
    assert sum(low <= truth.value <= high for low, high in (one.interval for one in found)) >= 0.92 * len(found)
