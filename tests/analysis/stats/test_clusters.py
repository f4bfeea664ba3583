"""Intervals over concepts and languages: against least squares, Student's t, and simulated truth."""

import numpy as np
import pytest
from babelscope.analysis.stats import cluster_interval, control_interval
from babelscope.analysis.stats.clusters import FEW_LANGUAGES, _round_robin, _variances
from scipy import stats


def _pairs(values_CLL: np.ndarray) -> np.ndarray:
    return (values_CLL + values_CLL.transpose(0, 2, 1)) / 2


def _simulated(random: np.random.Generator, concepts: int, languages: int) -> np.ndarray:
    """Effects of concept, of each language, of the pair, and noise, around 0."""
    of_language_L = random.normal(0, 0.7, languages)
    values_CLL = random.normal(0, 1, (concepts, 1, 1)) + of_language_L[:, None] + of_language_L
    values_CLL = values_CLL + _pairs(random.normal(0, 0.4, (1, languages, languages)))
    return values_CLL + _pairs(random.normal(0, 0.7, (concepts, languages, languages)))


def test_interval_is_seeded_and_holds_the_mean():
    values = _pairs(np.random.default_rng(0).random((10, 6, 6)))
    low, high = cluster_interval(values, seed=1)
    a, b = np.triu_indices(6, 1)
    assert low < values[:, a, b].mean() < high
    assert cluster_interval(values, seed=1) == (low, high)
    assert cluster_interval(values, seed=2) != (low, high)
    assert cluster_interval(np.full((4, 3, 3), 0.25)) == (0.25, 0.25)


@pytest.mark.parametrize("languages", [3, 4, 9])
def test_mean_squares_are_those_of_a_round_robin(languages):
    """Against least squares with a column for each language; three languages leave nothing beyond them."""
    random = np.random.default_rng(languages)
    a_R, b_R = np.triu_indices(languages, 1)
    value_R = random.normal(0, 1, len(a_R))
    design = np.zeros((len(a_R), languages))
    for place, (a, b) in enumerate(zip(a_R, b_R, strict=True)):
        design[place, [a, b]] = 1
    fit_R = design @ np.linalg.lstsq(design, value_R, rcond=None)[0]
    freedom = len(a_R) - languages
    of_language = ((fit_R - value_R.mean()) ** 2).sum() / (languages - 1)
    of_pair = ((value_R - fit_R) ** 2).sum() / freedom if freedom else 0.0
    found = _round_robin(value_R, languages)
    assert found[0] == pytest.approx(4 * of_language / (languages * (languages - 2)))
    assert found[1] == pytest.approx(2 * of_pair / ((languages - 1) * (languages - 2)))
    several = _round_robin(np.stack([value_R, 2 * value_R + 5]), languages)
    assert several == pytest.approx([5 * part for part in found])


def test_the_variance_of_a_mean_over_pairs_is_found_without_bias():
    random = np.random.default_rng(0)
    languages = 6
    a_R, b_R = np.triu_indices(languages, 1)
    means, found = [], []
    for _ in range(4000):
        effect_L = random.normal(0, 1, languages)
        value_R = effect_L[a_R] + effect_L[b_R] + random.normal(0, 0.8, len(a_R))
        means.append(value_R.mean())
        of_language, of_pair = _round_robin(value_R, languages)
        found.append(of_language - of_pair)
    assert np.mean(found) == pytest.approx(4 / 6 + 0.64 / 15, rel=0.05)
    assert np.var(means) == pytest.approx(np.mean(found), rel=0.1)


def test_the_variance_over_concepts_and_languages_is_found_without_bias():
    """Each part once: without taking off what is in both views 11 % more would be found, without the pairs' 15 %."""

    class Plain:
        """Draws what is expected, so that each draw is the estimate."""

        def chisquare(self, freedom: int, draws: int) -> np.ndarray:
            return np.full(draws, float(freedom))

    concepts, languages = 6, FEW_LANGUAGES + 1
    a_R, b_R = np.triu_indices(languages, 1)
    found = []
    for seed in range(3000):
        random = np.random.default_rng(seed)
        of_language_L, of_both_CL = random.normal(0, 1, languages), random.normal(0, 1, (concepts, languages))
        values_CR = random.normal(0, 1, (concepts, 1)) + of_language_L[a_R] + of_language_L[b_R]
        values_CR = values_CR + random.normal(0, 1.5, len(a_R)) + of_both_CL[:, a_R] + of_both_CL[:, b_R]
        values_CR = values_CR + random.normal(0, 1, values_CR.shape)
        found.append(_variances(values_CR - values_CR.mean(), languages, Plain(), 1)[0])
    pairs = len(a_R)
    expected = 1 / concepts + (4 + 4 / concepts) / languages + (2.25 + 1 / concepts) / pairs
    assert np.mean(found) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_two_languages_have_students_interval_over_concepts(level):
    values = np.random.default_rng(0).normal(3, 1, (7, 1, 1)) * np.ones((7, 2, 2))
    expected = stats.t.interval(level, 6, values[:, 0, 1].mean(), stats.sem(values[:, 0, 1]))
    assert cluster_interval(values, draws=200_000, level=level) == pytest.approx(expected, abs=0.01)


def test_one_concept_has_an_interval_over_languages_alone():
    """With an effect of each language and nothing else it is Student's over them: a pair is the sum of two."""
    effect_L = np.random.default_rng(0).normal(0, 1, 5)
    values = (effect_L[:, None] + effect_L)[None]
    expected = stats.t.interval(0.95, 4, 2 * effect_L.mean(), 2 * stats.sem(effect_L))
    assert cluster_interval(values, draws=200_000) == pytest.approx(expected, abs=0.01)


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
    assert 0.15 < low < 0.25
    assert 0.55 < high < 0.65


@pytest.mark.parametrize(("concepts", "languages"), [(3, 4), (8, 4), (24, 4), (24, FEW_LANGUAGES)])
def test_interval_covers_the_truth(concepts, languages):
    """Of 300 intervals 95 % should hold 0: at least 273 do but once in 700 times. A bootstrap's 80 to 85 % fail."""
    held = 0
    for seed in range(300):
        values = _simulated(np.random.default_rng(seed), concepts, languages)
        low, high = cluster_interval(values, seed)
        held += low < 0 < high
    assert held >= 273
    if concepts > 3:
        assert held <= 297


def _control(random: np.random.Generator, concepts: int, languages: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of ordered pairs of concepts and languages, and each concept's mean with the others, both directions."""
    effect_CL = random.normal(0, 1, (concepts, 1)) + random.normal(0, 0.4, (concepts, languages))
    effect_CL = effect_CL + random.normal(0, 0.3, languages)
    value_CCLL = effect_CL[:, None, :, None] + effect_CL[None, :, None, :]
    value_CCLL = value_CCLL + random.normal(0, 0.5, value_CCLL.shape)
    value_CCLL[range(concepts), range(concepts)] = np.nan
    one_way_CLL = np.nanmean(value_CCLL, axis=1)
    other_way_CLL = np.nanmean(value_CCLL, axis=0).transpose(0, 2, 1)
    mean_CLL = (one_way_CLL + other_way_CLL) / 2
    return value_CCLL, (mean_CLL + mean_CLL.transpose(0, 2, 1)) / 2


def test_a_control_has_the_interval_of_the_jackknife_over_concepts():
    """With two languages it is Student's over the pseudo-values of leaving a concept out of all pairs."""
    concepts = 7
    value_CCLL, mean_CLL = _control(np.random.default_rng(0), concepts, 2)
    both_CC = (value_CCLL[:, :, 0, 1] + value_CCLL[:, :, 1, 0]) / 2
    whole = np.nanmean(both_CC)
    pseudo = []
    for left_out in range(concepts):
        kept = np.delete(np.delete(both_CC, left_out, axis=0), left_out, axis=1)
        pseudo.append(concepts * whole - (concepts - 1) * np.nanmean(kept))
    expected = stats.t.interval(0.95, concepts - 1, whole, stats.sem(pseudo))
    assert mean_CLL[:, 0, 1].mean() == pytest.approx(whole)
    assert control_interval(mean_CLL, draws=200_000) == pytest.approx(expected, abs=0.02)
    assert np.isnan(control_interval(mean_CLL[:2])).all()


def test_a_controls_interval_covers_the_truth():
    held = taken_for_independent = 0
    for seed in range(200):
        _, values = _control(np.random.default_rng(seed), 8, 4)
        low, high = control_interval(values, seed)
        held += low < 0 < high
        low, high = cluster_interval(values, seed)
        taken_for_independent += low < 0 < high
    assert 181 <= held <= 198
    assert taken_for_independent < 175


def test_shares_are_skewed_and_mirror():
    values = _pairs(np.random.default_rng(0).beta(1, 9, (6, 5, 5)))
    low, high = cluster_interval(values)
    a, b = np.triu_indices(5, 1)
    mean = values[:, a, b].mean()
    assert 0 <= low < mean < high <= 1
    assert high - mean > mean - low
    assert cluster_interval(1 - values) == pytest.approx((1 - high, 1 - low))
    # Away from 0 to 1 nothing is known of a skew.
    plain = cluster_interval(values + 7)
    assert plain[0] + plain[1] == pytest.approx(2 * (mean + 7))


def test_what_is_missing_is_left_out():
    values = _pairs(np.random.default_rng(0).random((6, 5, 5)))
    expected = cluster_interval(values)
    larger = np.full((8, 7, 7), np.nan)
    larger[np.ix_(range(1, 7), [0, 1, 3, 5, 6], [0, 1, 3, 5, 6])] = values
    larger[:, range(7), range(7)] = 1.0
    assert cluster_interval(larger) == expected
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        values = _simulated(random, 12, 6)
        gone_CL = random.random((12, 6)) < 0.25
        low, high = cluster_interval(np.where(gone_CL[:, :, None] | gone_CL[:, None], np.nan, values), seed)
        held += low < 0 < high
    assert 180 <= held <= 199


def test_what_cannot_vary_has_no_interval():
    values = np.full((3, 3, 3), np.nan)
    assert np.isnan(cluster_interval(values)).all()
    values[0, 0, 1] = values[0, 1, 0] = 0.5
    assert np.isnan(cluster_interval(values)).all()
    assert np.isnan(cluster_interval(np.ones((3, 1, 1)))).all()
    assert np.isnan(cluster_interval(np.ones((0, 4, 4)))).all()


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        (np.zeros((3, 4)), 0.95, r"values_CLL has the shape \(3, 4\)"),
        (np.zeros((3, 4, 5)), 0.95, "concepts × languages × languages"),
        (np.full((3, 4, 4), np.inf), 0.95, "infinite"),
        (np.zeros((3, 4, 4)), 95, "level=95: give a share"),
    ],
)
def test_what_is_no_measurement_is_refused(values, level, message):
    with pytest.raises(ValueError, match=message):
        cluster_interval(values, level=level)
