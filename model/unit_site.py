"""One site of a model's units, and how to see or change what it computes.

Shapes: B rows of a batch, T tokens, N = B * T of them in one row, W units of the site.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Size, Tensor, nn

from . import routed

Call = Callable[[Tensor], Tensor | None]


class Removable(Protocol):
    """What is there until it is removed."""

    def remove(self) -> None:
        """Take it away."""


class _Several:
    """Handles that go together."""

    def __init__(self, *handles: Removable) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


@dataclass(frozen=True)
class UnitSite:
    """One module of one block: `units[start:stop]` of the model's numbering are its outputs, or what it reads.

    Attributes:
        layer, block: the block's number, counted from 0, and the block.
        site: name of the site.
        path: from the block to the module; an expert of a mixture, which is none, has a path that says which it is.
        module: the module; the one that holds all experts where the site is one of an expert's.
        reads: whether the units are what the module reads.
        expert: number of the expert in a mixture. It has no response to a token that is not routed to it: its values
            there are `routed.NO_RESPONSE`, and values that are put in their place are not used.
    """

    layer: int
    site: str
    path: str
    module: nn.Module
    block: nn.Module
    start: int
    stop: int
    reads: bool = False
    expert: int | None = None

    def hook(self, call: Call) -> Removable:
        """Call a function with the units' values (B, T, W) as they are computed; what it returns takes their place.

        Raises:
            ValueError: in the forward pass, where the module does not see each token of its block once.
        """
        shape: list[Size] = []

        def begin(_block: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            shape[:] = [(arguments[0] if arguments else keywords["hidden_states"]).shape[:-1]]

        # Some modules see the tokens of all rows in one: only the block knows how many rows there are.
        block = self.block.register_forward_pre_hook(begin, with_kwargs=True)
        if self.expert is not None:
            return _Several(block, routed.tap(self.module, self.expert, self.site, call, shape))
        if self.reads:
            return _Several(block, self.module.register_forward_pre_hook(self._before(call, shape)))
        after = self.module.register_forward_hook(lambda _m, _a, output: self._rows(call, output, shape))
        return _Several(block, after)

    def _before(self, call: Call, shape: list[Size]) -> Callable[..., tuple[Any, ...] | None]:
        def before(_module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
            changed = self._rows(call, arguments[0], shape)
            return None if changed is None else (changed, *arguments[1:])

        return before

    def _rows(self, call: Call, values: Any, shape: list[Size]) -> Tensor | None:
        if not isinstance(values, Tensor):
            raise ValueError(
                f"site {self.site} of block {self.layer} is a {type(self.module).__name__} that gives several things (a "
                f"{type(values).__name__}): leave it out of the row's units"
            )
        if values.dim() == 3 and values.shape[:2] == shape[0]:
            return call(values)
        if values.dim() != 2 or len(values) != shape[0].numel():
            raise ValueError(
                f"site {self.site} of block {self.layer} sees values of shape {tuple(values.shape)} for "
                f"{tuple(shape[0])} rows and tokens: a site must see each token once; leave it out of the row's units"
            )
        changed = call(values.view(*shape[0], -1))
        return None if changed is None else changed.reshape(values.shape)
