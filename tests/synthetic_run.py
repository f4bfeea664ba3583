"""A made-up run folder with results of all analyses, for tests of whatever reads results. No number in it is real."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from babelscope.analysis.findings import Findings, write_findings
from babelscope.training.callbacks.schedule import StepSchedule

from tests import synthetic_analyses

SIXTEEN = ("ar", "bn", "ca", "en", "es", "eu", "fr", "hi", "id", "pt", "sw", "ta", "te", "ur", "vi", "zh")
SITES = {"q": 0.05, "k": 0.05, "v": 0.15, "attn_out": 0.15, "ffn_in": 0.45, "ffn_out": 0.15}
ALL = ("training", "validation", "probe", "experts")
EVERYTHING = (*ALL, "alignment", "steering")


def synthetic_run(
    folder: Path,
    *,
    languages: Sequence[str] = ("aru", "bek", "cim", "dol"),
    layers: int = 7,
    last: int = 131_072,
    every: int = 5_000,
    steps: Iterable[int] | None = None,
    concepts: Sequence[str] = ("animals", "boats", "cities", "dreams"),
    analyses: Sequence[str] = ALL,
    mix: float = 0.6,
    tokens_per_step: int | None = 2_048,
    warnings: Sequence[str] = (),
    note: str | None = None,
    seed: int = 0,
    sweep: Sequence[int] = synthetic_analyses.SWEEP,
) -> Path:
    """Write `folder/results`, `config.yaml` and, with a note, `run.json`. `mix` 0 gives a run that shares nothing.

    The default steps are 0 and the study's 44 to 131,072; `layers` counts hidden states, so there is one block less.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    due = sorted(steps) if steps is not None else StepSchedule(powers_of=2, every=every, start=0).steps(last)
    makers = {
        "validation": _validation,
        "probe": _probe,
        "experts": _experts,
        "alignment": synthetic_analyses.alignment,
    }
    for step in due:
        progress = math.log2(step + 1) / math.log2(last + 1)
        for analysis in analyses:
            if analysis in makers:
                rows = list(makers[analysis](rng, progress, tuple(languages), layers, tuple(concepts), mix))
                found = Findings.from_rows(analysis, step, rows, warnings=warnings if step == due[0] else ())
                write_findings(found.with_tokens(tokens_per_step and step * tokens_per_step), folder / "results")
        if "steering" in analyses:
            rows, texts = synthetic_analyses.steering(rng, progress, tuple(languages), tuple(concepts), sweep)
            found = Findings.from_rows("steering", step, rows, texts=texts)
            write_findings(found.with_tokens(tokens_per_step and step * tokens_per_step), folder / "results")
    if "training" in analyses:
        _write_training(rng, folder / "results", max(due), tokens_per_step, tuple(languages))
    (folder / "config.yaml").write_text(
        f"seed: {seed}\nmodel:\n  d_model: 96\n  num_layers: {layers - 1}\ndata:\n  mix: {mix}\n"
        f"  languages: [{', '.join(languages)}]\n",
        encoding="utf-8",
    )
    if note is not None:
        (folder / "run.json").write_text(json.dumps({"note": note}), encoding="utf-8")
    return folder


def _row(metric: str, value: float, **columns: Any) -> dict[str, Any]:
    return {"metric": metric, "value": float(value), **columns}


def _rise(progress: float, centre: float, width: float = 0.06) -> float:
    return 1 / (1 + math.exp(-(progress - centre) / width))


def _validation(
    rng: np.random.Generator, progress: float, languages: Sequence[str], *_: Any
) -> Iterator[dict[str, Any]]:
    losses = 7.6 - 5.0 * _rise(progress, 0.62, 0.12) + np.arange(len(languages)) * 0.06
    for language, loss in zip(languages, losses, strict=True):
        yield _row("loss", loss, language=language)
        yield _row("bits_per_byte", loss / math.log(2) / 4.2, language=language)
    yield _row("loss", losses.mean())
    yield _row("bits_per_byte", losses.mean() / math.log(2) / 4.2)


def _probe(
    rng: np.random.Generator, progress: float, languages: Sequence[str], layers: int, *_: Any
) -> Iterator[dict[str, Any]]:
    chance = 1 / len(languages)
    depth = np.arange(layers) / max(layers - 1, 1)
    identity, sharing = _rise(progress, 0.35), _rise(progress, 0.75)
    truth_L = chance + (0.96 - chance) * (0.55 + 0.45 * identity) - sharing * 0.22 * (1 - depth) ** 1.5
    accuracy_KL = np.clip(truth_L + rng.normal(0, 0.008, (3, layers)), chance / 2, 0.999)
    for layer in range(layers):
        for seed in range(3):
            yield _row("accuracy", accuracy_KL[seed, layer], layer=layer, seed=seed)
        yield _row("accuracy_mean", accuracy_KL[:, layer].mean(), layer=layer)
        yield _row("accuracy_std", accuracy_KL[:, layer].std(), layer=layer)
        yield _row("accuracy_20_mean", accuracy_KL[:, layer].mean() - 0.1, layer=layer)
        wrong = (1 - accuracy_KL[:, layer].mean()) / max(len(languages) - 1, 1)
        for row, language in enumerate(languages):
            for seed in range(3):
                yield _row("recall", min(1.0, accuracy_KL[seed, layer] + 0.01 * (row % 3 - 1)), layer=layer, seed=seed,
                           language=language)  # fmt: skip
            for other in languages:
                share = 1 - wrong * (len(languages) - 1) if other == language else wrong
                yield _row("confusion", share, layer=layer, language=language, other_language=other)
    for seed in range(3):
        yield _row("accuracy_over_layers_mean", accuracy_KL[seed].mean(), seed=seed)
        yield _row("accuracy_over_layers_std", accuracy_KL[seed].std(), seed=seed)
    yield _row("chance", chance)


def _experts(
    rng: np.random.Generator,
    progress: float,
    languages: Sequence[str],
    layers: int,
    concepts: Sequence[str],
    mix: float,
) -> Iterator[dict[str, Any]]:
    sharing = _rise(progress, 0.72) * min(1.0, mix / 0.6)
    concept_known, chance = _rise(progress, 0.55), 0.003
    bump = 0.015 * math.exp(-(((progress - 0.4) / 0.05) ** 2))
    overlaps, controls = [], []
    for a, first in enumerate(languages):
        for b, second in enumerate(languages):
            if a >= b:
                continue
            near = 1 - 0.5 * abs(a - b) / len(languages)
            values = chance + bump + 0.5 * sharing * near * rng.uniform(0.7, 1.0, len(concepts))
            control = chance + bump + 0.015 * sharing * rng.uniform(0, 1, len(concepts))
            overlaps.append(values.mean())
            controls.append(control.mean())
            pair = {"language": first, "other_language": second}
            for concept, value, null in zip(concepts, values, control, strict=True):
                yield _row("overlap", value, concept=concept, **pair)
                yield _row("overlap_control", null, concept=concept, **pair)
            yield _row("overlap_mean", values.mean(), **pair)
            yield _row("overlap_control_mean", control.mean(), **pair)
            yield _row("overlap_chance_layers_mean", 2 * chance, **pair)
            for ends in (pair, {"language": second, "other_language": first}):
                yield _row("transfer_ap_mean", 0.14 + 0.5 * sharing * near + rng.normal(0, 0.005), **ends)
    spread = 0.02 + 0.03 * sharing
    for name, found in (("overlap", overlaps), ("overlap_control", controls)):
        mean = float(np.mean(found))
        yield _row(f"{name}_mean", mean)
        yield _row(f"{name}_low", max(0.0, mean - spread * (name == "overlap") - 0.004))
        yield _row(f"{name}_high", mean + spread * (name == "overlap") + 0.004)
    yield _row("overlap_chance", chance)
    yield _row("overlap_chance_layers_mean", 2 * chance)
    blocks = layers - 1
    middle_L = np.exp(-(((np.arange(blocks) + 0.5) / blocks - 0.55) ** 2) / (0.05 + 0.4 * (1 - progress)))
    middle_L /= middle_L.sum()
    for block in range(blocks):
        for site, share in SITES.items():
            yield _row("shared_layer", 100 * sharing * middle_L[block] * share, layer=block, site=site)
            for language in languages:
                yield _row("expert_layer", 50 * share * (0.5 * middle_L[block] + 0.5 / blocks), layer=block, site=site,
                           language=language)  # fmt: skip
    for count in range(1, len(languages) + 1):
        yield _row(f"shared_by_{count:02d}", 200 * math.exp(-(count - 1) * (6 - 5.5 * sharing)))
    for language in languages:
        yield _row("own_ap_mean", 0.3 + 0.6 * concept_known, language=language)
    yield _row("transfer_ap_overall", 0.14 + 0.4 * sharing)
    yield _row("all_units_ap_mean", 0.13 + 0.02 * concept_known)
    yield _row("selection_ap_mean", 0.36 + 0.58 * concept_known)


def _write_training(
    rng: np.random.Generator, results: Path, last: int, tokens_per_step: int | None, languages: Sequence[str]
) -> None:
    """Rows of 1,000 logged steps in files that each hold many steps, as the training log has them."""
    steps = sorted({round(step) for step in np.linspace(1, max(last, 1), min(1000, max(last, 1)))})
    for start in range(0, len(steps), 250):
        part = steps[start : start + 250]
        tables = []
        for step in part:
            progress = math.log2(step + 1) / math.log2(max(last, 2) + 1)
            rows = [
                _row("loss", 7.9 - 5.2 * _rise(progress, 0.62, 0.12) + rng.normal(0, 0.08)),
                _row("learning_rate", 4e-3 * min(1.0, step / 100) * 0.5 * (1 + math.cos(math.pi * step / (last + 1)))),
                _row("grad_norm", 0.4 + rng.random() * 0.3),
                _row("tokens_per_second", 21_000 + rng.normal(0, 400)),
                _row("mfu", 0.31 + rng.normal(0, 0.005)),
                _row("peak_memory_gb", 7.9),
            ]
            shares = [1 / (rank + 1) for rank in range(len(languages))]
            for language, share in zip(languages, shares, strict=True):
                seen = share / sum(shares) * step * (tokens_per_step or 1)
                rows.append(_row("tokens_seen", seen, language=language))
            found = Findings.from_rows("training", step, rows)
            tables.append(found.with_tokens(tokens_per_step and step * tokens_per_step).table)
        write_findings(Findings("training", part[-1], pa.concat_tables(tables)), results)
