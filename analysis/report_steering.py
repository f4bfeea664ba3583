"""The section of a report on steering: languages spoken, presence of the concept and fluency, and texts to read."""

from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from .figures_axis import finish_steps
from .figures_data import Runs, Series, has, languages_of, only, select, series_by, tokens_of, values_of
from .figures_style import CATEGORICAL, FAINT, PERCENT, QUIET, add_line, language_styles, position, sketch, text, where
from .findings import read_texts, result_steps
from .identification import UNCLEAR
from .report_drawing import Figures, panels, per_run, section
from .report_panels import Option, Panel, Section

NAME = "steering"
CONDITIONS = {
    "steered": "steered", "other_concept": "another concept's experts", "random": "random units", "unsteered": "unsteered",
}  # fmt: skip
COLOURS = dict(zip(CONDITIONS, (CATEGORICAL[0], CATEGORICAL[1], CATEGORICAL[2], QUIET), strict=True))
TEXTS_SHOWN = 4
"""Of each concept, source language and condition."""
MOST_GROUPS = 64
"""Concepts and source languages whose texts are shown; the others' are in the results."""


def steering_section(runs: Runs) -> Section | None:
    """What the model writes when a concept's experts are forced, beside the controls."""
    languages = [language for language in languages_of(runs) if language != UNCLEAR]
    found: list[Panel] = []
    readings = {
        "steered": "Language of the texts when experts found in the source language are forced, mean over concepts. Read it "
        "beside the controls: only where it differs from all of them do the experts choose the language.",
        "other_concept": "The same with the experts of another concept in the source language.",
        "random": "The same with as many random units in each linear layer, set to the experts' values.",
        "unsteered": "What the model writes when nothing is forced; it is the same for every source language.",
    }
    for condition, reading in readings.items():
        metric = f"share_{condition}" if condition == "unsteered" else f"share_{condition}_mean"
        found += panels(
            f"Languages spoken: {CONDITIONS[condition]}", reading,
            per_run(runs, partial(_by_source, metric=metric, languages=languages), NAME, metric), "Run", "Source language",
        )  # fmt: skip
    for metric, title, reading in (
        ("presence", "Is the concept there?",
         "Share of texts with a word of the concept in any language, mean over concepts. Steering works where it lies above "
         "all three controls."),
        ("perplexity", "Is it still language?",
         "Perplexity of the texts under the unsteered model, mean over concepts. Where steering lies far above the "
         "unsteered model, forcing has broken the text, and its language means little."),
    ):  # fmt: skip
        first = f"{metric}_steered_mean"
        found += panels(
            title, reading, per_run(runs, partial(_conditions, metric=metric), NAME, first), "Run", "Source language"
        )  # fmt: skip
    return section(
        "steering",
        "Steering",
        "Force a concept's experts and let the model write: which language does it speak?",
        found,
    )


def _by_source(rows: pa.Table, metric: str, languages: Sequence[str]) -> Figures:
    table = select(rows, NAME, metric)
    sources: list[Any] = values_of(table, "language") or [None]
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for source in sources:
        drawn[source or "any",] = stacked_languages(only(table, language=source), languages)
    return drawn


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
                "text": [where(step, tokens[step]) for step in steps],
                "hovertemplate": "<b>%{fullData.name}</b><br>%{text}<br>%{y:.1%}<extra></extra>",
                "meta": {
                    "id": {"text_language": other}, "x": "step", "value": "share", "steps": steps,
                    "tokens": [tokens[step] for step in steps],
                },
            }
        )  # fmt: skip
    return finish_steps(drawing)


def _conditions(rows: pa.Table, metric: str) -> Figures:
    sources = values_of(select(rows, NAME, f"{metric}_steered_mean"), "language")
    choices: Mapping[Option, Any] = {"all": ..., **{source: source for source in sources}}
    return {
        (name,): condition_curves(rows, metric, source)
        for name, source in choices.items()
        if name != "all" or len(sources) > 1
    }


def condition_curves(rows: pa.Table, metric: str, source: Any = ...) -> go.Figure:
    """A metric over the steps when steered and under each control, for one source language or (`...`) all."""
    drawing = sketch(metric, yaxis={"range": [0, 1.02], "tickformat": PERCENT} if metric == "presence" else None)
    for condition, name in CONDITIONS.items():
        series = _mean(rows, f"{metric}_{condition}", None if condition == "unsteered" else source)
        if series is not None:
            measured = condition == "steered"
            add_line(
                drawing, name, series, {"condition": name}, value=metric, color=COLOURS[condition],
                dash="solid" if measured else "dash", width=2.6 if measured else 1.6, markers=measured,
            )  # fmt: skip
    return finish_steps(drawing)


def _mean(rows: pa.Table, metric: str, source: Any) -> Series | None:
    # The unsteered model's perplexity has one value for all concepts, and so no mean over them.
    name = f"{metric}_mean" if has(rows, NAME, f"{metric}_mean") else metric
    table = select(rows, NAME, name, language=source)
    return series_by(table)[()] if table.num_rows else None


def sample_texts(results: Path, shown: int = TEXTS_SHOWN) -> str:
    """Texts of the last step as HTML, the first seeds of each condition; empty if there are none.

    What a model wrote is escaped, and each text takes the direction of its own script.
    """
    steps = result_steps(results, NAME)
    texts = read_texts(results, NAME, steps[-1]) if steps else ()
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    unsteered = [item for item in texts if item["condition"] == "unsteered"][:shown]
    main = max((item["k"] for item in texts if item["condition"] == "random"), default=0)
    for item in texts:
        if item["k"] == main and item["concept"] is not None:
            kinds = groups.setdefault((item["concept"], item["source_language"]), {})
            kinds.setdefault(item["condition"], []).append(item)
    parts = []
    for (concept, language), kinds in sorted(groups.items())[:MOST_GROUPS]:
        kinds["unsteered"] = unsteered
        rows = "".join(
            f"<tr><td>{escape(CONDITIONS[kind])}</td><td>{item['seed']}</td><td>{escape(item['language'])}</td>"
            f'<td dir="auto">{escape(_visible(item["text"]))}</td></tr>'
            for kind in ("steered", "random", "unsteered")
            for item in kinds.get(kind, [])[:shown]
        )
        parts.append(
            f"<details><summary>{escape(concept)}, experts of {escape(language)}</summary>"
            '<div class="table-scroll" tabindex="0" role="region" aria-label="Texts"><table><thead><tr><th>condition</th>'
            f"<th>seed</th><th>language</th><th>text</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
        )
    if not parts:
        return ""
    more = f"<p>{len(groups) - MOST_GROUPS} more are in the results.</p>" if len(groups) > MOST_GROUPS else ""
    return f'<section class="texts"><h3>Texts to read, step {steps[-1]:,}</h3>{"".join(parts)}{more}</section>'


def _visible(written: str) -> str:
    """A text with what cannot be seen, controls of direction among them, as a space; nothing at all as ∅."""
    kept = "".join(char if char.isprintable() or char in "\u200c\u200d" else " " for char in written)
    return " ".join(kept.split()) or "∅"
