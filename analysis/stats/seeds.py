"""Mean over several seeds of training and the examples that all of them were measured on.

Shapes: N seeds, E examples (concepts, sentences), D draws.
"""

import numpy as np
from scipy.stats import t

from .intervals import ends_around
from .variances import check_level, drawn_variance, half_width


def seeds_interval(
    values_NE: np.ndarray, seed: int = 0, draws: int = 1000, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean, and its interval for further seeds and further examples like these.

    The variance of the multi-bootstrap (Sellam et al. 2022), which draws seeds and examples together: between seeds, and
    between examples, less what is in both. Each is drawn from what its degrees of freedom leave open, as few seeds tell
    theirs badly. Give differences, of two runs with the same seed or from a control, to compare.

    Of one example the interval is over seeds. Of one seed there is none: no number of examples says what another seed
    would give.

    Args:
        values_NE: NaN is left out.
        seed: of the draws of variances.
        draws: how many.
        level: share of intervals that should hold the truth.

    Returns:
        Mean, low and high end; NaN where there is no value or no interval.

    Raises:
        ValueError: another shape, an infinite value, or a level that is no share.
    """
    values_NE = np.asarray(values_NE, np.float64)
    if values_NE.ndim != 2:
        raise ValueError(f"values_NE has the shape {values_NE.shape}: give seeds × examples")
    if np.isinf(values_NE).any():
        raise ValueError("values_NE has infinite values: give NaN for what is missing")
    check_level(level)
    here_NE = ~np.isnan(values_NE)
    values_NE = values_NE[np.ix_(here_NE.any(axis=1), here_NE.any(axis=0))]
    here_NE = ~np.isnan(values_NE)
    if not values_NE.size:
        return float("nan"), float("nan"), float("nan")
    mean = float(values_NE[here_NE].mean())
    if len(values_NE) < 2:
        return mean, float("nan"), float("nan")
    moves_NE = np.where(here_NE, values_NE - mean, 0) * (here_NE.size / here_NE.sum())
    variance_D = _variances(moves_NE, np.random.default_rng(seed), draws)
    shares = bool(values_NE[here_NE].min() >= 0 and values_NE[here_NE].max() <= 1)
    return mean, *ends_around(mean, half_width(variance_D, level), shares)


def _variances(moves_NE: np.ndarray, random: np.random.Generator, draws: int) -> np.ndarray:
    """Draws of the variance of the mean."""
    seeds, examples = moves_NE.shape
    variance_D = drawn_variance(moves_NE.mean(axis=1).var(ddof=1) / seeds, seeds - 1, random, draws)
    if examples > 1:
        of_example = moves_NE.mean(axis=0).var(ddof=1) / examples
        rest_NE = moves_NE - moves_NE.mean(axis=0) - moves_NE.mean(axis=1, keepdims=True) + moves_NE.mean()
        of_both = (rest_NE**2).sum() / ((seeds - 1) * (examples - 1)) / (seeds * examples)
        variance_D = variance_D + np.maximum(drawn_variance(of_example, examples - 1, random, draws) - of_both, 0)
    return variance_D


def outlying_seeds(values_N: np.ndarray, level: float = 0.99) -> np.ndarray:
    """Which seeds lie outside the interval in which the others would have a further one, (N,) True or False.

    Student's prediction interval, so that a share of 1 − level of ordinary seeds is marked however few there are. The seed
    itself is left out, for it would hide behind the spread that it makes. Fewer than four are never marked.
    """
    check_level(level)
    values_N = np.asarray(values_N, np.float64)
    marked_N = np.zeros(len(values_N), bool)
    here_N = np.flatnonzero(~np.isnan(values_N))
    if len(here_N) < 4:
        return marked_N
    for place in here_N:
        others = values_N[here_N[here_N != place]]
        spread = others.std(ddof=1) * np.sqrt(1 + 1 / len(others))
        marked_N[place] = abs(values_N[place] - others.mean()) > t.ppf((1 + level) / 2, len(others) - 1) * spread
    return marked_N
