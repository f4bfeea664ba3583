"""Maps: layers over steps, language by language at one step, languages by layers at one step."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from .axis import finish_steps
from .data import keyed, languages_of, only, point, require, tokens_of, values_of
from .sound import sound_only
from .style import SEQUENTIAL, Sketch, add_map, colour_axis, sketch

Bounds = tuple[float | None, float | None]
NUMBERS_UP_TO = 8
"""Languages up to which a matrix shows its numbers."""


def probe_heatmap(rows: pa.Table, metric: str = "accuracy_mean", bounds: Bounds = (None, None)) -> go.Figure:
    """Test accuracy of the language probe, layer × step; layer 0 is the embedding output."""
    table = require(sound_only(rows), "probe", metric)
    name = metric.removesuffix("_mean").replace("_", " ")
    return _layer_map(_layer_values(table), tokens_of(table), value=name, bounds=bounds)


def shared_layers(rows: pa.Table) -> go.Figure:
    """In which blocks the experts that languages share lie, as shares of each step's total."""
    table = require(sound_only(rows), "experts", "shared_layer")
    sums = table.group_by(["layer", "step"]).aggregate([("value", "sum")]).to_pylist()
    totals: dict[int, float] = {}
    for row in sums:
        totals[row["step"]] = totals.get(row["step"], 0.0) + row["value_sum"]
    # A step at which nothing is shared has no depth: its column stays empty.
    shares = {
        (row["layer"], row["step"]): row["value_sum"] / totals[row["step"]] if totals[row["step"]] else None
        for row in sums
    }
    return _layer_map(shares, tokens_of(table), value="share of shared experts", bounds=(0, None), y="block")


def metric_heatmap(
    rows: pa.Table, analysis: str, metric: str, y: str = "layer", bounds: Bounds = (None, None), title: str = ""
) -> go.Figure:
    """Any metric that has layers: layer × step; `title` is what the colours are called."""
    table = require(sound_only(rows), analysis, metric)
    name = metric.replace("_", " ")
    return _layer_map(_layer_values(table), tokens_of(table), value=name, y=y, bounds=bounds, title=title)


def language_matrix(
    rows: pa.Table,
    step: int,
    metric: str = "overlap_mean",
    bounds: Bounds = (0, None),
    scale: Sequence[str] = SEQUENTIAL,
    analysis: str = "experts",
    title: str = "",
    words: Mapping[tuple[str, str], str] | None = None,
) -> go.Figure:
    """A metric for each ordered pair of languages at one step; a pair given in one order only fills both cells.

    `words` are what else is said of a pair when it is pointed at.
    """
    table = require(rows, analysis, metric)
    pairs = {key: value for key, value in keyed(table, step, "language", "other_language").items() if None not in key}
    names = languages_of(table)
    cells = [[_rounded(_either(pairs, row, column, None)) for column in names] for row in names]
    said = words and [[_either(words, row, column, "") for column in names] for row in names]
    label = metric.removesuffix("_mean").replace("_", " ")
    drawing = _square(len(names), colour_axis(*bounds, title=title or label, scale=scale))
    add_map(
        drawing, names, names, cells, point(table, step), names=("language", "other_language", label.replace(" ", "_")),
        hover=f"%{{y}} and %{{x}}<br>{label} %{{z:.3f}}", numbers=len(names) <= NUMBERS_UP_TO, words=said or None,
    )  # fmt: skip
    return drawing.finish()


def confusion(rows: pa.Table, step: int, layer: int | None = None) -> go.Figure:
    """Share of each language's tokens (rows) that the probe takes for each language (columns); `layer` None: all."""
    table = require(rows, "probe", "confusion")
    chosen = table if layer is None else only(table, layer=layer)
    pairs = keyed(chosen, step, "language", "other_language")
    names = languages_of(table)
    sums = {row: sum(pairs.get((row, column), 0.0) for column in names) for row in names}
    cells = [
        [_rounded(pairs.get((row, column), 0.0) / sums[row]) if sums[row] else None for column in names]
        for row in names
    ]
    drawing = _square(len(names), colour_axis(0, 1, title="share of tokens"), x="predicted", y="true")
    identity = {**point(table, step), "layer": "all" if layer is None else layer}
    add_map(
        drawing, names, names, cells, identity, names=("language", "predicted", "share"),
        hover="%{y} taken for %{x}<br>%{z:.1%}", numbers=len(names) <= NUMBERS_UP_TO,
    )  # fmt: skip
    return drawing.finish()


def recall(rows: pa.Table, step: int, bounds: Bounds = (0, 1)) -> go.Figure:
    """Share of each language's test tokens that the probe recognises, language × layer, mean over seeds."""
    table = require(rows, "probe", "recall")
    values = keyed(table, step, "language", "layer")
    names, layers = languages_of(table), values_of(table, "layer")
    drawing = sketch(
        "", "layer", height=max(300, 170 + 21 * len(names)), coloraxis=colour_axis(*bounds, title="recall"),
        xaxis={"type": "category", "showgrid": False, "dtick": -(-len(layers) // 14)},
        yaxis={"type": "category", "showgrid": False, "autorange": "reversed", "dtick": 1},
    )  # fmt: skip
    cells = [[values.get((name, layer)) for layer in layers] for name in names]
    add_map(
        drawing, names, layers, cells, point(table, step), names=("language", "layer", "recall"),
        hover="%{y}, layer %{x}<br>recall %{z:.3f}",
    )  # fmt: skip
    return drawing.finish()


def _layer_map(
    values: Mapping[tuple[int, int], float | None],
    tokens: Mapping[int, int | None],
    *,
    value: str,
    bounds: Bounds = (None, None),
    y: str = "layer",
    title: str = "",
) -> go.Figure:
    """Values by (layer, step): layers from bottom to top, steps on the log-like axis."""
    layers, steps = sorted({layer for layer, _ in values}), sorted({step for _, step in values})
    drawing = sketch(
        y, height=max(300, min(540, 190 + 14 * len(layers))), coloraxis=colour_axis(*bounds, title=title or value),
        xaxis={"showgrid": False}, yaxis={"showgrid": False, "dtick": max(1, round(len(layers) / 8))},
    )  # fmt: skip
    cells = [[values.get((layer, step)) for step in steps] for layer in layers]
    add_map(
        drawing, layers, steps, cells, {}, names=(y, "step", value.replace(" ", "_")),
        hover=f"{y} %{{y}}<br>%{{hovertext}}<br>%{{z:.3f}}", tokens=[tokens[step] for step in steps],
    )  # fmt: skip
    return finish_steps(drawing)


def _layer_values(table: pa.Table) -> dict[tuple[int, int], float]:
    """Mean value by (layer, step)."""
    means = only(table, layer=...).group_by(["layer", "step"]).aggregate([("value", "mean")])
    return {(row["layer"], row["step"]): row["value_mean"] for row in means.to_pylist()}


def _either(pairs: Mapping[Any, Any], one: str, two: str, absent: Any) -> Any:
    """What is known of a pair, in this order or else in the other."""
    return pairs.get((one, two), pairs.get((two, one), absent))


def _rounded(value: float | None) -> float | None:
    """To 1e-5, below what any share or AP is known to; a page holds tens of thousands of them."""
    return None if value is None else round(value, 5)


def _square(count: int, coloraxis: Mapping[str, Any], x: str = "", y: str = "") -> Sketch:
    axis = {"type": "category", "showgrid": False, "constrain": "domain", "dtick": 1}
    return sketch(
        y, x, height=max(430, min(660, 190 + 28 * count)), coloraxis=coloraxis,
        xaxis=axis, yaxis={**axis, "autorange": "reversed", "scaleanchor": "x"},
    )  # fmt: skip
