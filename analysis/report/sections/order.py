"""The sections of a report in their order; those on loss and on language identity."""

import re

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from ... import figures
from ...figures.data import Runs, has, languages_of, only, require, select, steps_of, values_of
from ...figures.sound import sound_only
from ..drawing import Figures, by_step, extremes, panels, per_run, section
from ..panels import Option, Panel, Section, SectionMaker
from ..resolution import captioned
from .alignment import alignment_section
from .experts import depth_section, experts_section, transfer_section
from .health import health_section
from .other import machine_section, other_sections
from .steering import steering_section


def loss_section(runs: Runs) -> Section | None:
    """Loss of training and validation, and of each language."""
    languages = languages_of(runs)
    found: list[Panel] = []
    if any(has(rows, "training", "loss") or has(rows, "validation", "loss") for rows in runs.values()):
        found += panels(
            "Training and validation loss",
            "Cross-entropy; lower is better. An untrained model lies near ln(vocabulary size). Validation is the mean of "
            "the languages, each counting once. Where many steps were logged a point is the mean of neighbouring ones and "
            "the band runs from the lowest to the highest; it is no confidence interval. If validation rises while "
            "training falls, the model is memorising.",
            {(): figures.training_curves(runs)}, size="wide",
        )  # fmt: skip

    def languages_of_run(rows: pa.Table) -> Figures:
        units = {"bits per byte": "bits_per_byte", "nats per token": "loss"}
        drawn: dict[tuple[Option, ...], go.Figure] = {}
        for name, metric in units.items():
            table = select(rows, "validation", metric)
            if only(table, language=...).num_rows:
                drawn[name,] = figures.loss_curves(rows, metric, languages)
        return drawn

    metric = "bits_per_byte" if any(has(rows, "validation", "bits_per_byte") for rows in runs.values()) else "loss"
    found += panels(
        "Validation loss of each language",
        "One line a language, on text held out of training; the thick line is their mean. Lower is better. Bits per byte do "
        "not depend on how the tokenizer cuts a language, but scripts differ in bytes per letter: compare the course of the "
        "curves rather than their height. Nats per token depend on the tokenizer as well. The text is the same at every "
        "step, so no interval is drawn. A language's name below hides or shows it; twice, it alone.",
        per_run(runs, languages_of_run, "validation", metric), "Run", "Unit", size="wide",
    )  # fmt: skip
    return section("loss", "Loss", "How well the model predicts text it has not seen, language by language.", found)


def probe_section(runs: Runs) -> Section | None:
    """Language identity in the hidden states."""
    found: list[Panel] = []
    measures = probe_measures(runs)
    if "accuracy_mean" in measures:
        found += panels(
            "Accuracy over training",
            f"A linear probe predicts the language of a token from its hidden state{_languages(runs)}. The dotted line is "
            "chance; the first step, if it is 0, shows what an untrained model gives away already (its tokens). A fall in "
            "some layers while others hold means that those layers come to treat the languages alike. The band of all "
            "layers runs from the lowest to the highest of the probe's seeds (other sentences, same model); it is no "
            "interval over training runs.",
            {(): figures.probe_curves(runs)},
            size="wide",
        )
    bounds = {metric: extremes(runs, "probe", metric) for metric in measures}

    def maps(rows: pa.Table) -> Figures:
        return {
            (_measure(metric),): figures.probe_heatmap(rows, metric, bounds[metric])
            for metric in measures
            if has(sound_only(rows), "probe", metric)
        }

    if measures:
        found += panels(
            "Accuracy of each layer over training",
            "A column is a checkpoint, a row a layer; layer 0 is the embedding output. Compare with the "
            "first column (an untrained model) and with chance, one over the number of languages. Colours "
            "mean the same in all runs.",
            per_run(runs, maps, "probe", measures[0]), "Run", "Measure",
        )  # fmt: skip

    def profiles(rows: pa.Table) -> Figures:
        rows = sound_only(rows)
        small = pa.concat_tables([select(rows, "probe", name) for name in ("accuracy_mean", "accuracy_std", "chance")])
        return {
            (step,): figures.probe_profile(small, step) for step in steps_of(require(rows, "probe", "accuracy_mean"))
        }

    found += panels(
        "Accuracy from layer to layer",
        "Move the slider through training. Whiskers are the deviation over the probe's seeds (not over "
        "training runs); the dotted line is the first step measured, the dashed one chance.",
        per_run(runs, profiles, "probe", "accuracy_mean"), "Run", "Step",
    )  # fmt: skip
    low = extremes(runs, "probe", "recall")[0]
    found += panels(
        "Recall of each language",
        "Share of a language's test tokens that the probe recognises, by layer. Rows low on the scale are languages "
        "that get lost among the others; chance is one over the number of languages.",
        per_run(
            runs,
            lambda rows: by_step(rows, "probe", "recall", lambda part, step: figures.recall(part, step, (low, 1.0))),
            "probe", "recall",
        ), "Run", "Step",
    )  # fmt: skip
    found += panels(
        "Which languages are taken for which",
        "A row is the true language, a column the probe's guess; rows sum to 1. By chance every cell "
        "would be one over the number of languages. Cells that stand out off the diagonal are languages whose "
        "hidden states resemble each other.",
        per_run(runs, _confusions, "probe", "confusion"), "Run", "Layers", "Step",
    )  # fmt: skip
    return section(
        "probe", "Language identity", "Can one tell from a hidden state which language the model is reading?", found
    )


def probe_measures(runs: Runs) -> list[str]:
    """Metrics of the probe that are one value a layer: the accuracy first, then any other, such as selectivity."""
    names: set[str] = set()
    for rows in runs.values():
        layered = only(rows, analysis="probe", layer=..., language=None, seed=None)
        names |= set(pc.unique(layered["metric"]).to_pylist())
    names = {name for name in names if not name.endswith("_std")}
    return sorted(names, key=lambda name: (name != "accuracy_mean", name))


def _languages(runs: Runs) -> str:
    """How many languages there are to choose from, and so chance."""
    chances = sorted({value for rows in runs.values() for value in values_of(select(rows, "probe", "chance"), "value")})
    if len(chances) != 1 or not chances[0] > 0:
        return ""
    return f", one of {round(1 / chances[0])}, so chance is {100 * chances[0]:.2g} %"


def _measure(metric: str) -> str:
    """`accuracy_20_mean` is the accuracy of probes trained and tested on 20 tokens a language."""
    name = metric.removesuffix("_mean").replace("_", " ")
    few = re.fullmatch(r"accuracy (\d+)", name)
    return f"accuracy, {few[1]} tokens a language" if few else name


def _confusions(rows: pa.Table) -> Figures:
    table = select(sound_only(rows), "probe", "confusion")
    layers = values_of(table, "layer")
    chosen: dict[str, int | None] = {"all": None}
    if len(layers) > 2:
        chosen |= {f"{place} ({layer})": layer for place, layer in
                   (("first", layers[0]), ("middle", layers[len(layers) // 2]), ("last", layers[-1]))}  # fmt: skip
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for step in steps_of(table):
        part = only(table, step=step)
        for name, layer in chosen.items():
            drawn[name, step] = figures.confusion(part, step, layer)
    return drawn


SECTIONS: tuple[SectionMaker, ...] = (
    loss_section, probe_section, alignment_section, experts_section, depth_section, transfer_section, steering_section,
    health_section,
)  # fmt: skip
"""Sections in the order of the page; sections of other analyses and of the machine follow."""


def make_sections(runs: Runs) -> list[Section]:
    """All sections for which the runs have something."""
    made = [section for make in SECTIONS if (section := make(runs)) is not None]
    made += other_sections(runs)
    machine = machine_section(runs)
    return captioned(made, runs) + ([machine] if machine else [])
