"""From figures to panels and sections: a figure per run, per step, per measure."""

from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from .figures_data import Runs, has, only, select, steps_of
from .figures_sound import sound_only
from .report_panels import Option, Panel, Section

Figures = Mapping[tuple[Option, ...], go.Figure]
"""Figures by the choices that lead to them."""


def per_run(runs: Runs, draw: Callable[[pa.Table], Figures | go.Figure], analysis: str, metric: str) -> Figures:
    """Figures of each run that has the metric at a sound step, with the run's name in front of the key."""
    found: dict[tuple[Option, ...], go.Figure] = {}
    for run, rows in runs.items():
        if has(sound_only(rows), analysis, metric):
            drawn = draw(rows)
            for key, figure in ({(): drawn} if isinstance(drawn, go.Figure) else drawn).items():
                found[run, *key] = figure
    return found


def panels(title: str, how_to_read: str, found: Figures, *names: str, size: str = "half") -> list[Panel]:
    """A panel, or nothing if there are no figures; choices with a single option are dropped."""
    if not found:
        return []
    keep = [place for place in range(len(names)) if len({key[place] for key in found}) > 1]
    figures_by = {tuple(key[place] for place in keep): figure for key, figure in found.items()}
    return [Panel(title, how_to_read, figures_by, tuple(names[place] for place in keep), size)]


def by_step(
    rows: pa.Table, analysis: str, metric: str, draw: Callable[[pa.Table, int], go.Figure], *extra: str
) -> dict[tuple[Option, ...], go.Figure]:
    """A figure a sound step. Each is drawn from that step's rows of the metric (and `extra` metrics) alone: fast."""
    rows = sound_only(rows)
    tables = [select(rows, analysis, name) for name in (metric, *extra)]
    return {
        (step,): draw(pa.concat_tables([only(table, step=step) for table in tables]), step)
        for step in steps_of(tables[0])
    }


def extremes(runs: Runs, analysis: str, *metrics: str) -> tuple[float | None, float | None]:
    """Lowest and highest value of the metrics in all runs: colours then mean the same in all of them."""
    parts = [select(sound_only(rows), analysis, metric)["value"] for rows in runs.values() for metric in metrics]
    filled = [part for part in parts if len(part)]
    if not filled:
        return None, None
    return min(pc.min(part).as_py() for part in filled), max(pc.max(part).as_py() for part in filled)


def section(slug: str, title: str, lead: str, found: Sequence[Panel]) -> Section | None:
    """A section, or nothing if it has no panels."""
    return Section(slug, title, lead, found) if found else None
