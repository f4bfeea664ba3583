"""What every module of a causal LM reads and gives in one small forward pass, and whether two such values are the same.

Shapes: B rows, T tokens, N = B * T, W values a token.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

TOKENS = ((3, 1, 4, 1, 5, 9, 2), (6, 5, 3, 5, 8, 9, 7))


@dataclass
class Ran:
    """What a module did in the pass: how often it ran, and what it last read and gave."""

    times: int = 0
    read: Tensor | None = None
    gave: Tensor | None = None
    alone: bool = False
    """Whether that is all it gave: some give several things."""


@dataclass
class Pass:
    """One forward pass of a model: its modules in the order in which they finished, and its logits."""

    ran: dict[nn.Module, Ran] = field(default_factory=dict)
    logits: Tensor | None = None


@contextmanager
def _watched(model: nn.Module, ran: dict[nn.Module, Ran]) -> Iterator[None]:
    """Note what all modules read and give. Copies: some models add to an output in place."""

    def after(module: nn.Module, arguments: Any, keywords: dict[str, Any], output: Any) -> None:
        entry = ran.pop(module, Ran())  # the last to finish is the last of the dictionary
        read = arguments[0] if arguments else keywords.get("hidden_states")
        gave = _states(output)
        ran[module] = Ran(
            entry.times + 1,
            read.clone() if isinstance(read, Tensor) else None,
            gave.clone() if isinstance(gave, Tensor) else None,
            isinstance(output, Tensor),
        )

    handles = [module.register_forward_hook(after, with_kwargs=True) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _states(output: Any) -> Any:
    if isinstance(output, tuple | list) and output:
        return output[0]
    return getattr(output, "last_hidden_state", output)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients: dropout would draw random numbers, and part what is compared."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), torch.autocast(next(model.parameters()).device.type, enabled=False):
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training


def few_tokens(model: Any) -> Tensor:
    """Token ids (B, T) that the model knows."""
    embeddings = model.get_input_embeddings().weight
    return torch.tensor(TOKENS, device=embeddings.device) % embeddings.shape[0]


def passed(model: Any) -> Pass:
    """Run the model, which is at rest, on a few tokens."""
    found = Pass()
    with _watched(model, found.ran):
        found.logits = model(input_ids=few_tokens(model), use_cache=False).logits
    return found


def flat(values: Tensor | None) -> Tensor:
    """Values (N, W) of all tokens in one row."""
    assert values is not None
    return values.reshape(-1, values.shape[-1])


def same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether values (…, W) are the same up to rounding, however their tokens are arranged."""
    if one is None or other is None or one.numel() != other.numel() or one.shape[-1] != other.shape[-1]:
        return False
    margin = 1e-5 if one.dtype in (torch.float32, torch.float64) else 0.02
    one, other = flat(one).float(), flat(other).float()
    return bool((one - other).abs().max() <= margin * other.abs().max())


def is_product(taken: Tensor, act: Tensor, other: Tensor) -> bool:
    """Whether values (N, W) are the product of two others."""
    return act.shape == other.shape and same(taken, act * other)
