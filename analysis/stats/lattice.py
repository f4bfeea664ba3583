"""Where on a lattice of steps and layers an effect is more than nothing, with the error of looking everywhere controlled.

All tests are one-sided, for effects above zero (negate an effect to test for one below), and flip the signs of whole
groups; what a group has to be is told in `signs`. With G groups no p can be below 2^−G: five are needed for 0.05.

Shapes: G groups, S steps, L layers (or any other axes in their place), D draws, K clusters.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from .signs import checked_groups, sign_blocks

ROUNDING = 1e-9
"""Statistics that differ by no more than this are ties."""
WITHIN_A_DRAW = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))])
"""A cell's neighbours: the steps before and after, the layers above and below, in the same draw."""


@dataclass(frozen=True)
class Clusters:
    """Clusters of neighbouring cells with an effect.

    Attributes:
        label_SL: the number of each cell's cluster from 1, 0 outside of any.
        mass_K: sum of the t values in each.
        p_K: family-wise over all clusters.
    """

    label_SL: np.ndarray
    mass_K: np.ndarray
    p_K: np.ndarray


def lattice_test(effect_GSL: np.ndarray, seed: int = 0) -> np.ndarray:
    """p of each cell, family-wise over all of them: the share of signs whose largest statistic reaches the cell's.

    The null is that there is no effect anywhere; where it fails somewhere, the p of the other cells still hold (Westfall
    and Young 1993). The statistic Σ x / √Σ x² over groups orders a cell's signs as Student's t does, and cells with the
    same groups too.

    Args:
        effect_GSL: of independent groups; NaN is left out.
        seed: of random signs; up to 13 groups all signs are used.

    Returns:
        p_SL, NaN where no group has a value.

    Raises:
        ValueError: fewer than two groups, no cell, or an infinite value.
    """
    return _flipped(effect_GSL, seed, everywhere=True)


def cell_test(effect_GSL: np.ndarray, seed: int = 0) -> np.ndarray:
    """p of each cell by itself, against no effect in it: for `false_discovery` or a single cell named beforehand.

    Args and errors as for `lattice_test`.
    """
    return _flipped(effect_GSL, seed, everywhere=False)


def _flipped(effect_GSL: np.ndarray, seed: int, everywhere: bool) -> np.ndarray:
    effect = checked_groups(effect_GSL, "effect_GSL")
    shape = effect.shape[1:]
    measured_S = ~np.isnan(effect).all(axis=0).ravel()
    p = np.full(measured_S.shape, np.nan)
    if measured_S.any():
        unit_GS = _unit(effect.reshape(len(effect), -1)[:, measured_S])
        observed_S = unit_GS.sum(axis=0) - ROUNDING
        reached_S, draws = np.zeros(len(observed_S)), 0
        for signs_DG in sign_blocks(len(effect), len(observed_S), seed):
            statistic_DS = signs_DG @ unit_GS
            if everywhere:
                largest_D = np.sort(statistic_DS.max(axis=1))
                reached_S += len(largest_D) - np.searchsorted(largest_D, observed_S)
            else:
                reached_S += (statistic_DS >= observed_S).sum(axis=0)
            draws += len(signs_DG)
        p[measured_S] = reached_S / draws
    return p.reshape(shape)


def cluster_mass_test(effect_GSL: np.ndarray, seed: int = 0, threshold: float | None = None) -> Clusters:
    """Clusters of neighbouring cells whose t reaches a threshold, and each one's p by its mass, the sum of its t.

    Family-wise over clusters (Maris and Oostenveld 2007), against no effect anywhere. What is shown is that there is an
    effect, more or less there: not that it is in every cell of the cluster, nor that it begins where the cluster does.

    Args:
        effect_GSL: of independent groups; neighbours are the steps before and after and the layers above and below.
            A cell where a group is NaN belongs to no cluster.
        seed: of random signs; up to 13 groups all signs are used.
        threshold: of t; by default the one that 5 % of cells reach without an effect.

    Raises:
        ValueError: another shape, fewer than two groups, an infinite value, or a threshold that is not above zero.
    """
    effect = checked_groups(effect_GSL, "effect_GSL")
    if effect.ndim != 3:
        raise ValueError(f"effect_GSL has the shape {effect.shape}: give groups × steps × layers")
    groups, steps, layers = effect.shape
    threshold = float(student.ppf(0.95, groups - 1)) if threshold is None else threshold
    if not threshold > 0:
        raise ValueError(f"threshold={threshold}: give a t above zero")
    whole_S = ~np.isnan(effect).any(axis=0).ravel()
    unit_GS = _unit(np.where(whole_S, effect.reshape(groups, -1), 0))
    observed_SL = _t(unit_GS.sum(axis=0)[None], groups).reshape(1, steps, layers)
    label_DSL, mass_K = _masses(observed_SL, threshold)
    reached_K, draws = np.zeros(len(mass_K)), 0
    if not len(mass_K):
        return Clusters(label_DSL[0], mass_K, reached_K)
    for signs_DG in sign_blocks(groups, steps * layers, seed):
        t_DSL = _t(signs_DG @ unit_GS, groups).reshape(-1, steps, layers)
        drawn_DSL, drawn_K = _masses(t_DSL, threshold)
        largest_D = np.zeros(len(signs_DG))
        # A cluster lies in one draw: its number stands in that draw's plane and in no other.
        draw_D, *_ = np.nonzero(drawn_DSL)
        np.maximum.at(largest_D, draw_D, drawn_K[drawn_DSL[drawn_DSL > 0] - 1])
        largest_D.sort()
        reached_K += len(largest_D) - np.searchsorted(largest_D, mass_K * (1 - ROUNDING))
        draws += len(signs_DG)
    return Clusters(label_DSL[0], mass_K, reached_K / draws)


def false_discovery(p_SL: np.ndarray) -> np.ndarray:
    """p adjusted for the share of false discoveries (Benjamini and Hochberg 1995); NaN stays and counts for nothing.

    Of the cells where it is at most q, a share of at most q is expected to be without an effect, if cells depend on each
    other positively, as neighbouring steps and layers do. No single cell is thereby shown.
    """
    p_SL = np.asarray(p_SL, np.float64)
    adjusted_SL = np.full(p_SL.shape, np.nan)
    here_SL = ~np.isnan(p_SL)
    if here_SL.any():
        adjusted_SL[here_SL] = false_discovery_control(p_SL[here_SL])
    return adjusted_SL


def _unit(effect_GS: np.ndarray) -> np.ndarray:
    """Effects divided by the root of their sum of squares, which no sign changes; 0 where missing or all are zero."""
    effect_GS = np.where(np.isnan(effect_GS), 0, effect_GS)
    size_S = np.sqrt((effect_GS**2).sum(axis=0))
    return effect_GS / np.where(size_S > 0, size_S, 1)


def _t(statistic: np.ndarray, groups: int) -> np.ndarray:
    """Student's t of Σ x / √Σ x²; equal values, whose t is infinite, have a large one."""
    share = np.clip(statistic / np.sqrt(groups), -1, 1)
    return share * np.sqrt((groups - 1) / np.maximum(1 - share**2, 1e-12))


def _masses(t_DSL: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    label_DSL, count = label(t_DSL >= threshold, structure=WITHIN_A_DRAW)
    return label_DSL, np.bincount(label_DSL.ravel(), weights=t_DSL.ravel(), minlength=count + 1)[1:]
