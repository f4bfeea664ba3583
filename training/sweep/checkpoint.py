"""A checkpoint of a series, and where a series is said to be."""

from dataclasses import dataclass


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
    """

    path: str
    steps: list[int] | None = None
    revision: str | None = None
    subfolder: str | None = None
    tokens_per_step: int | None = None
    tokens_at: dict[int, int] | None = None


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
