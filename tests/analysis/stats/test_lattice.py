"""Tests over steps and layers: against plain loops, mne and statsmodels, and against planted effects and their absence."""

import itertools

import numpy as np
import pytest
from babelscope.analysis.stats import cell_test, cluster_mass_test, false_discovery, lattice_test
from babelscope.analysis.stats.signs import DRAWS, EXACT_GROUPS, sign_blocks
from scipy import stats

THRESHOLD = float(stats.t.ppf(0.95, 7))


@pytest.fixture
def effect_GSL() -> np.ndarray:
    """Eight groups; an effect in the middle steps and layers, none elsewhere."""
    random = np.random.default_rng(5)
    effect = random.normal(0, 1, (8, 6, 4))
    effect[:, 2:5, 1:3] += 0.9
    return np.round(effect, 3)


def _t(effect_GSL: np.ndarray) -> np.ndarray:
    return stats.ttest_1samp(effect_GSL, 0).statistic


def _all_signs(groups: int) -> list[np.ndarray]:
    return [np.array(signs)[:, None, None] for signs in itertools.product((1.0, -1.0), repeat=groups)]


def test_p_are_those_of_a_loop_over_all_signs(effect_GSL):
    flipped = np.array([_t(effect_GSL * signs) for signs in _all_signs(8)])
    reached = flipped >= _t(effect_GSL) - 1e-9
    assert cell_test(effect_GSL) == pytest.approx(reached.mean(axis=0))
    largest = flipped.max(axis=(1, 2))[:, None, None] >= _t(effect_GSL) - 1e-9
    assert lattice_test(effect_GSL) == pytest.approx(largest.mean(axis=0))
    assert lattice_test(effect_GSL[:, :, 0]).shape == (6,)


def test_p_of_both_sides_are_those_of_mne(effect_GSL):
    """`mne.stats.permutation_t_test` (1.9) takes the largest |t|: here an effect beside its negative."""
    both_GSL = np.concatenate([effect_GSL, -effect_GSL], axis=2)
    expected = np.full((6, 4), 256)
    expected[2:5, 1:3] = [[66, 30], [30, 180], [134, 250]]
    assert lattice_test(both_GSL)[:, :4] * 256 == pytest.approx(expected)


def _loop_clusters(t_SL: np.ndarray) -> list[tuple[float, int]]:
    """Mass and size of clusters by flooding from each cell."""
    left = set(zip(*np.nonzero(t_SL >= THRESHOLD), strict=True))
    found = []
    while left:
        edge, cells = [left.pop()], []
        while edge:
            step, layer = edge.pop()
            cells.append((step, layer))
            for near in ((step - 1, layer), (step + 1, layer), (step, layer - 1), (step, layer + 1)):
                if near in left:
                    left.remove(near)
                    edge.append(near)
        found.append((sum(float(t_SL[cell]) for cell in cells), len(cells)))
    return found


def test_clusters_are_those_of_a_loop_and_of_mne(effect_GSL):
    effect_GSL[:, 0] += 1.0
    found = cluster_mass_test(effect_GSL)
    expected = sorted(_loop_clusters(_t(effect_GSL)))
    order = np.argsort(found.mass_K)
    sizes_K = np.bincount(found.label_SL.ravel())[1:]
    assert found.mass_K[order] == pytest.approx([mass for mass, _ in expected])
    assert sizes_K[order].tolist() == [size for _, size in expected]
    # mne.stats.permutation_cluster_1samp_test (1.9) with combine_adjacency(6, 4) has these masses.
    assert found.mass_K[order] == pytest.approx([2.540831, 5.571177, 16.383174], abs=1e-6)
    largest = np.array(
        [max((mass for mass, _ in _loop_clusters(_t(effect_GSL * s))), default=0) for s in _all_signs(8)]
    )
    # mne's counts are 87, 15 and 3: it has the measured signs twice and leaves their negatives out.
    p = [(largest >= mass - 1e-9).mean() for mass, _ in expected]
    assert p == pytest.approx(np.array([87, 14, 2]) / 256)
    assert found.p_K[order] == pytest.approx(p)
    assert (found.label_SL > 0).tolist() == (_t(effect_GSL) >= THRESHOLD).tolist()


def test_clusters_touch_along_an_edge_and_not_at_a_corner():
    effect = np.random.default_rng(0).normal(0, 0.01, (8, 4, 4))
    effect[:, [0, 1, 1, 3], [0, 1, 2, 3]] += 1
    found = cluster_mass_test(effect, threshold=20)
    assert sorted(np.bincount(found.label_SL.ravel())[1:]) == [1, 1, 2]
    assert found.label_SL[1, 1] == found.label_SL[1, 2] != found.label_SL[0, 0]
    nothing = cluster_mass_test(-np.abs(effect))
    assert not nothing.label_SL.any()
    assert nothing.mass_K.shape == nothing.p_K.shape == (0,)


def test_false_discoveries_are_those_of_statsmodels():
    p = np.array([[0.001, 0.02, 0.03], [0.2, 0.04, 0.5], [np.nan, np.nan, np.nan]])
    # statsmodels.stats.multitest.multipletests(method="fdr_bh") of the six.
    expected = [[0.006, 0.06, 0.06], [0.24, 0.06, 0.5], [np.nan] * 3]
    assert false_discovery(p) == pytest.approx(np.array(expected), nan_ok=True)
    assert np.isnan(false_discovery(np.full((2, 2), np.nan))).all()


def test_without_an_effect_one_in_twenty_lattices_has_a_false_one():
    """Steps and layers depend on each other as in a run. Of 400, 5 % are 20; more than 35 come once in a thousand."""
    any_cell = any_cluster = any_alone = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        effect = random.normal(0, 1, (9, 7, 4)).cumsum(axis=1) + random.normal(0, 1, (9, 1, 4))
        any_cell += lattice_test(effect).min() <= 0.05
        any_cluster += cluster_mass_test(effect).p_K.min(initial=1) <= 0.05
        any_alone += cell_test(effect).min() <= 0.05
    assert 8 <= any_cell <= 35
    assert 6 <= any_cluster <= 35
    # Cells looked at one by one go wrong far more often: the test could have found it.
    assert any_alone > 80


def test_a_planted_effect_is_found_where_it_is():
    found = np.zeros((8, 5))
    clusters = 0
    for seed in range(60):
        effect = np.random.default_rng(seed).normal(0, 1, (16, 8, 5))
        effect[:, 4:, 2:4] += 1.5
        found += lattice_test(effect, seed) <= 0.05
        result = cluster_mass_test(effect, seed)
        planted = result.label_SL[4:, 2:4]
        clusters += planted.min() > 0 and planted.max() == planted.min() and result.p_K[planted[0, 0] - 1] <= 0.05
    assert found[4:, 2:4].min() >= 0.85 * 60
    found[4:, 2:4] = 0
    assert found.max() <= 3
    assert clusters >= 0.85 * 60


def test_more_groups_have_random_signs_and_agree_with_all(effect_GSL, monkeypatch):
    exact = lattice_test(effect_GSL)
    monkeypatch.setattr("babelscope.analysis.stats.signs.EXACT_GROUPS", 3)
    drawn = lattice_test(effect_GSL, seed=1)
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(0.25 / DRAWS))
    assert drawn.min() >= 1 / (DRAWS + 1)
    assert (lattice_test(effect_GSL, seed=1) == drawn).all()
    assert (lattice_test(effect_GSL, seed=2) != drawn).any()


def test_blocks_hold_all_signs_once(monkeypatch):
    monkeypatch.setattr("babelscope.analysis.stats.signs.CELLS_AT_ONCE", 40)
    blocks = list(sign_blocks(6, 10, 0))
    assert len(blocks) == 16
    rows = np.concatenate(blocks)
    assert rows[0].tolist() == [1.0] * 6
    assert len({tuple(row) for row in rows}) == 2**6
    assert sum(len(block) for block in sign_blocks(EXACT_GROUPS + 1, 10, 0)) == DRAWS + 1


def test_what_is_missing_or_has_no_spread():
    effect = np.random.default_rng(0).normal(1, 1, (7, 4, 3))
    effect[2, 1, 0] = effect[:, 3, 2] = np.nan
    p = lattice_test(effect)
    assert np.isnan(p[3, 2])
    assert np.isfinite(np.delete(p.ravel(), 11)).all()
    alone = np.delete(effect[:, 1:2, :1], 2, axis=0)
    assert cell_test(effect)[1, 0] == pytest.approx(cell_test(alone)[0, 0])
    assert np.isnan(lattice_test(np.full((3, 2, 2), np.nan))).all()
    constant = np.zeros((6, 1, 2))
    constant[:, :, 0] = 0.25
    assert lattice_test(constant).tolist() == [[1 / 64, 1.0]]
    assert cluster_mass_test(constant).p_K.tolist() == [1 / 64]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lattice_test(np.zeros((1, 4, 4))), "at least two groups"),
        (lambda: lattice_test(np.zeros((4, 0, 4))), "at least two groups"),
        (lambda: lattice_test(np.full((4, 2, 4), np.inf)), "infinite"),
        (lambda: cluster_mass_test(np.zeros((4, 5))), "groups × steps × layers"),
        (lambda: cluster_mass_test(np.zeros((4, 5, 5)), threshold=0.0), "threshold=0.0: give a t above zero"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
