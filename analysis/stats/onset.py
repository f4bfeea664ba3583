"""When an effect begins: one change of its mean over groups on the axis of steps, with an interval and a p.

A change is a rise from one level to another that begins at a checkpoint and takes any number of checkpoints, linear on
log2(step + 1): least squares over all of them. Of changes at once alone, a rise that takes its time would be dated to
its middle. Checkpoints count alike, wherever they lie.

Shapes: G groups, S steps, K changes, D draws.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .resampling import nested_labels, nested_weights
from .signs import checked_groups, sign_blocks
from .variances import check_level

PART_OF_THE_RISE = 0.25
"""An effect at the first checkpoint of at least this share of the later one was there before it."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Onset:
    """When an effect begins.

    Attributes:
        step: the first checkpoint at which it is there; None where none can be named.
        low: the checkpoint after which it began at the earliest, at which it was not yet there.
        high: the checkpoint by which it had begun at the latest; what happens between two checkpoints is not seen, so
            that `low` is below `high` always. None without a step.
        p: against no change: of a rise, one-sided.
        found: "seen"; "before": at the first checkpoint it is more than chance (by signs of groups), and there and up to any
            rise at least a quarter of what it is later; "not seen": no rise that is more than chance.
    """

    step: float | None
    low: float | None
    high: float | None
    p: float
    found: Literal["seen", "before", "not seen"]


@dataclass(frozen=True)
class OnsetDifference:
    """How much later the second effect begins than the first.

    Attributes:
        doublings: log2 of the ratio of their steps + 1; above zero where the second is later. NaN, as are the others,
            where one of them has no step.
        low: of the interval.
        high: of the interval.
        p: against the same onset, two-sided, from the draws of the bootstrap.
    """

    doublings: float
    low: float
    high: float
    p: float


def onset(
    effect_GS: np.ndarray,
    steps_S: np.ndarray,
    seed: int = 0,
    labels_GK: np.ndarray | None = None,
    *,
    draws: int = 1000,
    level: float = 0.95,
) -> Onset:
    """When the mean effect over groups rises, with a bootstrap interval over groups and a p against no change.

    The p flips signs of what each group deviates from its own mean over steps: were there no change, a group's course
    would be as likely turned upside down. That groups differ in their level, and that neighbouring steps are alike,
    changes nothing. Groups have to be independent: concepts of one run, or seeds of training. With labels the outermost
    clusters are flipped. Fewer than five are never enough for a p of 0.05, so that no step is named.

    Args:
        effect_GS: a measure less its control, no value missing; a group that is NaN throughout is left out.
        steps_S: increasing, not negative.
        seed: of random signs and of the bootstrap.
        labels_GK: what holds each group, outermost first, (G,) or (G, K): seeds, for groups that are concepts.
        draws: of the bootstrap.
        level: share of intervals that should hold the truth; a step is named where p is at most one minus this.

    Raises:
        ValueError: fewer than two groups or steps, steps that do not increase, missing or infinite values, or a level
            that is no share.
    """
    effect_GS, steps_S, kept_G = _checked(effect_GS, steps_S, "effect_GS")
    check_level(level)
    levels = nested_labels(kept_G, labels_GK)
    change_KS, begins_K = _changes(steps_S)
    p = _p(effect_GS @ change_KS.T, levels[0], seed)
    place = int(_begins(effect_GS.mean(axis=0)[None], change_KS, begins_K)[0])
    first_G, late = effect_GS[:, 0], effect_GS[:, place:].mean()
    # An effect that was there stays there: at the first checkpoint alone it may be chance, as one in twenty are.
    there = min(first_G.mean(), effect_GS[:, :place].mean())
    if there > 0 and there >= PART_OF_THE_RISE * late and _p(first_G[:, None], levels[0], seed) <= 1 - level:
        return Onset(None, None, None, p, "before")
    if p > 1 - level:
        return Onset(None, None, None, p, "not seen")
    weight_DG = nested_weights(levels, draws, np.random.default_rng(seed))
    low, high = _ends(_begins(weight_DG @ effect_GS, change_KS, begins_K), level)
    # Neither end may leave the estimate outside, as percentiles of a skewed bootstrap can.
    low, high = min(low, place), max(high, place)
    return Onset(steps_S[place].item(), steps_S[int(low) - 1].item(), steps_S[int(high)].item(), p, "seen")


def onset_difference(
    first_GS: np.ndarray,
    second_GS: np.ndarray,
    steps_S: np.ndarray,
    seed: int = 0,
    labels_GK: np.ndarray | None = None,
    *,
    paired: bool = True,
    draws: int = 1000,
    level: float = 0.95,
) -> OnsetDifference:
    """Whether one effect begins before another, such as in two layers: that two intervals overlap does not tell.

    Groups are drawn with replacement and both onsets found anew; where paired, the same groups for both. The p is twice
    the share of draws on the far side of no difference. It needs no equal size of the two effects, as exchanging
    them would.

    Args:
        first_GS: as for `onset`.
        second_GS: of the same groups in the same order where paired.
        steps_S: of both.
        seed: of random signs and of the bootstrap.
        labels_GK: what holds each group, as for `onset`; of paired effects.
        paired: whether the groups are the same.
        draws: of the bootstrap.
        level: of the interval, and of the p of each onset by which a step is named.

    Raises:
        ValueError: as for `onset`; paired effects of different groups; labels of effects that are not paired.
    """
    whole = np.asarray(first_GS), np.asarray(second_GS)
    if paired and whole[0].shape != whole[1].shape:
        raise ValueError(f"first_GS and second_GS have the shapes {whole[0].shape} and {whole[1].shape}: paired=False?")
    if labels_GK is not None and not paired:
        raise ValueError("labels_GK with paired=False: give labels of paired effects alone")
    first_GS, steps_S, kept_G = _checked(whole[0], steps_S, "first_GS")
    second_GS, _, also_G = _checked(whole[1], steps_S, "second_GS")
    levels = [[np.arange(len(first_GS))], [np.arange(len(second_GS))]]
    if paired:
        both_G = kept_G & also_G
        first_GS, second_GS = whole[0][both_G], whole[1][both_G]
        levels = [nested_labels(both_G, labels_GK)] * 2
        labels_GK = None if labels_GK is None else np.asarray(labels_GK)[both_G]
    steps = [
        onset(effect_GS, steps_S, seed, labels_GK, draws=2, level=level).step for effect_GS in (first_GS, second_GS)
    ]
    if steps[0] is None or steps[1] is None:
        return OnsetDifference(*[float("nan")] * 4)
    random = np.random.default_rng(seed)
    change_KS, begins_K = _changes(steps_S)
    first_DG = nested_weights(levels[0], draws, random)
    second_DG = first_DG if paired else nested_weights(levels[1], draws, random)
    first_D = _begins(first_DG @ first_GS, change_KS, begins_K)
    second_D = _begins(second_DG @ second_GS, change_KS, begins_K)
    axis_S = _axis(steps_S)
    difference_D = axis_S[second_D] - axis_S[first_D]
    low, high = np.quantile(difference_D, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    beyond = min((difference_D <= 0).sum(), (difference_D >= 0).sum())
    found = float(np.log2((steps[1] + 1) / (steps[0] + 1)))
    return OnsetDifference(
        found, min(float(low), found), max(float(high), found), min(1.0, 2 * (beyond + 1) / (draws + 1))
    )


def _checked(effect_GS: np.ndarray, steps_S: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects of groups that have any, steps, and which groups were kept."""
    effect_GS = np.asarray(effect_GS, np.float64)
    kept_G = ~np.isnan(effect_GS).all(axis=tuple(range(1, effect_GS.ndim)))
    effect_GS = checked_groups(effect_GS[kept_G], name)
    steps_S = np.asarray(steps_S)
    if effect_GS.shape[1:] != steps_S.shape or len(steps_S) < 2:
        raise ValueError(
            f"{name} has the shape {effect_GS.shape} and there are {steps_S.size} steps: "
            "give groups × steps, with at least two steps"
        )
    if steps_S[0] < 0 or not (np.diff(steps_S) > 0).all():
        raise ValueError(f"steps {steps_S.tolist()}: give them increasing, from 0 on")
    if np.isnan(effect_GS).any():
        raise ValueError(f"{name} lacks some steps of some groups: leave those groups or those steps out")
    return effect_GS, steps_S, kept_G


def _axis(steps_S: np.ndarray) -> np.ndarray:
    return np.log2(steps_S + 1.0)


def _changes(steps_S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Courses of a rise, (K, S), mean 0 and length 1, and the first place at which each is above its first level.

    Rises last 0 (at once), 1, 2, 3, 4, 6, 8, 12, … checkpoints after the first that is higher, or to the last one.
    """
    axis_S, steps = _axis(steps_S), len(steps_S)
    lasting = [0, 1, *(size for power in range(1, steps.bit_length() + 1) for size in (2**power, 3 * 2 ** (power - 1)))]
    courses, begins = [], []
    for begin in range(1, steps):
        for end in sorted({min(begin + size, steps - 1) for size in (*lasting, steps)}):
            course_S = np.clip((axis_S - axis_S[begin - 1]) / (axis_S[end] - axis_S[begin - 1]), 0, 1)
            course_S = course_S - course_S.mean()
            courses.append(course_S / np.linalg.norm(course_S))
            begins.append(begin)
    return np.array(courses), np.array(begins)


def _begins(mean_DS: np.ndarray, change_KS: np.ndarray, begins_K: np.ndarray) -> np.ndarray:
    """Where the rise begins that leaves the least squares, for each row."""
    return begins_K[np.argmax(mean_DS @ change_KS.T, axis=1)]


def _ends(begins_D: np.ndarray, level: float) -> tuple[int, int]:
    low, high = np.quantile(begins_D, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return int(low), int(high)


def _p(score_GK: np.ndarray, flipped_G: np.ndarray, seed: int) -> float:
    """Share of signs, alike within a flipped cluster, whose largest sum of scores reaches the measured one."""
    score_NK = np.zeros((int(flipped_G.max()) + 1, score_GK.shape[1]))
    np.add.at(score_NK, flipped_G, score_GK)
    observed = score_NK.sum(axis=0).max()
    observed -= ROUNDING * np.abs(score_NK).sum(axis=0).max()
    reached = draws = 0
    for signs_DN in sign_blocks(len(score_NK), score_NK.shape[1], seed):
        reached += int(((signs_DN @ score_NK).max(axis=1) >= observed).sum())
        draws += len(signs_DN)
    return reached / draws
