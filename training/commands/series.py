"""`babelscope series`: which checkpoints a run, a folder or a repository has, before anything is analysed."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from inspect import signature
from pathlib import Path

import yaml

from ...analysis.health.resolution import resolution_of
from ...analysis.numbers import short
from ..errors import raise_if
from ..sweep.hub import CheckpointMissing, Hub
from ..sweep.series import Checkpoint, CheckpointSource, Phase, Point, find_series, names_not_understood
from .parsing import parsed

_SHOWN = 8


def series(
    source: str,
    steps: list[int] | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    tokens_per_step: int | None = None,
    tokens_at: dict[int, int] | None = None,
    phases: list[Phase] | None = None,
    checkpoints: dict[str, Point] | None = None,
    as_json: bool = False,
) -> str:
    """List the checkpoints of a run, a folder or a repository: step, tokens, size, and where it is.

    Args:
        source: a Babelscope run, a folder of checkpoints, a Trainer's folder, a repository's name, a pattern of
            folders, or a configuration of `babelscope analyze` (.yaml), whose series it is.
        steps: only these steps.
        revision: how a repository names the revision of a step: a pattern with {step}, {step:07d} (filled with zeros),
            {tokens} (with a unit, 210B), {index} or *; global_step{step} by default.
        subfolder: how the folder of a step inside the source is named, a pattern as well.
        tokens_per_step: training tokens per step, where names do not say.
        tokens_at: training tokens until a step, for steps that tokens_per_step does not fit.
        phases: the patterns of phases whose steps restart, in their order: [{revision: …}, {revision: …, after: previous}].
        checkpoints: revision or folder -> step and tokens, where no pattern fits.
        as_json: one JSON object a checkpoint; `resolution` says what the series leaves out of sight.

    Returns:
        What is printed.

    Raises:
        ConfigError: there is no such series, with the names that are there.
    """
    asked = CheckpointSource(source, steps, revision, subfolder, tokens_per_step, tokens_at, phases, checkpoints)
    hub = Hub(None, attempts=3)
    try:
        found, problems, _ = find_series([asked], listing=hub)
        raise_if(problems)
        strange = names_not_understood(asked, found, hub) if steps is None else []
    except CheckpointMissing as error:
        raise_if([f"source: no such folder here, and on the hub: {error}"])
        raise AssertionError from error
    if as_json:
        resolution = resolution_of((checkpoint.step, checkpoint.tokens) for checkpoint in found)
        said = {"resolution": None if resolution is None else str(resolution)}
        return "\n".join(json.dumps({**asdict(point), "bytes": size_of(point), **said}) for point in found)
    return table(found, strange)


def size_of(checkpoint: Checkpoint) -> int | None:
    """Bytes of a folder's files; None for what is in a repository."""
    if checkpoint.remote:
        return None
    return sum(path.stat().st_size for path in Path(checkpoint.path).iterdir() if path.is_file())


def table(found: Sequence[Checkpoint], strange: Sequence[str]) -> str:
    """A line a checkpoint, what cannot be seen before the first one, and the names that were not understood."""
    rows = [("step", "tokens", "size", "where")]
    for checkpoint in found:
        size = size_of(checkpoint)
        where = str(checkpoint)
        rows.append(
            (
                f"{checkpoint.step:,}",
                "-" if checkpoint.tokens is None else short(checkpoint.tokens),
                "-" if size is None else f"{size / 1e9:.2f} GB",
                where,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    said = [f"{len(found)} checkpoint{'s' * (len(found) != 1)}."]
    if all(checkpoint.tokens is None for checkpoint in found):
        said.append("How many tokens they were trained on is not said: set tokens_per_step.")
    resolution = resolution_of((checkpoint.step, checkpoint.tokens) for checkpoint in found)
    if resolution is not None:
        said.append(str(resolution))
    lines.append("\n" + " ".join(said))
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        lines.append(f"Not understood: {', '.join(strange[:_SHOWN])}{more}")
    return "\n".join(lines)


def of_configuration(path: Path) -> list[str]:
    """The words that name the series of a configuration of `babelscope analyze`.

    Raises:
        ConfigError: it has no single source.
    """
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    source = settings.get("source") if isinstance(settings, dict) else None
    if not isinstance(source, str):
        raise_if([f"source={path}: a configuration with one source is wanted, and it has {source!r}; name a source"])
    given = {name: settings[name] for name in signature(series).parameters if name in settings and name != "source"}
    words = [str(source)]
    for name, value in given.items():
        plain = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
        words += [f"--{name}", value if isinstance(value, str) else plain]
    return words


def run(arguments: list[str]) -> int:
    """The command."""
    words = [
        "--as_json" + word.removeprefix("--json") if word.split("=")[0] == "--json" else word for word in arguments
    ]
    if words and words[0].endswith((".yaml", ".yml")) and Path(words[0]).is_file():
        words[:1] = of_configuration(Path(words[0]))
    print(series(**parsed("series", series, words, positional=True)))
    return 0
