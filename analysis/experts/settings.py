"""How units' responses are read, and how experts are chosen by them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...model.families import Family, family_problems
from ..settings import Settings

POOLINGS = ("max", "mean", "last")


@dataclass(frozen=True)
class ResponseSettings(Settings):
    """How the responses of units to sentences are read."""

    pooling: str = "max"
    """how a unit's responses to the tokens of a sentence become one: max, mean or last; padding never counts."""
    special_tokens: bool = True
    """whether the tokenizer's own tokens, such as a leading </s>, count as tokens of the sentence."""
    max_length: int = 128
    """tokens of a sentence that are read."""
    batch_tokens: int = 4096
    """tokens of a forward pass, padding included."""
    memory_gb: float = 2.0
    """gigabytes (1e9 bytes) that may be taken beside the model, the forward pass on a CPU included; less means reading the text more often, never other results."""

    def problems(self) -> Iterator[str]:
        """An unknown pooling, or numbers below 1."""
        if self.pooling not in POOLINGS:
            yield f"pooling={self.pooling!r}: choose one of {', '.join(POOLINGS)}"
        yield from self._at_least(1, "max_length", "batch_tokens")
        yield from self._positive(" of gigabytes", "memory_gb")


@dataclass(frozen=True)
class ExpertSettings(ResponseSettings):
    """How the experts of a concept are found in each language."""

    k: float | None = None
    """number of experts of a concept and language, or a fraction of the model's units (0.01); by default 500, as in the study, but at most 1 % of the units."""
    seed: int = 0
    """decides which half of the sentences chooses experts and which scores them, and seeds the draws of intervals."""
    min_sentences: int = 10
    """positives, and negatives, that a concept needs in each half to be used in a language."""
    max_positives: int | None = None
    """take at most so many positives of a concept in a language; by default all."""
    max_negatives: int | None = None
    """take at most so many negatives of a concept in a language; by default all."""
    languages: Sequence[str] | None = None
    """languages to use; by default all of the concept set."""
    only: Sequence[str] | None = None
    """concepts to use; by default all of the concept set."""
    sites: Sequence[str] | None = None
    """sites whose outputs are units; by default all linear layers of a block: qkv, attn_out, ffn_gate (where there is one), ffn_in, ffn_out, and of routed experts expert_gate, expert_in, expert_out. Others are ffn_act, the FFN after its activation (act(gate) in a gated block), and ffn_gated, act(gate) * up (expert_act, expert_gated). Steering forces units of the same sites."""
    family: Family | str | None = None
    """where blocks and units are, for an architecture that has no row of its own: the paths (backbone, blocks, units, activation, experts), the name of a row, or auto to derive one from the model; for Steering as well."""

    def problems(self) -> Iterator[str]:
        """Numbers that leave nothing to rank."""
        yield from super().problems()
        yield from family_problems(self.family)
        if self.min_sentences < 1:
            yield f"min_sentences={self.min_sentences}: a half without sentences ranks nothing; give at least 1"
        if self.k is not None and not self.k > 0:
            yield f"k={self.k}: give a number of experts from 1, or a fraction of the units between 0 and 1"
        yield from self._at_least(1, "max_positives", "max_negatives")
