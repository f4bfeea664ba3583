"""Profiles: layers at one step, sites of shared experts, languages per expert, concepts side by side."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from .axis import finish_steps
from .data import keyed, only, overall, point, require, select, series_by, steps_of, tokens_of, values_of
from .layers import ALIGNED, either_way
from .sound import sound_only
from .style import CATEGORICAL, INK, PERCENT, QUIET, SEQUENTIAL, Sketch, position, sketch, text, where

SITE_NAMES = {
    "q": "query", "k": "key", "v": "value", "qkv": "query, key, value", "attn_out": "attention output",
    "ffn_gate": "feed-forward gate", "ffn_in": "feed-forward in", "ffn_out": "feed-forward out",
    "ffn_act": "feed-forward activation", "ffn_gated": "feed-forward gate × in",
}  # fmt: skip
MOST_CONCEPTS = 60
"""With more concepts than this, the half of them with the lowest and the half with the highest overlap are shown."""
LONGEST_NAME = 28
LAYERS = "layer (0 is the embedding output)"


def probe_profile(rows: pa.Table, step: int) -> go.Figure:
    """Probe accuracy of each layer at one step, with its deviation over seeds, the first step measured, and chance."""
    table = require(rows, "probe", "accuracy_mean")
    at = _by_first(keyed(table, step, "layer"))
    spread = _by_first(keyed(select(rows, "probe", "accuracy_std"), step, "layer"))
    first = steps_of(table)[0]
    drawing = sketch("accuracy", LAYERS)
    if step != first:
        _profile(drawing, f"step {first:,}", _by_first(keyed(table, first, "layer")), {"step": first}, QUIET, "dot")
    _profile(drawing, "this step", at, point(table, step), CATEGORICAL[0], "solid")
    deviations = [spread.get(layer) for layer in sorted(at)]
    drawing.traces[-1]["error_y"] = {"type": "data", "array": deviations, "thickness": 1, "width": 3}
    drawing.traces[-1]["meta"]["extra"] = {"deviation_over_seeds": deviations}
    chance = overall(rows, "probe", "chance")
    if chance is not None:
        _profile(drawing, "chance", dict.fromkeys(at, chance.last), {}, QUIET, "dash")
        drawing.traces[-1]["mode"] = "lines"
    return drawing.finish()


def alignment_profile(rows: pa.Table, step: int, metric: str = "retrieval_accuracy") -> go.Figure:
    """A measure of alignment of each layer at one step, with the range of the pairs, the first step and the null.

    CKA's null is the 95th percentile of the mean over pairs.
    """
    table = require(rows, "alignment", metric)
    measure = ALIGNED[metric]
    whole = only(table, language=None)
    identity = point(table, step)
    first = steps_of(table)[0]
    drawing = sketch(measure.title, LAYERS)
    pairs = only(table, language=..., other_language=...)
    _band(drawing, pairs, step, CATEGORICAL[0])
    if step != first:
        before = _by_first(keyed(whole, first, "layer"))
        _profile(drawing, f"step {first:,}", before, {"step": first}, QUIET, "dot", value=metric)
    at = _by_first(keyed(whole, step, "layer"))
    _profile(drawing, "this step", at, identity, CATEGORICAL[0], "solid", value=metric)
    ends = _ends(pairs, step)
    drawing.traces[-1]["meta"]["extra"] = {
        f"{end}_pair": [ends.get(layer, (None, None))[place] for layer in sorted(at)]
        for place, end in enumerate(("lowest", "highest"))
    }
    name, null = measure.level(only(rows, step=step))
    level: dict[int, Any] = dict.fromkeys(at, null)
    if isinstance(null, str):
        level = _by_first(keyed(select(rows, "alignment", null, language=None), step, "layer"))
    _profile(drawing, name, level, {**identity}, INK, "dash", value=metric)
    drawing.traces[-1]["mode"] = "lines"
    return drawing.finish()


def alignment_directions(rows: pa.Table, step: int, language: str | None = None) -> go.Figure:
    """Retrieval accuracy of each layer at one step, from a language to the others and back; None: all pairs, one line."""
    table = only(require(rows, "alignment", "retrieval_accuracy"), language=..., other_language=...)
    drawing = sketch("retrieval accuracy", LAYERS, yaxis={"rangemode": "tozero"})
    lines = {f"from {language}": {"language": language}, f"to {language}": {"other_language": language}}
    identity = point(table, step)
    for (name, where_), color, dash in zip(
        (lines if language else {"all pairs": {}}).items(), CATEGORICAL, ("solid", "dash"), strict=False
    ):
        values = _by_first(keyed(only(table, **where_), step, "layer"))
        _profile(drawing, text(name), values, identity, color, dash, value="retrieval_accuracy")
        drawing.traces[-1]["meta"]["id"]["line"] = name
    level = _by_first(keyed(select(rows, "alignment", "retrieval_chance", language=None), step, "layer"))
    if level:
        _profile(drawing, "chance", level, identity, QUIET, "dash", value="retrieval_accuracy")
        drawing.traces[-1]["mode"] = "lines"
    return drawing.finish()


def expert_profile(rows: pa.Table, step: int) -> go.Figure:
    """Share of the shared experts that lies in each block, by site, beside the share of all experts."""
    shared = require(rows, "experts", "shared_layer")
    counts = keyed(shared, step, "layer", "site")
    total = sum(counts.values())
    layers = values_of(shared, "layer")
    drawing = sketch("share of experts", "block", barmode="stack", bargap=0.15, yaxis={"tickformat": PERCENT})
    identity = point(shared, step)
    order = list(SITE_NAMES)
    found = {site for _, site in counts}
    for number, site in enumerate(
        sorted(found, key=lambda site: (order.index(site) if site in order else 99, str(site)))
    ):
        drawing.traces.append(
            {
                "type": "bar",
                "x": layers,
                "y": [counts.get((layer, site), 0.0) / total if total else 0.0 for layer in layers],
                "name": text(SITE_NAMES.get(site, site) if site else "shared experts"),
                "marker": {"color": CATEGORICAL[number % len(CATEGORICAL)], "line": {"width": 0}, "opacity": 0.7},
                "hovertemplate": "<b>%{fullData.name}</b><br>block %{x}<br>%{y:.1%}<extra></extra>",
                "meta": {"id": {**identity, "experts": "shared", "site": site}, "x": "block", "value": "share"},
            }
        )
    every = series_by(only(select(rows, "experts", "expert_layer"), step=step), "layer")
    means = {layer: series.last for (layer,), series in every.items()}
    if sum(means.values()):
        shares = {layer: mean / sum(means.values()) for layer, mean in means.items()}
        _profile(drawing, "all experts", shares, {**identity, "experts": "all"}, INK, "solid", "block", "share")
    return drawing.finish()


def languages_per_expert(rows: pa.Table) -> go.Figure:
    """How many languages an expert serves: shares of experts that serve exactly 1, 2, … languages, stacked."""
    names = pc.unique(only(rows, analysis="experts")["metric"]).to_pylist()
    counts = sorted(int(name.rsplit("_", 1)[1]) for name in names if re.fullmatch(r"shared_by_\d+", name))
    metrics = {int(name.rsplit("_", 1)[1]): name for name in names if re.fullmatch(r"shared_by_\d+", name)}
    if not counts:
        require(rows, "experts", "shared_by_01")
    rows = sound_only(rows)
    found = {count: overall(rows, "experts", metrics[count]) for count in counts}
    values = {count: dict(zip(s.steps, s.values, strict=True)) for count, s in found.items() if s}
    tokens = tokens_of(select(rows, "experts", metrics[counts[0]]))
    steps = sorted(tokens)
    totals = [sum(part.get(step, 0.0) for part in values.values()) for step in steps]
    drawing = sketch("share of experts", yaxis={"range": [0, 1], "tickformat": PERCENT})
    for rank, (count, part) in enumerate(values.items()):
        place = (rank + 0.5) / len(values)
        colour = shade(place)
        drawing.traces.append(
            {
                "type": "scatter",
                "x": [position(step) for step in steps],
                "y": [part.get(step, 0.0) / total if total else 0.0 for step, total in zip(steps, totals, strict=True)],
                "name": "1 language" if count == 1 else str(count),
                "stackgroup": "languages",
                "mode": "lines" if len(steps) > 1 else "lines+markers",
                "line": {"width": 0.5, "color": colour},
                "fillcolor": colour,
                "text": [where(step, tokens[step]) for step in steps],
                "hovertemplate": f"<b>serve {count} language{'s' * (count > 1)}</b><br>%{{text}}<br>%{{y:.1%}}<extra></extra>",
                "meta": {
                    "id": {"languages": count}, "shade": place, "x": "step", "value": "share", "steps": steps,
                    "tokens": [tokens[step] for step in steps],
                },
            }
        )  # fmt: skip
    return finish_steps(drawing)


def concept_overlap(rows: pa.Table, step: int) -> go.Figure:
    """Overlap of each concept, mean over pairs of languages, beside its control if there is one."""
    values = _by_first(keyed(require(rows, "experts", "overlap"), step, "concept"))
    control = _by_first(keyed(select(rows, "experts", "overlap_control"), step, "concept"))
    names = sorted(values, key=lambda name: (values[name], name))
    if len(names) > MOST_CONCEPTS:
        names = names[: MOST_CONCEPTS // 2] + names[-MOST_CONCEPTS // 2 :]
    drawing = sketch(
        "", "overlap, mean over pairs of languages", height=120 + 18 * len(names),
        xaxis={"rangemode": "tozero", "tickformat": PERCENT},
        yaxis={
            "tickmode": "array", "tickvals": list(range(len(names))), "range": [-0.6, len(names) - 0.4],
            "ticktext": [text(shortened(name)) for name in names],
        },
    )  # fmt: skip
    identity = point(only(rows, analysis="experts", metric="overlap"), step)
    for name, part, color, symbol in (
        ("different concepts (control)", control, CATEGORICAL[1], "diamond-open"),
        ("same concept", values, CATEGORICAL[0], "circle"),
    ):
        there = [place for place, concept in enumerate(names) if concept in part]
        if there:
            drawing.traces.append(
                {
                    "type": "scatter",
                    "x": [part[names[place]] for place in there],
                    "y": there,
                    "name": name,
                    "mode": "markers",
                    "marker": {"color": color, "symbol": symbol, "size": 8},
                    "text": [text(names[place]) for place in there],
                    "hovertemplate": "<b>%{text}</b><br>%{fullData.name} %{x:.1%}<extra></extra>",
                    "meta": {
                        "id": {**identity, "measure": name}, "y": "concept", "value": "overlap",
                        "names": [names[place] for place in there],
                    },
                }
            )  # fmt: skip
    return drawing.finish()


def shade(place: float, scale: Sequence[str] = SEQUENTIAL) -> str:
    """The colour at `place` of 0…1 on a scale."""
    at = place * (len(scale) - 1)
    low = min(int(at), len(scale) - 2)
    ends = [[int(colour[index : index + 2], 16) for index in (1, 3, 5)] for colour in scale[low : low + 2]]
    return "#" + "".join(f"{round(a * (low + 1 - at) + b * (at - low)):02x}" for a, b in zip(*ends, strict=True))


def shortened(name: str) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _by_first(values: Mapping[tuple, float]) -> dict:
    return {key[0]: value for key, value in values.items() if key[0] is not None}


def _profile(
    to: Sketch,
    name: str,
    values: Mapping[int, float],
    identity: Mapping[str, object],
    color: str,
    dash: str,
    x: str = "layer",
    value: str = "accuracy",
) -> None:
    layers = sorted(values)
    to.traces.append(
        {
            "type": "scatter",
            "x": layers,
            "y": [values[layer] for layer in layers],
            "name": name,
            "mode": "lines+markers",
            "line": {"color": color, "dash": dash, "width": 2},
            "marker": {"color": color, "size": 6},
            "hovertemplate": f"<b>%{{fullData.name}}</b><br>{x} %{{x}}<br>%{{y:.3f}}<extra></extra>",
            "meta": {"id": {"line": name, **identity}, "x": x, "value": value},
        }
    )


def _ends(pairs: pa.Table, step: int) -> dict[int, tuple[float, float]]:
    """Lowest and highest pair of languages in each layer, both directions taken together."""
    parts: dict[int, list[float]] = {}
    for (layer, *_), value in keyed(
        either_way(only(pairs, step=step)), step, "layer", "language", "other_language"
    ).items():
        parts.setdefault(layer, []).append(value)
    return {layer: (min(values), max(values)) for layer, values in parts.items() if len(values) > 1}


def _band(to: Sketch, pairs: pa.Table, step: int, color: str) -> None:
    ends = _ends(pairs, step)
    layers = sorted(ends)
    if not any(ends[layer][0] < ends[layer][1] for layer in layers):
        return
    to.traces.append(
        {
            "type": "scatter",
            "x": layers + layers[::-1],
            "y": [ends[layer][1] for layer in layers] + [ends[layer][0] for layer in layers[::-1]],
            "fill": "toself",
            "fillcolor": color,
            "opacity": 0.14,
            "line": {"width": 0, "color": color},
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
            "meta": {"band": True},
        }
    )
