"""Interval of a mean over concepts and pairs of languages, where both the concepts and the languages are a sample.

A value of concept c and languages a, b is taken as μ + α_c + β_a + β_b + γ_ab + (δ_ca + δ_cb + ε_cab), all effects
random. Two variances of the mean can be seen: that between concepts (α and what is in brackets), and that between
languages (β, γ and the brackets), from the analysis of variance of a round robin. What is in brackets is in both and
taken off once.

Each variance is drawn from what its degrees of freedom leave open (`variances`): few concepts or languages tell it
badly, which a plain bootstrap does not know.

Shapes: C concepts, L languages, R pairs of different languages, D draws.
"""

import numpy as np

from .intervals import ends_around
from .variances import check_level, drawn_variance, half_width

FEW_LANGUAGES = 8
"""With fewer, the variance between pairs beyond their languages has too few degrees of freedom to be taken off."""


def cluster_interval(
    values_CLL: np.ndarray, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over concepts and pairs of different languages, for further concepts and languages.

    Neither two pairs that share a language nor two pairs of one concept are independent. Of a single concept the
    interval is about that concept and over languages; of two languages it is about these two and over concepts: what
    does not vary in the values cannot be told from them. Of one concept in two languages there is no interval.

    In simulations (`benchmarks/coverage.py`) 93 to 98 % of intervals hold the truth from 8 concepts × 4 languages on; with
    fewer, and where neither concepts nor languages differ beyond noise, up to all of them do.

    Args:
        values_CLL: symmetric in the languages; the diagonal is not read, NaN is left out. Where all are within 0 and 1
            they are taken for shares (see `ends_around`).
        seed: of the draws of variances.
        draws: how many; with 1,000 the ends move with the seed by some 2 % of the width.
        level: share of intervals that should hold the truth.

    Returns:
        Low and high end; NaN where there is no interval.

    Raises:
        ValueError: another shape, an infinite value, or a level that is no share.
    """
    return _interval(values_CLL, False, seed, draws, level)


def control_interval(
    values_CLL: np.ndarray, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """As `cluster_interval`, where a concept's values are its means with all different concepts, as a control's are.

    A concept is then in its own value and a little in everybody else's, which makes values alike: taken for independent
    they would give an interval of half the width. A concept moves the mean over pairs of concepts by
    2 (C − 1) / (C − 2) times what its own value does, as pseudo-values of the jackknife that leaves a concept out of all
    pairs say. Of two concepts there is no interval.
    """
    return _interval(values_CLL, True, seed, draws, level)


def _interval(values_CLL: np.ndarray, with_others: bool, seed: int, draws: int, level: float) -> tuple[float, float]:
    values_CLL = np.asarray(values_CLL, np.float64)
    if values_CLL.ndim != 3 or values_CLL.shape[1] != values_CLL.shape[2]:
        raise ValueError(f"values_CLL has the shape {values_CLL.shape}: give concepts × languages × languages")
    if np.isinf(values_CLL).any():
        raise ValueError("values_CLL has infinite values: give NaN for what is missing")
    check_level(level)
    values_CR, languages = _measured(values_CLL)
    if not values_CR.size:
        return float("nan"), float("nan")
    here_CR = ~np.isnan(values_CR)
    mean = float(values_CR[here_CR].mean())
    # How far each cell moves the mean, in its own units; cells that are missing move nothing.
    moves_CR = np.where(here_CR, values_CR - mean, 0) * (here_CR.size / here_CR.sum())
    if with_others:
        if len(moves_CR) < 3:
            return float("nan"), float("nan")
        moves_CR = _moves_of_pairs(moves_CR)
    variance_D = _variances(moves_CR, languages, np.random.default_rng(seed), draws)
    if variance_D is None:
        return float("nan"), float("nan")
    shares = bool(values_CR[here_CR].min() >= 0 and values_CR[here_CR].max() <= 1)
    return ends_around(mean, half_width(variance_D, level), shares)


def _measured(values_CLL: np.ndarray) -> tuple[np.ndarray, int]:
    """Values of the pairs, without concepts and languages that have none; how many languages are left."""
    off = ~np.eye(values_CLL.shape[1], dtype=bool)
    here_CLL = ~np.isnan(values_CLL) & off
    concepts, languages = here_CLL.any(axis=(1, 2)), here_CLL.any(axis=(0, 2))
    kept_CLL = values_CLL[np.ix_(concepts, languages, languages)]
    a_R, b_R = np.triu_indices(kept_CLL.shape[1], 1)
    return kept_CLL[:, a_R, b_R], kept_CLL.shape[1]


def _moves_of_pairs(moves_CR: np.ndarray) -> np.ndarray:
    """How far each concept moves a mean over pairs of concepts, from how far its mean with the others does."""
    concepts, mean_R = len(moves_CR), moves_CR.mean(axis=0)
    return mean_R + 2 * (concepts - 1) / (concepts - 2) * (moves_CR - mean_R)


def _variances(moves_CR: np.ndarray, languages: int, random: np.random.Generator, draws: int) -> np.ndarray | None:
    """Draws of the variance of the mean; None where neither concepts nor languages can vary."""
    concepts = len(moves_CR)
    few_concepts, few_languages = concepts < 2, languages < 3
    if few_concepts and few_languages:
        return None
    between_D = np.zeros(draws)
    if not few_concepts:
        concept_C = moves_CR.mean(axis=1)
        between_D = drawn_variance(concept_C.var(ddof=1) / concepts, concepts - 1, random, draws)
        if few_languages:
            return between_D
    mean_R = moves_CR.mean(axis=0)
    of_language, of_pair = _round_robin(mean_R, languages)
    within_D = drawn_variance(of_language, languages - 1, random, draws)
    if languages >= FEW_LANGUAGES:
        within_D = within_D - drawn_variance(of_pair, languages * (languages - 3) // 2, random, draws)
    if not few_concepts:
        both = np.array(_round_robin(moves_CR - mean_R, languages)) / (concepts * (concepts - 1))
        within_D = within_D - max(both[0] - (both[1] if languages >= FEW_LANGUAGES else 0), 0)
    return between_D + np.maximum(within_D, 0)


def _round_robin(moves: np.ndarray, languages: int) -> tuple[float, float]:
    """What languages, and pairs beyond their languages, put into the variance of a mean over all pairs.

    The mean's variance, 4 var(β) / L + var(γ) / R, is the first less the second, both expectations of mean squares
    times a constant. Of several rows the sum is given.

    Args:
        moves: (..., R) in the order of `np.triu_indices(languages, 1)`.
    """
    a_R, b_R = np.triu_indices(languages, 1)
    incidence_RL = np.zeros((len(a_R), languages))
    incidence_RL[np.arange(len(a_R)), a_R] = incidence_RL[np.arange(len(b_R)), b_R] = 1
    rows = np.atleast_2d(moves)
    rows = rows - rows.mean(axis=1, keepdims=True)
    effect = rows @ incidence_RL / (languages - 2)
    rest = rows - effect @ incidence_RL.T
    square_of_language = (languages - 2) * (effect**2).sum() / (languages - 1)
    of_language = 4 * square_of_language / (languages * (languages - 2))
    freedom = languages * (languages - 3) // 2
    if not freedom:
        return float(of_language), 0.0
    return float(of_language), float(2 * (rest**2).sum() / freedom / ((languages - 1) * (languages - 2)))
