"""How a checkpoint is examined and when its series calls it unsound."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..settings import Settings


@dataclass(frozen=True)
class HealthSettings(Settings):
    """How held-out text is scored, and how far a loss may rise."""

    context: int = 512
    """tokens of a window."""
    max_tokens: int = 4096
    """tokens scored per language at most."""
    batch_tokens: int = 4096
    """tokens of a forward pass, padding included."""
    jump: float = 0.3
    """nats by which a loss may exceed the lowest one before it and still count as sound."""

    def problems(self) -> Iterator[str]:
        """Numbers that leave nothing to score, or no jump."""
        yield from self._at_least(2, "context")
        yield from self._at_least(1, "max_tokens", "batch_tokens")
        yield from self._positive(" of nats", "jump")
