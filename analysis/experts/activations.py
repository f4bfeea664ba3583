"""How strongly every unit of a model responds to a sentence: outputs of the linear layers, pooled inside the hook.

Shapes: B sentences of a batch, T tokens, W units of a site, S sentences, U units. The unpooled outputs of 1,000
sentences would be tens of gigabytes; what a hook keeps is one number a unit and sentence.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...model.routed import NO_RESPONSE
from ...model.sites import backbone_of, unit_sites
from ...model.unit_site import UnitSite
from ..token_batches import TokenBatch, TokenisedSentences, tokenise
from ..undisturbed import undisturbed
from .memory import forward_bytes, text_bytes, units_at_a_time
from .settings import ResponseSettings

_DEFAULTS = ResponseSettings()


@dataclass(frozen=True)
class Units:
    """How units are numbered: block by block, within a block site by site, within a site by output.

    Attributes:
        layers, sites: block number and name of each site, in order.
        starts: number of each site's first unit.
        n: number of units.
    """

    layers: tuple[int, ...]
    sites: tuple[str, ...]
    starts: tuple[int, ...]
    n: int

    @classmethod
    def of(cls, model: nn.Module) -> "Units":
        """The numbering of a causal LM's units.

        Raises:
            ValueError: the model's family is unknown, or set so that hooks would not see its units.
        """
        sites = unit_sites(model)
        return cls(
            tuple(site.layer for site in sites),
            tuple(site.site for site in sites),
            tuple(site.start for site in sites),
            sites[-1].stop,
        )

    def site_number(self, idx: Any) -> np.ndarray:
        """Which entry of `layers`, `sites` and `starts` holds each unit."""
        idx = np.asarray(idx)
        if idx.size and not (idx.min() >= 0 and idx.max() < self.n):
            raise ValueError(f"units {idx.min()} to {idx.max()}: the model has units 0 to {self.n - 1}")
        return np.searchsorted(self.starts, idx, side="right") - 1

    def layer_of(self, idx: Any) -> np.ndarray:
        """Block of each unit, counted from 0."""
        return np.asarray(self.layers)[self.site_number(idx)]

    def site_of(self, idx: Any) -> np.ndarray:
        """Name of each unit's site."""
        return np.asarray(self.sites)[self.site_number(idx)]

    def index_within_site(self, idx: Any) -> np.ndarray:
        """Which output of its linear layer each unit is."""
        return np.asarray(idx) - np.asarray(self.starts)[self.site_number(idx)]

    def per_layer(self) -> np.ndarray:
        """Number of units of each block."""
        widths = np.diff([*self.starts, self.n])
        return np.bincount(self.layers, weights=widths).astype(np.int64)


def unit_responses(
    model: nn.Module, tokenizer: Any, sentences: Sequence[str], pooling: str = ResponseSettings.pooling, **settings: Any
) -> tuple[Tensor, Units]:
    """Pooled response of every unit to every sentence, all at once (4 bytes each; see `iter_unit_responses`).

    The LM head is never run, and the model is left as it was.

    Args:
        sentences: one text each.
        pooling: over a sentence's tokens, padding left out: `max`, `mean`, or `last` token.
        settings: special_tokens, max_length and batch_tokens of `ResponseSettings`.

    Returns:
        float32 (S, U) on the CPU, and the numbering of the units.

    Raises:
        ValueError: no sentences, one without tokens, an unknown pooling, a family without a row, a tokenizer that
            does not fit.
    """
    units = Units.of(model)
    whole = ResponseSettings(pooling=pooling, memory_gb=float("inf"), **settings)
    return next(iter_unit_responses(model, tokenizer, sentences, whole))[1], units


def iter_unit_responses(
    model: nn.Module,
    tokenizer: Any,
    sentences: Sequence[str],
    settings: ResponseSettings = _DEFAULTS,
    *,
    fixed: int = 0,
    per_unit: int = 0,
) -> Iterator[tuple[slice, Tensor]]:
    """The same in groups of units, as large as `settings.memory_gb` allows; one pass over the text each.

    A pass ends with the last block that it needs. The groups do not show in the numbers. Between two groups the model
    is as it was. Let go of a group before asking for the next, or both are held.

    Args:
        settings: `memory_gb` is for the responses, the forward pass (on a CPU) and the token ids together.
        fixed, per_unit: bytes of it that the caller needs, whatever the group, and beside each unit's responses.

    Yields:
        which units, and their responses, float32 (S, units of the group).
    """
    tokens = tokenise(model, tokenizer, sentences, settings.max_length, settings.special_tokens)
    batches = tokens.batches(settings.batch_tokens)
    sites = unit_sites(model)
    units = sites[-1].stop
    held = fixed + forward_bytes(model, batches) + text_bytes(tokens)
    width = units_at_a_time(settings.memory_gb, held, 4 * len(sentences) + per_unit, units)
    for start in range(0, units, width):
        group = slice(start, min(start + width, units))
        yield group, _one_pass(model, tokens, batches, sites, group, settings.pooling)


def _one_pass(
    model: nn.Module,
    tokens: TokenisedSentences,
    batches: list[TokenBatch],
    sites: list[UnitSite],
    group: slice,
    pooling: str,
) -> Tensor:
    needed = [site for site in sites if site.start < group.stop and site.stop > group.start]
    responses_SU = torch.empty(len(tokens.ids), group.stop - group.start)
    # The units' response to the token that all sentences begin with is one and the same number. Computed in batches of
    # different shapes it is not, in the last bit, and a unit that responds to nothing else would rank by that.
    separate_lead = pooling == "max" and tokens.lead is not None
    with undisturbed(model):
        for batch in batches:
            spans = [(max(first, int(separate_lead)), stop) for first, stop in batch.counted]
            _batch_responses(model, batch, spans, needed, group, pooling, responses_SU)
        if separate_lead:
            alone = TokenisedSentences(((tokens.lead or 0,),), ((0, 1),), None).batches(1)[0]
            lead_1U = torch.empty(1, group.stop - group.start)
            _batch_responses(model, alone, alone.counted, needed, group, pooling, lead_1U)
            torch.maximum(responses_SU, lead_1U, out=responses_SU)
    for site in needed:
        if site.expert is not None:
            here_SW = responses_SU[:, max(0, site.start - group.start) : site.stop - group.start]
            here_SW.masked_fill_(here_SW == NO_RESPONSE, 0)
    return responses_SU


def _batch_responses(
    model: nn.Module,
    batch: TokenBatch,
    spans: Sequence[tuple[int, int]],
    needed: list[UnitSite],
    group: slice,
    pooling: str,
    responses_SU: Tensor,
) -> None:
    """Write the batch's responses into its rows of `responses_SU`, site by site: nothing is held twice."""
    device = next(model.parameters()).device
    rows = torch.tensor(batch.rows)
    seen: set[int] = set()

    def keep(site: UnitSite, output_BTW: Tensor) -> None:
        pooled_BW = _pool(output_BTW, spans, pooling, site.expert is not None)[
            :, max(0, group.start - site.start) : group.stop - site.start
        ]
        first = max(0, site.start - group.start)
        responses_SU[rows, first : first + pooled_BW.shape[1]] = pooled_BW.float().cpu()
        seen.add(site.start)
        # Counted, not taken from the order of the row: that is the user's, and need not be the order of computing.
        if len(seen) == len(needed):
            raise _Enough

    with hooked(needed, keep), suppress(_Enough):
        backbone_of(model)(
            input_ids=batch.ids_BT.to(device), attention_mask=batch.attention_BT.to(device), use_cache=False
        )
    missing = [f"{site.site} of block {site.layer}" for site in needed if site.start not in seen]
    if missing:
        raise RuntimeError(f"the model bypasses {missing[0]}: its units were not seen (of {len(missing)} such sites)")


class _Enough(Exception):
    """All sites that are needed have responded; the rest of the forward pass would be for nothing."""


@contextmanager
def hooked(sites: Sequence[UnitSite], keep: Callable[[UnitSite, Tensor], None]) -> Iterator[None]:
    """Call `keep(site, output_BTW)` whenever a site has computed; the hooks are gone on leaving, also on an error."""
    handles = []
    try:
        for site in sites:
            handles.append(site.hook(partial(keep, site)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _pool(output_BTW: Tensor, spans: Sequence[tuple[int, int]], pooling: str, routed: bool) -> Tensor:
    """Pool over each sentence's span of tokens; sentences with the same span together, so that nothing is copied.

    Args:
        routed: whether tokens may have no response, which then do not count; a sentence without any has none.
    """
    pooled = []
    start = 0
    for (first, stop), members in groupby(spans):
        count = len(list(members))
        span_BTW = output_BTW[start : start + count, first:stop]
        start += count
        if pooling == "max":
            pooled.append(span_BTW.amax(dim=1))
        elif pooling == "mean" and routed:
            none_BTW = span_BTW == NO_RESPONSE
            mean_BW = span_BTW.float().masked_fill(none_BTW, 0).sum(dim=1) / (~none_BTW).sum(dim=1)
            pooled.append(mean_BW.masked_fill(none_BTW.all(dim=1), NO_RESPONSE))
        elif pooling == "mean":
            pooled.append(span_BTW.float().mean(dim=1))
        else:
            pooled.append(span_BTW[:, -1])
    return torch.cat(pooled)
