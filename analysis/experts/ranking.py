"""Counting negatives above each positive, for many units at once: the integer arithmetic under average precision.

Shapes: U units, S sentences, P positives, M a few sentences. A unit's responses to a set of sentences are one
contiguous row, so that sorting runs in the processor's vector instructions. Responses become integers that are equal
exactly where the responses are, and smaller where the response is larger; from then on everything is counting, and
therefore exact, ties included.
"""

from collections.abc import Sequence

import numpy as np

_LOW = np.int64(0xFFFFFFFF)


def descending(x_US: np.ndarray) -> np.ndarray:
    """int32 numbers in the opposite order of float32 responses; -0.0 and 0.0 become the same number."""
    assert x_US.dtype == np.float32
    bits_US = (x_US + np.float32(0)).view(np.int32)
    # Of negative floats the larger pattern is the smaller number: flip all bits but the sign.
    return ~(bits_US ^ ((bits_US >> 31) & np.int32(0x7FFFFFFF)))


def dense_descending(x_US: np.ndarray) -> np.ndarray:
    """The same for any dtype, by sorting each row: for input that float32 cannot hold."""
    order_US = np.argsort(-x_US, axis=1, kind="stable")
    sorted_US = np.take_along_axis(x_US, order_US, axis=1)
    rank_US = np.zeros(x_US.shape, np.int32)
    np.cumsum(sorted_US[:, 1:] != sorted_US[:, :-1], axis=1, out=rank_US[:, 1:])
    number_US = np.empty_like(rank_US)
    np.put_along_axis(number_US, order_US, rank_US, axis=1)
    return number_US


def base_keys(number_US: np.ndarray, base_S: np.ndarray) -> np.ndarray:
    """int64 keys: a sentence's number above, and below it how many sentences of the base respond at least as strongly.

    Args:
        number_US: from `descending`.
        base_S: bool, which sentences are counted.
    """
    sentences = number_US.shape[1]
    key_US = (number_US.astype(np.int64, order="C") << 32) | np.arange(sentences, dtype=np.int64)
    key_US.sort(axis=1)
    column_US = key_US & _LOW
    key_US >>= 32
    count_US = np.cumsum(base_S[column_US], axis=1, dtype=np.int32)
    _to_end_of_ties(count_US, key_US)
    key_US <<= 32
    key_US |= count_US
    found_US = np.empty(key_US.shape, np.int64)
    column_US += np.arange(len(column_US), dtype=np.int64)[:, None] * sentences
    found_US.reshape(-1)[column_US] = key_US
    return found_US


def precision_from_keys(
    key_UP: np.ndarray, plus: Sequence[np.ndarray] = (), minus: Sequence[np.ndarray] = (), less_positives: bool = False
) -> np.ndarray:
    """Average precision of each unit from the keys of its positives.

    AP = 1/P Σ_p tp(p) / (tp(p) + fp(p)), with tp and fp the positives and negatives that respond at least as strongly
    as positive p: scikit-learn's sum over distinct thresholds, written positive by positive.

    Args:
        key_UP: the positives' keys from `base_keys`; sorted in place.
        plus: numbers (U,) of negatives that the base lacks.
        minus: numbers (U,) of sentences of the base that are no negatives.
        less_positives: the positives themselves are in the base, and must not count as negatives.

    Returns:
        float64 (U,)
    """
    positives = key_UP.shape[1]
    key_UP.sort(axis=1)
    number_UP = key_UP >> 32
    fp_UP = (key_UP & _LOW).astype(np.int32)
    tp_UP = np.broadcast_to(np.arange(1, positives + 1, dtype=np.int32), key_UP.shape).copy()
    _to_end_of_ties(tp_UP, number_UP)
    if less_positives:
        fp_UP -= tp_UP
    for number_U in plus:
        fp_UP += number_U[:, None] <= number_UP
    for number_U in minus:
        fp_UP -= number_U[:, None] <= number_UP
    fp_UP += tp_UP
    return np.divide(tp_UP, fp_UP, dtype=np.float64).sum(axis=1) / positives


def _to_end_of_ties(count_US: np.ndarray, number_US: np.ndarray) -> None:
    """Give all members of a tie (equal neighbours in `number_US`) the count of its last one, in place."""
    tied_US = number_US[:, 1:] == number_US[:, :-1]
    rows = np.flatnonzero(tied_US.any(axis=1))
    if rows.size:
        last_RS = count_US[rows]
        # Counts never fall along a row: the smallest that is not masked, from the right, is the tie's own end.
        last_RS[:, :-1][tied_US[rows]] = np.iinfo(count_US.dtype).max
        count_US[rows] = np.minimum.accumulate(last_RS[:, ::-1], axis=1)[:, ::-1]
