"""The checkpoints of a folder: a Babelscope run, a Trainer's folder, folders named by their steps, or a pattern of them."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..runs import CHECKPOINT_FILE, checkpoint_info
from .checkpoint import Checkpoint, CheckpointSource, Found, chosen, tokens_of
from .patterns import Named, Pattern, step_of

log = logging.getLogger(__name__)

TRAINER_STATE = "trainer_state.json"
"""What transformers.Trainer knows of itself, beside the weights."""
_STEP_AT_END = re.compile(r"(?:.*\D)?(\d+)")
_CALLED_A_STEP = re.compile(r"(?:.*(?:step|checkpoint|ckpt|iter)s?[-_]?)?(\d+)", re.IGNORECASE)
"""A folder that says by itself what its number is: gpt2 is no step 2."""


def local_series(source: CheckpointSource) -> Found:
    """The checkpoints of a folder that exists."""
    path = Path(source.path)
    if source.subfolder:
        return local_pattern(replace(source, path=str(path / source.subfolder), subfolder=None))
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
    if source.steps and len(found) == 1 and len(source.steps) == 1 and (path / "config.json").exists():
        (only,) = found.values()  # a folder that does not know its step is told it
        return [_checkpoint(Path(only.path), source, source.steps[0])], problems, []
    checkpoints, _, missing = chosen(found, source)
    return checkpoints, problems, missing


def local_pattern(source: CheckpointSource) -> Found:
    """The checkpoints whose folders are named by a pattern."""
    parts = Path(source.path).parts
    try:
        patterns = [Pattern(part) for part in parts]
    except ValueError as error:
        return [], [f"source={error}"], []
    if not any(patterns):
        return [], [f"subfolder: {source.path} must contain {{step}}, as in step_{{step}}"], []
    first = next(number for number, pattern in enumerate(patterns) if pattern)
    there: dict[int, Checkpoint] = {}
    problems = []
    for folder, named in _walk(Path(*parts[:first]) if first else Path(), patterns[first:], Named()):
        try:
            step = step_of(named, source.tokens_per_step)
        except ValueError as error:
            return [], [f"source={source.path}: {error}"], []
        if step in there:
            problems.append(f"source={source.path}: {there[step].path} and {folder} are both step {step}: name one")
        tokens = named.tokens if named.tokens is not None else tokens_of(step, source)
        there[step] = Checkpoint(step, str(folder), tokens=tokens)
    if not there:
        return [], [f"source={source.path} matches no folder with config.json"], []
    checkpoints, _, missing = chosen(there, source)
    return checkpoints, problems, missing


def _walk(folder: Path, patterns: list[Pattern], named: Named) -> Iterator[tuple[Path, Named]]:
    """Folders with a model below a folder whose path fits the patterns, part by part, and what the names say."""
    if not patterns:
        if (folder / "config.json").exists():
            yield folder, named
        return
    if not patterns[0]:
        yield from _walk(folder / patterns[0].template, patterns[1:], named)
        return
    for child in sorted(folder.iterdir()) if folder.is_dir() else []:
        found = patterns[0].match(child.name)
        if found is not None:
            yield from _walk(child, patterns[1:], named.joined(found))


def _folders(path: Path, source: CheckpointSource) -> Iterator[Checkpoint]:
    if (path / "config.json").exists():
        yield from _trainers_folder(path, source) or [_checkpoint(path, source)]
        return
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    for child in sorted(folder.iterdir()):
        found = _STEP_AT_END.fullmatch(child.name)
        if found and (child / "config.json").exists():
            own = (child / CHECKPOINT_FILE).exists()
            yield _checkpoint(child, source, None if own else int(found[1]))


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
        try:
            info = checkpoint_info(path)
            step, tokens = info["step"], info["tokens"]
        except (ValueError, KeyError) as error:  # the loader says it again, and records it as this checkpoint's fault
            log.warning("%s", error)
    if step is None:
        match = _CALLED_A_STEP.fullmatch(path.name)
        step = int(match[1]) if match else 0
    assert step is not None
    return Checkpoint(step, str(path), tokens=tokens_of(step, source) if tokens is None else tokens)
