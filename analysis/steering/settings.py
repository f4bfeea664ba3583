"""How a model is steered, and how much it writes."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...model.interventions import MODES, POSITIONS
from ..settings import Settings


@dataclass(frozen=True)
class SteeringSettings(Settings):
    """How experts are forced, and how texts are written meanwhile."""

    seeds: int = 100
    """texts of each concept, source language and condition; text s is drawn with seed s."""
    k: int | None = None
    """number of experts forced; by default all that were found."""
    k_sweep: tuple[int, ...] = ()
    """further numbers of experts to steer with, for example [0, 50, 200]; 0 is the unsteered model."""
    length: int = 20
    """tokens of a text at most."""
    temperature: float = 0.8
    """of sampling."""
    top_p: float = 0.9
    """sample from the most probable tokens that have this share of the probability together."""
    mode: str = "set"
    """set experts to strength times their median response, add that to them, or multiply them by strength."""
    positions: str = "all"
    """all, or the last one alone."""
    strength: float = 1.0
    """see mode."""
    random_draws: int = 4
    """draws of random units that the texts of that control are dealt out to."""
    seed: int = 0
    """of the random units."""
    batch_size: int = 400
    """texts of a forward pass."""

    @property
    def sweep(self) -> tuple[int, ...]:
        """The further numbers of experts, each once, ascending."""
        return tuple(sorted(set(self.k_sweep)))

    def problems(self) -> Iterator[str]:
        """Unknown words, and numbers out of range."""
        for field, value, choices in (("mode", self.mode, MODES), ("positions", self.positions, POSITIONS)):
            if value not in choices:
                yield f"{field}={value!r}: choose one of {', '.join(choices)}"
        yield from self._at_least(1, "seeds", "k", "length", "random_draws", "batch_size")
        yield from self._positive("", "temperature")
        if not 0 < self.top_p <= 1:
            yield f"top_p={self.top_p}: give a share above 0, at most 1"
        if self.mode == "multiply" and self.strength == 1:
            yield "mode=multiply with strength=1 changes nothing: give another strength, for example 2"
        if any(number < 0 for number in self.k_sweep):
            yield f"k_sweep={list(self.k_sweep)}: give numbers of experts from 0"
