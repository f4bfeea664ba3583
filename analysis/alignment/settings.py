"""How translations are compared."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..settings import Settings


@dataclass(frozen=True)
class AlignmentSettings(Settings):
    """Which sentences are compared, and how they are read."""

    max_sentences: int = 200
    """ids used at most, drawn by a hash of the seed."""
    permutations: int = 99
    """of the sentences, for the null of CKA."""
    seed: int = 0
    """of the draw of sentences and of the permutations."""
    special_tokens: bool = False
    """whether the tokenizer's own tokens (a leading </s>) count in a sentence's mean."""
    max_length: int = 128
    """tokens of a sentence that are read."""
    batch_tokens: int = 4096
    """tokens of a forward pass, padding included."""
    memory_gb: float = 2.0
    """gigabytes of states held at a time; less means reading the text more often, never other results."""

    def problems(self) -> Iterator[str]:
        """Numbers out of range."""
        yield from self._at_least(4, "max_sentences")
        yield from self._at_least(0, "permutations")
        yield from self._at_least(1, "max_length", "batch_tokens")
        yield from self._positive(" of gigabytes", "memory_gb")
