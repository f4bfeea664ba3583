"""What a series of checkpoints cannot show: whatever begins before its first one."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..numbers import short


@dataclass(frozen=True)
class Resolution:
    """The first checkpoint of a series that can be used, where the untrained model is not among them.

    Attributes:
        step: its step.
        tokens: training tokens until then; None where they are not known.
        later: whether others before it are not sound.
    """

    step: int
    tokens: int | None
    later: bool = False

    @property
    def before(self) -> str:
        """What is out of sight, in tokens where they are known: `210B tokens`, or `step 50,000`."""
        return f"step {self.step:,}" if self.tokens is None else f"{short(self.tokens)} tokens"

    def __str__(self) -> str:
        first = "The first sound checkpoint" if self.later else "The first checkpoint"
        seen = f"is step {self.step:,}" if self.tokens is None else f"has seen {self.before} (step {self.step:,})"
        return f"{first} {seen}: what begins before {self.before} cannot be seen here."


def resolution_of(points: Iterable[tuple[int, int | None]], unsound: Collection[int] = ()) -> Resolution | None:
    """What a series leaves out of sight.

    Args:
        points: step of each checkpoint, and its training tokens where they are known.
        unsound: steps that no curve is drawn through.

    Returns:
        None where the untrained model is there (step 0, or no tokens), and for fewer than two checkpoints: no curve.
    """
    there = sorted(dict(points).items())
    usable = [(step, tokens) for step, tokens in there if step not in unsound]
    if len(usable) < 2 or usable[0][0] == 0 or usable[0][1] == 0:
        return None
    return Resolution(*usable[0], later=usable[0] != there[0])
