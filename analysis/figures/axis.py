"""The axis of steps or tokens, linear or log-like with a place for 0: tick marks for all four."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from ..numbers import short
from .data import Runs, of_checkpoints, steps_of
from .sound import mark_unsound
from .style import Sketch, position

MOST_TICKS = 8
EARLY, CROWDED = 0.05, 0.1


def log_ticks(low: float, high: float, unit: float = 1.0) -> list[float]:
    """Round values between `low` and `high` for the axis log₂(1 + value/unit), at most eight; 0 if it is in range."""
    if high <= 0:
        return [0.0]
    floor = max(low, unit)
    exponents = range(math.floor(math.log10(floor)), math.floor(math.log10(max(high, floor))) + 1)
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [digit * 10.0**power for power in exponents for digit in digits]
        found = [value for value in found if floor <= value <= high]
        if len(found) + (low <= 0) <= MOST_TICKS:
            break
    every = max(1, math.ceil(len(found) / MOST_TICKS))
    found = found[::every] or [high]
    # 0 and the first value stand one doubling apart: without this their labels would touch.
    return ([0.0] if low <= 0 else []) + found


def linear_ticks(low: float, high: float) -> list[float]:
    """About five round values between `low` and `high`."""
    if high <= low:
        return [high]
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    size = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [index * size for index in range(math.ceil(low / size), math.floor(high / size) + 1)]


def geometric(tables: Sequence[pa.Table]) -> bool:
    """Whether checkpoints crowd at the beginning, as on a schedule of powers, so that a log-like axis shows them better.

    They do if more than a tenth of those after the first lie within the first twentieth of the steps. What is logged
    while training does not count.
    """
    steps = sorted({step for table in tables for step in steps_of(of_checkpoints(table))})
    if len(steps) < 3:
        return True
    early = steps[0] + (steps[-1] - steps[0]) * EARLY
    return sum(step <= early for step in steps[1:]) > CROWDED * (len(steps) - 1)


def finish_steps(sketch: Sketch, rows: pa.Table | Runs | None = None) -> go.Figure:
    """Finish a figure whose traces lie on steps: ticks now, and those of the other three axes in `layout.meta`.

    Points of steps that are not sound, as the health in `rows` says, become hollow and leave the lines.

    The unit of the token axis is the smallest number of tokens a step that occurs, so that both log-like axes have the
    same shape where a step always brings the same number of tokens.
    """
    if rows is not None:
        mark_unsound(sketch, rows)
    points = {
        (step, tokens)
        for trace in sketch.traces
        if "steps" in trace["meta"]
        for step, tokens in zip(trace["meta"]["steps"], trace["meta"]["tokens"], strict=True)
    }
    rates = [tokens / step for step, tokens in points if step > 0 and tokens]
    axes: dict[str, Any] = {"steps": _axis([step for step, _ in points], 1.0), "unit": min(rates, default=1.0)}
    if rates:
        axes["tokens"] = _axis([tokens for _, tokens in points if tokens is not None], axes["unit"])
    ticks = axes["steps"]["log"]
    sketch.layout["meta"] = {"axes": axes}
    sketch.layout["xaxis"] |= {
        "title": {"text": "optimizer step", "standoff": 8},
        "tickmode": "array",
        "tickvals": [position(value) for value in ticks["at"]],
        "ticktext": ticks["labels"],
    }
    return sketch.finish()


def _axis(values: Sequence[int], unit: float) -> dict[str, Any]:
    low, high = (min(values), max(values)) if values else (0, 1)
    kinds = {"log": log_ticks(low, high, unit), "linear": linear_ticks(low, high)}
    return {kind: {"at": ticks, "labels": [short(tick) for tick in ticks]} for kind, ticks in kinds.items()}
