"""The optimizer's parameter groups and the learning rate's course."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn

DECAYS = ("cosine", "linear", "wsd", "constant")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two AdamW groups: matrices and embeddings decay; norms and biases, everything with one axis, do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def learning_rate_factor(
    warmup: int, total: int, decay: str = "cosine", floor: float = 0.1, decay_share: float = 0.2
) -> Callable[[int], float]:
    """The factor on the peak learning rate, as a function of the optimizer steps taken so far.

    It rises linearly over `warmup` steps and reaches 1 with the last of them; then

    - `cosine` and `linear` fall to `floor` at step `total`;
    - `wsd` (warm-up, stable, decay) stays at 1 and falls linearly over the last `decay_share` of the run;
    - `constant` stays at 1.

    Raises:
        ValueError: an unknown decay.
    """
    if decay not in DECAYS:
        raise ValueError(f"decay={decay!r}: choose from {', '.join(DECAYS)}")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if decay == "constant":
            return 1.0
        begin = max(warmup, round(total * (1 - decay_share))) if decay == "wsd" else warmup
        progress = min(1.0, max(0.0, (step - begin) / max(1, total - begin)))
        fallen = (1 - math.cos(math.pi * progress)) / 2 if decay == "cosine" else progress
        return 1.0 - (1.0 - floor) * fallen

    return factor
