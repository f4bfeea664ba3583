"""Which units are experts of a concept: average precision of every unit, and the top of the list.

Shapes: P positive and N negative sentences, U units, k experts.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from .ranking import base_keys, dense_descending, descending, precision_from_keys

Array = TypeVar("Array", np.ndarray, Tensor)
Result = TypeVar("Result")

CHUNK_NUMBERS, CHUNK_UNITS = 250_000, 128
"""Responses that one thread works on at a time, few enough to stay in its cache; and units, enough to be worth a call."""


def average_precision(positive_PU: Array, negative_NU: Array) -> Array:
    """Average precision with which each unit's response separates positives from negatives.

    AP = Σ_n (R_n − R_{n−1}) P_n over the distinct responses in descending order, R and P recall and precision of
    "responds at least so strongly": the same number as `sklearn.metrics.average_precision_score`, ties included, for
    all units at once. Without ties a random unit has about P / (P + N).

    Args:
        positive_PU: responses to sentences of the concept, tensor or array.
        negative_NU: responses to other sentences.

    Returns:
        float64 (U,), of the same kind (tensor on the CPU or array) as the input.

    Raises:
        ValueError: shapes do not fit, a side is empty, or a response is NaN or infinite.
    """
    as_tensor = isinstance(positive_PU, Tensor)
    positive: np.ndarray = _matrix(positive_PU, "positive_PU")
    negative: np.ndarray = _matrix(negative_NU, "negative_NU")
    if positive.shape[1] != negative.shape[1]:
        raise ValueError(
            f"positive_PU has {positive.shape[1]} units and negative_NU has {negative.shape[1]}: "
            "both need the responses of the same units"
        )
    base_S: np.ndarray = np.arange(len(positive) + len(negative)) >= len(positive)

    def chunk_precision(units: slice) -> np.ndarray:
        x_US = np.ascontiguousarray(np.concatenate([positive[:, units], negative[:, units]]).T)
        number_US = descending(x_US) if x_US.dtype == np.float32 else dense_descending(x_US)
        return precision_from_keys(base_keys(number_US, base_S)[:, : len(positive)])

    ap_U = np.concatenate([np.zeros(0), *in_chunks(chunk_precision, positive.shape[1], len(base_S))])
    return cast(Array, torch.from_numpy(ap_U) if as_tensor else ap_U)


def top_experts(ap_U: Array, k: int) -> Array:
    """Indices of the k units with the highest average precision, highest first, ties by lowest index.

    Returns:
        int64 (k,), of the same kind (tensor on the CPU or array) as the input.

    Raises:
        ValueError: k is below 1 or above the number of units, or a value is NaN.
    """
    as_tensor = isinstance(ap_U, Tensor)
    ap = ap_U.detach().cpu().numpy() if isinstance(ap_U, Tensor) else np.asarray(ap_U)
    if ap.ndim != 1:
        raise ValueError(f"ap_U has shape {tuple(ap.shape)}: give one value a unit")
    if not 1 <= k <= len(ap):
        raise ValueError(f"k={k}: choose between 1 and the number of units, {len(ap)}")
    if np.isnan(ap).any():
        raise ValueError(f"ap_U is NaN for unit {int(np.flatnonzero(np.isnan(ap))[0])}: it has no rank")
    threshold = np.partition(ap, len(ap) - k)[len(ap) - k]
    above = np.flatnonzero(ap > threshold)
    level = np.flatnonzero(ap == threshold)[: k - len(above)]
    chosen = np.concatenate([above, level])
    # Stable: both parts are in ascending order of index, and equal values lie in the same part.
    chosen = chosen[np.argsort(-ap[chosen], kind="stable")].astype(np.int64)
    return cast(Array, torch.from_numpy(chosen) if as_tensor else chosen)


def expert_count(k: float | None, units: int) -> int:
    """How many experts `k` means for a model: a number, a fraction of its units, or by default one in a hundred.

    The study takes 500 of 159,744 to 1,105,920 units; the default is 500 as well, but at most 1 % of a small model.

    Raises:
        ValueError: k is not positive, or not below the number of units.
    """
    if k is None:
        return min(500, max(1, units // 100))
    # One type for both: which of int and float a parser tries first depends on what else it has parsed.
    if not isinstance(k, bool) and k >= 1 and float(k).is_integer():
        k = int(k)
    if isinstance(k, bool) or (isinstance(k, float) and not 0 < k < 1) or k <= 0:
        raise ValueError(f"k={k}: give a number of experts (500) or a fraction of the units between 0 and 1 (0.01)")
    count = max(1, round(k * units)) if isinstance(k, float) else k
    if count >= units:
        raise ValueError(f"k={k}: the model has only {units} units; give fewer, or a fraction of them (0.01)")
    return count


def in_chunks(work: Callable[[slice], Result], units: int, sentences: int, at_once: int | None = None) -> list[Result]:
    """`work(slice)` over chunks of units (of `at_once` units each) on as many threads as torch uses; results in order.

    NumPy lets go of the interpreter while it sorts, so threads help. Each unit's result is its own: the chunks do
    not show in it.
    """
    size = max(1, min(units, at_once or max(CHUNK_UNITS, CHUNK_NUMBERS // max(1, sentences))))
    chunks = [slice(start, min(start + size, units)) for start in range(0, units, size)]
    threads = min(torch.get_num_threads(), len(chunks))
    if threads <= 1:
        return [work(chunk) for chunk in chunks]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, chunks))


def _matrix(responses: np.ndarray | Tensor, name: str) -> np.ndarray:
    if isinstance(responses, Tensor):
        responses = responses.detach().cpu()
        responses = (responses if responses.dtype == torch.float64 else responses.float()).numpy()
    matrix = np.asarray(responses)
    if matrix.dtype != np.float32:
        matrix = matrix.astype(np.float32 if matrix.dtype == np.float16 else np.float64)
    if matrix.ndim != 2 or not len(matrix):
        raise ValueError(f"{name} has shape {matrix.shape}: give at least one sentence, as (sentences, units)")
    if not all(np.isfinite(row).all() for row in matrix):
        sentence, unit = np.argwhere(~np.isfinite(matrix))[0]
        raise ValueError(
            f"{name} is {matrix[sentence, unit]} for sentence {sentence}, unit {unit}: such a response has no rank"
        )
    return matrix
