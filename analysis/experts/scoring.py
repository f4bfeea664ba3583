"""Average precision of many units for all concepts of a language, in both halves of its sentences.

Shapes: U units, S sentences, C concepts, P positives, N negatives.
"""

import numpy as np

from ..failures import BrokenModelError
from .halves import ConceptColumns, Half, LanguageSentences
from .ranking import base_keys, descending, precision_from_keys
from .selection import in_chunks


def precision_in_halves(
    responses_SU: np.ndarray, sentences: LanguageSentences, at_once: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """AP of every unit for every concept that the language has sentences for.

    Args:
        responses_SU: float32 responses to `sentences.sentences`, in that order.
        at_once: units that one thread works on at a time; it does not show in the numbers.

    Returns:
        float64 (C, U) in the choosing and in the scoring half; concepts in the order of the halves' concepts.

    Raises:
        BrokenModelError: a response is NaN or infinite.
    """
    units = responses_SU.shape[1]
    ap_HCU = np.empty((2, len(sentences.halves[0].concepts), units))

    def chunk_precision(chunk: slice) -> None:
        x_US = np.ascontiguousarray(responses_SU[:, chunk].T)
        if not np.isfinite(x_US).all():
            raise BrokenModelError(
                "a response is NaN or infinite and has no rank: the weights are broken, or the precision overflows "
                "(XGLM in float16 does; use bfloat16 or float32)"
            )
        number_US = descending(x_US)
        for half, ap_CU in zip(sentences.halves, ap_HCU, strict=True):
            _half_precision(number_US, half, ap_CU[:, chunk])

    in_chunks(chunk_precision, units, responses_SU.shape[0], at_once)
    return ap_HCU[0], ap_HCU[1]


def _half_precision(number_US: np.ndarray, half: Half, ap_CU: np.ndarray) -> None:
    key_US = base_keys(number_US.take(half.column_S, axis=1), half.base_S)
    for row, part in enumerate(half.concepts):
        if part.alone:
            ap_CU[row] = _alone(number_US, part)
            continue
        ap_CU[row] = precision_from_keys(
            key_US.take(np.searchsorted(half.column_S, part.positive_P), axis=1),
            plus=[number_US[:, column] for column in part.plus_M],
            minus=[number_US[:, column] for column in part.minus_M],
            less_positives=part.less_positives,
        )


def _alone(number_US: np.ndarray, part: ConceptColumns) -> np.ndarray:
    column_S = np.concatenate([part.positive_P, part.negative_N])
    negative_S = np.arange(len(column_S)) >= len(part.positive_P)
    return precision_from_keys(base_keys(number_US.take(column_S, axis=1), negative_S)[:, : len(part.positive_P)])
