"""Made-up rows of alignment, steering and health, for runs of `synthetic_run`. No number in it is real."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from babelscope.analysis.failures import failed_findings
from babelscope.analysis.findings import Findings, read_findings, result_steps, write_findings
from babelscope.analysis.health.verdicts import review
from babelscope.analysis.steering.rows import Text, condition_rows, mean_rows, presence_rows

SENTENCES = 100
SEEDS = 25
SWEEP = (0, 10, 50, 200)
MAIN = 100
"""Units forced outside the sweep."""
ARABIC = "كتب الولد رسالة"


def alignment(
    rng: np.random.Generator, progress: float, languages: Sequence[str], layers: int, *_: Any
) -> Iterator[dict[str, Any]]:
    """Rows as `AlignmentAnalysis` writes them: middle layers align as training goes on, near languages more."""
    for layer in range(layers):
        depth = layer / max(layers - 1, 1)
        bump = math.exp(-(((depth - 0.6) / 0.35) ** 2)) / (1 + math.exp(-(progress - 0.6) / 0.08))
        measured: dict[str, list[float]] = {}
        for (a, one), (b, two) in combinations(enumerate(languages), 2):
            known = bump * (1 - 0.5 * abs(a - b) / len(languages))
            both = np.clip(1 / SENTENCES + 0.8 * known + rng.normal(0, 0.02, 2), 0, 1)
            values = {
                "cosine_margin": 0.6 * known + rng.normal(0, 0.01), "cka": 0.7 * known + rng.normal(0, 0.02),
                "cka_null": rng.normal(0, 0.01), "cka_null_high": 0.03 + rng.normal(0, 0.002),
                "cka_p": 0.01 if known > 0.1 else float(rng.uniform(0.01, 1)), "retrieval_chance": 1 / SENTENCES,
            }  # fmt: skip
            pair = {"layer": layer, "language": one, "other_language": two}
            yield from ({**pair, "metric": metric, "value": float(value)} for metric, value in values.items())
            yield {**pair, "metric": "retrieval_accuracy", "value": float(both[0])}
            yield {"layer": layer, "language": two, "other_language": one, "metric": "retrieval_accuracy",
                   "value": float(both[1])}  # fmt: skip
            values["retrieval_accuracy"] = both.mean()
            for metric, value in values.items():
                measured.setdefault(metric, []).append(float(value))
        del measured["cka_p"]
        measured["cka_null_high"] = [0.006 + float(rng.normal(0, 0.001))]
        yield from ({"layer": layer, "metric": m, "value": float(np.mean(v))} for m, v in measured.items())


def steering(
    rng: np.random.Generator, progress: float, languages: Sequence[str], concepts: Sequence[str], sweep: Sequence[int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and texts as `SteeringAnalysis` writes them, with a sweep over k."""
    work = 1 / (1 + math.exp(-(progress - 0.7) / 0.08))

    def texts(concept: str | None, language: str | None, strength: float) -> list[Text]:
        found = []
        for seed in range(SEEDS):
            own = language is not None and rng.random() < 0.2 + 0.7 * strength * work
            tongue = language if own else str(rng.choice([*languages, "unclear"]))
            there = concept is not None and rng.random() < 0.08 + 0.8 * strength * work
            shown = frozenset({(concept, tongue)} if there else ())
            ids = tuple(int(token) for token in rng.integers(0, 40, 12))
            written = ARABIC if tongue == languages[-1] else f"<b>{tongue}</b> {concept or 'text'} {seed}"
            found.append(Text(seed, ids, written, str(tongue), shown, 12 * (2.5 + strength * rng.random())))
        return found

    plain = texts(None, None, 0.0)
    rows: list[dict[str, Any]] = [dict(row) for row in condition_rows(plain, "unsteered", languages)]
    found: list[Any] = []
    records = _records(plain, "unsteered", None, None, 0)
    for concept in concepts:
        found += presence_rows(plain, "unsteered", languages, concept)
    for concept in concepts:
        for language in languages[:2]:
            found.append({"metric": "k", "value": float(MAIN), "concept": concept, "language": language})
            conditions = {"steered": 1.0, "random": 0.05, "other_concept": 0.1}
            conditions |= {f"steered_k{k}": min(1.0, k / 60) for k in sweep}
            for name, strength in conditions.items():
                made = texts(concept, language, strength)
                found += condition_rows(made, name, languages, concept, language)
                found += presence_rows(made, name, languages, concept, language)
                if name in ("steered", "random"):
                    records += _records(made, name, concept, language, MAIN)
    return [*rows, *found, *mean_rows(found)], records


def _records(
    texts: Iterable[Text], kind: str, concept: str | None, language: str | None, k: int
) -> list[dict[str, Any]]:
    return [
        {"condition": kind, "concept": concept, "source_language": language, "k": k, "seed": text.seed,
         "language": text.language, "text": text.text}
        for text in texts
    ]  # fmt: skip


def write_health(
    folder: Path, languages: Sequence[str], tokens_per_step: int, copies: Mapping[int, int], broken: Iterable[int] = ()
) -> None:
    """Health of all steps that have results, judged; a copy has the results of its original, a broken one has failed."""
    results = folder / "results"
    steps = sorted(
        {step for path in results.iterdir() if path.name != "training" for step in result_steps(results, path.name)}
        | {*copies, *broken}
    )
    for copy, original in copies.items():
        for path in sorted(results.iterdir()):
            if original in result_steps(results, path.name) and path.name != "training":
                found = read_findings(results, path.name, original)
                made = Findings.from_rows(
                    path.name, copy,
                    [{k: v for k, v in row.items() if k not in ("step", "tokens", "analysis")} for row in found.table.to_pylist()],
                    texts=found.texts,
                )  # fmt: skip
                write_findings(made.with_tokens(copy * tokens_per_step), results)
    for step in broken:
        for path in results.iterdir():
            if path.name not in ("training", "validation"):
                made = failed_findings(path.name, step, "the weights are broken")
                write_findings(made.with_tokens(step * tokens_per_step), results)
    for place, step in enumerate(steps):
        whose = copies.get(step, step)
        loss = 9.0 - 0.5 * steps.index(whose) if whose in steps else 5.0
        bad = step in set(broken)
        rows = [{"metric": "non_finite_tensors", "value": 2.0 * bad}, {"metric": "zero_tensors", "value": 0.0}]
        rows += [{"metric": "norm", "value": 10.0 + place, "layer": layer} for layer in range(3)]
        rows += [{"metric": "norm", "value": 20.0 + place}]
        rows += [{"metric": "loss", "value": math.nan if bad else loss, "language": name} for name in languages]
        rows += [{"metric": "loss", "value": math.nan if bad else loss}]
        arrays = {"weights": np.frombuffer(whose.to_bytes(32, "big"), np.uint8)}
        said = ["weights that are not finite in h.1.mlp.weight, h.2.mlp.weight"] if bad else []
        found = Findings.from_rows("health", step, rows, arrays=arrays, warnings=said)
        write_findings(found.with_tokens(step * tokens_per_step), results)
    review(results)
