"""Curves over steps: loss, overlap, transfer, tokens, and any other metric."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from .axis import finish_steps
from .data import (
    Runs,
    Series,
    as_runs,
    has,
    languages_of,
    only,
    overall,
    require,
    series_by,
    thinned,
)
from .style import CATEGORICAL, INK, PERCENT, QUIET, RUN_DASHES, add_line, language_styles, position, sketch

MEASURED, CONTROL, OTHER = CATEGORICAL[0], CATEGORICAL[1], CATEGORICAL[2]
"""Colours of what is measured, of its control, and of a second measurement beside it."""
SHARES = {"rangemode": "tozero", "tickformat": PERCENT}

UNITS = {"loss": "nats per token", "grad_norm": "gradient norm", "mfu": "share of peak", "peak_memory_gb": "gigabytes"}
"""What an axis is called, where that is not its metric's name."""

Measure = tuple[str, str, str, str, str, bool]
"""Name, metric, metrics of the interval's low and high end, colour, and whether it is measured (else a null)."""


def overlap_curves(rows: pa.Table | Runs) -> go.Figure:
    """Share of experts that two languages have in common: measured, for different concepts, and by chance."""
    measures: list[Measure] = [
        ("same concept", "overlap_mean", "overlap_low", "overlap_high", MEASURED, True),
        ("different concepts (control)", "overlap_control_mean", "overlap_control_low", "overlap_control_high",
         CONTROL, True),
        ("chance given the layers", "overlap_chance_layers_mean", "", "", INK, False),
        ("chance k/N", "overlap_chance", "", "", QUIET, False),
    ]  # fmt: skip
    return _compare(rows, measures, y="share of experts in common", value="overlap", yaxis=SHARES)


def transfer_curves(rows: pa.Table | Runs) -> go.Figure:
    """AP of one language's experts on another language's sentences, beside their own language and all units."""
    runs = as_runs(rows)
    whole = any(has(table, "experts", "transfer_ap_overall") for table in runs.values())
    measures: list[Measure] = [
        ("another language", "transfer_ap_overall" if whole else "transfer_ap_mean", "", "", MEASURED, True),
        ("their own language", "own_ap_mean", "", "", OTHER, True),
        ("own, on the sentences that chose them", "selection_ap_mean", "", "", CONTROL, False),
        ("all units", "all_units_ap_mean", "", "", QUIET, False),
    ]
    return _compare(runs, measures, y="average precision", value="average_precision")


def _compare(
    rows: pa.Table | Runs,
    measures: Sequence[Measure],
    *,
    y: str,
    value: str,
    yaxis: Mapping[str, Any] | None = None,
) -> go.Figure:
    """Measures of the expert analysis. One run: nulls are dashed. Several: a dash per run, nulls thinner."""
    runs = as_runs(rows)
    several = len(runs) > 1
    drawing = sketch(y, yaxis=yaxis)
    for number, (run, table) in enumerate(runs.items()):
        for name, metric, low, high, color, measured in measures:
            series = overall(table, "experts", metric)
            if series is None:
                continue
            bounds = [overall(table, "experts", bound) if bound else None for bound in (low, high)]
            add_line(
                drawing,
                f"{name} · {run}" if several else name,
                series,
                ({"run": run} if several else {}) | {"measure": name},
                value=value,
                color=color,
                dash=RUN_DASHES[number % len(RUN_DASHES)] if several else "solid" if measured else "dash",
                width=2.6 if measured else 1.6,
                markers=measured,
                interval=(bounds[0], bounds[1]) if bounds[0] and bounds[1] else None,
                judged=metric != "overlap_chance",
            )
    if not drawing.traces:
        require(next(iter(runs.values())), "experts", measures[0][1])
    return finish_steps(drawing, runs)


def training_curves(rows: pa.Table | Runs, metric: str = "loss") -> go.Figure:
    """A metric logged while training, neighbouring steps averaged; validation loss beside the training loss."""
    runs = as_runs(rows)
    # Even a single line of the loss must say whether it is of training or of validation.
    drawing = sketch(UNITS.get(metric, metric.replace("_", " ")), showlegend=metric == "loss")
    for number, (run, table) in enumerate(runs.items()):
        identity, suffix, dash = of_run(run, number, len(runs))
        found = overall(table, "training", metric)
        if found is not None:
            mean, low, high = thinned(found, position)
            add_line(
                drawing, f"training{suffix}", mean, {**identity, "split": "training"}, value=metric,
                color=MEASURED, dash=dash, markers=False, width=1.8, judged=False,
                interval=(low, high) if mean is not found else None,
            )  # fmt: skip
        held_out = overall(table, "validation", "loss") if metric == "loss" else None
        if held_out is not None:
            add_line(
                drawing, f"validation{suffix}", held_out, {**identity, "split": "validation"}, value=metric,
                color=CONTROL, dash=dash,
            )  # fmt: skip
    if not drawing.traces:
        require(next(iter(runs.values())), "training", metric)
    return finish_steps(drawing, runs)


def loss_curves(rows: pa.Table, metric: str = "bits_per_byte", languages: Sequence[str] | None = None) -> go.Figure:
    """Validation loss of each language: `bits_per_byte`, comparable between languages, or `loss` in nats per token."""
    table = only(require(rows, "validation", metric), language=...)
    return language_lines(
        rows,
        series_by(table, "language"),
        overall(rows, "validation", metric),
        languages or languages_of(rows),
        y={"bits_per_byte": "bits per byte", "loss": "nats per token"}.get(metric, metric),
        value=metric,
        mean_name="mean of languages",
    )


def language_overlap_curves(rows: pa.Table, languages: Sequence[str] | None = None) -> go.Figure:
    """Each language's mean overlap with the other languages."""
    table = only(require(rows, "experts", "overlap_mean"), language=..., other_language=...)
    pairs = table.filter(pc.not_equal(table["language"], table["other_language"]))
    # A pair counts for both of its languages, in whichever order it is written.
    column = pairs.schema.get_field_index("language")
    ends = pa.concat_tables([pairs, pairs.set_column(column, "language", pairs["other_language"])])
    return language_lines(
        rows,
        series_by(ends, "language"),
        overall(rows, "experts", "overlap_mean"),
        languages or languages_of(rows),
        y="mean overlap with the others",
        value="overlap",
        mean_name="all pairs",
        yaxis=SHARES,
    )


def metric_curves(
    rows: pa.Table, analysis: str, metric: str, languages: Sequence[str] | None = None, title: str = ""
) -> go.Figure:
    """Any metric over steps: a curve per language if it has languages, and one for the rows without.

    `title` is what its axis is called.
    """
    table = require(rows, analysis, metric)
    label = title or metric.replace("_", " ")
    of_languages = {key: thinned(s, position)[0] for key, s in series_by(only(table, language=...), "language").items()}
    rest = {key: thinned(s, position)[0] for key, s in series_by(only(table, language=None)).items()}.get(())
    name = "all languages" if of_languages else label
    return language_lines(
        rows, of_languages, rest, languages or languages_of(rows), y=label, value=metric, mean_name=name
    )


def tokens_curves(rows: pa.Table, languages: Sequence[str] | None = None) -> go.Figure:
    """Training tokens of each language seen so far."""
    found = series_by(only(require(rows, "training", "tokens_seen"), language=...), "language")
    # A count that only grows: the highest of neighbouring steps is that of the last of them.
    curves = {key: thinned(series, position)[2] for key, series in found.items()}
    return language_lines(
        rows, curves, None, languages or languages_of(rows), y="tokens", value="tokens_seen", mean_name="",
        markers=False, judged=False,
    )  # fmt: skip


def language_lines(
    rows: pa.Table,
    series: Mapping[tuple[Any, ...], Series],
    mean: Series | None,
    languages: Sequence[str],
    *,
    y: str,
    value: str,
    mean_name: str,
    yaxis: Mapping[str, Any] | None = None,
    markers: bool = True,
    judged: bool = True,
    null: tuple[str, Series, bool] | None = None,
) -> go.Figure:
    """A curve per language, by `(language,)`, each in its colour, one for all of them in ink, and a null: name, curve, whether judged."""
    styles = language_styles(languages)
    drawing = sketch(y, yaxis=yaxis)
    for (language,), curve in series.items():
        style = {**styles[language], "markers": markers, "judged": judged}
        add_line(drawing, language, curve, {"language": language}, value=value, width=1.6, **style)
    if mean is not None:
        add_line(drawing, mean_name, mean, {"language": ""}, value=value, width=3, markers=False)
    if null is not None:
        add_line(drawing, null[0], null[1], {"language": "", "measure": null[0]}, value=value, color=QUIET, dash="dot",
                 width=1.4, markers=False, judged=null[2])  # fmt: skip
    return finish_steps(drawing, rows)


def of_run(run: str, number: int, count: int) -> tuple[dict[str, str], str, str]:
    """What tells a run's lines apart: identity, end of the name, dash."""
    return ({"run": run}, f" · {run}", RUN_DASHES[number % len(RUN_DASHES)]) if count > 1 else ({}, "", "solid")
