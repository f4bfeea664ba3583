"""Intervals against published examples, their defining equation, scipy, and simulated truth."""

import math

import numpy as np
import pytest
from babelscope.analysis.stats import mean_interval, wilson_interval
from scipy import stats


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Published examples: Newcombe (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)
    for bound in wilson_interval(successes, trials):
        if 0 < bound < 1:
            spread = 1.959963984540054 * math.sqrt(bound * (1 - bound) / trials)
            assert abs(successes / trials - bound) == pytest.approx(spread, rel=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_mean_has_students_interval(level):
    values = np.array([3.0, 8.0, 4.5, np.nan, 7.0])
    kept = values[~np.isnan(values)]
    expected = stats.t.interval(level, 3, kept.mean(), stats.sem(kept))
    assert mean_interval(values, level) == pytest.approx(expected)


def test_shares_join_the_interval_of_the_logarithm():
    values = np.array([0.01, 0.2, 0.05, 0.1, 0.04])
    mean, half = values.mean(), stats.t.ppf(0.975, 4) * stats.sem(values)
    low, high = mean_interval(values)
    assert high == pytest.approx(mean * math.exp(half / mean))
    assert low == max(0.0, low) == pytest.approx(max(0, 1 - (1 - mean) * math.exp(half / (1 - mean))))
    assert mean_interval(1 - values) == pytest.approx((1 - high, 1 - low))
    assert mean_interval(np.array([0.0, 1.0])) == (0.0, 1.0)
    assert mean_interval(np.array([0.0, 0.001])) == pytest.approx((0.0, 1.0))


def test_equal_values_have_no_width_and_one_value_no_interval():
    for value in (0.0, 0.1, 1.0, 12.5):
        low, high = mean_interval(np.full(7, value))
        assert (low, high) == pytest.approx((value, value))
        assert low <= high
    assert np.isnan(mean_interval(np.array([0.3]))).all()
    assert np.isnan(mean_interval(np.array([np.nan, 0.3]))).all()


@pytest.mark.parametrize("count", [3, 8, 25])
def test_the_interval_covers_the_truth(count):
    """A percentile bootstrap covers 73 % with three values, 89 % with eight."""
    held = 0
    for seed in range(600):
        low, high = mean_interval(np.random.default_rng(seed).normal(0.5, 0.1, count))
        held += low <= 0.5 <= high
    assert 0.93 <= held / 600 <= 0.99
