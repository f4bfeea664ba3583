"""How many experts languages share, and how many they would share by chance.

Shapes: C concepts, L languages, k experts of a concept in a language. Where a concept has no experts in a language,
its indices are -1 and its numbers NaN.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike


def overlap(a: ArrayLike, b: ArrayLike) -> float:
    """|A ∩ B| / k: the share of k experts that two sets of k have in common.

    Raises:
        ValueError: the sets are empty, differ in size, or hold a unit twice.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"a has shape {a.shape} and b has {b.shape}: give two lists of k experts, of the same k")
    if len(np.unique(a)) < len(a) or len(np.unique(b)) < len(b):
        raise ValueError("a unit is listed twice: give sets of experts")
    return len(np.intersect1d(a, b)) / len(a)


def chance_overlap(k: int, n: int) -> float:
    """k / n: the expected overlap of two independent sets of k out of n units.

    Raises:
        ValueError: not 1 <= k <= n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"k={k}, n={n}: choose k between 1 and the number of units")
    return k / n


def layered_chance(a_layers: ArrayLike, b_layers: ArrayLike, per_layer: ArrayLike) -> float:
    """Σ_layer a_l b_l / n_l / k: the expected overlap if both sets only had to keep their numbers in each layer.

    Args:
        a_layers, b_layers: the layer of each expert.
        per_layer: number of units of each layer.
    """
    per_layer = np.asarray(per_layer)
    a = np.bincount(np.asarray(a_layers), minlength=len(per_layer))
    b = np.bincount(np.asarray(b_layers), minlength=len(per_layer))
    return float((a * b / per_layer).sum() / a.sum())


def corrected_overlap(observed: ArrayLike, chance: ArrayLike) -> np.ndarray:
    """(observed − chance) / (1 − chance): 0 at chance, 1 where everything is shared, negative below chance.

    Raises:
        ValueError: chance is 1 or more, where nothing is left to exceed it.
    """
    observed, chance = np.asarray(observed, float), np.asarray(chance, float)
    if (chance >= 1).any():
        raise ValueError("chance is 1: k is the number of units; choose fewer experts")
    return (observed - chance) / (1 - chance)


def shared_experts(indices_CLk: np.ndarray, units: int) -> np.ndarray:
    """Number of experts that each pair of languages shares for each concept: float64 (C, L, L), NaN where missing."""
    concepts, languages, _ = indices_CLk.shape
    shared_CLL = np.full((concepts, languages, languages), np.nan)
    expert_LU = np.zeros((languages, units), bool)
    for concept, present in _present(indices_CLk):
        rows = present[:, None]
        expert_LU[rows, indices_CLk[concept, present]] = True
        for language in present:
            shared_CLL[concept, language, present] = expert_LU[rows, indices_CLk[concept, language]].sum(axis=1)
        expert_LU[rows, indices_CLk[concept, present]] = False
    return shared_CLL


def layered_chances(layers_CLk: np.ndarray, per_layer: np.ndarray) -> np.ndarray:
    """`layered_chance` of each pair of languages for each concept, (C, L, L); layer -1 where missing."""
    k = layers_CLk.shape[2]
    counts_CLD = np.stack([(layers_CLk == layer).sum(axis=2) for layer in range(len(per_layer))], axis=2)
    chance_CLL = np.einsum("cad,cbd->cab", counts_CLD / per_layer, counts_CLD) / k
    missing_CL = layers_CLk[:, :, 0] < 0
    chance_CLL[missing_CL[:, :, None] | missing_CL[:, None, :]] = np.nan
    return chance_CLL


def control_overlap(indices_CLk: np.ndarray, shared_CLL: np.ndarray, units: int) -> np.ndarray:
    """Mean overlap of a concept's experts with those of all different concepts in the other language, (C, L, L).

    Of the two directions (the concept in the one language, the others in the other, and the reverse) the mean. NaN
    where the concept is missing in either language, or where a language has no other concept.
    """
    concepts, languages, k = indices_CLk.shape
    present_CL = indices_CLk[:, :, 0] >= 0
    uses_LU = np.zeros((languages, units), np.int32)
    for concept, present in _present(indices_CLk):
        uses_LU[present[:, None], indices_CLk[concept, present]] += 1
    # Every time that a unit of A's is an expert of any concept in B, less the times it is one of the same concept.
    one_way_CLL = np.full((concepts, languages, languages), np.nan)
    others_CL = present_CL.sum(axis=0) - present_CL.astype(np.int64)
    for concept, present in _present(indices_CLk):
        for language in present:
            uses_L = uses_LU[present[:, None], indices_CLk[concept, language]].sum(axis=1)
            others_L = others_CL[concept, present]
            different_L = uses_L - shared_CLL[concept, language, present]
            mean_L = np.divide(different_L, others_L * k, out=np.full(len(present), np.nan), where=others_L > 0)
            one_way_CLL[concept, language, present] = mean_L
    return (one_way_CLL + one_way_CLL.transpose(0, 2, 1)) / 2


def languages_per_unit(indices_CLk: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each concept with experts: its number, the units that are its experts anywhere, and in how many languages."""
    for concept, present in _present(indices_CLk):
        if present.size:
            yield concept, *np.unique(indices_CLk[concept, present], return_counts=True)


def _present(indices_CLk: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for concept, indices_Lk in enumerate(indices_CLk):
        yield concept, np.flatnonzero(indices_Lk[:, 0] >= 0)
