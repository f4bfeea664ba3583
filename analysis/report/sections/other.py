"""The sections of a report on analyses that have none of their own, and on how the run itself went."""

from collections.abc import Sequence
from functools import partial

import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.compute as pc

from ... import figures
from ...failures import FAILED
from ...figures.data import Runs, has, languages_of, only, select
from ..drawing import Figures, panels, per_run, section
from ..panels import Option, Panel, Section

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
KNOWN = frozenset({"training", "validation", "probe", "experts", "steering", "alignment", "health"})


def other_sections(runs: Runs) -> list[Section]:
    """Analyses that have no section of their own: a curve per metric, or a map where it has layers."""
    names = sorted({name for rows in runs.values() for name in pc.unique(rows["analysis"]).to_pylist()} - KNOWN)
    languages = languages_of(runs)
    sections = []
    for analysis in names:
        metrics = sorted({
            metric for rows in runs.values()
            for metric in pc.unique(only(rows, analysis=analysis)["metric"]).to_pylist()
            if metric != FAILED
        })  # fmt: skip
        found: list[Panel] = []
        for metric in metrics:
            found += panels(
                metric.replace("_", " ").capitalize(),
                "Averaged over whatever the figure does not tell apart.",
                per_run(
                    runs, partial(_any_metric, analysis=analysis, metric=metric, languages=languages), analysis, metric
                ),
                "Run", "View", size="half" if any(_has_parts(rows, analysis, metric) for rows in runs.values()) else "third",
            )  # fmt: skip
        found.sort(key=lambda panel: panel.size)
        title = analysis.replace("_", " ")
        lead = f"What the analysis “{title}” measured; its metrics have no section of their own in this report."
        made = section(f"analysis-{analysis}", title.capitalize(), lead, found)
        sections += [made] if made else []
    return sections


def _has_parts(rows: pa.Table, analysis: str, metric: str) -> bool:
    """Whether a metric is told apart by language or layer."""
    table = select(rows, analysis, metric)
    return any(table[column].null_count < table.num_rows for column in ("language", "layer"))


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
        per_run(runs, lambda rows: figures.tokens_curves(rows, languages_of(runs)), "training",
                "tokens_seen"),
        "Run", size="third",
    )  # fmt: skip
    return section("machine", "How the run went", "What the optimizer and the machine did.", found)
