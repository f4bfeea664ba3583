"""The sections of a report: which figures are drawn from which metrics, and how to read them."""

from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from . import figures
from .figures_data import Runs, has, languages_of, only, require, select, steps_of, values_of
from .report_panels import Option, Panel, Section, SectionMaker

Figures = Mapping[tuple[Option, ...], go.Figure]


def per_run(runs: Runs, draw: Callable[[pa.Table], Figures | go.Figure], analysis: str, metric: str) -> Figures:
    """Figures of each run that has the metric, with the run's name in front of the key."""
    found: dict[tuple[Option, ...], go.Figure] = {}
    for run, rows in runs.items():
        if has(rows, analysis, metric):
            drawn = draw(rows)
            for key, figure in ({(): drawn} if isinstance(drawn, go.Figure) else drawn).items():
                found[run, *key] = figure
    return found


def panels(title: str, how_to_read: str, found: Figures, *names: str, size: str = "half") -> list[Panel]:
    """A panel, or nothing if there are no figures; choices with a single option are dropped."""
    if not found:
        return []
    keep = [place for place in range(len(names)) if len({key[place] for key in found}) > 1]
    figures_by = {tuple(key[place] for place in keep): figure for key, figure in found.items()}
    return [Panel(title, how_to_read, figures_by, tuple(names[place] for place in keep), size)]


def by_step(
    rows: pa.Table, analysis: str, metric: str, draw: Callable[[pa.Table, int], go.Figure], *extra: str
) -> dict[tuple[Option, ...], go.Figure]:
    """A figure a step. Each is drawn from that step's rows of the metric (and `extra` metrics) alone: fast."""
    tables = [select(rows, analysis, name) for name in (metric, *extra)]
    return {
        (step,): draw(pa.concat_tables([only(table, step=step) for table in tables]), step)
        for step in steps_of(tables[0])
    }


def extremes(runs: Runs, analysis: str, *metrics: str) -> tuple[float | None, float | None]:
    """Lowest and highest value of the metrics in all runs: colours then mean the same in all of them."""
    parts = [select(rows, analysis, metric)["value"] for rows in runs.values() for metric in metrics]
    filled = [part for part in parts if len(part)]
    if not filled:
        return None, None
    return min(pc.min(part).as_py() for part in filled), max(pc.max(part).as_py() for part in filled)


def loss_section(runs: Runs) -> Section | None:
    """Loss of training and validation, and of each language."""
    languages = languages_of(runs)
    found: list[Panel] = []
    if any(has(rows, "training", "loss") or has(rows, "validation", "loss") for rows in runs.values()):
        found += panels(
            "Training and validation loss",
            "Lower is better. An untrained model lies near ln(vocabulary size). Where many steps were logged a point is the "
            "mean of neighbouring ones and the band runs from the lowest to the highest. If validation rises while training "
            "falls, the model is memorising.",
            {(): figures.training_curves(runs)},
        )

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
        "Bits per byte do not depend on how the tokenizer cuts a language, but scripts differ in bytes per letter: compare "
        "the course of the curves rather than their height. Nats per token depend on the tokenizer as well.",
        per_run(runs, languages_of_run, "validation", metric), "Run", "Unit",
    )  # fmt: skip
    return _section("loss", "Loss", "How well the model predicts text it has not seen, language by language.", found)


def probe_section(runs: Runs) -> Section | None:
    """Language identity in the hidden states."""
    found: list[Panel] = []
    measures = probe_measures(runs)
    if "accuracy_mean" in measures:
        found += panels(
            "Accuracy over training",
            "A linear probe predicts the language of a token from its hidden state. The grey line is chance; the first "
            "step, if it is 0, shows what an untrained model gives away already (its tokens). A fall in some layers while "
            "others hold means that those layers come to treat the languages alike.",
            {(): figures.probe_curves(runs)},
            size="wide",
        )
    bounds = {metric: extremes(runs, "probe", metric) for metric in measures}

    def maps(rows: pa.Table) -> Figures:
        return {
            (metric.removesuffix("_mean").replace("_", " "),): figures.probe_heatmap(rows, metric, bounds[metric])
            for metric in measures
            if has(rows, "probe", metric)
        }

    if measures:
        found += panels(
            "Accuracy of each layer over training",
            "A column is a checkpoint, a row a layer; layer 0 is the embedding output. Compare with the first column (an "
            "untrained model) and with chance, one over the number of languages. Colours mean the same in all runs.",
            per_run(runs, maps, "probe", measures[0]), "Run", "Measure",
        )  # fmt: skip

    def profiles(rows: pa.Table) -> Figures:
        small = pa.concat_tables([select(rows, "probe", name) for name in ("accuracy_mean", "accuracy_std", "chance")])
        return {
            (step,): figures.probe_profile(small, step) for step in steps_of(require(rows, "probe", "accuracy_mean"))
        }

    found += panels(
        "Accuracy from layer to layer",
        "Move the slider through training. Whiskers are the deviation over the probe's seeds (not over training runs); the "
        "dotted line is the first step measured, the dashed one chance.",
        per_run(runs, profiles, "probe", "accuracy_mean"), "Run", "Step",
    )  # fmt: skip
    low = extremes(runs, "probe", "recall")[0]
    found += panels(
        "Recall of each language",
        "Share of a language's test tokens that the probe recognises, by layer. Pale rows are languages that get lost "
        "among the others; chance is one over the number of languages.",
        per_run(
            runs,
            lambda rows: by_step(rows, "probe", "recall", lambda part, step: figures.recall(part, step, (low, 1.0))),
            "probe", "recall",
        ), "Run", "Step",
    )  # fmt: skip
    found += panels(
        "Which languages are taken for which",
        "A row is the true language, a column the probe's guess; rows sum to 1. By chance every cell would be one over the "
        "number of languages. Bright cells off the diagonal are languages whose hidden states resemble each other.",
        per_run(runs, _confusions, "probe", "confusion"), "Run", "Layers", "Step",
    )  # fmt: skip
    return _section(
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


def _confusions(rows: pa.Table) -> Figures:
    table = select(rows, "probe", "confusion")
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


def experts_section(runs: Runs) -> Section | None:
    """Expert neurons and what languages share of them."""
    found: list[Panel] = []
    languages = languages_of(runs)
    if any(has(rows, "experts", "overlap_mean") for rows in runs.values()):
        found += panels(
            "Experts that two languages have in common",
            "A concept's experts are the units whose response tells its sentences from others best, found in each language "
            "by itself. Sharing is what lies above the control, the overlap of different concepts in the same languages, "
            "and not just above chance. Bands are 95 % bootstrap intervals.",
            {(): figures.overlap_curves(runs)}, size="wide",
        )  # fmt: skip
    found += panels(
        "Which languages share",
        "Mean overlap of each language with the others. The dark line is the mean of all pairs; compare with the control "
        "and chance in the figure above.",
        per_run(runs, lambda rows: figures.language_overlap_curves(rows, languages), "experts", "overlap_mean"), "Run",
    )  # fmt: skip
    found += panels(
        "Language by language",
        "Each cell is a pair of languages. Choose the control to see the null: the same picture for different concepts. "
        "For transfer, a row's experts are scored on a column's sentences.",
        _matrices(runs), "Run", "Measure", "Step",
    )  # fmt: skip
    found += panels(
        "In how many languages an expert serves",
        "Share of the experts that serve a concept in exactly one language, in two, and so on; deeper is more. If nothing is "
        "shared beyond chance, nearly all serve one.",
        per_run(runs, figures.languages_per_expert, "experts", "shared_by_01"), "Run",
    )  # fmt: skip
    found += panels(
        "Concept by concept",
        "Each concept's overlap, mean over pairs of languages, beside its control. If a few concepts carry the mean they "
        "stand out here: look whether they are names or numbers that all languages write alike.",
        per_run(
            runs,
            lambda rows: by_step(rows, "experts", "overlap", figures.concept_overlap, "overlap_control"),
            "experts", "overlap",
        ), "Run", "Step",
    )  # fmt: skip
    return _section("experts", "Shared experts", "Do two languages use the same neurons for the same concept?", found)


MATRICES = {
    "overlap": "overlap_mean", "control": "overlap_control_mean", "chance given layers": "overlap_chance_layers_mean",
    "transfer": "transfer_ap_mean",
}  # fmt: skip


def _matrices(runs: Runs) -> Figures:
    pairs = {run: only(rows, language=..., other_language=...) for run, rows in runs.items()}
    # Overlap, its control and chance on one scale, so that choosing the null shows how small it is.
    shared = extremes(pairs, "experts", "overlap_mean", "overlap_control_mean")[1]
    highest = {name: shared if name != "transfer" else 1.0 for name in MATRICES}
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for run, rows in pairs.items():
        for name, metric in MATRICES.items():
            for (step,), figure in by_step(
                rows, "experts", metric,
                lambda part, step, metric=metric, name=name: figures.language_matrix(part, step, metric, (0.0, highest[name])),
            ).items():  # fmt: skip
                drawn[run, name, step] = figure
    return drawn


def depth_section(runs: Runs) -> Section | None:
    """Where in the model the shared experts lie."""
    found = panels(
        "Depth of the shared experts over training",
        "A column is a checkpoint and sums to 1. Compare with where experts lie at all: the line in the figure beside this.",
        per_run(runs, figures.shared_layers, "experts", "shared_layer"), "Run",
    )  # fmt: skip

    def profiles(rows: pa.Table) -> Figures:
        return by_step(rows, "experts", "shared_layer", figures.expert_profile, "expert_layer")

    found += panels(
        "Where shared experts lie, and experts at all",
        "Bars: experts that two languages share, by block and by the linear layer they are outputs of. Line: all experts, "
        "the null. Bars above the line mean that sharing favours those blocks.",
        per_run(runs, profiles, "experts", "shared_layer"), "Run", "Step",
    )  # fmt: skip
    return _section("depth", "Depth", "In which layers are the neurons that languages share?", found)


def transfer_section(runs: Runs) -> Section | None:
    """Whether one language's experts know the concept in another."""
    there = ("transfer_ap_overall", "transfer_ap_mean", "own_ap_mean")
    if not any(has(rows, "experts", name) for rows in runs.values() for name in there):
        return None
    found = panels(
        "Do one language's experts recognise the concept in another?",
        "Average precision, 1 is perfect. Experts are chosen on one half of the sentences and scored on the other; the "
        "broken line on the choosing half shows how optimistic that would be. The null is the mean over all units.",
        {(): figures.transfer_curves(runs)}, size="wide",
    )  # fmt: skip
    return _section("transfer", "Transfer", "A shared neuron should do its work in both languages.", found)


MACHINE = {
    "learning_rate": ("Learning rate", "The schedule as it was applied."),
    "grad_norm": ("Gradient norm", "Before clipping. Sudden peaks are steps worth looking at."),
    "tokens_per_second": ("Tokens per second", "Speed of training. Dips are usually checkpoints and analyses."),
    "mfu": (
        "Model FLOPs utilisation",
        "Share of the machine's peak arithmetic that the model's own reaches; 1 is the limit.",
    ),
    "peak_memory_gb": ("Peak memory (GB)", "Highest memory in use so far."),
}
"""Metrics of training beside the loss: what to call them, and how to read them."""
KNOWN = frozenset({"training", "validation", "probe", "experts"})


def other_sections(runs: Runs) -> list[Section]:
    """Analyses that have no section of their own: a curve per metric, or a map where it has layers."""
    names = sorted({name for rows in runs.values() for name in pc.unique(rows["analysis"]).to_pylist()} - KNOWN)
    languages = languages_of(runs)
    sections = []
    for analysis in names:
        metrics = sorted({
            metric for rows in runs.values()
            for metric in pc.unique(only(rows, analysis=analysis)["metric"]).to_pylist()
        })  # fmt: skip
        found: list[Panel] = []
        for metric in metrics:
            found += panels(
                metric.replace("_", " ").capitalize(),
                "Mean over whatever else the rows distinguish (concepts, seeds, layers or sites, unless they are drawn).",
                per_run(runs, lambda rows, a=analysis, m=metric: _any_metric(rows, a, m, languages), analysis, metric),
                "Run", "View",
            )  # fmt: skip
        made = _section(f"analysis-{analysis}", analysis.replace("_", " ").capitalize(), "", found)
        sections += [made] if made else []
    return sections


def _any_metric(rows: pa.Table, analysis: str, metric: str, languages: Sequence[str]) -> Figures:
    drawn: dict[tuple[Option, ...], go.Figure] = {("curves",): figures.metric_curves(rows, analysis, metric, languages)}
    if only(select(rows, analysis, metric), layer=...).num_rows:
        drawn["layers",] = figures.metric_heatmap(rows, analysis, metric)
    return drawn


def machine_section(runs: Runs) -> Section | None:
    """How the run itself went."""
    found: list[Panel] = []
    for metric, (title, reading) in MACHINE.items():
        if any(has(rows, "training", metric) for rows in runs.values()):
            found += panels(title, reading, {(): figures.training_curves(runs, metric)}, size="third")
    found += panels(
        "Tokens of each language",
        "Tokens seen so far: the mixture as it was drawn.",
        per_run(runs, lambda rows: figures.metric_curves(rows, "training", "tokens_seen", languages_of(runs)), "training",
                "tokens_seen"),
        "Run", size="third",
    )  # fmt: skip
    return _section("machine", "How the run went", "What the optimizer and the machine did.", found)


SECTIONS: tuple[SectionMaker, ...] = (
    loss_section, probe_section, experts_section, depth_section, transfer_section,
)  # fmt: skip
"""Sections in the order of the page; sections of other analyses and of the machine follow."""


def make_sections(runs: Runs) -> list[Section]:
    """All sections for which the runs have something."""
    made = [section for make in SECTIONS if (section := make(runs)) is not None]
    made += other_sections(runs)
    machine = machine_section(runs)
    return made + ([machine] if machine else [])


def _section(slug: str, title: str, lead: str, found: Sequence[Panel]) -> Section | None:
    return Section(slug, title, lead, found) if found else None
