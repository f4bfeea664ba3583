"""The sections of a report on experts: what languages share, in which layers, and whether it transfers."""

from functools import partial

import plotly.graph_objects as go
import pyarrow as pa

from ... import figures
from ...figures.data import Runs, has, languages_of, only, select, values_of
from ...figures.sound import sound_only
from ..drawing import Figures, by_step, extremes, panels, per_run, section
from ..panels import Option, Panel, Section


def experts_section(runs: Runs) -> Section | None:
    """Expert neurons and what languages share of them."""
    found: list[Panel] = []
    languages = languages_of(runs)
    if any(has(rows, "experts", "overlap_mean") for rows in runs.values()):
        found += panels(
            "Experts that two languages have in common",
            "A concept's experts are the units whose response tells its sentences from others best, found "
            "in each language by itself. Sharing is what lies above the control, the overlap of different "
            "concepts in the same languages, and not just above chance. Bands are 95 % intervals for "
            f"further concepts and languages like these{_sizes(runs)}; the layered chance keeps each set's numbers of "
            "experts per layer.",
            {(): figures.overlap_curves(runs)}, size="wide",
        )  # fmt: skip
    found += panels(
        "Which languages share",
        "Mean overlap of each language with the others. The thick line is the mean of all pairs; compare "
        "with the control and chance in the figure above.",
        per_run(runs, lambda rows: figures.language_overlap_curves(rows, languages), "experts", "overlap_mean"), "Run",
    )  # fmt: skip
    found += panels(
        "Language by language",
        "Each cell is a pair of languages. Choose the control to see the null: the same picture for "
        "different concepts. For transfer, a row's experts are scored on a column's sentences.",
        _matrices(runs), "Run", "Measure", "Step",
    )  # fmt: skip
    found += panels(
        "In how many languages an expert serves",
        "Share of the experts that serve a concept in exactly one language, in two, and so on; further along the scale is "
        "more. If nothing is shared beyond chance, nearly all serve one.",
        per_run(runs, figures.languages_per_expert, "experts", "shared_by_01"), "Run",
    )  # fmt: skip
    found += panels(
        "Concept by concept",
        "Each concept's overlap, mean over pairs of languages, beside its control. If a few concepts "
        "carry the mean they stand out here: look whether they are names or numbers that all languages "
        "write alike.",
        per_run(
            runs,
            lambda rows: by_step(rows, "experts", "overlap", figures.concept_overlap, "overlap_control"),
            "experts", "overlap",
        ), "Run", "Step",
    )  # fmt: skip
    return section("experts", "Shared experts", "Do two languages use the same neurons for the same concept?", found)


def _sizes(runs: Runs) -> str:
    """How many concepts and pairs of languages the figures are means over."""
    found = []
    for rows in runs.values():
        table = select(rows, "experts", "overlap", language=..., other_language=...)
        pairs = set(zip(table["language"].to_pylist(), table["other_language"].to_pylist(), strict=True))
        concepts = values_of(table, "concept")
        if pairs and concepts:
            found.append(f" (n = {len(concepts)} concepts × {len(pairs)} pairs of languages)")
    return " and".join(dict.fromkeys(found))


MATRICES = {
    "overlap": "overlap_mean", "control": "overlap_control_mean", "chance given layers": "overlap_chance_layers_mean",
    "transfer": "transfer_ap_mean",
}  # fmt: skip


def _matrices(runs: Runs) -> Figures:
    pairs = {run: only(sound_only(rows), language=..., other_language=...) for run, rows in runs.items()}
    # Overlap, its control and chance on one scale, so that choosing the null shows how small it is. It never ends
    # below a tenth: noise shall not look like a finding.
    shared = extremes(pairs, "experts", "overlap_mean", "overlap_control_mean")[1] or 0.0
    highest = {name: max(shared, 0.1) if name != "transfer" else 1.0 for name in MATRICES}
    drawn: dict[tuple[Option, ...], go.Figure] = {}
    for run, rows in pairs.items():
        for name, metric in MATRICES.items():
            for (step,), figure in by_step(
                rows, "experts", metric,
                partial(figures.language_matrix, metric=metric, bounds=(0.0, highest[name])),
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
        "Bars: experts that two languages share, by block and by the linear layer they are outputs of. "
        "Line: all experts, the null. Bars above the line mean that sharing favours those blocks.",
        per_run(runs, profiles, "experts", "shared_layer"), "Run", "Step",
    )  # fmt: skip
    return section("depth", "Depth", "In which layers are the neurons that languages share?", found)


def transfer_section(runs: Runs) -> Section | None:
    """Whether one language's experts know the concept in another."""
    there = ("transfer_ap_overall", "transfer_ap_mean", "own_ap_mean")
    if not any(has(rows, "experts", name) for rows in runs.values() for name in there):
        return None
    found = panels(
        "Do one language's experts recognise the concept in another?",
        "Average precision, 1 is perfect. Experts are chosen on one half of the sentences and scored on "
        "the other; the broken line on the choosing half shows how optimistic that would be. The null is "
        "the mean over all units. Means over concepts and pairs of languages, each counting once; no interval is drawn.",
        {(): figures.transfer_curves(runs)}, size="wide",
    )  # fmt: skip
    return section("transfer", "Transfer", "A shared neuron should do its work in both languages.", found)
