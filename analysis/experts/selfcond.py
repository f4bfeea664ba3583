"""Expertise of every unit in ml-selfcond's form: `expertise.csv` and `expertise_info.json`, a folder a concept.

AP and the statistics are over all sentences of a concept, as there, not over halves. Pooling is the maximum over a
sentence's own tokens; ml-selfcond pools over padding as well, so the numbers are the same for sentences of one length.

Shapes: S sentences, U units, P positives, N negatives.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from torch import nn

from ...model.sites import family_of, unit_sites
from ..atomic import atomic_file, write_text
from ..concepts.concept_set import ConceptSet
from ..concepts.files import file_name
from .activations import iter_unit_responses
from .selection import average_precision
from .settings import ResponseSettings

COLUMNS = ("ap", "off_mean", "on_p50", "on_p90", "layer", "unit", "uuid", "concept", "group")
_THRESHOLDS = np.linspace(0.5, 1.0, 501)


@dataclass(frozen=True)
class Expertise:
    """Of one concept, per unit in the model's numbering, float64 (U,).

    Attributes:
        ap: average precision of the unit's response for the concept.
        off_mean: mean response to the negatives.
        on_p50, on_p90: median and 90th percentile (linear interpolation) of the responses to the positives.
    """

    ap: np.ndarray
    off_mean: np.ndarray
    on_p50: np.ndarray
    on_p90: np.ndarray


def expertise(
    model: nn.Module,
    tokenizer: Any,
    positives: Sequence[str],
    negatives: Sequence[str],
    **settings: Any,
) -> Expertise:
    """Expertise of all units for one concept.

    Args:
        settings: of `ResponseSettings`.
    """
    reading = ResponseSettings(**settings)
    parts: list[tuple[np.ndarray, ...]] = []
    # The percentiles are of doubles, sorted in a copy.
    held = 20 * len(positives)
    for _, responses in iter_unit_responses(model, tokenizer, [*positives, *negatives], reading, per_unit=held):
        responses_SU = responses.numpy()
        on_PU, off_NU = responses_SU[: len(positives)], responses_SU[len(positives) :]
        p50_U, p90_U = np.percentile(on_PU.astype(np.float64), [50, 90], axis=0)
        parts.append((average_precision(on_PU, off_NU), off_NU.mean(axis=0, dtype=np.float64), p50_U, p90_U))
        del responses, responses_SU, on_PU, off_NU
    return Expertise(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def write_expertise(
    model: nn.Module,
    tokenizer: Any,
    concepts: ConceptSet,
    language: str,
    output: str | Path,
    groups: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Path]:
    """Write `output/<group>/<concept>/expertise/` for every concept that has sentences in a language.

    Args:
        groups: group of each concept; `sense` where it has none.
        settings: of `ResponseSettings`.

    Yields:
        the path of each expertise.csv as it is written.
    """
    names = _layer_names(model)
    order_U, layer_U, unit_U = _numbering(model, names)
    for concept in concepts.concepts:
        positives, negatives = concepts.positives(concept, language), concepts.negatives(concept, language)
        if not positives or not negatives:
            continue
        group = (groups or {}).get(concept, "sense")
        found = expertise(model, tokenizer, positives, negatives, **settings)
        count = len(order_U)
        table = pa.table(
            {
                **{name: getattr(found, name)[order_U].astype(np.float32) for name in COLUMNS[:4]},
                "layer": layer_U,
                "unit": unit_U.astype(np.uint32),
                "uuid": np.arange(count),
                "concept": [concept] * count,
                "group": [group] * count,
            }
        )
        folder = Path(output) / group / file_name(concept) / "expertise"
        path = folder / "expertise.csv"
        with atomic_file(path) as temporary:
            pa.csv.write_csv(table, temporary, pa.csv.WriteOptions(quoting_style="needed"))
        ap_U = np.sort(found.ap)
        info = {
            "concept": concept,
            "group": group,
            "max_ap": float(ap_U[-1]),
            "layer_names": sorted(names),
            "total_neurons": count,
            "neurons_at_ap": {f"{t:0.5f}": int(count - np.searchsorted(ap_U, t, side="right")) for t in _THRESHOLDS},
        }
        write_text(folder / "expertise_info.json", json.dumps(info, indent=4))
        yield path


def _layer_names(model: nn.Module) -> list[str]:
    """ml-selfcond's name of each site, `transformer.h.0.attn.c_attn:0`: the module's path and its output's number."""
    family = family_of(model)
    return [f"{family.blocks}.{site.layer}.{site.path}:0" for site in unit_sites(model)]


def _numbering(model: nn.Module, names: Sequence[str]) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Our units in the order of ml-selfcond's rows, by name of the layer as a string, with layer and output of each."""
    sites = unit_sites(model)
    order, layers, units = [], [], []
    for number in sorted(range(len(names)), key=lambda number: names[number]):
        width = sites[number].stop - sites[number].start
        order.append(np.arange(sites[number].start, sites[number].stop))
        layers += [names[number]] * width
        units.append(np.arange(width))
    return np.concatenate(order), layers, np.concatenate(units)
