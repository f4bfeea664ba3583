"""How the language probe samples tokens and fits."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..settings import Settings


@dataclass(frozen=True)
class ProbeSettings(Settings):
    """How tokens are sampled, and how probes are fitted to their hidden states."""

    tokens_per_language: int | list[int] = 500
    """tokens of each language for training and test together; further numbers in a list train on fewer tokens as well (`accuracy_20`), which shows more of what is lost early."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """probe seeds: each draws its own sentences, split and tokens."""
    C: float = 1.0
    """inverse strength of the L2 penalty, as in scikit-learn."""
    test_share: float = 0.25
    """share of the sentences that test."""
    sentences_per_language: int = 1000
    """sentences of a language used per seed at most."""
    min_sentences: int = 40
    """languages with fewer are left out, with a warning."""
    tokens_per_sentence: int = 4
    """tokens drawn from one sentence at most."""
    max_length: int = 128
    """tokens of a sentence that are read."""
    batch_tokens: int = 4096
    """tokens of a forward pass, padding included."""
    memory_gb: float = 2.0
    """gigabytes for solving probes side by side; less means more passes, never other results."""

    @property
    def counts(self) -> list[int]:
        """Tokens of each language, the largest number first."""
        return [self.tokens_per_language] if isinstance(self.tokens_per_language, int) else list(self.tokens_per_language)  # fmt: skip

    def problems(self) -> Iterator[str]:
        """Numbers out of range."""
        counts = self.counts
        if not counts or min(counts) < 4 or max(counts) != counts[0]:
            yield f"tokens_per_language={self.tokens_per_language}: give numbers from 4, the largest one first"
        if not self.seeds:
            yield "seeds is empty: give at least one probe seed"
        if not self.C > 0:
            yield f"C={self.C}: give a positive inverse strength of the L2 penalty"
        if not 0 < self.test_share < 1:
            yield f"test_share={self.test_share}: give a share between 0 and 1"
        yield from self._at_least(1, "sentences_per_language", "tokens_per_sentence", "max_length", "batch_tokens")
        yield from self._positive(" of gigabytes", "memory_gb")
