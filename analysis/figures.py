"""The figures that a report shows and that a logger can send: rows in, plotly figures out.

All functions take rows as `read_rows` gives them. Those that compare runs also take a mapping from a run's name to its
rows. A figure whose metric is missing raises `ValueError` and names what there is.
"""

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import pyarrow as pa

from .figures_curves import (
    language_overlap_curves,
    loss_curves,
    metric_curves,
    overlap_curves,
    tokens_curves,
    training_curves,
    transfer_curves,
)
from .figures_data import has
from .figures_layers import alignment_by_language, alignment_curves, probe_curves
from .figures_maps import confusion, language_matrix, metric_heatmap, probe_heatmap, recall, shared_layers
from .figures_profiles import (
    alignment_directions,
    alignment_profile,
    concept_overlap,
    expert_profile,
    languages_per_expert,
    probe_profile,
)
from .figures_sound import sound_only

__all__ = [
    "alignment_by_language",
    "alignment_curves",
    "alignment_directions",
    "alignment_profile",
    "concept_overlap",
    "confusion",
    "expert_profile",
    "language_matrix",
    "language_overlap_curves",
    "languages_per_expert",
    "logged_figures",
    "loss_curves",
    "metric_curves",
    "metric_heatmap",
    "overlap_curves",
    "probe_curves",
    "probe_heatmap",
    "probe_profile",
    "recall",
    "shared_layers",
    "tokens_curves",
    "training_curves",
    "transfer_curves",
]


def logged_figures(rows: pa.Table, step: int) -> dict[str, go.Figure]:
    """What a logger may show of the rows so far, by name; only what there are rows for, so that it never raises."""
    drawings: list[tuple[str, str, str, Callable[[pa.Table], go.Figure]]] = [
        ("validation/languages", "validation", "bits_per_byte", loss_curves),
        ("probe/layers", "probe", "accuracy_mean", probe_heatmap),
        ("probe/curves", "probe", "accuracy_mean", probe_curves),
        ("alignment/curves", "alignment", "retrieval_accuracy", alignment_curves),
        ("experts/overlap_curves", "experts", "overlap_mean", overlap_curves),
        ("experts/language_pairs", "experts", "overlap_mean", partial(language_matrix, step=step)),
        ("experts/shared_layers", "experts", "shared_layer", shared_layers),
        ("experts/languages_per_expert", "experts", "shared_by_01", languages_per_expert),
        ("experts/transfer_curves", "experts", "transfer_ap_overall", transfer_curves),
    ]
    sound = sound_only(rows)
    return {name: draw(rows) for name, analysis, metric, draw in drawings if has(sound, analysis, metric)}
