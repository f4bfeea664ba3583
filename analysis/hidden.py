"""Hidden states of chosen tokens, layer by layer, sampled while the model runs.

Shapes: L layers with the embedding output first, N chosen tokens, B sentences of a batch, T tokens, D model width.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..model.sites import backbone_of, blocks_of
from .token_batches import TokenisedSentences


@contextmanager
def watched_layers(model: nn.Module, keep: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Call `keep(layer, states_BTD)` for the input of the first block (layer 0) and the output of every block.

    The output of the last block is taken before the final norm. The hooks are gone on leaving, also on an error.
    """
    blocks = blocks_of(model)

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(0, args[0] if args else kwargs["hidden_states"])

    handles = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
    try:
        for layer, block in enumerate(blocks, 1):

            def after(_module: nn.Module, _args: Any, output: Any, layer: int = layer) -> None:
                keep(layer, output[0] if isinstance(output, tuple) else output)

            handles.append(block.register_forward_hook(after))
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def hidden_states(
    model: nn.Module, tokens: TokenisedSentences, chosen: Sequence[tuple[int, int]], batch_tokens: int = 4096
) -> Tensor:
    """Hidden states (L, N, D) of chosen tokens in float32 on the CPU; the LM head does not run.

    Args:
        model: a causal LM of a known family.
        tokens: tokenised sentences.
        chosen: (sentence, position) of each of the N tokens.
        batch_tokens: tokens of a forward pass, padding included. The result does not depend on it, but for rounding.
    """
    layers = len(blocks_of(model)) + 1
    device = next(model.parameters()).device
    places: dict[int, list[tuple[int, int]]] = {}
    for number, (row, position) in enumerate(chosen):
        places.setdefault(row, []).append((position, number))
    found: list[Tensor] = []
    order: list[int] = []
    for batch in tokens.batches(batch_tokens):
        here = [
            (index, position, number)
            for index, row in enumerate(batch.rows)
            for position, number in places.get(row, ())
        ]
        if not here:
            continue
        index_n, position_n, number_n = zip(*here, strict=True)
        rows, columns = torch.tensor(index_n, device=device), torch.tensor(position_n, device=device)
        layered: list[Tensor] = [torch.empty(0)] * layers

        def keep(
            layer: int,
            states_BTD: Tensor,
            layered: list[Tensor] = layered,
            rows: Tensor = rows,
            columns: Tensor = columns,
        ) -> None:
            layered[layer] = states_BTD[rows, columns].float().cpu()

        with watched_layers(model, keep):
            backbone_of(model)(batch.ids_BT.to(device), attention_mask=batch.attention_BT.to(device), use_cache=False)
        found.append(torch.stack(layered))
        order += number_n
    return torch.cat(found, dim=1)[:, torch.tensor(order).argsort()]
