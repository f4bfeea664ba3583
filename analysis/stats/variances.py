"""Variances from few degrees of freedom: drawn from what these leave open, and the interval over all draws.

A mean square with n degrees of freedom is its expectation times χ²_n / n; turned round, a variance is drawn as the mean
square times n / χ²_n (a generalised pivotal quantity: Weerahandi 1993). An error that is normal with such a variance is
Student's t; with a sum of variances it is what no table has, and the draws do. A plug-in variance, or a bootstrap that
stands for one, is too small with few degrees of freedom: where it says 95 % it holds the truth in 80 %.

Shapes: D draws.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr


def drawn_variance(variance: float, freedom: int, random: np.random.Generator, draws: int) -> np.ndarray:
    """Draws of a variance that was found with some degrees of freedom, (D,)."""
    return variance * freedom / random.chisquare(freedom, draws)


def half_width(variance_D: np.ndarray, level: float) -> float:
    """The h with P(|error| ≤ h) = level, of a normal error whose variance is one of the given ones."""
    deviation_D = np.sqrt(variance_D)
    largest = deviation_D.max()
    if not largest:
        return 0.0
    deviation_D = np.maximum(deviation_D, 1e-12 * largest)
    return float(brentq(lambda half: (2 * ndtr(half / deviation_D) - 1).mean() - level, 0, 40 * largest, rtol=1e-10))


def check_level(level: float) -> None:
    """ValueError for a level that is no share, such as 95."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}: give a share between 0 and 1, such as 0.95")
