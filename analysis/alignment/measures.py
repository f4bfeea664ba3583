"""How alike the representations of translations are: retrieval, cosine margin, and linear CKA without bias.

Shapes: S sentences, in the same order in both languages; D model width; P permutations. All in float64.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alignment:
    """Measures of one layer and two languages, x and y.

    Attributes:
        forward, backward: share of the sentences of x whose nearest sentence of y is the translation, and of y in x.
        margin: mean cosine of translations less that of all other pairs.
        cka: linear CKA of the two sets, 0 in expectation where they are unrelated; NaN where one set does not vary.
        null_P: that of each permutation of the sentences of y.
    """

    forward: float
    backward: float
    margin: float
    cka: float
    null_P: np.ndarray

    @property
    def cka_null(self) -> float:
        """Mean over the permutations."""
        return float(self.null_P.mean()) if len(self.null_P) else np.nan

    @property
    def cka_null_high(self) -> float:
        """Their 95th percentile, see `high`."""
        return high(self.null_P)

    @property
    def cka_p(self) -> float:
        """Share of permutations, the identity counted, whose CKA is at least as high."""
        above = 1 + np.sum(self.null_P >= self.cka)
        return float(above / (1 + len(self.null_P))) if np.isfinite(self.cka) else np.nan


def high(null_P: np.ndarray) -> float:
    """95th percentile of values under a null: the quantile of rank 0.95 (P + 1), the highest where P is below 19.

    Of P + 1 values of one distribution, the last lies above that of the others one time in twenty (P = 19, 39, 99, …).
    """
    return float(np.percentile(null_P, 95, method="weibull")) if len(null_P) else np.nan


def align(x_SD: np.ndarray, y_SD: np.ndarray, permutations_PS: np.ndarray) -> Alignment:
    """Compare pooled states of translations. Cosines are of states centred in their language.

    Raises:
        ValueError: other shapes, or fewer than 4 sentences, of which CKA's estimator is not defined.
    """
    if x_SD.shape != y_SD.shape or x_SD.ndim != 2 or len(x_SD) < 4:
        raise ValueError(f"states {x_SD.shape} and {y_SD.shape}: give the same sentences of both, at least 4")
    x_SD, y_SD = centred(x_SD), centred(y_SD)
    cosine_SS = _unit(x_SD) @ _unit(y_SD).T
    forward, backward = _hits(cosine_SS), _hits(cosine_SS.T)
    count = len(cosine_SS)
    parallel = np.trace(cosine_SS) / count
    other = (cosine_SS.sum() - np.trace(cosine_SS)) / (count * (count - 1))
    cka, null_P = debiased_cka(x_SD, y_SD, permutations_PS)
    return Alignment(forward, backward, float(parallel - other), cka, null_P)


def centred(x_SD: np.ndarray) -> np.ndarray:
    """States less their mean: what is common to a language's sentences says nothing about their meaning."""
    x_SD = np.asarray(x_SD, np.float64)
    return x_SD - x_SD.mean(axis=0)


def debiased_cka(x_SD: np.ndarray, y_SD: np.ndarray, permutations_PS: np.ndarray) -> tuple[float, np.ndarray]:
    """Linear CKA (Kornblith et al. 2019) from the unbiased estimator of HSIC (Song et al. 2012, equation 5).

    The common, biased estimator is near 1 for unrelated sets when D exceeds S.

    Returns:
        CKA, and that of each permutation of the sentences of y.
    """
    k_SS, l_SS = _gram(x_SD), _gram(y_SD)
    scale = np.sqrt(max(_hsic(k_SS, k_SS), 0.0) * max(_hsic(l_SS, l_SS), 0.0))
    if not scale > 0:
        return np.nan, np.full(len(permutations_PS), np.nan)
    count = len(k_SS)
    row_k_S, row_l_S = k_SS.sum(axis=1), l_SS.sum(axis=1)
    # Only these two sums change when y's sentences change places.
    constant = row_k_S.sum() * row_l_S.sum() / ((count - 1) * (count - 2))
    null_P = np.array(
        [
            np.vdot(k_SS, l_SS[np.ix_(order_S, order_S)]) + constant - 2 / (count - 2) * (row_k_S @ row_l_S[order_S])
            for order_S in permutations_PS
        ]
    )
    return float(_hsic(k_SS, l_SS) / scale), null_P / (count * (count - 3)) / scale


def _gram(x_SD: np.ndarray) -> np.ndarray:
    gram_SS = np.asarray(x_SD, np.float64) @ np.asarray(x_SD, np.float64).T
    np.fill_diagonal(gram_SS, 0.0)
    return gram_SS


def _hsic(k_SS: np.ndarray, l_SS: np.ndarray) -> float:
    """The unbiased estimator, of Gram matrices without their diagonal."""
    count = len(k_SS)
    row_k_S, row_l_S = k_SS.sum(axis=1), l_SS.sum(axis=1)
    total = np.vdot(k_SS, l_SS) + row_k_S.sum() * row_l_S.sum() / ((count - 1) * (count - 2))
    return float(total - 2 / (count - 2) * (row_k_S @ row_l_S)) / (count * (count - 3))


def _unit(x_SD: np.ndarray) -> np.ndarray:
    norm_S1 = np.linalg.norm(x_SD, axis=1, keepdims=True)
    return x_SD / np.where(norm_S1 > 0, norm_S1, 1.0)


def _hits(cosine_SS: np.ndarray) -> float:
    """Share of rows whose highest entry is on the diagonal; of n equally high ones each has 1/n."""
    highest_S1 = cosine_SS.max(axis=1, keepdims=True)
    # Equal sentences have equal cosines but for rounding.
    top_SS = cosine_SS >= highest_S1 - 1e-12
    return float((np.diag(top_SS) / top_SS.sum(axis=1)).mean())
