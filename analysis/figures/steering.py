"""Figures of steering: languages stacked, measures under each condition over the steps, and against k."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from ..findings import UNCLEAR
from ..stats import wilson_interval
from .axis import finish_steps
from .data import Series, only, select, series_by, tokens_of, values_of
from .intervals import Cell, Estimate, mean_over_concepts
from .style import CATEGORICAL, FAINT, PERCENT, QUIET, add_line, language_styles, position, sketch, text, where

NAME = "steering"
CONDITIONS = {
    "steered": "steered", "other_concept": "another concept's experts", "random": "random units", "unsteered": "unsteered",
}  # fmt: skip
COLOURS = dict(zip(CONDITIONS, (CATEGORICAL[0], CATEGORICAL[1], CATEGORICAL[2], QUIET), strict=True))
MEASURES = {
    "presence": "share of texts with the concept",
    "share": "share of texts in the source language",
    "perplexity": "perplexity per token",
}
"""What is measured of the texts, by how its metrics begin, and how its axis is called."""
HATCHED = {"shape": "/", "fillmode": "overlay", "fgcolor": "#ffffff", "size": 7, "solidity": 0.3}
"""Of areas of languages beyond the eighth, whose colours repeat."""
ASIDE = {"random": 0.012, "other_concept": -0.012}
"""How far beside its k a control stands, as a share of the axis, where three whiskers would else lie on one line."""
LOG_FROM = 10
"""Perplexities that differ by more than this factor stand on a log scale."""


def stacked_languages(table: pa.Table, languages: Sequence[str]) -> go.Figure:
    """Shares of the identified languages over the steps, stacked to 1, unclear texts last."""
    styles = language_styles(languages)
    colours = {language: styles[language]["color"] for language in languages} | {UNCLEAR: FAINT}
    tokens = tokens_of(table)
    steps = sorted(tokens)
    values = {
        other: dict(zip(s.steps, s.values, strict=True)) for (other,), s in series_by(table, "other_language").items()
    }
    drawing = sketch("share of texts", yaxis={"range": [0, 1], "tickformat": PERCENT})
    for other in [language for language in (*languages, UNCLEAR) if language in values]:
        drawing.traces.append(
            {
                "type": "scatter",
                "x": [position(step) for step in steps],
                "y": [values[other].get(step, 0.0) for step in steps],
                "name": text(other),
                "stackgroup": "languages",
                "mode": "lines" if len(steps) > 1 else "lines+markers",
                "line": {"width": 0.5, "color": colours[other]},
                "fillcolor": colours[other],
                **({"fillpattern": HATCHED} if styles.get(other, {}).get("dash", "solid") != "solid" else {}),
                "text": [where(step, tokens[step]) for step in steps],
                "hovertemplate": "<b>%{fullData.name}</b><br>%{text}<br>%{y:.1%}<extra></extra>",
                "meta": {
                    "id": {"text_language": other}, "x": "step", "value": "share", "steps": steps,
                    "tokens": [tokens[step] for step in steps],
                },
            }
        )  # fmt: skip
    return finish_steps(drawing)


@dataclass(frozen=True)
class Steered:
    """What the figures of steering read of a run's rows, found by metric and step.

    Attributes:
        rows: the run's.
        cells: (concept, language, value) of each metric and step, without regard to the language of the texts; of the
            metrics `share_*` those of the source language alone, for the unsteered model by that language.
        tokens: seen at each step.
        sources: languages whose experts were forced.
        concepts: those that were steered.
        sweep: numbers of experts that were tried besides that of the controls, ascending.
    """

    rows: pa.Table
    cells: Mapping[tuple[str, int], Sequence[tuple[str | None, str | None, float]]]
    tokens: Mapping[int, int | None]
    sources: Sequence[str]
    concepts: Sequence[str]
    sweep: Sequence[int]

    @classmethod
    def of(cls, rows: pa.Table) -> "Steered":
        """Read them."""
        table = only(rows, analysis=NAME)
        table = table.filter(pc.fill_null(pc.is_finite(table["value"]), False))
        own = pc.fill_null(pc.equal(table["language"], table["other_language"]), False)
        plain = pc.equal(table["metric"], "share_unsteered")
        share = pc.starts_with(table["metric"], "share_")
        kept = pc.if_else(share, pc.or_(own, plain), pc.is_null(table["other_language"]))
        kept = pc.and_(kept, pc.invert(pc.match_substring_regex(table["metric"], "_(low|high|mean)$")))
        cells: dict[tuple[str, int], list[tuple[str | None, str | None, float]]] = defaultdict(list)
        columns = ("metric", "step", "concept", "language", "other_language", "value")
        found = table.filter(kept)
        for metric, step, concept, language, other, value in zip(
            *(found[name].to_pylist() for name in columns), strict=True
        ):
            cells[metric, step].append((concept, language or other, value))
        names = {metric for metric, _ in cells}
        return cls(
            rows,
            cells,
            tokens_of(table),
            values_of(select(table, NAME, "share_steered"), "language"),
            values_of(select(table, NAME, "share_steered"), "concept"),
            sorted({int(part[1]) for name in names if (part := re.fullmatch(r"share_steered_k(\d+)", name))}),
        )

    def steps(self, metric: str) -> list[int]:
        """Steps at which there is any value of a metric, ascending."""
        return sorted(step for name, step in self.cells if name == metric)

    def k(self, step: int) -> int | None:
        """Units forced outside the sweep, so in the controls; nothing where rows do not say it, or say several."""
        numbers = {round(value) for *_, value in self.cells.get(("k", step), ())}
        return numbers.pop() if len(numbers) == 1 else None

    def numbers(self, step: int) -> list[int]:
        """Numbers of experts that were forced at a step, ascending."""
        k = self.k(step)
        return sorted({*self.sweep, *([] if k is None else [k])})

    def estimate(
        self, measure: str, condition: str, step: int, source: str | None = None, concept: str | None = None
    ) -> Estimate | None:
        """A measure's mean over concepts, with its interval; of the unsteered model whatever its source."""
        found = self.cells.get((f"{measure}_{condition}", step), ())
        texts = {(name, language): round(n) for name, language, n in self.cells.get((f"texts_{condition}", step), ())}
        if condition == "unsteered" and measure == "share":
            return self._unsteered_share(found, texts.get((None, None), 0), source)
        if condition == "unsteered" and measure == "perplexity":
            return Estimate(found[0][2], None, None) if found else None
        cells = [
            Cell(name, value, 0 if measure == "perplexity" else texts.get((name, language), texts.get((None, None), 0)))
            for name, language, value in found
            if name is not None and concept in (None, name) and (source in (None, language) or condition == "unsteered")
        ]
        return mean_over_concepts(cells) if cells else None

    def _unsteered_share(self, found: Iterable[Any], texts: int, source: str | None) -> Estimate | None:
        """Share of the texts in a source language, or its mean over all of them: that in any, over their number."""
        sources = self.sources if source is None else [source]
        values = [value for _, language, value in found if language in sources]
        if not values:
            return None
        count = len(sources)
        if not texts:
            return Estimate(sum(values) / count, None, None)
        low, high = wilson_interval(min(texts, round(sum(values) * texts)), texts)
        return Estimate(sum(values) / count, low / count, high / count)


def condition_curves(
    steered: Steered, measure: str, source: str | None = None, concept: str | None = None
) -> go.Figure:
    """A measure over the steps when steered and under each control, with its intervals.

    Of the experts of one source language and of one concept, or (None) of all.
    """
    drawing = sketch(MEASURES[measure], yaxis=_axis(measure))
    for condition, name in CONDITIONS.items():
        at = {
            step: steered.estimate(measure, condition, step, source, concept)
            for step in steered.steps(f"{measure}_{condition}")
        }
        found = {step: estimate for step, estimate in at.items() if estimate is not None}
        if found:
            tokens, steps, main = steered.tokens, sorted(found), condition == "steered"

            def series(
                end: str, steps: list[int] = steps, tokens: Mapping[int, int | None] = tokens,
                found: Mapping[int, Estimate] = found,
            ) -> Series:  # fmt: skip
                return Series(steps, [tokens[step] for step in steps], [getattr(found[step], end) for step in steps])

            known = all(estimate.low is not None for estimate in found.values())
            add_line(
                drawing, name, series("value"), {"condition": name}, value=measure, color=COLOURS[condition],
                dash="solid" if main else "dash", width=2.6 if main else 1.6,
                interval=(series("low"), series("high")) if known else None,
            )  # fmt: skip
    values = [value for trace in drawing.traces for value in trace["y"] if value]
    if measure == "perplexity" and values and max(values) > LOG_FROM * min(values):
        drawing.layout["yaxis"]["type"] = "log"
    return finish_steps(drawing, steered.rows)


def sweep_curve(
    steered: Steered, step: int, measure: str, source: str | None = None, concept: str | None = None
) -> go.Figure:
    """A measure against the number of forced experts at one step: the controls at theirs, the unsteered model across.

    Where rows do not say how many units the controls had, these lie across too.
    """
    drawing = sketch(MEASURES[measure], "forced experts k", yaxis=_axis(measure))
    identity = {"step": step, "tokens": steered.tokens[step]}
    numbers, main = steered.numbers(step), steered.k(step)
    names = {k: "steered" if k == main else f"steered_k{k}" for k in numbers}
    points = {k: steered.estimate(measure, name, step, source, concept) for k, name in names.items()}
    shown = {k: estimate for k, estimate in points.items() if estimate is not None}
    for condition in ("unsteered", "random", "other_concept"):
        level = steered.estimate(measure, condition, step, source, concept)
        if level is None or not shown:
            continue
        if condition == "unsteered" or main is None:
            _across(drawing, condition, dict.fromkeys(shown, level), identity, measure)
        else:
            _points(drawing, condition, {main: level}, identity, measure, aside=ASIDE[condition] * _width(numbers))
    _points(drawing, "steered", shown, identity, measure)
    drawing.layout["xaxis"] |= {
        "tickmode": "array", "tickvals": [position(k) for k in numbers], "ticktext": [f"{k:,}" for k in numbers],
    }  # fmt: skip
    return drawing.finish()


def _axis(measure: str) -> Mapping[str, Any]:
    return {} if measure == "perplexity" else {"range": [0, 1.02], "tickformat": PERCENT}


def _width(numbers: Sequence[int]) -> float:
    return position(numbers[-1]) - position(numbers[0])


def _across(to: Any, condition: str, points: Mapping[int, Estimate], identity: Mapping[str, Any], measure: str) -> None:
    """A condition as a level to compare with, with its interval as a band."""
    trace = _trace(condition, points, identity, measure)
    trace |= {"mode": "lines", "hovertemplate": "<b>%{fullData.name}</b><br>%{y:.3f}<extra></extra>"}
    bounds = trace["meta"].get("extra")
    if bounds:
        low, high = bounds.values()
        to.traces += _level_band(trace["x"], low, high, COLOURS[condition], CONDITIONS[condition])
    to.traces.append(trace)


def _points(
    to: Any, condition: str, points: Mapping[int, Estimate], identity: Mapping[str, Any], measure: str, aside: float = 0
) -> None:
    """A condition at the numbers of units that it was run with, with whiskers; `aside` keeps them off each other."""
    trace = _trace(condition, points, identity, measure)
    trace["x"] = [x + aside for x in trace["x"]]
    if trace["meta"].get("extra"):
        trace["error_y"] = {
            "type": "data", "symmetric": False, "thickness": 1.4, "width": 4,
            "array": [points[k].high - points[k].value for k in points],  # type: ignore[operator]
            "arrayminus": [points[k].value - points[k].low for k in points],  # type: ignore[operator]
        }  # fmt: skip
    to.traces.append(trace)


def _trace(condition: str, points: Mapping[int, Estimate], identity: Mapping[str, Any], measure: str) -> dict[str, Any]:
    steered = condition == "steered"
    name, color, numbers = CONDITIONS[condition], COLOURS[condition], list(points)
    bounds = {f"{measure}_{end}": [getattr(points[k], end) for k in numbers] for end in ("low", "high")}
    known = bool(numbers) and None not in (value for values in bounds.values() for value in values)
    return {
        "type": "scatter",
        "x": [position(k) for k in numbers],
        "y": [points[k].value for k in numbers],
        "name": name,
        "legendgroup": name,
        "mode": "lines+markers" if steered else "markers",
        "line": {"color": color, "dash": "solid" if steered else "dash", "width": 2.6 if steered else 1.6},
        "marker": {"color": color, "size": 7 if steered else 9, "symbol": "circle" if steered else "diamond"},
        "text": [f"k = {k:,}" for k in numbers],
        "hovertemplate": "<b>%{fullData.name}</b><br>%{text}<br>%{y:.3f}<extra></extra>",
        "meta": {
            "id": {**identity, "condition": name}, "x": "k", "at": numbers, "value": measure,
            **({"extra": bounds} if known else {}),
        },
    }  # fmt: skip


def _level_band(
    x: Sequence[float], low: Sequence[Any], high: Sequence[Any], color: str, name: str
) -> Iterator[dict[str, Any]]:
    yield {
        "type": "scatter", "x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "fillcolor": color,
        "opacity": 0.12, "line": {"width": 0, "color": color}, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "legendgroup": name, "meta": {"band": True},
    }  # fmt: skip
