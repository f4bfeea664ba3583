"""The key figures of a run at its last step, each with a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..figures.data import Series, keyed, of_checkpoints, overall, select, steps_of
from ..figures.sound import sound_only
from ..figures.style import position
from ..numbers import short

LEAST_SPAN = 0.05
"""A line at a glance spans at least this much: changes below it look as small as they are."""


@dataclass(frozen=True)
class KeyFigure:
    """One number with what it is to be compared with; `course` is drawn as a small line."""

    title: str
    value: str
    sentence: str
    course: Series


def key_figures(rows: pa.Table) -> list[KeyFigure]:
    """The key figures for which the rows of sound steps have a value."""
    rows = sound_only(rows)
    made = [make(rows) for make in (_overlap, _transfer, _probe, _alignment, _loss)]
    return [figure for figure in made if figure is not None]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def _overlap(rows: pa.Table) -> KeyFigure | None:
    course = overall(rows, "experts", "overlap_mean")
    if course is None:
        return None
    control = overall(rows, "experts", "overlap_control_mean")
    chance = overall(rows, "experts", "overlap_chance")
    nulls = [f"{_percent(control.last)} for different concepts" if control else "",
             f"{_percent(chance.last)} by chance" if chance else ""]  # fmt: skip
    against = " and ".join(part for part in nulls if part)
    return KeyFigure(
        "Shared experts",
        _percent(course.last),
        "of a concept's expert neurons are common to two languages" + (f", against {against}." if against else "."),
        course,
    )


def _transfer(rows: pa.Table) -> KeyFigure | None:
    course = overall(rows, "experts", "transfer_ap_overall") or overall(rows, "experts", "transfer_ap_mean")
    if course is None:
        return None
    own, every = overall(rows, "experts", "own_ap_mean"), overall(rows, "experts", "all_units_ap_mean")
    nulls = [f"{own.last:.2f} in their own language" if own else "", f"{every.last:.2f} for all units" if every else ""]
    against = " and ".join(part for part in nulls if part)
    return KeyFigure(
        "Transfer",
        f"{course.last:.2f}",
        "average precision of one language's experts on another language's sentences"
        + (f", against {against}." if against else "."),
        course,
    )


def _probe(rows: pa.Table) -> KeyFigure | None:
    table = select(rows, "probe", "accuracy_mean")
    course = overall(rows, "probe", "accuracy_over_layers_mean") or overall(rows, "probe", "accuracy_mean")
    if course is None or not table.num_rows:
        return None
    layers = {key[0]: value for key, value in keyed(table, steps_of(table)[-1], "layer").items()}
    lowest, highest = min(layers, key=lambda at: layers[at]), max(layers, key=lambda at: layers[at])
    chance = overall(rows, "probe", "chance")
    against = f"; chance is {_percent(chance.last)}" if chance else ""
    return KeyFigure(
        "Language identity",
        f"{100 * layers[lowest]:.0f}–{100 * layers[highest]:.0f} %",
        f"of tokens betray their language to a probe: least in layer {lowest}, most in layer {highest}{against}.",
        course,
    )


def _alignment(rows: pa.Table) -> KeyFigure | None:
    course = overall(rows, "alignment", "retrieval_accuracy")
    table = select(rows, "alignment", "retrieval_accuracy", language=None, layer=...)
    if course is None or not table.num_rows:
        return None
    layers = {key[0]: value for key, value in keyed(table, steps_of(table)[-1], "layer").items()}
    highest = max(layers, key=lambda at: layers[at])
    chance = overall(rows, "alignment", "retrieval_chance")
    against = f"; chance is {_percent(chance.last)}" if chance else ""
    return KeyFigure(
        "Translations",
        _percent(layers[highest]),
        f"of sentences find their translation in another language, in layer {highest}, the best{against}.",
        course,
    )


def _loss(rows: pa.Table) -> KeyFigure | None:
    for analysis, metric, unit in (
        ("validation", "bits_per_byte", "bits per byte of unseen text"),
        ("validation", "loss", "nats per token of unseen text"),
        ("training", "loss", "nats per token of training text"),
    ):
        course = overall(rows, analysis, metric)
        if course is not None:
            since = f", from {course.values[0]:.2f} at step {course.steps[0]:,}" if len(course.steps) > 1 else ""
            return KeyFigure("Loss", f"{course.last:.2f}", f"{unit}, mean of the languages{since}.", course)
    return None


def sparkline(course: Series, low: float, high: float, width: int = 120, height: int = 28) -> str:
    """A small SVG line over the log-like step axis, without text; `low` and `high` are the ends of its scale."""
    if len(course.steps) < 2:
        return ""
    first, last = position(course.steps[0]), position(course.steps[-1])
    points = [
        (
            3 + (position(step) - first) / ((last - first) or 1) * (width - 8),
            height - 3 - (value - low) / ((high - low) or 1) * (height - 6),
        )
        for step, value in zip(course.steps, course.values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" aria-hidden="true"><polyline points="{line}"/>'
        f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.5"/></svg>'
    )


def common_scale(figures: Sequence[KeyFigure]) -> tuple[float, float]:
    """Ends of one scale for the lines of several runs, wide enough not to make much of nothing."""
    values = [value for figure in figures for value in figure.course.values]
    return min(values), max(max(values), min(values) + LEAST_SPAN)


def extent(rows: pa.Table) -> dict[str, str]:
    """How far a run has come: steps, tokens, checkpoints analysed, languages."""
    steps = steps_of(rows)
    tokens = max((value for value in rows["tokens"].to_pylist() if value is not None), default=None)
    analysed = steps_of(of_checkpoints(rows))
    found = {"last step": f"{steps[-1]:,}"}
    if tokens is not None:
        found["tokens seen"] = short(tokens)
    if analysed:
        found["steps analysed"] = str(len(analysed))
    return found
