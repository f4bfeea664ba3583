"""What a report is made of: sections of panels; a panel is a figure, or one per choice of run, measure, layer, step."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..figures.data import Runs

Option = str | int
"""A choice by name, or a step on a slider."""


@dataclass(frozen=True)
class Panel:
    """A figure with its explanation.

    Attributes:
        title: heading.
        how_to_read: what is drawn, and what it is to be compared with.
        figures: one figure per combination of options; a panel without choices has the single key `()`.
        names: name of each choice; options that are integers are steps and get a slider.
        size: share of the page's width that it takes: `wide`, `half` or `third`.
    """

    title: str
    how_to_read: str
    figures: Mapping[tuple[Option, ...], go.Figure]
    names: tuple[str, ...] = ()
    size: str = "half"


@dataclass(frozen=True)
class Section:
    """Panels under one heading; `slug` names it in the address."""

    slug: str
    title: str
    lead: str
    panels: Sequence[Panel]


SectionMaker = Callable[[Runs], Section | None]
"""Makes a section from the rows of all runs, or nothing if they hold nothing for it."""


def panel_data(panel: Panel) -> dict[str, Any]:
    """A panel as the page reads it: its choices, the distinct layouts, and the traces of each combination."""
    options: list[list[Option]] = []
    for place in range(len(panel.names)):
        found = list(dict.fromkeys(key[place] for key in panel.figures))
        options.append(sorted(found) if all(isinstance(option, int) for option in found) else found)
    layouts: dict[str, int] = {}
    frames = {}
    for key, figure in panel.figures.items():
        plain = figure.to_plotly_json()
        layout = dump_json(plain["layout"])
        at = "/".join(str(options[place].index(option)) for place, option in enumerate(key))
        frames[at] = {
            "layout": layouts.setdefault(layout, len(layouts)),
            "traces": [_lean(part) for part in plain["data"]],
        }
    controls = [
        {"name": name, "options": [str(option) for option in choice], "steps": isinstance(choice[0], int)}
        for name, choice in zip(panel.names, options, strict=True)
    ]
    return {"controls": controls, "layouts": [json.loads(layout) for layout in layouts], "frames": frames}


def _lean(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace without what the page derives from its steps and tokens: places on the axis, and words for them."""
    derived = ("x", "text", "hovertext") if "steps" in trace["meta"] else ()
    return {key: value for key, value in trace.items() if key not in derived}


def dump_json(value: Any) -> str:
    """JSON that may stand inside a script element: compact, floats to 5 digits, NaN as null, no `<` in it."""
    plain = json.dumps(_rounded(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
