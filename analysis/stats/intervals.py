"""Intervals: of a share, and of a mean over concepts and pairs of languages.

Shapes: C concepts, L languages, R pairs of different languages, D draws.
"""

import math

import numpy as np

Z = 1.959963984540054
"""Of a two-sided 95 % interval."""


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): the p with |p̂ − p| ≤ z √(p(1 − p)/n)."""
    assert 0 <= successes <= trials
    assert trials
    share, spread = successes / trials, Z * Z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # At the ends the interval ends exactly there; rounding must not put it beyond.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


def cluster_interval(values_CLL: np.ndarray, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over concepts and pairs of different languages.

    Concepts and languages are drawn with replacement, each with all its measurements, for neither two pairs that share
    a language nor two pairs of one concept are independent. A language drawn twice makes no pair with itself; draws
    without any pair are left out.

    Args:
        values_CLL: symmetric in the languages; NaN is left out.
    """
    concepts, languages, _ = values_CLL.shape
    a, b = np.triu_indices(languages, 1)
    values_CR = values_CLL[:, a, b]
    here_CR = ~np.isnan(values_CR)
    if not here_CR.any():
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    weight_DC = random.multinomial(concepts, np.full(concepts, 1 / concepts), size=draws)
    weight_DL = random.multinomial(languages, np.full(languages, 1 / languages), size=draws)
    weight_DR = weight_DL[:, a] * weight_DL[:, b]
    total_D = ((weight_DC @ np.where(here_CR, values_CR, 0)) * weight_DR).sum(axis=1)
    count_D = ((weight_DC @ here_CR) * weight_DR).sum(axis=1)
    low, high = np.quantile(total_D[count_D > 0] / count_D[count_D > 0], [0.025, 0.975])
    return float(low), float(high)
