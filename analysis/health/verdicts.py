"""Which checkpoints of a series are sound: copies of each other, jumps of the loss, broken weights.

A hash tells that two steps have the same weights, not which of the two labels is right. The losses may: training
lowers them, so the largest set of steps whose losses never rise by more than a margin is taken to be the true course.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from ..failures import failure_of
from ..findings import ROW_SCHEMA, Findings, read_series, write_findings
from .resolution import Resolution, resolution_of
from .settings import HealthSettings

NAME = "health"
"""The analysis whose findings are judged."""
HASH = "weights"
"""Name of the array that holds the hash of the weights."""
VERDICT = "in the series: "
"""What begins the warnings that a verdict adds."""

_VERDICT_METRICS = ("duplicate_of", "sound")


@dataclass(frozen=True)
class Checkup:
    """What is known about one checkpoint alone."""

    step: int
    weights: bytes
    loss: float | None = None
    broken: bool = False
    unreadable: str | None = None
    """Why the checkpoint could not be looked at; its weights are then unknown."""


@dataclass(frozen=True)
class Verdict:
    """What a checkpoint is in its series; `reasons` says in words why it is not sound."""

    sound: bool = True
    duplicate_of: int | None = None
    reasons: tuple[str, ...] = ()


def judge(checkups: Iterable[Checkup], jump: float = HealthSettings.jump) -> dict[int, Verdict]:
    """Judge a series.

    Of several steps with the same weights the one that fits the course of the losses is sound, if there is one;
    otherwise none of them is, as nobody knows which step the weights are of.

    Args:
        checkups: any order.
        jump: nats by which a loss may exceed the lowest before it.
    """
    ordered = sorted(checkups, key=lambda checkup: checkup.step)
    by_weights: dict[bytes, list[Checkup]] = defaultdict(list)
    for checkup in ordered:
        by_weights[_group(checkup)].append(checkup)
    groups = [group for group in by_weights.values() if len(group) > 1]
    left_out = {checkup.step for group in groups for checkup in group[1:]}
    doubtful: set[int] = set()
    for group in groups:
        others = left_out - {checkup.step for checkup in group}
        scores = []
        for kept in group:
            without = others | {checkup.step for checkup in group if checkup is not kept}
            scores.append(len(_course(ordered, without, jump)))
        best = max(scores)
        if scores.count(best) > 1:
            doubtful.update(checkup.step for checkup in group)
        kept = group[scores.index(best)]
        left_out = others | {checkup.step for checkup in group if checkup is not kept}
    course = _course(ordered, left_out, jump)
    found = {}
    for checkup in ordered:
        verdict = Verdict()
        twins = [other.step for other in by_weights[_group(checkup)] if other is not checkup]
        if twins:
            right = [step for step in twins if step not in left_out and step not in doubtful]
            verdict = replace(verdict, duplicate_of=right[0] if right else twins[0])
        reasons = _reasons(checkup, verdict.duplicate_of, checkup.step in doubtful, course, left_out, jump)
        found[checkup.step] = replace(verdict, sound=not reasons, reasons=tuple(reasons))
    return found


def _group(checkup: Checkup) -> bytes:
    """What two checkpoints with the same weights have in common; those that can't be read, nothing."""
    return checkup.weights or f"step {checkup.step}".encode()


def _reasons(
    checkup: Checkup, twin: int | None, doubtful: bool, course: Sequence[Checkup], left_out: set[int], jump: float
) -> list[str]:
    if checkup.unreadable is not None:
        return [f"it can't be read: {checkup.unreadable}"]
    reasons = ["its weights are broken"] if checkup.broken else []
    if twin is not None and doubtful:
        reasons.append(f"the same weights as step {twin}, and nothing tells which of the two steps they are of")
    elif twin is not None and checkup.step in left_out:
        reasons.append(f"a copy of step {twin}, whose place in the course of the loss it has")
    if checkup.loss is None or reasons:
        return reasons
    if not math.isfinite(checkup.loss):
        return ["its loss is not finite"]
    if checkup not in course:
        before = [other for other in course if other.step < checkup.step]
        lowest = min(before, key=lambda other: other.loss or 0.0) if before else None
        if lowest is not None and lowest.loss is not None and checkup.loss > lowest.loss + jump:
            reasons.append(f"the loss jumps to {checkup.loss:.2f} from {lowest.loss:.2f} at step {lowest.step}")
        else:
            reasons.append(
                f"its loss of {checkup.loss:.2f} is lower than later ones: perhaps a later model under this step"
            )
    return reasons


def _course(ordered: Sequence[Checkup], without: set[int], jump: float) -> list[Checkup]:
    """The most steps whose losses never exceed the lowest before by more than `jump`; of several, the lowest ones."""
    best: dict[float, tuple[int, float, tuple[Checkup, ...]]] = {math.inf: (0, 0.0, ())}
    for checkup in ordered:
        loss = checkup.loss
        if (
            checkup.step in without
            or checkup.broken
            or checkup.unreadable is not None
            or loss is None
            or not math.isfinite(loss)
        ):
            continue
        for lowest, (count, total, chain) in list(best.items()):
            if loss <= lowest + jump:
                key, candidate = min(lowest, loss), (count + 1, total - loss, (*chain, checkup))
                if key not in best or candidate[:2] > best[key][:2]:
                    best[key] = candidate
    return list(max(best.values(), key=lambda candidate: candidate[:2])[2])


def checkup_of(findings: Findings) -> Checkup:
    """What health findings say about their checkpoint alone."""
    unreadable = failure_of(findings)
    if unreadable is not None:
        return Checkup(findings.step, b"", unreadable=unreadable)
    value = {
        row["metric"]: row["value"]
        for row in findings.table.to_pylist()
        if row["layer"] is None and row["language"] is None
    }
    broken = value["non_finite_tensors"] > 0 or value["zero_tensors"] > 0
    return Checkup(findings.step, findings.arrays[HASH].tobytes(), value.get("loss"), broken)


def review(results: str | Path, jump: float = HealthSettings.jump) -> dict[int, Verdict]:
    """Judge all health findings below a results folder; those whose verdict changed are written anew.

    Each then has the rows `sound` (0 or 1) and, where another step has the same weights, `duplicate_of` (that step),
    and the reasons among its warnings. The first sound one says among them what the series leaves out of sight.
    """
    found = read_series(results, NAME)
    verdicts = judge([checkup_of(findings) for findings in found.values()], jump)
    unsound = [step for step, verdict in verdicts.items() if not verdict.sound]
    points = ((step, findings.table["tokens"][0].as_py()) for step, findings in found.items())
    resolution = resolution_of(points, unsound)
    for step, findings in found.items():
        first = resolution is not None and resolution.step == step
        judged = with_verdict(findings, verdicts[step], resolution if first else None)
        if not judged.table.equals(findings.table) or judged.warnings != findings.warnings:
            write_findings(judged, results)
    return verdicts


def with_verdict(findings: Findings, verdict: Verdict, resolution: Resolution | None = None) -> Findings:
    """Health findings with a verdict in place of the one they had; those of the first checkpoint with the resolution."""
    rows = findings.table.to_pylist()
    tokens = rows[0]["tokens"]
    kept = [row for row in rows if row["metric"] not in _VERDICT_METRICS]
    common = {"step": findings.step, "tokens": tokens, "analysis": findings.analysis}
    if verdict.duplicate_of is not None:
        kept.append({**common, "metric": "duplicate_of", "value": float(verdict.duplicate_of)})
    kept.append({**common, "metric": "sound", "value": float(verdict.sound)})
    warnings = [warning for warning in findings.warnings if not warning.startswith(VERDICT)]
    said = () if resolution is None else (f"{VERDICT}{resolution}",)
    return replace(
        findings,
        table=pa.Table.from_pylist(kept, schema=ROW_SCHEMA),
        warnings=(*warnings, *(VERDICT + reason for reason in verdict.reasons), *said),
    )
