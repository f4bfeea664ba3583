"""Onsets: against plain loops over changes, signs and draws, and against planted ones."""

import itertools
import math

import numpy as np
import pytest
from babelscope.analysis.stats import Onset, onset, onset_difference
from babelscope.analysis.stats.onset import _changes
from babelscope.analysis.stats.resampling import nested_labels, nested_weights

STEPS = np.array([0, *(2**power for power in range(13))])
"""0, 1, 2, 4, … 4,096: fourteen checkpoints."""


def _planted(
    random: np.random.Generator, place: int, lasting: int = 0, size: float = 2.0, groups: int = 12
) -> np.ndarray:
    """An effect that differs between groups, rises at a place, and has noise in which neighbouring steps are alike."""
    checkpoints = np.arange(len(STEPS))
    course_S = np.clip((checkpoints - place + 1) / (lasting + 1), 0, 1)
    noise_GS = random.normal(0, 1, (groups, len(STEPS)))
    for number in checkpoints[1:]:
        noise_GS[:, number] = 0.5 * noise_GS[:, number - 1] + math.sqrt(0.75) * noise_GS[:, number]
    return random.normal(size, 0.3 * size, (groups, 1)) * course_S + noise_GS


def test_a_sharp_change_lies_between_two_checkpoints():
    found = onset(_planted(np.random.default_rng(0), 6, size=20), STEPS)
    assert found == Onset(step=32, low=16, high=32, p=pytest.approx(2**-12), found="seen")


def test_the_change_is_the_one_with_least_squares():
    """Against a regression for each beginning and end of a rise, in float64, on log2(step + 1)."""
    axis_S = np.log2(STEPS + 1)
    for seed in range(20):
        effect = _planted(np.random.default_rng(seed), 5, lasting=3)
        left = {}
        for begin in range(1, len(STEPS)):
            ends = {begin + size for size in (0, 1, 2, 3, 4, 6, 8, 12)} | {13}
            for end in (end for end in ends if end < len(STEPS)):
                rise_S = np.clip((axis_S - axis_S[begin - 1]) / (axis_S[end] - axis_S[begin - 1]), 0, 1)
                design = np.stack([np.ones(len(STEPS)), rise_S], axis=1)
                solved, squares, *_ = np.linalg.lstsq(design, effect.mean(axis=0), rcond=None)
                if solved[1] > 0:
                    left[begin, end] = squares[0]
        (begin, _end), _squares = min(left.items(), key=lambda item: item[1])
        assert onset(effect, STEPS, seed, draws=2).step == STEPS[begin]
    assert len(_changes(STEPS)[0]) == sum(
        len({min(begin + size, 13) for size in (0, 1, 2, 3, 4, 6, 8, 12, 13)}) for begin in range(1, 14)
    )


def test_p_is_that_of_a_loop_over_all_signs():
    effect = _planted(np.random.default_rng(3), 8, size=0.5, groups=7)
    change_KS, _ = _changes(STEPS)
    course_GS = effect - effect.mean(axis=1, keepdims=True)
    largest = [
        max(float(change_S @ (np.array(signs)[:, None] * course_GS).mean(axis=0)) for change_S in change_KS)
        for signs in itertools.product((1, -1), repeat=7)
    ]
    assert onset(effect, STEPS).p == pytest.approx(np.mean(np.array(largest) >= largest[0] - 1e-9))


def test_a_level_of_each_group_and_a_group_without_values_change_nothing():
    effect = _planted(np.random.default_rng(1), 6)
    expected = onset(effect, STEPS, seed=3)
    shifted = onset(effect - np.arange(12)[:, None], STEPS, seed=3)
    assert (shifted.step, shifted.low, shifted.high) == (expected.step, expected.low, expected.high)
    assert shifted.p == pytest.approx(expected.p)
    assert onset(np.concatenate([effect, np.full((1, 14), np.nan)]), STEPS, seed=3) == expected
    assert onset(effect, STEPS, seed=3) == expected


def test_before_the_first_checkpoint_and_not_seen():
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, (10, len(STEPS)))
    assert onset(noise + 3, STEPS).found == "before"
    # It goes on to rise, but when it began cannot be seen.
    rising = noise + 3 + np.linspace(0, 8, len(STEPS))
    assert onset(rising, STEPS) == Onset(None, None, None, pytest.approx(2**-10), "before")
    # Little at the first checkpoint against what comes: the change is the onset.
    assert onset(0.1 * noise + 0.2 + 5 * (STEPS >= 64), STEPS).step == 64
    nothing = onset(noise, STEPS)
    assert (nothing.step, nothing.low, nothing.high, nothing.found) == (None, None, None, "not seen")
    assert nothing.p > 0.05
    falling = onset(noise - 5 * (STEPS >= 64), STEPS)
    assert falling.found == "not seen"
    assert falling.p > 0.5
    # Four groups have 16 signs: no p of 0.05.
    assert onset(_planted(random, 6, size=50, groups=4), STEPS).found == "not seen"


def test_without_a_change_one_in_twenty_is_seen():
    """Of 400 with a level of their own, 5 % are 20; fewer than 8 or more than 35 come once in a thousand."""
    seen = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        effect = random.normal(0, 1, (9, 14)).cumsum(axis=1) * 0.5 + random.normal(0, 3, (9, 1))
        seen += onset(effect, STEPS, seed, draws=2).p <= 0.05
    assert 8 <= seen <= 35


@pytest.mark.parametrize("lasting", [0, 5])
def test_planted_onsets_are_found_without_bias(lasting):
    late, held, seen = [], 0, 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        place = int(random.integers(2, 8))
        found = onset(_planted(random, place, lasting), STEPS, seed, draws=300)
        if found.step is not None:
            seen += 1
            held += found.low <= STEPS[place] <= found.high
            late.append(math.log2((found.step + 1) / (STEPS[place] + 1)))
    assert seen >= 90
    assert held >= 0.93 * seen
    assert abs(np.mean(late)) < 0.5


def test_labels_are_drawn_and_flipped_as_a_whole():
    """Five seeds of training with six concepts each that begin together: concepts are no further evidence."""
    random = np.random.default_rng(0)
    # As seeds do: each begins at a place of its own.
    of_seed = [_planted(random, place, size=4, groups=1) for place in (4, 5, 7, 8, 9)]
    effect = np.concatenate([curve + random.normal(0, 0.1, (6, 14)) for curve in of_seed])
    labels = np.repeat(list("abcde"), 6)
    nested, flat = onset(effect, STEPS, labels_GK=labels), onset(effect, STEPS)
    assert nested.step == flat.step
    assert nested.p == pytest.approx(1 / 32)
    assert flat.p < 0.001
    assert nested.low <= flat.low < flat.high <= nested.high
    assert (nested.low, nested.high) != (flat.low, flat.high)


def test_nested_weights_are_those_of_a_loop():
    """Means and variances of weights against drawing seeds, then concepts within each, one by one."""
    labels = [("a", 1), ("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 2), ("b", 2)]
    levels = nested_labels(np.ones(7, bool), np.array(labels))
    assert [int(level.max()) + 1 for level in levels] == [2, 4, 7]
    found = nested_weights(levels, 20_000, np.random.default_rng(0))
    assert found.sum(axis=1) == pytest.approx(1)
    random, drawn = np.random.default_rng(1), []
    for _ in range(4000):
        weights = np.zeros(7)
        for seed in random.choice(["a", "b"], 2):
            for concept in random.choice([1, 2], 2):
                inner = [place for place, label in enumerate(labels) if label == (seed, concept)]
                np.add.at(weights, random.choice(inner, len(inner)), 1)
        drawn.append(weights / weights.sum())
    assert found.mean(axis=0) == pytest.approx(np.mean(drawn, axis=0), abs=0.01)
    assert found.std(axis=0) == pytest.approx(np.std(drawn, axis=0), abs=0.01)


def test_a_difference_of_onsets_has_its_own_test():
    random = np.random.default_rng(0)
    early, late = _planted(random, 4, size=4), _planted(random, 8, size=2)
    found = onset_difference(early, late, STEPS)
    assert found.doublings == pytest.approx(math.log2(129 / 9), abs=1.2)
    assert 0 < found.low <= found.doublings <= found.high
    assert found.p <= 0.05
    turned = onset_difference(late, early, STEPS)
    assert (turned.doublings, turned.low, turned.high) == pytest.approx(
        (-found.doublings, -found.high, -found.low), abs=1
    )
    alone = onset_difference(early, late[:9], STEPS, paired=False)
    assert alone.p <= 0.05
    assert math.isnan(onset_difference(early, random.normal(0, 1, (12, 14)), STEPS).p)


def test_a_difference_draws_what_holds_the_groups():
    """Six seeds that differ in which effect begins first, ten concepts each: concepts alone would make it certain."""
    random = np.random.default_rng(0)
    first = np.concatenate([_planted(random, 5, size=6, groups=10) for _ in range(6)])
    second = np.concatenate([_planted(random, place, size=6, groups=10) for place in (4, 9, 9, 4, 10, 4)])
    flat = onset_difference(first, second, STEPS)
    nested = onset_difference(first, second, STEPS, labels_GK=np.repeat(range(6), 10))
    assert nested.doublings == flat.doublings
    assert nested.high - nested.low > flat.high - flat.low
    assert nested.p >= flat.p
    first[3] = second[17] = np.nan
    left_out = onset_difference(first, second, STEPS, labels_GK=np.repeat(range(6), 10))
    assert left_out == onset_difference(
        *(np.delete(part, [3, 17], axis=0) for part in (first, second)),
        STEPS,
        labels_GK=np.delete(np.repeat(range(6), 10), [3, 17]),
    )
    for wrong, message in (({"paired": False}, "paired effects alone"), ({"level": 2.0}, "level=2.0")):
        with pytest.raises(ValueError, match=message):
            onset_difference(first, second, STEPS, labels_GK=np.repeat(range(6), 10), **wrong)
    with pytest.raises(ValueError, match="paired=False"):
        onset_difference(first, second[:20], STEPS)


def test_equal_onsets_rarely_differ():
    """With effects of unequal size, which exchanging them would take for a difference."""
    wrong = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        first, second = _planted(random, 6, lasting=3, size=4), _planted(random, 6, lasting=3, size=2)
        wrong += onset_difference(first, second, STEPS, seed, draws=300).p <= 0.05
    assert wrong <= 12


@pytest.mark.parametrize(
    ("effect", "steps", "more", "message"),
    [
        (np.zeros((1, 14)), STEPS, {}, "at least two groups"),
        (np.zeros((4, 13)), STEPS, {}, "there are 14 steps"),
        (np.zeros((4, 1)), STEPS[:1], {}, "at least two steps"),
        (np.zeros((4, 14)), STEPS[::-1], {}, "give them increasing"),
        (np.where(np.arange(14) == 3, np.nan, np.zeros((4, 14))), STEPS, {}, "lacks some steps"),
        (np.full((4, 14), np.inf), STEPS, {}, "infinite"),
        (np.zeros((4, 14)), STEPS, {"level": 95}, "level=95: give a share"),
        (np.zeros((4, 14)), STEPS, {"labels_GK": np.zeros((3, 1))}, "labels have the shape"),
    ],
)
def test_what_has_no_onset_to_look_for_is_refused(effect, steps, more, message):
    with pytest.raises(ValueError, match=message):
        onset(effect, steps, **more)
