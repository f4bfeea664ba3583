"""Which checkpoints a series has: folders, a Babelscope run, revisions or subfolders of repositories, or several."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import OfflineModeIsEnabled

from .checkpoint import Checkpoint, CheckpointSource, Found, Phase, Point
from .folders import local_pattern, local_series
from .named import named_series
from .phases import series_in_phases
from .repositories import Listing, is_repository, repository_series

__all__ = ["Checkpoint", "CheckpointSource", "Phase", "Point", "find_series"]


def find_series(
    sources: Sequence[CheckpointSource], skip_missing: bool = False, listing: Listing | None = None
) -> Found:
    """The checkpoints of all sources, ascending by step.

    Args:
        listing: what tells the names that a repository has, for patterns and for steps that are not listed.

    Returns:
        The checkpoints, what is wrong with the request, and what is missing (among the problems unless skipped).
    """
    found: list[Checkpoint] = []
    problems: list[str] = []
    missing: list[str] = []
    for source in sources:
        checkpoints, wrong, absent = _of_source(source, listing)
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


def _of_source(source: CheckpointSource, listing: Listing | None) -> Found:
    contradiction = _contradiction(source)
    if contradiction is not None:
        return [], [contradiction], []
    try:
        if source.phases is not None:
            return series_in_phases(source, lambda phase: _plain(phase, listing))
        if source.checkpoints is not None:
            return named_series(source, listing)
        return _plain(source, listing)
    except OfflineModeIsEnabled:
        problem = (
            f"source={source.path}: no such folder here, and HF_HUB_OFFLINE is set, so that a repository's names can't be "
            "read: correct the path, or list the steps"
        )
        return [], [problem], []


def _contradiction(source: CheckpointSource) -> str | None:
    """What of a source does not go together."""
    given = [name for name in ("phases", "checkpoints", "revision", "subfolder") if getattr(source, name) is not None]
    if given == ["checkpoints", "revision"] and not _is_pattern(source.revision):
        given.remove("revision")  # the one in which the folders are
    if ("phases" in given or "checkpoints" in given) and len(given) > 1:
        return f"source={source.path} has {' and '.join(given)}: keep one of them, as each names the checkpoints"
    if not Path(source.path).exists():
        return None
    if any(phase.revision for phase in source.phases or ()):
        return f"phases of source={source.path} name revisions, and it is a folder here: give them as subfolder"
    if source.revision is not None and source.checkpoints is None:
        return (
            f"source={source.path} is a folder here, which has no revisions: leave revision={source.revision} out, or say how "
            "the folders are called by subfolder"
        )
    return None


def _plain(source: CheckpointSource, listing: Listing | None) -> Found:
    """The series of a source with one pattern, or none."""
    if Path(source.path).exists():
        return local_series(source)
    # A pattern of folders, or of repositories: what exists decides.
    if _is_pattern(source.path):
        local = local_pattern(source)
        if local[0] or not is_repository(source.path):
            return local
    return repository_series(source, listing)


def _is_pattern(name: str | None) -> bool:
    return name is not None and ("{" in name or "*" in name)


def names_not_understood(source: CheckpointSource, series: Sequence[Checkpoint], listing: Listing) -> list[str]:
    """Names of a repository that the series does not have."""
    if not series or not series[0].remote:
        return []
    by_folder = _is_pattern(source.subfolder) or any(phase.subfolder for phase in source.phases or ())
    by_folder = by_folder or (source.checkpoints is not None and any(point.subfolder for point in series))
    known = {checkpoint.subfolder if by_folder else checkpoint.revision for checkpoint in series}
    repo, revision = series[0].path, series[0].revision or "main"
    return [
        name
        for name in (listing.folders(repo, revision) if by_folder else listing.revisions(repo))
        if name not in known
    ]
