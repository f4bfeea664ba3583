"""When something is due: one predicate over optimizer steps, used by all who need it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StepSchedule:
    """Powers ∪ multiples ∪ an explicit list ∪ the start ∪ the last step. Steps are optimizer steps.

    The study's 44 checkpoints plus the random initialisation: `StepSchedule(powers_of=2, every=5000, start=0)` up to
    step 131,072.
    """

    powers_of: int | None = None
    """Base b of the steps 1, b, b², …; none by default."""
    every: int | None = None
    """Every N-th step: N, 2N, 3N, …; none by default."""
    at: Sequence[int] = ()
    """Further steps, listed one by one."""
    start: int | None = None
    """A step before which nothing is due, and which is itself due; 0 means the untrained model."""
    final: bool = True
    """Whether the last step of the run is due as well; it applies where the last step is known."""

    def __post_init__(self) -> None:
        if self.powers_of is not None and self.powers_of < 2:
            raise ValueError(f"schedule.powers_of={self.powers_of}: give a base of at least 2, or leave it out")
        if self.every is not None and self.every < 1:
            raise ValueError(f"schedule.every={self.every}: give a positive number of steps, or leave it out")
        if self.start is not None and self.start < 0:
            raise ValueError(f"schedule.start={self.start}: give 0 or a later step")
        negative = [step for step in self.at if step < 0]
        if negative:
            raise ValueError(f"schedule.at contains {negative[0]}: steps count from 0")
        object.__setattr__(self, "at", tuple(sorted(set(self.at))))

    def due(self, step: int, last: int | None = None) -> bool:
        """Whether `step` is due. `last` is the run's last step, if it is known."""
        if step < 0:
            raise ValueError(f"step={step}: steps count from 0")
        if self.start is not None and step < self.start:
            return False
        return (
            step == self.start
            or step in self.at
            or (self.every is not None and step > 0 and step % self.every == 0)
            or (self.powers_of is not None and _is_power(step, self.powers_of))
            or (self.final and step == last)
        )

    def steps(self, last: int) -> list[int]:
        """All steps due from 0 to `last`, both included, ascending."""
        if last < 0:
            raise ValueError(f"last={last}: steps count from 0")
        # Candidates first: a run of a million steps need not be gone through step by step.
        candidates = {*self.at, 0 if self.start is None else self.start, last}
        if self.every is not None:
            candidates.update(range(self.every, last + 1, self.every))
        if self.powers_of is not None:
            power = 1
            while power <= last:
                candidates.add(power)
                power *= self.powers_of
        return sorted(step for step in candidates if step <= last and self.due(step, last))


def _is_power(step: int, base: int) -> bool:
    if step < 1:
        return False
    while step % base == 0:
        step //= base
    return step == 1
