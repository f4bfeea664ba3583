"""Checkpoints that are not sound: copies of others, jumps of the loss, broken weights; hollow in curves, absent in maps.

What is known of them are the rows of the analysis `health`; rows without any are taken to be sound.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .data import Runs, as_runs, keyed, only, steps_of, tokens_of
from .style import INK, Sketch, position, text, where

GROUP = "not sound"
"""Legend group of the hollow points, besides that of their line."""
MOST_NAMED = 3
"""Steps that a legend names with their reasons; more are counted."""
FAR = 1.5
"""Hollow points further from the sound ones than this many times their range do not stretch the axis."""


def unsound_of(rows: pa.Table) -> dict[int, str]:
    """Steps that the analysis `health` found not to be sound, with the reason in words."""
    health = only(rows, analysis="health")
    unsound = steps_of(only(health, metric="sound", value=0.0))
    if not unsound:
        return {}
    facts = {step: _facts(health, step) for step in steps_of(health)}
    return {step: _reason(step, facts, unsound) for step in unsound}


def sound_only(rows: pa.Table) -> pa.Table:
    """Rows of sound steps, and what is known of all steps: their health and the log of training."""
    unsound = unsound_of(rows)
    if not unsound:
        return rows
    kept = pc.is_in(rows["analysis"], pa.array(["health", "training"]))
    return rows.filter(pc.or_(kept, pc.invert(pc.is_in(rows["step"], pa.array(list(unsound), pa.int64())))))


def mark_unsound(to: Sketch, rows: pa.Table | Runs) -> None:
    """Take points that are not sound out of the lines of a figure; they stay as hollow ones, which no line joins."""
    runs = as_runs(rows)
    unsound = {run: unsound_of(table) for run, table in runs.items()}
    if not any(unsound.values()):
        return
    judged: set[str] = set()
    drawn: dict[tuple[str, int], str] = {}
    traces, solid, hollow = [], [], []
    for trace in to.traces:
        run = _run_of(trace, unsound)
        why = unsound[run]
        if not why or "stackgroup" in trace or not trace["meta"].get("judged", True):
            traces.append(trace)
            continue
        judged.add(run)
        steps = trace["meta"]["steps"]
        bad = [index for index, step in enumerate(steps) if step in why]
        line = _part(trace, [index for index in range(len(steps)) if index not in set(bad)]) if bad else trace
        solid += line["y"]
        traces.append(line)
        if bad and not trace["meta"].get("band"):
            points = _hollow(_part(trace, bad), why)
            drawn |= {(run, step): why[step] for step in points["meta"]["steps"]}
            hollow += points["y"]
            traces.append(points)
    to.traces = traces
    beyond = _keep_range(to, solid, hollow)
    absent = [(run, step) for run in unsound if run in judged for step in unsound[run] if (run, step) not in drawn]
    if absent and solid:
        to.traces.append(_crosses(absent, unsound, runs, _foot(to, solid if beyond else solid + hollow)))
    named = drawn | {(run, step): unsound[run][step] for run, step in absent}
    if named:
        to.traces.append(_legend(named, beyond, absent=set(absent), several=len(unsound) > 1))


def _facts(health: pa.Table, step: int) -> dict[str, float]:
    at = only(health, step=step, layer=None)
    facts = {key[0]: value for key, value in keyed(only(at, language=None), step, "metric").items()}
    if "loss" not in facts and (losses := only(at, metric="loss")["value"].to_pylist()):
        facts["loss"] = math.fsum(losses) / len(losses) if all(map(math.isfinite, losses)) else math.nan
    return facts


def _reason(step: int, facts: Mapping[int, Mapping[str, float]], unsound: Sequence[int]) -> str:
    here = facts[step]
    if "failed" in here:
        return "its files cannot be read"
    for metric, said in (("non_finite_tensors", "non-finite weights"), ("zero_tensors", "weights all zero")):
        if count := round(here.get(metric, 0)):
            return f"{said} in {count} tensor{'s' * (count > 1)}"
    if "duplicate_of" in here:
        other = round(here["duplicate_of"])
        if other in unsound:
            return f"the same weights as step {other:,}; which of the two is right is not known"
        return f"a copy of step {other:,}"
    loss = here.get("loss")
    if loss is None:
        return "its place in the series is in doubt"
    if not math.isfinite(loss):
        return "its loss is not finite"
    before = [
        facts[other]["loss"] for other in facts if other < step and other not in unsound and "loss" in facts[other]
    ]
    if before and loss > min(before):
        return f"the loss jumps to {loss:.2f} from {min(before):.2f}"
    return f"a loss of {loss:.2f}, lower than later ones: perhaps a later model"


def _run_of(trace: Mapping[str, Any], runs: Mapping[str, Any]) -> str:
    run = trace["meta"].get("id", {}).get("run")
    return run if run in runs else next(iter(runs))


def _part(trace: Mapping[str, Any], indices: Sequence[int]) -> dict[str, Any]:
    """A trace with some of its points."""
    meta = trace["meta"]
    chosen = {key: [trace[key][index] for index in indices] for key in ("x", "y", "text") if key in trace}
    extra = {key: [values[index] for index in indices] for key, values in meta.get("extra", {}).items()}
    points = {key: [meta[key][index] for index in indices] for key in ("steps", "tokens")}
    return {**trace, **chosen, "meta": {**meta, **points, **({"extra": extra} if extra else {})}}


def _hollow(points: dict[str, Any], why: Mapping[int, str]) -> dict[str, Any]:
    reasons = [why[step] for step in points["meta"]["steps"]]
    marker = points["marker"]
    meta = points["meta"]
    return {
        **points,
        "mode": "markers",
        "marker": {**marker, "symbol": f"{marker['symbol']}-open", "size": 9, "line": {"width": 2}},
        "text": [f"{place}<br>not sound: {reason}" for place, reason in zip(points["text"], reasons, strict=True)],
        "showlegend": False,
        "meta": {**meta, "reasons": reasons, "extra": {**meta.get("extra", {}), "not_sound": reasons}},
    }


def _keep_range(to: Sketch, solid: Sequence[float], hollow: Sequence[float]) -> bool:
    """Whether hollow points lie so far off that they are left beyond the axis, which then fits the sound ones."""
    axis = to.layout["yaxis"]
    if not solid or not hollow or "range" in axis or axis.get("type") == "log":
        return False
    low, high = min(solid), max(solid)
    span = high - low or abs(high) or 1.0
    if low - FAR * span <= min(hollow) and max(hollow) <= high + FAR * span:
        return False
    low = min(low, 0.0) if axis.get("rangemode") == "tozero" else low - 0.06 * span
    axis["range"] = [low, high + 0.06 * span]
    return True


def _foot(to: Sketch, values: Sequence[float]) -> float:
    """A height below all values, near the axis."""
    axis = to.layout["yaxis"]
    if "range" in axis:
        low, high = axis["range"]
        return low + 0.02 * (high - low)
    if axis.get("type") == "log" or axis.get("rangemode") == "tozero":
        return min(values) if axis.get("type") == "log" else 0.0
    return min(values) - 0.06 * (max(values) - min(values))


def _crosses(
    absent: Sequence[tuple[str, int]], unsound: Mapping[str, Mapping[int, str]], runs: Runs, level: float
) -> dict[str, Any]:
    """Where a checkpoint has no value at all: crosses at the foot of the curves, which are no values themselves."""
    tokens = {run: tokens_of(runs[run]) for run in {run for run, _ in absent}}
    steps, seen = [step for _, step in absent], [tokens[run].get(step) for run, step in absent]
    reasons = [f"{unsound[run][step]}; no value" for run, step in absent]
    words = [f"{where(step, n)}<br>not sound: {said}" for step, n, said in zip(steps, seen, reasons, strict=True)]
    return {
        "type": "scatter",
        "x": [position(step) for step in steps],
        "y": [level] * len(steps),
        "name": GROUP,
        "mode": "markers",
        "marker": {"color": INK, "symbol": "x-thin", "size": 9, "line": {"width": 2, "color": INK}},
        "text": words,
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "legendgroup": GROUP,
        "meta": {"id": {}, "legend": True, "steps": steps, "tokens": seen, "reasons": reasons},
    }


def _legend(
    drawn: Mapping[tuple[str, int], str], beyond: bool, absent: set[tuple[str, int]], several: bool
) -> dict[str, Any]:
    if len(drawn) > MOST_NAMED:
        said = f"{len(drawn)} checkpoints (point at them for the reason)"
    else:
        said = "; ".join(
            f"step {step:,}{f' of {run}' if several else ''}: {reason}{', no value (×)' if (run, step) in absent else ''}"
            for (run, step), reason in sorted(drawn.items())
        )
    name = f"not sound: {said}{' (partly beyond the axis)' if beyond else ''}"
    return {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "name": text(name),
        "legendgroup": GROUP,
        "mode": "markers",
        "marker": {"color": INK, "symbol": "circle-open", "size": 9, "line": {"width": 2}},
        "meta": {"id": {}, "legend": True},
    }
