"""The figures that a report shows and that a logger can send: rows in, plotly figures out.

All functions take rows as `read_rows` gives them. Those that compare runs also take a mapping from a run's name to its
rows. A figure whose metric is missing raises `ValueError` and names what there is.
"""

from .curves import (
    language_overlap_curves,
    loss_curves,
    metric_curves,
    overlap_curves,
    tokens_curves,
    training_curves,
    transfer_curves,
)
from .layers import alignment_by_language, alignment_curves, probe_curves
from .logged import logged_figures
from .maps import confusion, language_matrix, metric_heatmap, probe_heatmap, recall, shared_layers
from .profiles import (
    alignment_directions,
    alignment_profile,
    concept_overlap,
    expert_profile,
    languages_per_expert,
    probe_profile,
)

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
