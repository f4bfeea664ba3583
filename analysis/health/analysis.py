"""Whether a checkpoint is sound: what its weights are, whether any is broken, and its loss on held-out text.

What a checkpoint is to others of its series (a copy, a jump of the loss) is judged in `health_verdicts`.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...model.sites import blocks_of, family_of
from ..findings import Findings
from ..language_loss import LanguageLoss
from .settings import HealthSettings
from .verdicts import HASH, NAME

_CHUNK = 1 << 22
_NOT_FINITE = "weights that are not finite in "


@dataclass(frozen=True)
class TensorFacts:
    """What one pass over a parameter tells: elements that are not finite, whether all are zero, sum of squares."""

    name: str
    non_finite: int
    zero: bool
    squares: float


def inspect_weights(model: nn.Module) -> tuple[bytes, list[TensorFacts]]:
    """Hash of all weights and facts about each tensor, in one pass.

    The hash depends on names, shapes and values alone: not on file format, sharding, order, tying or the dtype that
    holds the same values (they are hashed as fp32). Of tied parameters the first name counts.
    """
    digest = hashlib.sha256()
    facts = []
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name}\0{tuple(parameter.shape)}\0".encode())
        non_finite, squares, zero = 0, 0.0, True
        for part_N in _parts(parameter):
            digest.update(np.ascontiguousarray(part_N.numpy()).data)
            finite_N = torch.isfinite(part_N)
            non_finite += int((~finite_N).sum())
            squares += float(part_N[finite_N].double().square().sum())
            zero = zero and not bool(part_N.any())
        facts.append(TensorFacts(name, non_finite, zero, squares))
    return digest.digest(), facts


def _parts(parameter: Tensor) -> Iterator[Tensor]:
    """Runs of a tensor's elements as fp32 on the CPU: a large embedding is never copied whole."""
    flat_N = parameter.detach().reshape(-1)
    for start in range(0, flat_N.numel(), _CHUNK):
        yield flat_N[start : start + _CHUNK].float().cpu()


class HealthAnalysis:
    """The analysis `health`.

    Rows: `non_finite_tensors` and `zero_tensors` (how many; biases may be zero), `norm` (L2, per layer, and of all
    weights with layer null), `loss` per language and (language null) their mean. The array `weights` is the hash.
    """

    name = NAME

    def __init__(self, texts: Mapping[str, Sequence[str]] | None = None, **settings: Any) -> None:
        """Prepare held-out documents.

        Args:
            texts: language -> documents; without any, the loss is left out.
            settings: of `HealthSettings`.

        Raises:
            ValueError: settings that leave nothing to score.
        """
        options = HealthSettings(**settings)
        scoring = options.pick("context", "max_tokens", "batch_tokens")
        self.loss = LanguageLoss(texts, **scoring) if texts else None
        if self.loss is not None:
            self.loss.told_as = self.name

    def __call__(self, model: nn.Module, tokenizer: Any, step: int) -> Findings:
        """Examine one checkpoint."""
        weights, facts = inspect_weights(model)
        bad = [fact.name for fact in facts if fact.non_finite]
        empty = [fact.name for fact in facts if fact.zero and not fact.name.endswith(".bias")]
        rows: list[dict[str, Any]] = [
            {"metric": "non_finite_tensors", "value": float(len(bad))},
            {"metric": "zero_tensors", "value": float(len(empty))},
        ]
        prefix = family_of(model).blocks
        for layer in range(len(blocks_of(model))):
            squares = sum(fact.squares for fact in facts if fact.name.startswith(f"{prefix}.{layer}."))
            rows.append({"metric": "norm", "layer": layer, "value": math.sqrt(squares)})
        rows.append({"metric": "norm", "value": math.sqrt(sum(fact.squares for fact in facts))})
        warnings = []
        if bad:
            warnings.append(f"{_NOT_FINITE}{_listed(bad)}")
        if empty:
            warnings.append(f"weights that are all zero: {_listed(empty)}")
        # A dtype that rounds gives other hashes: it belongs to what the numbers depend on.
        settings: dict[str, Any] = {"dtype": str(next(model.parameters()).dtype).removeprefix("torch.")}
        if self.loss is None:
            warnings.append("no held-out text: the loss was not looked at")
        else:
            found = self.loss(model, tokenizer, step)
            rows += [
                {"metric": "loss", "language": row["language"], "value": row["value"]}
                for row in found.table.to_pylist()
                if row["metric"] == "loss"
            ]
            settings.update(found.settings)
        arrays = {HASH: np.frombuffer(weights, np.uint8)}
        return Findings.from_rows(self.name, step, rows, arrays=arrays, settings=settings, warnings=warnings)


def broken_weights(findings: Findings) -> str | None:
    """What health findings say of weights that are not finite, on which nothing can be measured; None if all are."""
    return next((warning for warning in findings.warnings if warning.startswith(_NOT_FINITE)), None)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
