"""A series in phases, each with names that count steps from its own beginning: put one behind the other."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .checkpoint import Checkpoint, CheckpointSource, Found, Phase, chosen
from .patterns import Pattern

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Course:
    """Tokens along a phase: `base` until step `start`, then so many a step; None for what is not known."""

    start: int
    base: int | None
    per_step: int | None

    def tokens(self, step: int) -> int | None:
        if step == self.start:
            return self.base
        return None if self.base is None or self.per_step is None else self.base + (step - self.start) * self.per_step


def series_in_phases(source: CheckpointSource, find: Callable[[CheckpointSource], Found]) -> Found:
    """The checkpoints of a source with phases, on one axis of steps and tokens.

    Args:
        find: the whole series of a source without phases.
    """
    phases = source.phases or []
    problems = [problem for index, phase in enumerate(phases) for problem in _problems(index, phase)]
    if not phases:
        problems.append(f"phases is empty for {source.path}: give each phase a pattern, or leave it out")
    there: dict[int, Checkpoint] = {}
    course = _Course(0, 0, source.tokens_per_step if not phases else _per_step(phases[0], source))
    for index, phase in enumerate(phases if not problems else ()):
        plain = replace(
            source, phases=None, steps=None, revision=phase.revision, subfolder=phase.subfolder,
            tokens_per_step=_per_step(phase, source), tokens_at=None,
        )  # fmt: skip
        found, wrong, _ = find(plain)
        if wrong:
            return [], [f"phases[{index}]: {problem}" for problem in wrong], []
        last = max(there, default=0)
        shift = last if phase.after else phase.offset or 0
        if shift and found[0].step == 0 and shift == last:
            log.warning("%s is left out: it is where the phase before it ends", found[0])
            found = found[1:]
        if not found:
            continue
        first = found[0].step + shift
        if there and first <= last:
            return [], [
                f"phases[{index}]: its first checkpoint ({found[0]}) is step {first}, and the phase before it goes to step "
                f"{last}: give it after: previous, or an offset, or narrow one of the patterns"
            ], []  # fmt: skip
        start = shift or last
        base = phase.tokens_offset if phase.tokens_offset is not None else _seen(start, there, course, source)
        named = "tokens" in Pattern(phase.revision or phase.subfolder or "").fields
        if named and not shift and phase.tokens_offset is None:
            base = 0  # the names go on counting
        course = _Course(start, base, _per_step(phase, source))
        if base is None and (named or course.per_step is not None):
            return [], [
                f"phases[{index}]: how many tokens were seen before its step 0 is not known: give it tokens_offset, or give "
                "the phase before it tokens_per_step"
            ], []  # fmt: skip
        for checkpoint in found:
            step = checkpoint.step + shift
            tokens = (base or 0) + (checkpoint.tokens or 0) if named else course.tokens(step)
            there[step] = replace(checkpoint, step=step, tokens=(source.tokens_at or {}).get(step, tokens))
    if problems:
        return [], problems, []
    return chosen(there, source)


def _seen(step: int, there: dict[int, Checkpoint], before: _Course, source: CheckpointSource) -> int | None:
    """Tokens until a step, by the phases before it."""
    if step in (source.tokens_at or {}):
        return (source.tokens_at or {})[step]
    if step in there:
        return there[step].tokens
    return before.tokens(step)


def _per_step(phase: Phase, source: CheckpointSource) -> int | None:
    return source.tokens_per_step if phase.tokens_per_step is None else phase.tokens_per_step


def _problems(index: int, phase: Phase) -> Sequence[str]:
    name = f"phases[{index}]"
    found = []
    if (phase.revision is None) == (phase.subfolder is None):
        found.append(f"{name}: give it a revision or a subfolder, one of the two")
    else:
        try:
            if not Pattern(phase.revision or phase.subfolder or ""):
                found.append(
                    f"{name}={phase.revision or phase.subfolder}: it must contain {{step}}, as in phase1-step{{step}}"
                )
        except ValueError as error:
            found.append(f"{name}: {error}")
    if phase.after not in (None, "previous"):
        found.append(f"{name}.after={phase.after}: write previous, or give an offset instead")
    elif phase.after and index == 0:
        found.append(f"{name}.after=previous: no phase is before the first; leave it out, or give an offset")
    if phase.after and phase.offset is not None:
        found.append(f"{name} has after and offset={phase.offset}: leave one of them out")
    if phase.offset is not None and phase.offset < 0:
        found.append(f"{name}.offset={phase.offset}: give the steps before its step 0, 0 or more")
    return found
