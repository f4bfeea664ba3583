"""The section of a report on translations: whether they are represented alike, by layer, pair and direction."""

from collections.abc import Mapping, Sequence
from functools import partial

import plotly.graph_objects as go
import pyarrow as pa

from ... import figures
from ...figures.data import Runs, has, languages_of, only, select, steps_of, values_of
from ...figures.layers import ALIGNED
from ...figures.sound import sound_only
from ..drawing import Figures, extremes, few_steps, panels, per_run, section, split_steps, thinned_words
from ..panels import Option, Section

NAME, HEALTH = "alignment", "health"
TITLES = {
    "retrieval_accuracy": "retrieval", "cosine_margin": "cosine margin", "cka": "CKA", "cka_null": "CKA, shuffled",
}  # fmt: skip


def alignment_section(runs: Runs) -> Section | None:
    """How alike sentences with the same meaning are in two languages."""
    measures = [metric for metric in ALIGNED if any(has(sound_only(rows), NAME, metric) for rows in runs.values())]
    if not measures:
        return None
    languages = languages_of({run: only(rows, analysis=NAME) for run, rows in runs.items()})
    sentences, pairs = _sizes(runs)
    steps = max(len(steps_of(select(sound_only(rows), NAME, measures[0]))) for rows in runs.values())
    found = panels(
        "Do translations come together?",
        f"Retrieval: share of sentences whose nearest sentence in the other language is their translation, both ways{sentences}. "
        "Cosine margin: how much nearer translations lie than other pairs of sentences. CKA: likeness of the two sets as a "
        "whole, 0 where they are unrelated. Sentences are means over tokens, centred in their language. Read the lines "
        f"beside the dotted one: chance, no margin, or {_null(runs, ' (mean over layers)')}. Lines are means over {pairs}"
        f"{'; the band runs from the lowest pair to the highest (all layers), and is no confidence interval' if len(runs) == 1 else ''}.",
        {(TITLES[metric],): figures.alignment_curves(runs, metric) for metric in measures},
        "Measure", size="wide",
    )  # fmt: skip
    highest = {metric: extremes(_whole(runs), NAME, metric)[1] or 0.0 for metric in measures}
    found += panels(
        "Each layer over training",
        "A column is a checkpoint, a row a layer; layer 0 is the embedding output. Mean over pairs of languages. Compare "
        "CKA with the same of shuffled translations, on the same colours.",
        per_run(runs, partial(_maps, highest=highest), NAME, measures[0]), "Run", "Measure",
    )  # fmt: skip
    found += panels(
        "From layer to layer",
        "Move the slider through training. The line is the mean over pairs of languages, its band runs from the lowest "
        f"pair to the highest{sentences}; dotted: the first step measured; dashed: what the mean is to be compared with, for CKA "
        f"that is {_null(runs)}.",
        per_run(runs, partial(_by_measure, measures=measures), NAME, measures[0]), "Run", "Measure", "Step",
    )  # fmt: skip
    found += panels(
        "Which languages find their translations",
        "Mean over layers and over the other languages. “From” looks from the language's sentences for translations in the "
        "others, “to” looks for them in the language: a language that many sentences take for their nearest is easy to "
        f"reach and hard to leave. Dotted: chance{sentences}.",
        per_run(runs, partial(_ends, languages=languages), NAME, "retrieval_accuracy"), "Run", "Direction", size="wide",
    )  # fmt: skip
    found += panels(
        "Both directions, layer by layer",
        f"Retrieval accuracy from a language to the others and back, mean over the others. Dashed grey: chance{sentences}."
        f"{thinned_words(steps, len(languages))}",
        per_run(runs, _directions, NAME, "retrieval_accuracy"), "Run", "Language", "Step",
    )  # fmt: skip
    found += panels(
        "Pair by pair",
        "Each cell is a pair of languages. For retrieval a row's sentences look for their translation in the column's "
        f"language{sentences}; the other measures have no direction. Layers: the mean of all, or one of them. Point at a "
        "pair's CKA for its p-value: the share of permutations of the sentences, these themselves counted, whose CKA is as "
        f"high.{thinned_words(steps, 4 * len(measures))}",
        _matrices(runs, measures), "Run", "Measure", "Layers", "Step",
    )  # fmt: skip
    return section(
        NAME, "Translations", "Are sentences with the same meaning represented alike in different languages?", found
    )


def _sizes(runs: Runs) -> tuple[str, str]:
    """How many sentences, and how many pairs of languages, in words."""
    counts: set[int] = set()
    pairs: set[tuple[str, str]] = set()
    for rows in runs.values():
        table = select(rows, NAME, "retrieval_chance", language=..., other_language=...)
        counts |= {round(1 / value) for value in values_of(table, "value") if value > 0}
        pairs |= set(zip(table["language"].to_pylist(), table["other_language"].to_pylist(), strict=True))
    span = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}" if counts else ""
    number = f"{len(pairs)} pair{'s' * (len(pairs) != 1)} of languages" if pairs else "pairs of languages"
    return (f" (n = {span} sentences in each pair, so chance is {_chance(counts)})" if counts else ""), number


def _null(runs: Runs, mean: str = "") -> str:
    """What CKA is compared with, in words."""
    if not any(has(rows, NAME, "cka_null_high") for rows in runs.values()):
        return f"CKA of shuffled translations{mean}"
    return (
        "the 95th percentile of the mean CKA over pairs when translations are shuffled, which one in twenty layers of "
        f"unrelated languages would pass{mean}"
    )


def _chance(counts: set[int]) -> str:
    return " to ".join(f"{100 / count:.2g} %" for count in sorted({min(counts), max(counts)}, reverse=True))


def _whole(runs: Runs) -> Runs:
    return {run: only(rows, language=None) for run, rows in runs.items()}


def _maps(rows: pa.Table, highest: dict[str, float]) -> Figures:
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    sound = only(sound_only(rows), language=None)
    for metric, title in TITLES.items():
        if has(sound, NAME, metric):
            # A null has the colours of what it is the null of.
            top = highest.get(metric.removesuffix("_null"), 0.0)
            bounds = (0.0, max(top, 0.05))
            drawn[title,] = figures.metric_heatmap(sound, NAME, metric, bounds=bounds, title=_named(metric))
    return drawn


def _named(metric: str) -> str:
    return ALIGNED[metric].title if metric in ALIGNED else "linear CKA, translations shuffled"


def _by_measure(rows: pa.Table, measures: Sequence[str]) -> Figures:
    parts = _with(split_steps(only(rows, analysis=[NAME, HEALTH])), measures[0])
    first = only(next(iter(parts.values())), language=None)
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for step, part in parts.items():
        table = part if step == next(iter(parts)) else pa.concat_tables([first, part])
        drawn |= {(TITLES[metric], step): figures.alignment_profile(table, step, metric) for metric in measures}
    return drawn


def _ends(rows: pa.Table, languages: Sequence[str]) -> Figures:
    ends = {"both": "", "from": "language", "to": "other_language"}
    return {
        (name,): figures.alignment_by_language(rows, "retrieval_accuracy", end, languages) for name, end in ends.items()
    }


def _directions(rows: pa.Table) -> Figures:
    metrics = ["retrieval_accuracy", "retrieval_chance", "sound"]
    parts = _with(split_steps(only(rows, analysis=[NAME, HEALTH], metric=metrics)), "retrieval_accuracy")
    languages = languages_of(pa.concat_tables(parts.values()))
    return {
        (language, step): figures.alignment_directions(parts[step], step, language)
        for language in languages
        for step in few_steps(list(parts), len(languages))
    }


def _matrices(runs: Runs, measures: Sequence[str]) -> Figures:
    kept = {run: _with(split_steps(only(rows, analysis=[NAME, HEALTH])), measures[0]) for run, rows in runs.items()}
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for metric in measures:
        pairs = {run: only(rows, language=...) for run, rows in runs.items()}
        top = max(extremes(pairs, NAME, metric)[1] or 0.0, 0.05)
        for run, parts in kept.items():
            if not parts:
                continue
            layers = values_of(next(iter(parts.values())), "layer")
            chosen: dict[str, list[int]] = {"all": layers}
            if len(layers) > 2:
                chosen |= {f"{place} ({layer})": [layer] for place, layer in
                           (("first", layers[0]), ("middle", layers[len(layers) // 2]), ("last", layers[-1]))}  # fmt: skip
            for step in few_steps(list(parts), len(measures) * len(chosen)):
                table = only(select(parts[step], NAME, metric), language=..., other_language=...)
                if not table.num_rows:
                    continue
                p = select(parts[step], NAME, "cka_p") if metric == "cka" else table.slice(0, 0)
                for name, part in chosen.items():
                    drawn[run, TITLES[metric], name, step] = figures.language_matrix(
                        only(table, layer=part), step, metric, (0.0, top), analysis=NAME, title=ALIGNED[metric].title,
                        words=_p_values(only(p, layer=part)),
                    )  # fmt: skip
    return drawn


def _p_values(table: pa.Table) -> dict[tuple[str, str], str]:
    """What is said of each pair's p-values: the one of a layer, or how many of several are low."""
    found: dict[tuple[str, str], list[float]] = {}
    columns = ("language", "other_language", "value")
    for one, two, value in zip(*(table[name].to_pylist() for name in columns), strict=True):
        found.setdefault((one, two), []).append(value)
    return {
        pair: f"<br>p = {values[0]:.3g}" if len(values) == 1
        else f"<br>p ≤ 0.05 in {sum(value <= 0.05 for value in values)} of {len(values)} layers"
        for pair, values in found.items()
    }  # fmt: skip


def _with(parts: Mapping[int, pa.Table], metric: str) -> dict[int, pa.Table]:
    """Steps that have any value of a metric."""
    return {step: table for step, table in parts.items() if has(table, NAME, metric)}
