"""Which checkpoints a series has: folders, a Babelscope run, revisions or subfolders of repositories, or several."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..runs import CHECKPOINT_FILE, checkpoint_info

log = logging.getLogger(__name__)

DEFAULT_REVISION = "global_step{step}"
TRAINER_STATE = "trainer_state.json"
"""What transformers.Trainer knows of itself, beside the weights."""
_STEP_AT_END = re.compile(r"(?:.*\D)?(\d+)")


@dataclass(frozen=True)
class CheckpointSource:
    """Where some checkpoints of a series are.

    Attributes:
        path: a Babelscope run, a folder of checkpoints whose names end in their steps, one checkpoint's folder, or a
            repository (owner/name); with {step} in it, one path or repository a step.
        steps: restrict to these steps; required for a repository.
        revision: a repository's revision of a step; by default global_step{step}, or main where {step} is elsewhere.
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


def find_series(
    sources: Sequence[CheckpointSource], skip_missing: bool = False
) -> tuple[list[Checkpoint], list[str], list[str]]:
    """The checkpoints of all sources, ascending by step.

    Returns:
        The checkpoints, what is wrong with the request, and what is missing (among the problems unless skipped).
    """
    found: list[Checkpoint] = []
    problems: list[str] = []
    missing: list[str] = []
    for source in sources:
        checkpoints, wrong, absent = _of_source(source)
        found += checkpoints
        problems += wrong
        missing += absent
    if not sources:
        problems.append("source is empty: name a run, a folder, or a repository")
    problems += [
        f"steps is empty for {source.path}: name steps, or leave it out to take all"
        for source in sources
        if source.steps == []
    ]
    steps = [checkpoint.step for checkpoint in found]
    for step in sorted({step for step in steps if steps.count(step) > 1}):
        places = ", ".join(str(checkpoint) for checkpoint in found if checkpoint.step == step)
        problems.append(f"source has step {step} more than once ({places}): restrict the steps of one of them")
    if not skip_missing:
        problems += missing
    return sorted(found, key=lambda checkpoint: checkpoint.step), problems, missing


def _of_source(source: CheckpointSource) -> tuple[list[Checkpoint], list[str], list[str]]:
    per_step = "{step}" in source.path
    if not per_step and Path(source.path).exists():
        return _local(source)
    # A pattern of folders, or of repositories: what exists decides.
    if per_step and Path(source.path.split("{step}")[0]).parent.is_dir():
        local = _local_pattern(source)
        if local[0] or not _is_repository(source.path):
            return local
    checkpoints, problems = _repository(source, per_step)
    return checkpoints, problems, []


def _local(source: CheckpointSource) -> tuple[list[Checkpoint], list[str], list[str]]:
    path = Path(source.path)
    if source.subfolder:
        return _local_pattern(replace(source, path=str(path / source.subfolder), subfolder=None))
    found: dict[int, Checkpoint] = {}
    problems = []
    for checkpoint in _folders(path, source):
        if checkpoint.step in found:
            other = found[checkpoint.step]
            problems.append(f"source={path}: {other} and {checkpoint} both end in step {checkpoint.step}: rename one")
        found[checkpoint.step] = checkpoint
    if not found:
        return (
            [],
            [f"source={source.path} holds no checkpoint: name a run, a folder of step_*, or a folder with config.json"],
            [],
        )
    if source.steps is None:
        return list(found.values()), problems, []
    if len(found) == 1 and len(source.steps) == 1 and (path / "config.json").exists():
        (only,) = found.values()  # a folder that does not know its step is told it
        return [_checkpoint(Path(only.path), source, source.steps[0])], problems, []
    absent = [step for step in source.steps if step not in found]
    missing = [f"steps={absent} are not in {source.path}: it has {sorted(found)}"] if absent else []
    return [found[step] for step in sorted(set(source.steps) & set(found))], problems, missing


def _local_pattern(source: CheckpointSource) -> tuple[list[Checkpoint], list[str], list[str]]:
    if "{step}" not in source.path:
        return [], [f"subfolder: {source.path} must contain {{step}}, as in step_{{step}}"], []
    before, _, after = source.path.partition("{step}")
    parent, start = (Path(before).parent, Path(before).name) if not before.endswith("/") else (Path(before), "")
    there = {}
    for child in sorted(parent.iterdir()) if parent.is_dir() else []:
        first = after.split("/")[0]
        match = re.fullmatch(re.escape(start) + r"(\d+)" + re.escape(first), child.name)
        folder = Path(str(child) + after[len(first) :])
        if match and (folder / "config.json").exists():
            there[int(match[1])] = folder
    absent = [step for step in source.steps or [] if step not in there]
    missing = [f"steps={absent} are not in {source.path}: it has {sorted(there)}"] if absent else []
    if not there:
        return [], [f"source={source.path} matches no folder with config.json"], []
    chosen = sorted(there if source.steps is None else set(source.steps) & set(there))
    return [_checkpoint(there[step], source, step) for step in chosen], [], missing


def _folders(path: Path, source: CheckpointSource) -> Iterator[Checkpoint]:
    if (path / "config.json").exists():
        yield from _trainers_folder(path, source) or [_checkpoint(path, source)]
        return
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    for child in sorted(folder.iterdir()):
        if _STEP_AT_END.fullmatch(child.name) and (child / "config.json").exists():
            yield _checkpoint(child, source)


def _trainers_folder(path: Path, source: CheckpointSource) -> list[Checkpoint]:
    """The series that transformers.Trainer leaves: checkpoint-* below a folder that is itself the model of the end."""
    found = [
        _checkpoint(child, source)
        for child in sorted(path.iterdir())
        if re.fullmatch(r"checkpoint-\d+", child.name) and (child / "config.json").exists()
    ]
    if not found:
        return []
    state = path / TRAINER_STATE
    last = json.loads(state.read_text(encoding="utf-8"))["global_step"] if state.exists() else None
    if last is not None and all(checkpoint.step != last for checkpoint in found):
        return [*found, _checkpoint(path, source, last)]
    if last is None:
        log.warning("%s: its own weights are left out, as no %s says of which step they are", path, TRAINER_STATE)
    return found


def _checkpoint(path: Path, source: CheckpointSource, step: int | None = None) -> Checkpoint:
    tokens = None
    if (path / CHECKPOINT_FILE).exists():
        info = checkpoint_info(path)
        step, tokens = info["step"], info["tokens"]
    elif step is None:
        match = _STEP_AT_END.fullmatch(path.name)
        step = int(match[1]) if match else 0
    assert step is not None
    return Checkpoint(step, str(path), tokens=_tokens(step, source) if tokens is None else tokens)


def _tokens(step: int, source: CheckpointSource) -> int | None:
    if source.tokens_at is not None and step in source.tokens_at:
        return source.tokens_at[step]
    return None if source.tokens_per_step is None else step * source.tokens_per_step


def _is_repository(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _repository(source: CheckpointSource, per_step: bool) -> tuple[list[Checkpoint], list[str]]:
    problems = []
    elsewhere = per_step or "{step}" in (source.subfolder or "")
    revision = source.revision or ("main" if elsewhere else DEFAULT_REVISION)
    if not _is_repository(source.path):
        problems.append(f"source={source.path} is neither a folder that exists nor a repository's name (owner/name)")
    if not source.steps:
        problems.append(f"steps is not set: list the steps of {source.path} to analyse")
    if not elsewhere and "{step}" not in revision and len(source.steps or ()) > 1:
        problems.append(f"revision={revision!r}: it must contain {{step}}, as in {DEFAULT_REVISION}")
    if problems:
        return [], problems
    assert source.steps
    return [
        Checkpoint(
            step,
            source.path.replace("{step}", str(step)),
            revision.replace("{step}", str(step)),
            source.subfolder.replace("{step}", str(step)) if source.subfolder else None,
            _tokens(step, source),
        )
        for step in sorted(set(source.steps))
    ], []
