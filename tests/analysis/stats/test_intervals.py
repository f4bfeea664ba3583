"""Intervals against published examples, their defining equation, and simulated truth."""

import math

import numpy as np
import pytest
from babelscope.analysis.stats import cluster_interval, wilson_interval


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


def _pairs(values_CLL: np.ndarray) -> np.ndarray:
    return (values_CLL + values_CLL.transpose(0, 2, 1)) / 2


def test_interval_is_seeded_and_holds_the_mean():
    values = _pairs(np.random.default_rng(0).random((10, 6, 6)))
    low, high = cluster_interval(values, seed=1)
    a, b = np.triu_indices(6, 1)
    assert low < values[:, a, b].mean() < high
    assert cluster_interval(values, seed=1) == (low, high)
    assert cluster_interval(values, seed=2) != (low, high)
    assert cluster_interval(np.full((4, 3, 3), 0.25)) == (0.25, 0.25)


def test_interval_knows_that_languages_are_clusters():
    """One odd language moves all its pairs: drawing pairs as if independent would give a far narrower interval."""
    values = np.zeros((30, 5, 5))
    values[:, 0] = values[:, :, 0] = 1.0
    low, high = cluster_interval(values)
    assert (low, high) == (0.0, 1.0)
    # The same spread over concepts instead of languages averages out: 30 concepts, 40 % ones.
    values = np.zeros((30, 5, 5))
    values[:12] = 1.0
    low, high = cluster_interval(values)
    assert 0.15 < low < 0.3
    assert 0.5 < high < 0.65


def test_interval_covers_the_truth():
    """Expected before measuring: about 95 % of intervals hold the true mean; at 60 repeats at least 50 of them do."""
    held = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        values = random.normal(0, 1, (25, 1, 1)) + _pairs(random.normal(0, 0.3, (25, 8, 8)))
        low, high = cluster_interval(values, seed, draws=300)
        held += low < 0 < high
    assert held >= 50


def test_interval_leaves_missing_pairs_out():
    values = np.full((3, 3, 3), np.nan)
    assert np.isnan(cluster_interval(values)).all()
    values[0, 0, 1] = values[0, 1, 0] = 0.5
    assert cluster_interval(values) == (0.5, 0.5)
    assert np.isnan(cluster_interval(np.ones((3, 1, 1)))).all()
