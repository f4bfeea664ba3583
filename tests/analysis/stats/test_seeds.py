"""Means over seeds and examples: against the multi-bootstrap, Student's t, and simulated truth."""

import numpy as np
import pytest
from babelscope.analysis.stats import mean_interval, outlying_seeds, seeds_interval
from babelscope.analysis.stats.seeds import _variances
from scipy import stats


def _simulated(random: np.random.Generator, seeds: int, examples: int, of_seed: float = 1.0) -> np.ndarray:
    values = random.normal(0, of_seed, (seeds, 1)) + random.normal(0, 1.5, (1, examples))
    return values + random.normal(0, 1, (seeds, examples))


def test_the_interval_is_that_of_the_multi_bootstrap_where_there_is_much():
    """Seeds and examples drawn together, as in Sellam et al. (2022); with 60 of each both say the same."""
    values = _simulated(np.random.default_rng(0), 60, 60)
    random, means = np.random.default_rng(1), []
    for _ in range(4000):
        means.append(values[np.ix_(random.integers(60, size=60), random.integers(60, size=60))].mean())
    mean, low, high = seeds_interval(values)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(np.diff(np.quantile(means, (0.025, 0.975)))[0], rel=0.08)


def test_of_one_example_it_is_students_over_seeds():
    values = np.random.default_rng(0).normal(3, 1, (6, 1))
    expected = stats.t.interval(0.9, 5, values.mean(), stats.sem(values[:, 0]))
    assert seeds_interval(values, draws=200_000, level=0.9)[1:] == pytest.approx(expected, abs=0.01)
    assert mean_interval(values[:, 0], 0.9) == pytest.approx(expected)


def test_examples_do_not_stand_for_seeds():
    """That all examples of a seed move together keeps 3 seeds × 200 examples from being 600 values."""
    values = _simulated(np.random.default_rng(0), 3, 200)
    _, low, high = seeds_interval(values)
    assert high - low > 3 * np.diff(mean_interval(values.ravel()))[0]
    mean, *ends = seeds_interval(values[:1])
    assert mean == values[0].mean()
    assert np.isnan(ends).all()


def test_the_variance_is_found_without_bias():
    """Three parts that are told apart: between seeds, between examples, and what both have counted once."""

    class Plain:
        """Draws what is expected, so that each draw is the estimate."""

        def chisquare(self, freedom: int, draws: int) -> np.ndarray:
            return np.full(draws, float(freedom))

    found = []
    for number in range(3000):
        random = np.random.default_rng(number)
        values = random.normal(0, 1, (4, 1)) + random.normal(0, 1.5, 6) + random.normal(0, 3, (4, 6))
        found.append(_variances(values - values.mean(), Plain(), 1)[0])
    # An estimate below that between seeds is taken for it, which is a little more in the mean.
    assert np.mean(found) == pytest.approx(1 / 4 + 2.25 / 6 + 9 / 24, rel=0.06)


@pytest.mark.parametrize(("seeds", "examples"), [(3, 24), (5, 8), (10, 24)])
def test_the_interval_covers_the_truth(seeds, examples):
    held = 0
    for number in range(300):
        _, low, high = seeds_interval(_simulated(np.random.default_rng(number), seeds, examples), number)
        held += low < 0 < high
    assert 273 <= held <= 298


def test_what_is_missing_is_left_out():
    values = np.random.default_rng(0).random((5, 6))
    larger = np.full((6, 8), np.nan)
    larger[1:, 1:7] = values
    assert seeds_interval(larger) == seeds_interval(values)
    larger[2, 3] = np.nan
    assert seeds_interval(larger)[0] == pytest.approx(np.nanmean(larger))
    assert np.isnan(seeds_interval(np.full((3, 3), np.nan))).all()
    assert seeds_interval(values, seed=1) == seeds_interval(values, seed=1) != seeds_interval(values, seed=2)


def test_seeds_that_lie_far_off_are_marked():
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.6, np.nan])
    assert outlying_seeds(values).tolist() == [False] * 5 + [True, False]
    assert not outlying_seeds(values[:5]).any()
    assert not outlying_seeds(np.array([1.0, 1.0, 9.0])).any()
    ordinary = [outlying_seeds(np.random.default_rng(number).normal(0, 1, 5)).sum() for number in range(600)]
    assert 12 <= sum(ordinary) <= 50
    # Within two deviations of all seeds, itself among them, no one of five could ever lie far off.
    assert outlying_seeds(np.array([0.0, 0.1, -0.1, 0.05, 100.0])).tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        (np.zeros(4), 0.95, "seeds × examples"),
        (np.full((3, 4), np.inf), 0.95, "infinite"),
        (np.zeros((3, 4)), 1.0, "level=1.0: give a share"),
    ],
)
def test_what_is_no_measurement_is_refused(values, level, message):
    with pytest.raises(ValueError, match=message):
        seeds_interval(values, level=level)
