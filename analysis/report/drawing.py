"""From figures to panels and sections: a figure per run, per step, per measure."""

from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from ..figures.data import Runs, has, only, select, steps_of
from ..figures.sound import sound_only
from .panels import Option, Panel, Section

MOST_FRAMES = 240
"""Figures of a panel that has other choices beside its steps."""
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


def split_steps(rows: pa.Table) -> dict[int, pa.Table]:
    """Rows of each sound step, ascending."""
    sound = sound_only(rows)
    return {step: only(sound, step=step) for step in steps_of(sound)}


def few_steps(steps: Sequence[int], choices: int, most: int = MOST_FRAMES) -> list[int]:
    """Steps for a slider beside so many other choices: all, or as many as keep a page light, spread evenly."""
    room = max(2, most // max(choices, 1))
    if len(steps) <= room:
        return list(steps)
    places = {round(at * (len(steps) - 1) / (room - 1)) for at in range(room)}
    return [steps[place] for place in sorted(places)]


def thinned_words(steps: int, choices: int) -> str:
    """What to say where a slider leaves out steps."""
    shown = len(few_steps(range(steps), choices))
    return f" The slider has {shown} of the {steps} checkpoints." if shown < steps else ""


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
