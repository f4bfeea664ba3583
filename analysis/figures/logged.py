"""The figures that a logger can send while a model trains."""

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import pyarrow as pa

from .curves import loss_curves, overlap_curves, transfer_curves
from .data import has
from .layers import alignment_curves, probe_curves
from .maps import language_matrix, probe_heatmap, shared_layers
from .profiles import languages_per_expert
from .sound import sound_only


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
