"""Free generation of many texts at once, each from its own seed, with units forced per text.

Text number s is drawn with random numbers that depend on seed s and the position alone. Its logits are computed in a
batch with others and so may differ in the last bits when the batch does: the same call gives the same texts bit by bit,
and another batch size or other seeds beside it give the same text unless two outcomes of a draw are closer than that
rounding (some 1e-6 of the probability).

Shapes: B texts, G different forcings, T positions, V vocabulary, N blocks of K entries of it, A attempts at a draw.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from ...model.interventions import Forcing, forced
from ...model.sites import most_positions
from ..failures import BrokenModelError
from ..token_losses import NOT_SCORED, TokenLosses
from ..undisturbed import undisturbed

BLOCK = 512
ATTEMPTS = 16


def generate(
    model: nn.Module,
    start: Sequence[int],
    seeds: Sequence[int],
    *,
    forcings: Sequence[Forcing] = (),
    rows: Sequence[int] | None = None,
    length: int = 20,
    temperature: float = 0.8,
    top_p: float = 0.9,
    end: int | None = None,
    mode: str = "set",
    positions: str = "all",
    cache: bool = True,
) -> list[list[int]]:
    """Generate one text a seed, in one batch; the model is left as it was.

    Args:
        start: token ids that every text begins with.
        seeds: one a text.
        forcings, rows: which forcing acts on each text, -1 for none; by default none on any.
        length: tokens of a text at most, without the start.
        temperature: logits are divided by it.
        top_p: draw from the most probable tokens whose probabilities sum to at least this; equally probable ones at
            the border all belong to them. 1 draws from all.
        end: the token that ends a text.
        mode, positions: see `interventions.forced`. With `last` each token is predicted with only its own position
            forced, while what came before is seen as the model computes it by itself.
        cache: False computes all positions anew for every token: slow, to check the fast way against.

    Returns:
        token ids of each text without the start, with the end token where it was drawn.

    Raises:
        ValueError: a setting out of range, no start, a text that is longer than the model reads, or logits that are not
            finite.
    """
    if temperature <= 0 or not 0 < top_p <= 1 or length < 1:
        raise ValueError(
            f"temperature={temperature}, top_p={top_p}, length={length}: give a positive temperature, top_p above 0 "
            "and at most 1, and at least 1 token"
        )
    if not start:
        raise ValueError("start is empty: a text needs at least one token to begin with")
    check_room(model, start, length)
    rows = [-1] * len(seeds) if rows is None else list(rows)
    assert len(rows) == len(seeds), "one forcing a text"
    device = next(model.parameters()).device
    uniform_BTA = torch.stack([_uniforms(seed, length) for seed in seeds]).to(device)
    ids_BT = torch.tensor([list(start)] * len(seeds), device=device)
    done_B = torch.zeros(len(seeds), dtype=torch.bool, device=device)
    with undisturbed(model), ExitStack() as hooks:
        logits: Callable[[Tensor], Tensor]
        if not cache:
            logits = _Anew(model, hooks, forcings, rows, mode, positions)
        elif positions == "last":
            logits = _CachedLast(model, hooks, forcings, rows, mode)
        else:
            logits = _Cached(model, hooks, start, forcings, rows, mode)
        for t in range(length):
            token_B = draw(logits(ids_BT), uniform_BTA[:, t], temperature, top_p)
            ids_BT = torch.cat([ids_BT, token_B[:, None]], dim=1)
            if end is not None:
                done_B |= token_B == end
                if done_B.all():
                    break
    texts = ids_BT[:, len(start) :].tolist()
    return [text[: text.index(end) + 1] if end in text else text for text in texts]


def draw(logits_BV: Tensor, uniform_BA: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token a row from the nucleus of the softmax; sorting the vocabulary is avoided.

    A token is drawn from the whole distribution and kept if it lies in the nucleus, that is if all more probable ones
    together have less than `top_p`; else it is drawn again with the next uniform number. Only after `A` − 1 attempts,
    which a small `top_p` alone makes likely, is the nucleus itself computed.

    Args:
        uniform_BA: float64 in [0, 1).

    Raises:
        BrokenModelError: the logits of a row are not finite.
    """
    B, V = logits_BV.shape
    blocks = -(-V // BLOCK)
    weight_BV = torch.zeros(B, blocks * BLOCK, device=logits_BV.device)
    scaled_BV = weight_BV[:, :V]
    scaled_BV.copy_(logits_BV).div_(temperature)
    scaled_BV.sub_(scaled_BV.amax(dim=1, keepdim=True)).exp_()
    mass_BN = weight_BV.view(B, blocks, BLOCK).sum(-1).double()
    if not torch.isfinite(mass_BN).all():
        raise BrokenModelError(
            "the model's logits are not finite: its weights are broken, or units are forced too far (lower strength)"
        )
    cumulated_BN = mass_BN.cumsum(1)
    token_B = torch.empty(B, dtype=torch.long, device=logits_BV.device)
    left_R = torch.arange(B, device=logits_BV.device)
    for attempt in range(uniform_BA.shape[1] - 1):
        found_R = _inverse(weight_BV, mass_BN, cumulated_BN, left_R, uniform_BA[left_R, attempt])
        token_B[left_R] = found_R
        if top_p >= 1:
            return token_B
        weight_RV = weight_BV if len(left_R) == B else weight_BV[left_R]
        limit_R1 = weight_RV.gather(1, found_R[:, None])
        higher_R = torch.where(weight_RV > limit_R1, weight_RV, 0).view(len(left_R), blocks, BLOCK).sum(-1).double()
        left_R = left_R[higher_R.sum(1) >= top_p * cumulated_BN[left_R, -1]]
        if not len(left_R):
            return token_B
    token_B[left_R] = _from_nucleus(weight_BV[left_R], uniform_BA[left_R, -1], top_p)
    return token_B


def _inverse(weight_BV: Tensor, mass_BN: Tensor, cumulated_BN: Tensor, rows_R: Tensor, uniform_R: Tensor) -> Tensor:
    """The token at a point of the cumulated distribution: first its block, then its place in the block."""
    cumulated_RN = cumulated_BN[rows_R]
    target_R1 = uniform_R[:, None] * cumulated_RN[:, -1:]
    block_R1 = _position(cumulated_RN, target_R1)
    before_R1 = cumulated_RN.gather(1, block_R1) - mass_BN[rows_R].gather(1, block_R1)
    inner_RK = weight_BV.view(len(weight_BV), -1, BLOCK)[rows_R, block_R1[:, 0]].double().cumsum(1)
    place_R1 = _position(inner_RK, target_R1 - before_R1)
    return (block_R1 * BLOCK + place_R1)[:, 0]


def _position(cumulated_RN: Tensor, target_R1: Tensor) -> Tensor:
    # Rounding may put a target at the very end: the last entry that has any mass is the first to reach the maximum.
    last_R1 = cumulated_RN.argmax(1, keepdim=True)
    return torch.minimum(torch.searchsorted(cumulated_RN, target_R1, right=True), last_R1)


def _from_nucleus(weight_RV: Tensor, uniform_R: Tensor, top_p: float) -> Tensor:
    sorted_RV, order_RV = weight_RV.double().sort(dim=1, descending=True, stable=True)
    cumulated_RV = sorted_RV.cumsum(1)
    inside_RV = cumulated_RV - sorted_RV < top_p * cumulated_RV[:, -1:]
    smallest_R1 = torch.where(inside_RV, sorted_RV, torch.inf).amin(1, keepdim=True)
    cumulated_RV = torch.where(sorted_RV >= smallest_R1, sorted_RV, 0).cumsum(1)
    place_R1 = _position(cumulated_RV, uniform_R[:, None] * cumulated_RV[:, -1:])
    return order_RV.gather(1, place_R1)[:, 0]


def _uniforms(seed: int, length: int) -> Tensor:
    """Random numbers (T, A) of one text; those of a shorter text are the first of a longer one's."""
    return torch.rand(length, ATTEMPTS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class _Anew:
    """Logits of the next token, all positions computed anew."""

    def __init__(
        self, model: Any, hooks: ExitStack, forcings: Sequence[Forcing], rows: list[int], mode: str, positions: str
    ) -> None:
        self.model = model
        hooks.enter_context(forced(model, forcings, rows=rows, mode=mode, positions=positions))

    def __call__(self, ids_BT: Tensor) -> Tensor:
        return self.model(input_ids=ids_BT, use_cache=False, logits_to_keep=1).logits[:, -1]


class _Cached:
    """Logits of the next token from the newest one; keys and values of those before are kept.

    Texts with the same forcing begin alike, so the start is computed once for each forcing.
    """

    def __init__(
        self,
        model: Any,
        hooks: ExitStack,
        start: Sequence[int],
        forcings: Sequence[Forcing],
        rows: list[int],
        mode: str,
    ) -> None:
        self.model, self.cache = model, DynamicCache(config=model.config)
        device = next(model.parameters()).device
        distinct = sorted(set(rows))
        with forced(model, forcings, rows=distinct, mode=mode):
            ids_GT = torch.tensor([list(start)] * len(distinct), device=device)
            logits_GV = self._run(ids_GT)
        group_B = torch.tensor([distinct.index(row) for row in rows], device=device)
        self.first: Tensor | None = logits_GV[group_B]
        self.cache.batch_select_indices(group_B)
        hooks.enter_context(forced(model, forcings, rows=rows, mode=mode))

    def __call__(self, ids_BT: Tensor) -> Tensor:
        if self.first is not None:
            logits, self.first = self.first, None
            return logits
        return self._run(ids_BT[:, -1:])

    def _run(self, ids_BT: Tensor) -> Tensor:
        return self.model(
            input_ids=ids_BT, past_key_values=self.cache, use_cache=True, logits_to_keep=1
        ).logits[:, -1]  # fmt: skip


class _CachedLast:
    """The same where only the last position is forced: it is computed again, unforced, together with the next one."""

    def __init__(self, model: Any, hooks: ExitStack, forcings: Sequence[Forcing], rows: list[int], mode: str) -> None:
        self.model, self.cache = model, DynamicCache(config=model.config)
        hooks.enter_context(forced(model, forcings, rows=rows, mode=mode, positions="last"))

    def __call__(self, ids_BT: Tensor) -> Tensor:
        logits = self.model(
            input_ids=ids_BT[:, self.cache.get_seq_length() :],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        self.cache.crop(-1)
        return logits


def text_nats(model: nn.Module, start: Sequence[int], texts: Sequence[Sequence[int]], batch_size: int) -> list[float]:
    """Negative log-likelihood (nats, summed over its tokens) of each text after `start`, by the model as it is.

    Equal texts are scored once; `batch_size` texts share a forward pass.
    """
    device = next(model.parameters()).device
    distinct = sorted({tuple(text) for text in texts}, key=lambda text: (len(text), text))
    nats: dict[tuple[int, ...], float] = {}
    if not distinct:
        return []
    with undisturbed(model):
        losses = TokenLosses(model, [*start, *distinct[-1]])
        for first in range(0, len(distinct), batch_size):
            part = distinct[first : first + batch_size]
            longest = max(len(text) for text in part)
            ids_BT = torch.zeros(len(part), len(start) + longest, dtype=torch.long)
            label_BT = torch.full_like(ids_BT, NOT_SCORED)
            for row, text in enumerate(part):
                ids_BT[row, : len(start) + len(text)] = torch.tensor([*start, *text])
                label_BT[row, len(start) : len(start) + len(text)] = torch.tensor(text)
            # Padding stands at the end and no earlier position sees it: no mask is needed.
            positions = slice(len(start) - 1, None)
            loss_BT = losses(ids_BT[:, :-1].to(device), label_BT[:, len(start) :].to(device), positions)
            nats.update(zip(part, loss_BT.double().sum(1).tolist(), strict=True))
    return [nats[tuple(text)] for text in texts]


def check_room(model: nn.Module, start: Sequence[int], length: int) -> None:
    """Whether the model can read texts of this length behind their start, all but the last token.

    A model with rotary positions computes beyond those that it was made for, but as it never learned to: it is held to
    them like one that has no more. Only ALiBi has no end.

    Raises:
        ValueError: it can't, or has no such token to start with.
    """
    embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
    vocabulary = embeddings.weight.shape[0]
    if max(start) >= vocabulary:
        raise ValueError(
            f"texts begin with token {max(start)}, but the model's vocabulary has {vocabulary} entries: use the tokenizer "
            "that the model was trained with"
        )
    positions = most_positions(model)
    if positions is not None and len(start) + length - 1 > positions:
        raise ValueError(
            f"length={length}: the model has {positions} positions, and {len(start)} of them "
            f"{'is the start' if len(start) == 1 else 'are the start'} of a text; give at most "
            f"{positions - len(start) + 1}"
        )


def start_tokens(tokenizer: Any) -> list[int]:
    """What texts begin with: what the tokenizer itself puts before a text, else its begin- or end-of-text token.

    Raises:
        ValueError: the tokenizer has none of these.
    """
    own = list(tokenizer("")["input_ids"])
    if own:
        return own
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return [token]
    raise ValueError("the tokenizer has neither a begin- nor an end-of-text token: set tokenizer.bos_token")
