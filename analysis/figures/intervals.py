"""Intervals of means over concepts: concepts are what was sampled, and the texts of one of them are no further ones."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..stats import mean_interval, wilson_interval


@dataclass(frozen=True)
class Cell:
    """A share of the texts of one concept, or another mean (`texts` 0)."""

    concept: str
    value: float
    texts: int = 0


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, which is absent where there is nothing to tell it from."""

    value: float
    low: float | None
    high: float | None


def mean_over_concepts(cells: Iterable[Cell]) -> Estimate:
    """Mean over concepts of the means of their cells, each concept counting once.

    Of several concepts the interval is Student's over their means (`mean_interval`). Of one it is Wilson's, of the share
    in all its texts.
    """
    by_concept: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_concept[cell.concept].append(cell)
    assert by_concept
    means = np.array([math.fsum(cell.value for cell in part) / len(part) for part in by_concept.values()])
    value = float(means.mean())
    if len(means) > 1:
        low, high = mean_interval(means)
        # Rounding must not put the mean of equal values beyond its interval.
        return Estimate(value, min(low, value), max(high, value))
    (part,) = by_concept.values()
    texts = sum(cell.texts for cell in part)
    if not texts:
        return Estimate(value, None, None)
    return Estimate(value, *wilson_interval(round(sum(cell.value * cell.texts for cell in part)), texts))
