"""Random signs of groups: the null of every test here that asks whether an effect is more than nothing.

Groups (concepts, seeds of training) have to be independent of each other and, were there no effect, as likely to
deviate upwards as downwards, as a difference of two measures that are then exchangeable does. What a group's
measurements at several steps and layers have to do with each other may be anything: they change sign together.
Pairs of languages are no groups, for two of them share a language; take their mean over pairs first.

Shapes: D draws, G groups.
"""

from collections.abc import Iterator

import numpy as np

EXACT_GROUPS = 13
"""Up to so many all 2^G signs are used: 8,192."""
DRAWS = 10_000
"""Of random signs for more groups; the measured ones count as one more."""
CELLS_AT_ONCE = 1 << 22


def sign_blocks(groups: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """Signs (D, G) in blocks, the measured signs, all +1, first: all there are, or random ones.

    Args:
        groups: how many.
        width: how many numbers are computed for one draw; it bounds the rows of a block.
        seed: of random signs.
    """
    rows = max(1, CELLS_AT_ONCE // max(width, groups))
    if groups <= EXACT_GROUPS:
        for start in range(0, 2**groups, rows):
            number_D = np.arange(start, min(start + rows, 2**groups))
            yield 1.0 - 2.0 * (number_D[:, None] >> np.arange(groups) & 1)
        return
    random = np.random.default_rng(seed)
    yield np.ones((1, groups))
    for start in range(0, DRAWS, rows):
        yield random.choice((-1.0, 1.0), size=(min(rows, DRAWS - start), groups))


def checked_groups(effect: np.ndarray, name: str) -> np.ndarray:
    """An effect as (G, ...) float64.

    Raises:
        ValueError: fewer than two groups, nothing in a group, or an infinite value.
    """
    effect = np.asarray(effect, np.float64)
    if effect.ndim < 2 or len(effect) < 2 or not effect.size:
        raise ValueError(f"{name} has the shape {effect.shape}: give at least two groups, each with its effects")
    if np.isinf(effect).any():
        raise ValueError(f"{name} has infinite values: give NaN for what is missing")
    return effect
