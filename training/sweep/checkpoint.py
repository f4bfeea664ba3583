"""A checkpoint of a series, and where a series is said to be."""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_LISTED = 20
"""Steps of a series that an error lists in full; of longer ones it names the nearest."""

Found = tuple[list["Checkpoint"], list[str], list[str]]
"""Checkpoints, what is wrong with the request, and what is missing."""


@dataclass(frozen=True)
class Phase:
    """A part of a series whose names count steps (and tokens) from where it begins.

    Attributes:
        revision: a repository's revision of a step of this phase, a pattern.
        subfolder: folder of a step of this phase inside the path or the repository, a pattern; instead of a revision.
        offset: steps before its step 0.
        after: previous, where it begins at the last step of the phase before it; instead of an offset.
        tokens_per_step: training tokens per step of this phase; by default the source's.
        tokens_offset: training tokens before its step 0, 0 where its names count tokens from the beginning of all; by
            default what the phase before it had seen by then.
    """

    revision: str | None = None
    subfolder: str | None = None
    offset: int | None = None
    after: str | None = None
    tokens_per_step: int | None = None
    tokens_offset: int | None = None


@dataclass(frozen=True)
class Point:
    """Where in training a checkpoint stands whose name does not say it.

    Attributes:
        step: optimizer steps.
        tokens: training tokens until then; by default what tokens_per_step and tokens_at say.
    """

    step: int
    tokens: int | None = None


@dataclass(frozen=True)
class CheckpointSource:
    """Where some checkpoints of a series are.

    `path`, `revision` and `subfolder` may be patterns: `{step}`, `{step:07d}` for names filled with zeros, `{tokens}` for
    numbers of tokens with a unit (210B), `{index}` for a plain counter, and `*` for what varies.

    Attributes:
        path: a Babelscope run, a folder of checkpoints whose names end in their steps, one checkpoint's folder, a
            Trainer's folder, or a repository (owner/name); as a pattern, one path or repository a checkpoint.
        steps: restrict to these steps; by default all that there are.
        revision: a repository's revision of a step; by default global_step{step}, or main where the step is elsewhere.
        subfolder: folder of a step inside the path or the repository, for example step_{step}.
        tokens_per_step: training tokens per step, where the checkpoints do not say.
        tokens_at: training tokens until a step, where steps were not all of one size (a batch that grew).
        phases: patterns of phases, one after another, whose names count steps anew; instead of revision and subfolder.
        checkpoints: revision or folder -> step and tokens, where no pattern fits; instead of a pattern.
    """

    path: str
    steps: list[int] | None = None
    revision: str | None = None
    subfolder: str | None = None
    tokens_per_step: int | None = None
    tokens_at: dict[int, int] | None = None
    phases: list[Phase] | None = None
    checkpoints: dict[str, Point] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: a folder, or a repository's revision (and a folder in it), and the tokens it was trained on."""

    step: int
    path: str
    revision: str | None = None
    subfolder: str | None = None
    tokens: int | None = None

    @property
    def remote(self) -> bool:
        """Whether it is in a repository, to be fetched."""
        return self.revision is not None

    def __str__(self) -> str:
        inside = f"/{self.subfolder}" if self.subfolder else ""
        return f"{self.path}@{self.revision}{inside}" if self.remote else self.path


def tokens_of(step: int, source: CheckpointSource) -> int | None:
    """Training tokens until a step, where the source says."""
    if source.tokens_at is not None and step in source.tokens_at:
        return source.tokens_at[step]
    return None if source.tokens_per_step is None else step * source.tokens_per_step


def chosen(there: Mapping[int, Checkpoint], source: CheckpointSource) -> Found:
    """Those of the steps that were asked for, all by default; missing is a line for those that are not there."""
    if source.steps is None:
        return [there[step] for step in sorted(there)], [], []
    absent = sorted({*source.steps} - {*there})
    missing = [f"steps={absent} are not in {source.path}: {_nearest(absent, there)}"] if absent else []
    return [there[step] for step in sorted({*source.steps} & {*there})], [], missing


def _nearest(absent: list[int], there: Mapping[int, Checkpoint]) -> str:
    steps = sorted(there)
    if len(steps) <= MOST_LISTED:
        return f"it has {steps}"
    near = sorted({step for wanted in absent for step in sorted(steps, key=lambda step: abs(step - wanted))[:2]})
    named = ", ".join(f"{step} ({there[step]})" for step in near[:MOST_LISTED])
    return f"nearest of its {len(steps)}, from {steps[0]} to {steps[-1]}: {named}"
