"""The rows of the expert analysis: overlap against its chance levels and control, depth, spread, and transfer.

Per concept and pair of languages (`language` before `other_language` in the alphabet): `overlap` |A∩B|/k;
`overlap_chance_layers`, expected if only the number of experts in each layer counted; `overlap_corrected`
(overlap − k/N) / (1 − k/N); `overlap_control`, the mean overlap with different concepts, both directions. Without any:
`overlap_chance` k/N. `overlap_mean`, `overlap_control_mean` and `overlap_chance_layers_mean`: over concepts, and
without languages over everything; `overlap_low`, `overlap_high`, `overlap_control_low`, `overlap_control_high`: 95 %
interval of that (`cluster_interval`, `control_interval`), for further concepts and languages.

Where: `expert_layer` (layer, site, language), experts there, mean over concepts; `shared_layer` (layer, site), shared
experts there, mean over concepts and pairs; `shared_by_02`: units that are an expert in exactly two languages, mean
over concepts.

Average precision, all but the last on the scoring half: `transfer_ap` (concept, language, other_language), the mean
over the experts of `language` on the sentences of `other_language`, which may be the same; `transfer_ap_mean` over
concepts; `own_ap_mean` of all with the same language, `transfer_ap_overall` of all with different ones; `all_units_ap`
(concept, other_language) and `all_units_ap_mean`, over all units; `selection_ap_mean`, the experts' AP on the half that
chose them, which is optimistic.

Shapes: C concepts, L languages, k experts, R pairs of languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..findings import ROW_SCHEMA
from ..stats import cluster_interval, control_interval
from .activations import Units
from .overlap import (
    chance_overlap,
    control_overlap,
    corrected_overlap,
    languages_per_unit,
    layered_chances,
    shared_experts,
)


@dataclass(frozen=True)
class ExpertTable:
    """What the rows are computed from; concepts and languages in alphabetical order.

    Attributes:
        indices_CLk: experts, -1 where missing.
        ap_CLk: their AP in the choosing half.
        score_CLL: [c, A, B], mean AP of A's experts in the scoring half of B.
        mean_CL: mean AP of all units in the scoring half.
        seed: of the intervals' draws.
    """

    concepts: Sequence[str]
    languages: Sequence[str]
    units: Units
    indices_CLk: np.ndarray
    ap_CLk: np.ndarray
    score_CLL: np.ndarray
    mean_CL: np.ndarray
    seed: int


def expert_rows(table: ExpertTable, analysis: str, step: int) -> tuple[pa.Table, list[str]]:
    """All rows, and what could not be computed, in words."""
    rows = _Rows(analysis, step)
    notes = _overlap_rows(rows, table)
    _depth_rows(rows, table)
    _transfer_rows(rows, table)
    return rows.table(), notes


class _Rows:
    """Collects columns block by block; values that are NaN (missing concepts) make no row."""

    def __init__(self, analysis: str, step: int) -> None:
        self.analysis, self.step = analysis, step
        self.blocks: list[pa.Table] = []

    def add(self, metric: str, values: Any, **columns: Any) -> None:
        """One row a value; a column is a value for all or one for each."""
        values = np.atleast_1d(np.asarray(values, np.float64))
        kept = ~np.isnan(values)
        count = int(kept.sum())
        full = {"step": self.step, "analysis": self.analysis, "metric": metric, **columns}
        arrays = {"value": pa.array(values[kept])}
        for name, column in full.items():
            kind = ROW_SCHEMA.field(name).type
            if isinstance(column, np.ndarray):
                arrays[name] = pa.array(column[kept].tolist(), kind)
            else:
                arrays[name] = pa.repeat(pa.scalar(column, kind), count)
        nothing = {f.name: pa.nulls(count, f.type) for f in ROW_SCHEMA if f.name not in arrays}
        self.blocks.append(pa.table({**arrays, **nothing}).select(ROW_SCHEMA.names).cast(ROW_SCHEMA))

    def table(self) -> pa.Table:
        """All rows in the order in which they were added."""
        return pa.concat_tables(self.blocks).combine_chunks()


def _overlap_rows(rows: _Rows, table: ExpertTable) -> list[str]:
    k, n = table.indices_CLk.shape[2], table.units.n
    names_C, names_L = np.array(table.concepts, object), np.array(table.languages, object)
    a_R, b_R = np.triu_indices(len(names_L), 1)
    shared_CLL = shared_experts(table.indices_CLk, n)
    layers_CLk = np.where(table.indices_CLk < 0, -1, table.units.layer_of(table.indices_CLk.clip(0)))
    chance = chance_overlap(k, n)
    overlap_CLL = shared_CLL / k
    control_CLL = control_overlap(table.indices_CLk, shared_CLL, n)
    layered_CLL = layered_chances(layers_CLk, table.units.per_layer())

    rows.add("overlap_chance", chance)
    measured = {
        "overlap": overlap_CLL,
        "overlap_chance_layers": layered_CLL,
        "overlap_corrected": corrected_overlap(overlap_CLL, chance),
        "overlap_control": control_CLL,
    }
    for metric, values_CLL in measured.items():
        values_CR = values_CLL[:, a_R, b_R]
        rows.add(
            metric,
            values_CR.ravel(),
            concept=np.repeat(names_C, len(a_R)),
            language=np.tile(names_L[a_R], len(names_C)),
            other_language=np.tile(names_L[b_R], len(names_C)),
        )
        if metric != "overlap_corrected":
            rows.add(f"{metric}_mean", _mean(values_CR, 0), language=names_L[a_R], other_language=names_L[b_R])
            rows.add(f"{metric}_mean", _mean(values_CR))
    intervals = {
        "overlap": cluster_interval(overlap_CLL, table.seed),
        "overlap_control": control_interval(control_CLL, table.seed),
    }
    for metric, (low, high) in intervals.items():
        rows.add(f"{metric}_low", low)
        rows.add(f"{metric}_high", high)

    notes = []
    if np.isnan(overlap_CLL[:, a_R, b_R]).all():
        notes.append("no concept has enough sentences in two languages: there is no overlap to report")
    elif np.isnan(control_CLL[:, a_R, b_R]).all():
        notes.append("only one concept has enough sentences: there is no different concept as a control")
    return notes


def _depth_rows(rows: _Rows, table: ExpertTable) -> None:
    units = table.units
    # The routed experts of a mixture have a site of the same name each: a row is about all of them.
    every = list(zip(units.layers, units.sites, strict=True))
    places = list(dict.fromkeys(every))
    number_of = {place: number for number, place in enumerate(places)}
    place_of_site = np.array([number_of[place] for place in every])
    layers, sites = np.array([layer for layer, _ in places]), np.array([site for _, site in places], object)
    present_CL = table.indices_CLk[:, :, 0] >= 0
    for number, language in enumerate(table.languages):
        here_C = present_CL[:, number]
        if here_C.any():
            where = place_of_site[units.site_number(table.indices_CLk[here_C, number].ravel())]
            mean_site = np.bincount(where, minlength=len(sites)) / here_C.sum()
            rows.add("expert_layer", mean_site, layer=layers, site=sites, language=language)

    languages_C = present_CL.sum(axis=1)
    pairs = int((languages_C * (languages_C - 1) // 2).sum())
    shared_site = np.zeros(len(sites))
    spread = np.zeros(len(table.languages) + 1)
    for _, index, count in languages_per_unit(table.indices_CLk):
        # A unit that is an expert in n languages is shared by n (n - 1) / 2 pairs.
        weights = count * (count - 1) / 2
        shared_site += np.bincount(place_of_site[units.site_number(index)], weights=weights, minlength=len(sites))
        spread += np.bincount(count, minlength=len(spread))
    if pairs:
        rows.add("shared_layer", shared_site / pairs, layer=layers, site=sites)
    width = max(2, len(str(len(table.languages))))
    for number in range(1, len(spread)):
        rows.add(f"shared_by_{number:0{width}d}", spread[number] / (languages_C > 0).sum())


def _transfer_rows(rows: _Rows, table: ExpertTable) -> None:
    names_C, names_L = np.array(table.concepts, object), np.array(table.languages, object)
    concepts, languages = len(names_C), len(names_L)
    pair_columns = {"language": np.repeat(names_L, languages), "other_language": np.tile(names_L, languages)}
    rows.add(
        "transfer_ap",
        table.score_CLL.ravel(),
        concept=np.repeat(names_C, languages**2),
        **{name: np.tile(column, concepts) for name, column in pair_columns.items()},
    )
    rows.add("transfer_ap_mean", _mean(table.score_CLL, 0).ravel(), **pair_columns)
    same_LL = np.eye(languages, dtype=bool)
    rows.add("own_ap_mean", _mean(table.score_CLL[:, same_LL]))
    rows.add("transfer_ap_overall", _mean(table.score_CLL[:, ~same_LL]))
    rows.add(
        "all_units_ap",
        table.mean_CL.ravel(),
        concept=np.repeat(names_C, languages),
        other_language=np.tile(names_L, concepts),
    )
    rows.add("all_units_ap_mean", _mean(table.mean_CL))
    rows.add("selection_ap_mean", _mean(table.ap_CLk))


def _mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of what is not missing; NaN where everything is."""
    here = ~np.isnan(values)
    count = here.sum(axis=axis)
    total = np.where(here, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
