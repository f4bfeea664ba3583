"""Curves over steps of what is measured in every layer: the probe's accuracy, and how alike translations are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from .axis import finish_steps
from .curves import MEASURED, language_lines, of_run
from .data import Runs, Series, as_runs, languages_of, only, overall, require, select, series_by, values_of
from .style import CATEGORICAL, QUIET, add_line, sketch

THIRDS = (CATEGORICAL[3], CATEGORICAL[4], CATEGORICAL[2])
"""Colours of the first, middle and last third of the layers."""


@dataclass(frozen=True)
class Aligned:
    """A measure of alignment: how it is called, and the metric or the constant that it is to be compared with.

    `high` is the metric of the null's 95th percentile, of a pair, or of the mean over pairs.
    """

    title: str
    null_name: str
    null: str | float
    high: str = ""

    def level(self, rows: pa.Table) -> tuple[str, str | float]:
        """What to draw beside the mean over pairs, by name: the null's 95th percentile if there is any, else its mean."""
        if self.high and select(rows, "alignment", self.high, language=None).num_rows:
            return f"{self.null_name}: 95th percentile", self.high
        return self.null_name, self.null


ALIGNED: Mapping[str, Aligned] = {
    "retrieval_accuracy": Aligned("retrieval accuracy", "chance", "retrieval_chance"),
    "cosine_margin": Aligned("cosine margin", "no margin", 0.0),
    "cka": Aligned("linear CKA, unbiased", "translations shuffled", "cka_null", "cka_null_high"),
}
"""Measures of the analysis `alignment`, by their metric."""


def probe_curves(rows: pa.Table | Runs) -> go.Figure:
    """Accuracy of the language probe over steps: mean of all layers, and of the first, middle and last third."""
    runs = as_runs(rows)
    require_any(runs, "probe", "accuracy_mean")
    drawing = sketch("accuracy")
    for number, (run, table) in enumerate(runs.items()):
        mean = overall(table, "probe", "accuracy_over_layers_mean") or overall(table, "probe", "accuracy_mean")
        layers = select(table, "probe", "accuracy_mean")
        null = overall(table, "probe", "chance")
        seeds = series_by(select(table, "probe", "accuracy_over_layers_mean", seed=...), "seed")
        _by_thirds(
            drawing, layers, mean, null, "chance", "accuracy", of_run(run, number, len(runs)), _range(seeds.values())
        )
    return finish_steps(drawing, runs)


def alignment_curves(rows: pa.Table | Runs, metric: str = "retrieval_accuracy") -> go.Figure:
    """A measure of alignment over steps, mean of all pairs of languages, with the range of the pairs for all layers."""
    runs = as_runs(rows)
    require_any(runs, "alignment", metric)
    measure = ALIGNED[metric]
    drawing = sketch(measure.title)
    for number, (run, table) in enumerate(runs.items()):
        mean, layers = overall(table, "alignment", metric), select(table, "alignment", metric, language=None)
        name, level = measure.level(table)
        null = null_of(table, metric, level)
        spread = pair_range(table, metric) if len(runs) == 1 else None
        _by_thirds(drawing, layers, mean, null, name, metric, of_run(run, number, len(runs)), spread)
    return finish_steps(drawing, runs)


def alignment_by_language(
    rows: pa.Table, metric: str = "retrieval_accuracy", end: str = "", languages: Sequence[str] | None = None
) -> go.Figure:
    """A measure of alignment of each language with the others, mean over layers.

    `end` is `language` to look from a language for its translations in the others, `other_language` for the way back,
    and empty for both.
    """
    table = only(require(rows, "alignment", metric), language=..., other_language=...)
    column = table.schema.get_field_index("language")
    back = table.set_column(column, "language", table["other_language"])
    found = pa.concat_tables(
        [part for name, part in (("language", table), ("other_language", back)) if end in ("", name)]
    )
    measure = ALIGNED[metric]
    null = null_of(rows, metric, measure.null)
    return language_lines(
        rows,
        series_by(found, "language"),
        overall(rows, "alignment", metric),
        languages or languages_of(rows),
        y=measure.title,
        value=metric,
        mean_name="all pairs",
        null=(measure.null_name, null, metric == "cka") if null else None,
    )


def null_of(rows: pa.Table, metric: str, level: str | float) -> Series | None:
    """What a measure of alignment is to be compared with, a metric or a constant, over the steps."""
    if isinstance(level, str):
        return overall(rows, "alignment", level)
    course = overall(rows, "alignment", metric)
    return course and Series(course.steps, course.tokens, [level] * len(course.steps))


def pair_range(rows: pa.Table, metric: str) -> tuple[Series, Series] | None:
    """The lowest and the highest pair of languages at each step, mean over layers and both directions."""
    table = select(rows, "alignment", metric, language=..., other_language=...)
    return _range(series_by(either_way(table), "language", "other_language").values())


def either_way(table: pa.Table) -> pa.Table:
    """Rows of pairs of languages with the pair in alphabetical order, so that both directions are one."""
    one, two = table["language"], table["other_language"]
    swapped = pc.greater(one, two)
    for name, first, second in (("language", two, one), ("other_language", one, two)):
        column = pc.if_else(swapped, first, second)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def require_any(runs: Runs, analysis: str, metric: str) -> None:
    """Whether any run has a metric.

    Raises:
        ValueError: none has.
    """
    if not any(select(table, analysis, metric).num_rows for table in runs.values()):
        require(next(iter(runs.values())), analysis, metric)


def _by_thirds(
    drawing: Any,
    layered: pa.Table,
    mean: Series | None,
    null: Series | None,
    null_name: str,
    value: str,
    run: tuple[dict[str, str], str, str],
    spread: tuple[Series, Series] | None = None,
) -> None:
    """Lines of one run: a third of the layers each, all of them, and the null."""
    identity, suffix, dash = run

    def line(name: str, series: Series, layers: str, **style: Any) -> None:
        add_line(drawing, name + suffix, series, {**identity, "layers": layers}, value=value, **style)

    layers = values_of(layered, "layer")
    third = round(len(layers) / 3)
    if len(layers) >= 3:
        parts = {"first": layers[:third], "middle": layers[third:-third], "last": layers[-third:]}
        for (name, part), color in zip(parts.items(), THIRDS, strict=True):
            span = f"{part[0]}–{part[-1]}" if len(part) > 1 else str(part[0])
            series = series_by(only(layered, layer=part))[()]
            plural = "s" if len(part) > 1 else ""
            line(f"{name} layer{plural} ({span})", series, span, color=color, dash=dash, width=1.8)
    if mean is not None:
        line("all layers", mean, "all", color=MEASURED, dash=dash, width=2.8, interval=spread)
    if null is not None:
        line(null_name, null, null_name, color=QUIET, dash="dot", width=1.4, markers=False, judged=value == "cka")


def _range(courses: Iterable[Series]) -> tuple[Series, Series] | None:
    """Lowest and highest value at each step; nothing if there are fewer than two courses."""
    several = list(courses)
    if len(several) < 2:
        return None
    points: dict[int, list[float]] = {}
    tokens: dict[int, int | None] = {}
    for series in several:
        tokens |= dict(zip(series.steps, series.tokens, strict=True))
        for step, value in zip(series.steps, series.values, strict=True):
            points.setdefault(step, []).append(value)
    steps = sorted(points)
    low, high = ([reduce(points[step]) for step in steps] for reduce in (min, max))
    return Series(steps, [tokens[step] for step in steps], low), Series(steps, [tokens[step] for step in steps], high)
