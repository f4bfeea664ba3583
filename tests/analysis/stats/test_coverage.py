"""A small version of `benchmarks/coverage.py`, and that its worlds have the means that they say."""

import math

import numpy as np
import pytest

from benchmarks import coverage

REPEATS = 120


def at_least(share: float, repeats: int = REPEATS) -> float:
    """What a share falls below once in 800 times."""
    return share - 3 * math.sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize("skewed", [False, True])
def test_the_worlds_have_their_means(skewed):
    means, truths = [], set()
    a, b = np.triu_indices(4, 1)
    for seed in range(3000):
        values, truth = coverage.overlaps(np.random.default_rng(seed), 3, 4, "concepts and languages differ", skewed)
        means.append(values[:, a, b].mean())
        truths.add(truth)
        assert values == pytest.approx(values.transpose(0, 2, 1))
    (truth,) = truths
    assert np.mean(means) == pytest.approx(truth, abs=4 * np.std(means) / math.sqrt(len(means)))


def test_the_table_of_overlap():
    """Where a plain bootstrap falls short ours does not."""
    rows = coverage.overlap_coverage(REPEATS, coverage.SIZES[:3])
    assert len(rows) == 2 * len(coverage.WORLDS)
    short = 0
    for name, *cells in rows:
        for cell in cells:
            ours, plain = (float(part.rstrip("%)")) / 100 for part in cell.split(" ("))
            assert ours >= at_least(0.93), name
            short += plain < at_least(0.93, REPEATS // 4)
    assert short >= 5


def test_the_tables_of_controls_means_shares_and_seeds():
    for _, *cells in [*coverage.control_coverage(REPEATS), *coverage.mean_coverage(REPEATS)]:
        assert all(float(cell.split("%")[0]) / 100 >= at_least(0.93) for cell in cells)
    for _, *cells in coverage.seeds_coverage(REPEATS):
        assert all(float(cell.split("%")[0]) / 100 >= at_least(0.93) for cell in cells)
    # Of a single share Wilson's interval holds it more or less often than in the mean over shares.
    shares = [float(cell.rstrip("%")) for _, *cells in coverage.share_coverage(REPEATS) for cell in cells]
    assert np.mean(shares) == pytest.approx(95, abs=1.5)


def test_the_tables_of_tests_and_onsets():
    for _, *cells in coverage.lattice_errors(60):
        largest, mass, _ = ([float(part.rstrip("%")) / 100 for part in cell.split(" / ")] for cell in cells)
        assert largest[0] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 15)
        assert mass[0] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 15)
        assert mass[1] > 0.6
    rows = coverage.onset_table(20)
    assert [row[3:6] for row in rows if row[0] == "no rise" and row[2] == "2"] == [["0%", "100%", "0%"]] * 2
    for name, _, size, seen, *_, late, holds in rows:
        if size == "4" and name != "no rise":
            assert seen == "100%"
            assert abs(float(late)) < 0.7
            assert float(holds.rstrip("%")) >= 85
    for groups, sizes, *cells in coverage.difference_table(12):
        none, _, four = (float(cell.split("%")[0]) for cell in cells)
        assert none <= 25
        if (groups, sizes) == ("24", "4 and 2"):
            assert four >= 60
