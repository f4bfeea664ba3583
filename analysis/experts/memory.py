"""What an analysis of units allocates beside the model, so that its setting can bound all of it.

The estimates lie above what was measured (`benchmarks/memory.py`); none of them shows in a result. What is not counted
is `OVERHEAD_GB`, and on a GPU the forward pass, whose memory is the GPU's.

Shapes: T tokens of a batch, S sentences, C concepts, L languages, U units, k experts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ...model.sites import blocks_of
from ...model.text_config import text_config
from ..token_batches import TokenBatch, TokenisedSentences
from .selection import CHUNK_NUMBERS, CHUNK_UNITS

OVERHEAD_GB = 0.1
"""What libraries and the allocator keep for themselves, and a table of results, above any setting."""

MOST_PASSES = 1000
"""A setting that means reading the text more often is taken to be a mistake."""

# The widest outputs alive at once: BLOOM's own GELU holds nine, the other families four to seven.
_COPIES = 10
_SCORE_COPIES = 6
_PER_TOKEN, _PER_SENTENCE = 64, 300
# In ranking: 25 bytes were measured for each response of a chunk.
_PER_NUMBER = 40
_PER_EXPERT, _PER_EXPERT_AT_END = 24, 64


def forward_bytes(model: nn.Module, batches: Sequence[TokenBatch]) -> int:
    """What a forward pass through the largest batch holds at a time, without the LM head."""
    parameter = next(model.parameters())
    if parameter.device.type != "cpu":
        return 0
    weights = [weight for weight in blocks_of(model)[0].parameters() if weight.dim() > 1]
    width = max((max(weight.shape) for weight in weights), default=1)
    heads = getattr(text_config(model), "num_attention_heads", None) or 1
    most = 0
    for batch in batches:
        sentences, longest = batch.ids_BT.shape
        tokens = sentences * longest
        most = max(most, _COPIES * tokens * width + _SCORE_COPIES * tokens * heads * longest)
    # A copy of the largest weight: a library may pack it for the product.
    return parameter.element_size() * (most + max((weight.numel() for weight in weights), default=0))


def text_bytes(tokens: TokenisedSentences) -> int:
    """What token ids hold as Python numbers and in padded batches."""
    return sum(_PER_SENTENCE + _PER_TOKEN * len(ids) for ids in tokens.ids)


def units_at_a_time(memory_gb: float, fixed: int, per_unit: int, units: int) -> int:
    """How many units' responses fit beside what is needed anyway: as many passes as that takes, all of one width.

    Raises:
        ValueError: too few fit, with a setting that would do.
    """
    if memory_gb == float("inf"):
        return units
    most = int((memory_gb * 1e9 - fixed) // per_unit)
    if most * MOST_PASSES < units:
        least = fixed + per_unit * -(-units // MOST_PASSES)
        raise ValueError(
            f"memory_gb={memory_gb:g}: {fixed / 1e9:.3g} GB are needed beside the responses (a forward pass, token ids, "
            f"ranking, results), and a pass over a thousandth of {units} units takes {(least - fixed) / 1e9:.3g} GB: "
            f"give {2.5 * least / 1e9:.2g}, or lower batch_tokens"
        )
    passes = -(-units // min(most, units))
    return -(-units // passes)


@dataclass(frozen=True)
class Division:
    """How an expert analysis divides its memory.

    Attributes:
        chunk: units that one thread ranks at a time.
        block: units whose average precision is held at a time.
        scores_in_memory: whether the scores of all units are held; else they go to a temporary file.
        fixed: bytes of everything but the responses, the forward pass and the tokens.
    """

    chunk: int
    block: int
    scores_in_memory: bool
    fixed: int


def divide(
    memory_gb: float, sentences: int, positives: int, concepts: int, languages: int, units: int, k: int
) -> Division:
    """Divide `memory_gb` (1e9 bytes) for the language with the most sentences.

    Raises:
        ValueError: the results alone need more.
    """
    memory = memory_gb * 1e9
    experts = concepts * languages * k
    at_end = _PER_EXPERT_AT_END * experts + (5 * languages + 16) * units
    if at_end > memory:
        raise ValueError(
            f"memory_gb={memory_gb:g}: comparing {k} experts of {concepts} concepts in {languages} languages takes "
            f"{at_end / 1e9:.3g} GB: give several times that, or lower k"
        )
    scores = 4 * languages * concepts * units
    scores_in_memory = scores <= memory / 4
    threads = torch.get_num_threads()
    number = _PER_NUMBER * max(1, sentences)
    chunk = max(CHUNK_UNITS, CHUNK_NUMBERS // max(1, sentences))
    chunk = max(1, min(chunk, units, int(memory / 8 / threads / number)))
    block = max(1, min(units, 8 * threads * chunk, max(threads * chunk, int(memory / 16 / (24 * concepts)))))
    ranking = threads * chunk * number + 24 * concepts * block + 12 * k * positives
    fixed = ranking + _PER_EXPERT * experts + (scores if scores_in_memory else 8 * units)
    return Division(chunk, block, scores_in_memory, fixed)
