"""Which checkpoints a series has: folders, a Babelscope run, revisions or subfolders of repositories, or several."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub.errors import OfflineModeIsEnabled

from .checkpoint import Checkpoint, CheckpointSource
from .folders import Found, local_pattern, local_series
from .patterns import Pattern
from .repositories import Listing, is_repository, repository_series

__all__ = ["Checkpoint", "CheckpointSource", "find_series"]


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
    if Path(source.path).exists():
        return local_series(source)
    # A pattern of folders, or of repositories: what exists decides.
    if "{" in source.path or "*" in source.path:
        local = local_pattern(source)
        if local[0] or not is_repository(source.path):
            return local
    try:
        checkpoints, problems = repository_series(source, listing)
    except OfflineModeIsEnabled:
        problem = (
            f"source={source.path}: no such folder here, and HF_HUB_OFFLINE is set, so that a repository's names can't be "
            "read: correct the path, or list the steps"
        )
        return [], [problem], []
    return checkpoints, problems, []


def names_not_understood(source: CheckpointSource, series: Sequence[Checkpoint], listing: Listing) -> list[str]:
    """Names of a repository that the series does not have."""
    if not series or not series[0].remote:
        return []
    known = {checkpoint.subfolder if Pattern(source.subfolder or "") else checkpoint.revision for checkpoint in series}
    repo, revision = series[0].path, series[0].revision or "main"
    names = listing.folders(repo, revision) if Pattern(source.subfolder or "") else listing.revisions(repo)
    return [name for name in names if name not in known]
