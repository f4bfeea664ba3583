"""Overlap, chance levels, control and bootstrap, by hand and against plain sets."""

import itertools

import numpy as np
import pytest
from babelscope.analysis.experts.overlap import (
    chance_overlap,
    control_overlap,
    corrected_overlap,
    languages_per_unit,
    layered_chance,
    layered_chances,
    overlap,
    shared_experts,
)


def _random_experts(seed: int, concepts: int = 5, languages: int = 4, k: int = 12, units: int = 40) -> np.ndarray:
    random = np.random.default_rng(seed)
    indices = np.stack([random.permutation(units)[:k] for _ in range(concepts * languages)])
    indices_CLk = indices.reshape(concepts, languages, k)
    indices_CLk[1, 2] = indices_CLk[3, 0] = indices_CLk[4, 1:] = -1
    return indices_CLk


def test_overlap_by_hand():
    assert overlap([1, 2, 3, 4], [9, 4, 2, 8]) == 0.5
    assert overlap([1], [1]) == 1
    assert overlap([1, 2], [3, 4]) == 0


def test_overlap_refuses():
    with pytest.raises(ValueError, match=r"a has shape \(2,\) and b has \(3,\): give two lists of k experts"):
        overlap([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="a unit is listed twice"):
        overlap([1, 1], [1, 2])


def test_chance_by_hand():
    assert chance_overlap(500, 159_744) * 500 == pytest.approx(1.565, abs=1e-3)
    assert chance_overlap(500, 221_184) * 500 == pytest.approx(1.130, abs=1e-3)
    with pytest.raises(ValueError, match="k=5, n=4"):
        chance_overlap(5, 4)
    # Layer 0: 2 * 1 / 4, layer 1: 1 * 2 / 10, of 3.
    assert layered_chance([0, 0, 1], [0, 1, 1], [4, 10]) == pytest.approx((0.5 + 0.2) / 3)
    assert corrected_overlap(0.6, 0.2) == pytest.approx(0.5)
    assert corrected_overlap(1.0, 0.2) == 1
    with pytest.raises(ValueError, match="chance is 1"):
        corrected_overlap(1.0, 1.0)


def test_chance_is_what_independent_sets_share():
    # Expected before measuring: k/n = 0.2 with a standard error of 0.0023 over 1,000 pairs.
    random = np.random.default_rng(0)
    found = [overlap(random.permutation(100)[:20], random.permutation(100)[:20]) for _ in range(1000)]
    assert np.mean(found) == pytest.approx(chance_overlap(20, 100), abs=0.0023 * 4)


def test_layered_chance_is_what_sets_with_the_same_layers_share():
    random = np.random.default_rng(1)
    layer = np.repeat([0, 1], [30, 70])

    def draw() -> np.ndarray:
        return np.r_[random.permutation(30)[:15], 30 + random.permutation(70)[:5]]

    found = [overlap(draw(), draw()) for _ in range(1000)]
    chance = layered_chance(layer[draw()], layer[draw()], [30, 70])
    assert chance == pytest.approx((15 * 15 / 30 + 5 * 5 / 70) / 20)
    assert np.mean(found) == pytest.approx(chance, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_arrays_equal_plain_sets(seed):
    indices = _random_experts(seed)
    concepts, languages, k = indices.shape
    shared = shared_experts(indices, 40)
    control = control_overlap(indices, shared, 40)
    layers = np.where(indices < 0, -1, indices // 10)
    layered = layered_chances(layers, np.full(4, 10))
    sets = {
        (c, a): set(indices[c, a].tolist()) for c in range(concepts) for a in range(languages) if indices[c, a, 0] >= 0
    }
    for c, a, b in itertools.product(range(concepts), range(languages), range(languages)):
        if (c, a) not in sets or (c, b) not in sets:
            assert np.isnan([shared[c, a, b], control[c, a, b], layered[c, a, b]]).all()
            continue
        assert shared[c, a, b] == len(sets[c, a] & sets[c, b])
        assert layered[c, a, b] == pytest.approx(layered_chance(layers[c, a], layers[c, b], np.full(4, 10)))
        there = [len(sets[c, a] & sets[d, b]) / k for d in range(concepts) if d != c and (d, b) in sets]
        back = [len(sets[c, b] & sets[d, a]) / k for d in range(concepts) if d != c and (d, a) in sets]
        assert control[c, a, b] == pytest.approx((np.mean(there) + np.mean(back)) / 2)


def test_control_needs_another_concept():
    indices = np.arange(6).reshape(1, 2, 3)
    assert np.isnan(control_overlap(indices, shared_experts(indices, 6), 6)).all()


def test_languages_per_unit_by_hand():
    indices = np.array([[[0, 1], [1, 2], [1, 3]], [[-1, -1], [-1, -1], [4, 5]], [[-1, -1]] * 3])
    found = {
        c: dict(zip(units.tolist(), counts.tolist(), strict=True)) for c, units, counts in languages_per_unit(indices)
    }
    assert found == {0: {0: 1, 1: 3, 2: 1, 3: 1}, 1: {4: 1, 5: 1}}
