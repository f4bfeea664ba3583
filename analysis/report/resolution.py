"""What curves over a series cannot show, said in the captions of the figures that have them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ..figures.data import Runs, of_checkpoints, tokens_of
from ..figures.sound import unsound_of
from ..health.resolution import Resolution, resolution_of
from .panels import Panel, Section

MOST_NAMED = 4
"""Runs that a caption names; of more it says the range."""


def resolution_of_rows(rows: pa.Table) -> Resolution | None:
    """What the checkpoints that were analysed leave out of sight; the log of training is not of checkpoints."""
    return resolution_of(tokens_of(of_checkpoints(rows)).items(), unsound_of(rows))


def captioned(sections: Sequence[Section], runs: Runs) -> list[Section]:
    """Sections whose figures over checkpoints say in their captions from where on there is anything to see."""
    found = {run: resolution for run, rows in runs.items() if (resolution := resolution_of_rows(rows)) is not None}
    if not found:
        return list(sections)
    first, words = min(resolution.step for resolution in found.values()), _words(found, several=len(runs) > 1)
    return [
        replace(
            section,
            panels=[
                replace(panel, how_to_read=f"{panel.how_to_read} {words}") if _over(panel, first) else panel
                for panel in section.panels
            ],
        )
        for section in sections
    ]


def _words(found: Mapping[str, Resolution], several: bool) -> str:
    if not several:
        (only,) = found.values()
        return f"What begins before {only.before} cannot be seen here."
    if len(found) <= MOST_NAMED:
        named = " or ".join(f"{resolution.before} in {run}" for run, resolution in found.items())
        return f"What begins before {named} cannot be seen here."
    ordered = sorted(found.values(), key=lambda resolution: resolution.step)
    return (
        f"What begins before the first checkpoint of a run cannot be seen here: {ordered[0].before} to "
        f"{ordered[-1].before} in {len(found)} of them."
    )


def _over(panel: Panel, first: int) -> bool:
    """Whether a panel draws values over checkpoints from the first on, rather than single ones or the log of training."""
    steps = {step for figure in panel.figures.values() for trace in figure.data for step in _steps(trace.meta or {})}
    return len(steps) > 1 and min(steps) >= first


def _steps(meta: Mapping[str, Any]) -> Iterator[int]:
    """Steps of the points of a trace, but of those that are hollow for not being sound."""
    if "reasons" not in meta:
        yield from meta.get("steps", ())
