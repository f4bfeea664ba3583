"""Colours are told apart, languages keep theirs, axes have few and round ticks."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from babelscope.analysis.figures.axis import MOST_TICKS, geometric, linear_ticks, log_ticks
from babelscope.analysis.figures.style import CATEGORICAL, DARK, language_styles, position
from babelscope.analysis.findings import Findings
from babelscope.analysis.numbers import short

from tests.synthetic_run import SIXTEEN


def table_of(analysis, step, *found):
    return Findings.from_rows(analysis, step, found).with_tokens(step * 10).table


@pytest.mark.parametrize("high", [1, 5, 47, 1500, 131_072, 600_000])
@pytest.mark.parametrize("low", [0, 1])
@pytest.mark.parametrize("unit", [1, 65_536])
def test_log_ticks_are_few_ordered_and_in_range(low, high, unit):
    ticks = log_ticks(low * unit, high * unit, unit)
    assert 1 <= len(ticks) <= MOST_TICKS + 1
    assert ticks == sorted(set(ticks))
    assert (ticks[0] == 0) == (low == 0)
    assert all(low * unit <= tick <= high * unit for tick in ticks)
    assert len(ticks) >= 3 or high <= 5


def test_ticks_of_a_single_step():
    assert log_ticks(0, 0) == [0]
    assert log_ticks(512, 512) == [512]
    assert linear_ticks(512, 512) == [512]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1500), (1000, 600_000), (0, 131_072)])
def test_linear_ticks_are_even(low, high):
    ticks = linear_ticks(low, high)
    assert 3 <= len(ticks) <= 7
    assert len({round(b - a, 6) for a, b in itertools.pairwise(ticks)}) == 1
    assert low <= ticks[0]
    assert ticks[-1] <= high


def test_position_shows_zero_and_doublings():
    assert [position(step) for step in (0, 1, 3, 7)] == [0, 1, 2, 3]
    assert position(3 * 2048, 2048) == 2


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (512, "512"), (1500, "1.5k"), (131_072, "131k"), (2e6, "2M"), (3.21e9, "3.21B")]
)
def test_short_numbers(value, said):
    assert short(value) == said


def test_sixteen_languages_differ_in_colour_or_dash():
    styles = language_styles(SIXTEEN)
    assert len({tuple(sorted(style.items())) for style in styles.values()}) == 16


# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIELAB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ np.clip(rgb, 0, 1) / (0.9505, 1, 1.089), 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def smallest_difference(colours, blindness):
    seen = [lab(np.array(BLINDNESS[blindness]) @ linear(colour)) for colour in colours]
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("page", ["light", "dark"])
def test_colours_are_told_apart(page, blindness):
    colours = CATEGORICAL if page == "light" else [DARK[colour] for colour in CATEGORICAL]
    assert smallest_difference(colours, blindness) > 12


def test_that_test_could_fail():
    assert smallest_difference(["#c8500a", "#5c6b1e"], "red") < 12 < smallest_difference(["#c8500a", "#5c6b1e"], "none")


@pytest.mark.parametrize(("page", "ground"), [("light", "#ffffff"), ("dark", "#171e25")])
def test_colours_stand_out_from_the_page(page, ground):
    def luminance(colour):
        return float(np.dot([0.2126, 0.7152, 0.0722], linear(colour)))

    for light in CATEGORICAL:
        first, second = sorted((luminance(light if page == "light" else DARK[light]), luminance(ground)))
        assert (second + 0.05) / (first + 0.05) >= 3


@pytest.mark.parametrize(
    ("steps", "log"),
    [
        ([0, *(2**power for power in range(18)), *range(5000, 131_072, 5000)], True),
        ([1000, 10_000, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000], True),
        (range(0, 100_001, 5000), False),
        (range(1000, 12_001, 1000), False),
        ([7, 8], True),
    ],
)
def test_the_axis_follows_the_schedule(steps, log):
    rows = [{"metric": "chance", "value": 0.5}]
    table = pa.concat_tables([table_of("probe", step, *rows) for step in steps])
    logged = pa.concat_tables([table_of("training", step, *rows) for step in range(100)])
    assert geometric([table, logged]) == log
