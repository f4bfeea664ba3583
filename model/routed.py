"""Units of the routed experts of a mixture: values of each expert for the tokens that the router gives to it.

The experts of a block are no modules: their weights are stacked in two parameters, and a library computes with all at
once. While some expert is watched or forced, its block computes expert by expert, each value where it can be seen.
How tokens are routed and how experts' outputs are weighed does not change.

Shapes: E experts, N tokens, K experts of a token, n tokens of one expert, D model width, W values of an expert.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.nn.functional import linear

NO_RESPONSE = float("-inf")
"""The value of an expert's unit at a token that is not routed to the expert."""

_TAPS = "babelscope_taps"
_MODULES = {
    "expert_gate": "gate_proj",
    "expert_act": "act_fn",
    "expert_in": "up_proj",
    "expert_gated": "gated",
    "expert_out": "down_proj",
}


def expert_width(experts: Any, site: str) -> int:
    """Units of one expert at a site."""
    return int(experts.down_proj.shape[1 if site == "expert_out" else 2])


def expert_path(path: str, expert: int, site: str) -> str:
    """A path for what is no module, named as the modules of a gated block are."""
    return f"{path}.{expert}.{_MODULES[site]}"


def experts_problem(experts: Any) -> str | None:
    """Why the experts can't be computed one by one as this file does, or None."""
    both, down = getattr(experts, "gate_up_proj", None), getattr(experts, "down_proj", None)
    if not all(isinstance(weight, Tensor) and weight.dim() == 3 for weight in (both, down)):
        return "it has no three-dimensional gate_up_proj and down_proj"
    if not callable(getattr(experts, "act_fn", None)):
        return "it has no act_fn"
    for name, usual in (
        ("has_gate", True), ("has_bias", False), ("is_transposed", False), ("is_concatenated", True),
        ("has_post_expert_norm", False), ("_is_expert_parallel", False),
    ):  # fmt: skip
        if getattr(experts, name, None) is not usual:
            return f"its {name} is {getattr(experts, name, 'not told')}"
    gate = getattr(type(experts), "_apply_gate", None)
    # A class that brings its own clamps or scales: the library's stands with its integrations.
    if gate is not None and not gate.__module__.startswith("transformers.integrations"):
        return "it applies its gate in a way of its own"
    return None


class _Tap:
    """A function that is called with one expert's values until it is removed."""

    def __init__(
        self, experts: nn.Module, key: tuple[int, str], call: Callable[[Tensor], Tensor | None], shape: list[Size]
    ):
        self.experts, self.key, self.call, self.shape = experts, key, call, shape

    def remove(self) -> None:
        """Take it away; without any, the experts compute as they did before."""
        taps: list[_Tap] = vars(self.experts).get(_TAPS, [])
        if self not in taps:
            return
        taps.remove(self)
        if not taps:
            delattr(self.experts, _TAPS)
            del self.experts.forward

    def through(self, value_nW: Tensor, token_n: Tensor) -> Tensor:
        """What the function makes of the values."""
        rows = self.shape[0]
        all_NW = value_nW.new_full((rows.numel(), value_nW.shape[1]), NO_RESPONSE)
        all_NW[token_n] = value_nW
        changed = self.call(all_NW.view(*rows, -1))
        return value_nW if changed is None else changed.reshape(all_NW.shape)[token_n]


def tap(experts: nn.Module, expert: int, site: str, call: Callable[[Tensor], Tensor | None], shape: list[Size]) -> _Tap:
    """Call a function with the values (B, T, W) of one expert at each pass; what it returns takes their place.

    It is called where no token is routed to the expert as well.

    Args:
        shape: one entry, rows and tokens of the pass.
    """
    taps = vars(experts).get(_TAPS)
    if taps is None:
        if "forward" in vars(experts):
            raise ValueError(f"another library has replaced {type(experts).__name__}.forward: its units can't be seen")
        taps = []
        object.__setattr__(experts, _TAPS, taps)
        experts.forward = partial(one_by_one, experts, taps)  # type: ignore[method-assign]
    made = _Tap(experts, (expert, site), call, shape)
    taps.append(made)
    return made


def one_by_one(
    experts: Any, taps: Sequence[_Tap], hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """What the experts give (N, D), computed expert by expert, and by way of the taps.

    Args:
        hidden_states: (N, D).
        top_k_index, top_k_weights: experts and their weights (N, K) of each token. Named as the library's, which may
            call by name.
    """
    hidden_ND, expert_NK, weight_NK = hidden_states, top_k_index, top_k_weights
    calls: dict[tuple[int, str], list[_Tap]] = {}
    for made in taps:
        calls.setdefault(made.key, []).append(made)
    watched = {expert for expert, _ in calls}
    output_ND = torch.zeros_like(hidden_ND)
    for expert in range(len(experts.gate_up_proj)):
        token_n, place_n = torch.where(expert_NK == expert)
        if not len(token_n) and expert not in watched:
            continue

        def through(site: str, value_nW: Tensor, expert: int = expert, token_n: Tensor = token_n) -> Tensor:
            for made in calls.get((expert, site), ()):
                value_nW = made.through(value_nW, token_n)
            return value_nW

        gate_nW, in_nW = linear(hidden_ND[token_n], experts.gate_up_proj[expert]).chunk(2, dim=-1)
        act_nW = through("expert_act", experts.act_fn(through("expert_gate", gate_nW)))
        gated_nW = through("expert_gated", act_nW * through("expert_in", in_nW))
        out_nD = through("expert_out", linear(gated_nW, experts.down_proj[expert]))
        output_ND.index_add_(0, token_n, (out_nD * weight_NK[token_n, place_n, None]).to(output_ND.dtype))
    return output_ND
