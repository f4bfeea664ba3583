"""Means over concepts and their intervals, against plain loops and against what is known of them."""

import numpy as np
import pytest
from babelscope.analysis.figures.intervals import Cell, mean_over_concepts
from babelscope.analysis.stats import mean_interval, wilson_interval


def test_each_concept_counts_once():
    cells = [Cell("a", 0.0, 100), Cell("a", 0.2, 100), Cell("a", 0.4, 100), Cell("b", 0.8, 100)]
    assert mean_over_concepts(cells).value == pytest.approx(0.5)


def test_the_interval_is_students_over_concepts():
    values = [0.1, 0.5, 0.3, 0.9]
    found = mean_over_concepts(Cell(str(place), value, 50) for place, value in enumerate(values))
    assert (found.low, found.high) == mean_interval(np.array(values))
    assert found == mean_over_concepts(Cell(str(place), value, 5000) for place, value in enumerate(values))


def test_cells_of_a_concept_are_no_further_evidence():
    once = [Cell(name, value) for name, value in (("a", 0.1), ("b", 0.9), ("c", 0.4))]
    assert mean_over_concepts(once * 10) == mean_over_concepts(once)


def test_one_concept_has_wilsons_interval_of_all_its_texts():
    found = mean_over_concepts([Cell("a", 0.1, 10), Cell("a", 0.5, 10)])
    assert (found.low, found.high) == wilson_interval(6, 20)
    none = mean_over_concepts([Cell("a", 12.5)])
    assert (none.value, none.low, none.high) == (12.5, None, None)


def test_equal_values_have_no_width():
    found = mean_over_concepts(Cell(name, 0.1) for name in "abcdefg")
    assert found.low == pytest.approx(0.1)
    assert found.low <= found.value <= found.high


def test_the_interval_covers_the_truth_as_often_as_it_says():
    for count in (3, 25):
        random = np.random.default_rng(count)
        covered = 0
        for _ in range(300):
            found = mean_over_concepts(Cell(str(c), value) for c, value in enumerate(random.normal(0.5, 0.1, count)))
            covered += found.low <= 0.5 <= found.high
        assert 0.92 < covered / 300 < 0.99
