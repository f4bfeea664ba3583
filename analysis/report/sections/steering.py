"""The section of a report on steering: languages spoken, presence of the concept and fluency, and texts to read."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from ...figures.data import Runs, languages_of, only, select, values_of
from ...figures.sound import sound_only, unsound_of
from ...figures.steering import CONDITIONS, NAME, Steered, condition_curves, stacked_languages, sweep_curve
from ...findings import read_texts, result_steps
from ..drawing import Figures, few_steps, panels, per_run, section, thinned_words
from ..panels import Option, Panel, Section

TEXTS_SHOWN = 4
"""Of each concept, source language and condition."""
MOST_GROUPS = 64
"""Concepts and source languages whose texts are shown; the others' are in the results."""
MOST_CHOICES = 24
"""Of whose experts to see, beside a slider; all, then source languages, then concepts."""
MOST_CONCEPTS = 24
"""Concepts that can be chosen one by one; the others count in the mean alone."""
INTERVALS = "Bands and whiskers: 95 %, Student's t over concepts; for a single concept Wilson's interval of its texts."
OPENING = {
    "presence": (
        "Is the concept there?",
        "Share of texts with a word of the concept in any language. Steering works where it lies above all three controls.",
    ),
    "share": (
        "Does the model speak the experts' language?",
        "Share of texts in the language whose experts are forced. The unsteered model's is how often it speaks that "
        "language by itself.",
    ),
    "perplexity": (
        "Is it still language?",
        "Perplexity per token of the texts under the unsteered model, where lower is more fluent. If steering "
        "lies far above the unsteered model, forcing has broken the text, and its language means little.",
    ),
}


def steering_section(runs: Runs) -> Section | None:
    """What the model writes when a concept's experts are forced, beside the controls."""
    languages = languages_of(runs)
    indexed = {run: Steered.of(rows) for run, rows in runs.items() if only(rows, analysis=NAME).num_rows}
    found: list[Panel] = []
    for measure, (title, reading) in OPENING.items():
        found += panels(
            title, f"{reading} {_size(indexed.values())} {INTERVALS}",
            _of_runs(indexed, _conditions, measure),
            "Run", "Experts of", size="wide" if measure == "presence" else "half",
        )  # fmt: skip
    for measure, title, reading in (
        ("presence", "The concept against the number of experts", "Share of texts with a word of the concept"),
        (
            "share",
            "The experts' language against their number",
            "Share of texts in the language whose experts are forced",
        ),
    ):
        found += panels(
            title,
            f"{reading}, when the k best experts are forced; at k = 0 nothing is. {_controls(indexed.values())} "
            f"{_size(indexed.values())} {INTERVALS}{_slider(indexed.values())}",
            _of_runs(indexed, _sweeps, measure),
            "Run", "Experts of", "Step",
        )  # fmt: skip
    readings = {
        "steered": "Languages of the texts when experts found in the source language are forced, mean over concepts. Read "
        "it beside the controls: only where it differs from all of them do the experts choose the language. Intervals of "
        "the source language's share are in the figure above.",
        "other_concept": "The same with the experts of another concept in the source language.",
        "random": "The same with as many random units in each linear layer, set to the experts' values.",
        "unsteered": "What the model writes when nothing is forced; it is the same for every source language.",
    }
    for condition, words in readings.items():
        metric = f"share_{condition}" if condition == "unsteered" else f"share_{condition}_mean"
        found += panels(
            f"Languages spoken: {CONDITIONS[condition]}", words,
            per_run(runs, partial(_by_source, metric=metric, languages=languages), NAME, metric), "Run", "Source language",
        )  # fmt: skip
    return section(
        "steering",
        "Steering",
        "Force a concept's experts and let the model write: is the concept there, and which language does it speak? "
        "Means count each concept once, and their intervals are over concepts and not over texts, as the texts of one "
        "concept are not independent of each other; with two or three concepts they are as wide as so few leave it open.",
        found,
    )


def _size(runs: Iterable[Steered]) -> str:
    """How many texts, concepts and source languages the figures are of."""
    found = []
    for steered in runs:
        counts = {
            round(n) for (metric, _), cells in steered.cells.items() if metric == "texts_steered" for *_, n in cells
        }
        texts = " to ".join(str(n) for n in sorted({min(counts), max(counts)})) if counts else "no"
        found.append(
            f"n = {len(steered.concepts)} concepts × {len(steered.sources)} source languages × {texts} texts of each condition."
        )
    return " ".join(dict.fromkeys(found))


def _controls(runs: Iterable[Steered]) -> str:
    """Where the controls stand in a sweep."""
    numbers = {steered.k(step) for steered in runs for step in steered.steps("share_steered")}
    if None in numbers or not numbers:
        return "Controls lie across: they were run at one number of units, that of the figures over training."
    said = " or ".join(f"{k:,}" for k in sorted(k for k in numbers if k is not None))
    return (
        f"Random units and another concept's experts stand where they were run, at k = {said}, as in the figures over "
        "training; the unsteered model lies across."
    )


def _slider(runs: Iterable[Steered]) -> str:
    counts = [(len(steered.steps("share_steered")), len(list(_choices(steered))[:MOST_CHOICES])) for steered in runs]
    return max((thinned_words(*count) for count in counts), default="", key=len)


def _choices(steered: Steered) -> Iterator[tuple[str, dict[str, str]]]:
    """Whose experts: all, those of a source language, those of a concept."""
    yield "all", {}
    if len(steered.sources) > 1:
        yield from ((f"{source} (language)", {"source": source}) for source in steered.sources)
    if len(steered.concepts) > 1:
        yield from ((f"{concept} (concept)", {"concept": concept}) for concept in steered.concepts[:MOST_CONCEPTS])


def _of_runs(
    indexed: Mapping[str, Steered], draw: Callable[[Steered, str, Sequence[int]], Figures], measure: str
) -> Figures:
    """Figures of each run in which a measure was taken at a sound step."""
    found: dict[tuple[Option, ...], go.Figure] = {}
    for run, steered in indexed.items():
        unsound = unsound_of(steered.rows)
        steps = [step for step in steered.steps(f"{measure}_steered") if step not in unsound]
        if steps:
            found |= {(run, *key): figure for key, figure in draw(steered, measure, steps).items()}
    return found


def _conditions(steered: Steered, measure: str, steps: Sequence[int]) -> Figures:
    return {(name,): condition_curves(steered, measure, **choice) for name, choice in _choices(steered)}


def _sweeps(steered: Steered, measure: str, steps: Sequence[int]) -> Figures:
    if not steered.sweep or len({k for step in steps for k in steered.numbers(step)}) < 2:
        return {}
    choices = list(_choices(steered))[:MOST_CHOICES]
    return {
        (name, step): sweep_curve(steered, step, measure, **choice)
        for name, choice in choices
        for step in few_steps(steps, len(choices))
    }


def _by_source(rows: pa.Table, metric: str, languages: Sequence[str]) -> Figures:
    table = select(sound_only(rows), NAME, metric)
    sources: list[Any] = values_of(table, "language") or [None]
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for source in sources:
        drawn[source or "any",] = stacked_languages(only(table, language=source), languages)
    return drawn


def sample_texts(results: Path, left_out: Collection[int] = (), shown: int = TEXTS_SHOWN) -> str:
    """Texts of the last step that is not left out as HTML, the first seeds of each condition; empty if there are none.

    What a model wrote is escaped, and each text takes the direction of its own script.
    """
    steps = [step for step in result_steps(results, NAME) if step not in left_out]
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
    return f'<div class="texts"><h3>Texts to read, step {steps[-1]:,}</h3>{"".join(parts)}{more}</div>'


def _visible(written: str) -> str:
    """A text with what cannot be seen, controls of direction among them, as a space; nothing at all as ∅."""
    kept = "".join(char if char.isprintable() or char in "\u200c\u200d" else " " for char in written)
    return " ".join(kept.split()) or "∅"
