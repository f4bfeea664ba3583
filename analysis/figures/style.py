"""The look that all figures share: colours, an axis of steps that can show 0, and traces that know their own data.

Every trace carries in `meta` what identifies it and where its points lie in steps and tokens. A page can then move the
points to another axis, and write the data of a figure as a table, from the figure alone. Names from runs are escaped:
plotly reads a little HTML in text.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from ..numbers import short
from .data import Series

INK, QUIET, FAINT = "#27313a", "#7b8791", "#dfe4e8"
"""Main line, null lines, grid."""
CATEGORICAL = ("#1c3889", "#9c5e17", "#106d75", "#cd7d97", "#5594e9", "#969b12", "#5b0942", "#514402")
"""Eight colours told apart under red, green and blue blindness; contrast with white at least 3."""
DASHES = ("solid", "dash")
SYMBOLS = ("circle", "diamond")
SEQUENTIAL = ("#f3f1ea", "#c5dbe6", "#84b4d1", "#3f86b5", "#145a8c", "#0a2f52")
DIVERGING = ("#8c4a08", "#d9a45f", "#f3f1ea", "#67a9c4", "#145a8c")
DARK_SEQUENTIAL = ("#1a2630", "#1f4a68", "#2f76a6", "#5ea6d8", "#a4d2f2", "#eef7fd")
DARK = {
    **dict(zip(SEQUENTIAL, DARK_SEQUENTIAL, strict=True)),
    **dict(
        zip(
            CATEGORICAL,
            ("#4983d9", "#9d7206", "#41d9ae", "#d56c88", "#c2f2fb", "#fbe870", "#aaacfd", "#cbac28"),
            strict=True,
        )
    ),
    INK: "#dfe6eb", QUIET: "#8f9ca7", FAINT: "#26313a",
}  # fmt: skip
"""Counterpart of each colour on a dark page."""
PERCENT = ".3~p"
"""1.5 % and 35 %, without digits that say nothing."""
RUN_DASHES = ("solid", "dash", "dot", "dashdot")


def text(name: object) -> str:
    """A name from a run as plotly shall show it, letter for letter."""
    return html.escape(str(name), quote=False)


def position(value: float, unit: float = 1.0) -> float:
    """Where a step (or `unit` tokens) lies on the log-like axis: log₂(1 + value/unit), so that 0 lies at 0."""
    return math.log2(1 + value / unit)


def language_styles(languages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, dash and marker of each language: the first eight solid with circles, the next dashed with diamonds."""
    count = len(CATEGORICAL)
    return {
        language: {
            "color": CATEGORICAL[index % count],
            "dash": DASHES[index // count % len(DASHES)],
            "symbol": SYMBOLS[index // count % len(SYMBOLS)],
        }
        for index, language in enumerate(languages)
    }


def where(step: int, tokens: int | None) -> str:
    """A point of a run in words."""
    return f"step {step:,}" + (f" · {short(tokens)} tokens" if tokens is not None else "")


@dataclass
class Sketch:
    """A figure in the making, as plain data: plotly checks it once, when it is finished, and not at every change."""

    layout: dict[str, Any]
    traces: list[dict[str, Any]] = field(default_factory=list)

    def finish(self) -> go.Figure:
        """The plotly figure."""
        return go.Figure({"data": self.traces, "layout": self.layout})


def sketch(
    y: str,
    x: str = "",
    height: int = 380,
    *,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    **layout: Any,
) -> Sketch:
    """An empty figure in the common look, with titles of the axes and whatever else they need."""
    axis = {"gridcolor": FAINT, "zeroline": False, "linecolor": FAINT, "automargin": True}
    return Sketch(
        {
            "template": {},
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 14, "b": 8},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": "closest",
            "hoverlabel": {"namelength": -1},
            "dragmode": False,
            "legend": {"orientation": "h", "y": -0.2},
            "xaxis": {**axis, "title": {"text": x, "standoff": 8}, **(xaxis or {})},
            "yaxis": {**axis, "title": {"text": y, "standoff": 8}, **(yaxis or {})},
            **layout,
        }
    )


def add_line(
    to: Sketch,
    name: str,
    series: Series,
    identity: Mapping[str, Any],
    *,
    value: str = "value",
    color: str = INK,
    dash: str = "solid",
    symbol: str = "circle",
    width: float = 2,
    markers: bool = True,
    interval: tuple[Series, Series] | None = None,
    judged: bool = True,
) -> None:
    """A curve over steps, with a band from `interval[0]` to `interval[1]` behind it if given.

    What is not `judged`, such as chance, says nothing about a checkpoint and goes through those that are not sound.
    """
    meta: dict[str, Any] = {
        "id": dict(identity), "x": "step", "value": value, "steps": series.steps, "tokens": series.tokens,
        **({} if judged else {"judged": False}),
    }  # fmt: skip
    if interval is not None:
        low, high = (dict(zip(part.steps, part.values, strict=True)) for part in interval)
        at = [index for index, step in enumerate(series.steps) if step in low and step in high]
        steps = [series.steps[index] for index in at]
        tokens = [series.tokens[index] for index in at]
        meta["extra"] = {
            f"{value}_low": [low.get(step) for step in series.steps],
            f"{value}_high": [high.get(step) for step in series.steps],
        }
        to.traces.append(
            {
                "type": "scatter",
                "x": [position(step) for step in steps + steps[::-1]],
                "y": [high[step] for step in steps] + [low[step] for step in steps[::-1]],
                "fill": "toself",
                "fillcolor": color,
                "opacity": 0.16,
                "line": {"width": 0, "color": color},
                "mode": "lines",
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": name,
                "meta": {
                    "id": dict(identity), "steps": steps + steps[::-1], "tokens": tokens + tokens[::-1], "band": True,
                    **({} if judged else {"judged": False}),
                },
            }
        )  # fmt: skip
    to.traces.append(
        {
            "type": "scatter",
            "x": [position(step) for step in series.steps],
            "y": series.values,
            "name": text(name),
            "legendgroup": name,
            "mode": "lines+markers" if markers or len(series.steps) == 1 else "lines",
            "line": {"color": color, "dash": dash, "width": width},
            "marker": {"color": color, "symbol": symbol, "size": 5},
            "text": [where(step, tokens) for step, tokens in zip(series.steps, series.tokens, strict=True)],
            "hovertemplate": "<b>%{fullData.name}</b><br>%{text}<br>%{y:.3f}<extra></extra>",
            "meta": meta,
        }
    )


def add_map(
    to: Sketch,
    rows: Sequence[Any],
    columns: Sequence[Any],
    values: Sequence[Sequence[float | None]],
    identity: Mapping[str, Any],
    *,
    names: tuple[str, str, str],
    hover: str,
    numbers: bool = False,
    tokens: Sequence[int | None] | None = None,
    words: Sequence[Sequence[str]] | None = None,
) -> None:
    """A heat map on the figure's colour axis; `names` are those of row, column and value.

    With `tokens` the columns are steps, at their place on the log-like axis. `words` are said of each cell, last.
    """
    meta: dict[str, Any] = {"id": dict(identity), "map": names, "rows": list(rows), "columns": list(columns)}
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [text(column) for column in columns],
        "y": [row if isinstance(row, int) else text(row) for row in rows],
        "z": [list(line) for line in values],
        "coloraxis": "coloraxis",
        "hoverongaps": False,
        "hovertemplate": hover + "<extra></extra>",
        "meta": meta,
    }
    if tokens is not None:
        meta |= {"steps": list(columns), "tokens": list(tokens)}
        trace["x"] = [position(step) for step in columns]
        trace["hovertext"] = [[where(*point) for point in zip(columns, tokens, strict=True)]] * len(rows)
    if words is not None:
        trace |= {"hovertext": [list(line) for line in words], "hovertemplate": f"{hover}%{{hovertext}}<extra></extra>"}
    if numbers:
        trace["texttemplate"] = "%{z:.2~r}"
    to.traces.append(trace)


def colour_axis(low: float | None, high: float | None, title: str, scale: Sequence[str] = SEQUENTIAL) -> dict[str, Any]:
    """The colour axis that `add_map` draws on; without bounds it follows the data."""
    stops = [[index / (len(scale) - 1), colour] for index, colour in enumerate(scale)]
    bar = {
        "orientation": "h", "thickness": 10, "outlinewidth": 0, "len": 1, "x": 0.5, "xanchor": "center", "y": 1.02,
        "yanchor": "bottom", "title": {"text": title, "side": "top"},
    }  # fmt: skip
    return {"colorscale": stops, "cmin": low, "cmax": high, "colorbar": bar}
