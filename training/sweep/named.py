"""A series whose checkpoints are named one by one, with their steps: where no pattern fits."""

from collections.abc import Sequence
from pathlib import Path

from .checkpoint import Checkpoint, CheckpointSource, Found, chosen, tokens_of
from .hub import CheckpointMissing
from .patterns import nearest
from .repositories import Listing, is_repository


def named_series(source: CheckpointSource, listing: Listing | None) -> Found:
    """The checkpoints of a source that are listed by name: folders, or revisions or folders of a repository."""
    entries = source.checkpoints or {}
    there: dict[int, Checkpoint] = {}
    problems, missing = [], []
    if not entries:
        problems.append(f"checkpoints is empty for {source.path}: give each its step, or leave it out")
    local = Path(source.path)
    if local.exists():
        folders = _folders(local)
        places = {name: Checkpoint(0, str(local / name)) for name in entries if str(Path(name)) in folders}
        known: Sequence[str] = folders
    elif not is_repository(source.path):
        return [], [f"source={source.path} is neither a folder that exists nor a repository's name (owner/name)"], []
    else:
        places, known = _remote(source, listing)
    for name, point in entries.items():
        if name not in places:
            near = ", ".join(nearest(name, known)) or "nothing"
            missing.append(
                f"checkpoints has {name}, which is not in {source.path}; nearest of {len(known)} names: {near}"
            )
            continue
        tokens = point.tokens if point.tokens is not None else tokens_of(point.step, source)
        place = places[name]
        made = Checkpoint(point.step, place.path, place.revision, place.subfolder, tokens)
        if point.step in there:
            problems.append(f"checkpoints: {there[point.step]} and {made} are both step {point.step}: correct one")
        there[point.step] = made
    found, _, absent = chosen(there, source) if there else ([], [], [])
    return found, problems, [*missing, *absent]


def _folders(path: Path) -> list[str]:
    """Folders with a model, the path itself and two levels below it."""
    found = [file.parent for pattern in ("", "*/", "*/*/") for file in path.glob(f"{pattern}config.json")]
    return sorted(str(folder.relative_to(path)) for folder in found)


def _remote(source: CheckpointSource, listing: Listing | None) -> tuple[dict[str, Checkpoint], list[str]]:
    """Where each name is in a repository, and all names that it has: revisions first, then folders."""
    entries, repo, revision = source.checkpoints or {}, source.path, source.revision or "main"
    if listing is None:
        return {name: Checkpoint(0, repo, name) for name in entries}, []
    revisions = listing.revisions(repo)
    places = {name: Checkpoint(0, repo, name) for name in entries if name in revisions}
    if len(places) == len(entries):
        return places, revisions
    try:
        folders = listing.folders(repo, revision)
    except CheckpointMissing:  # no such revision: then there are no folders
        folders = []
    inside = {name: Checkpoint(0, repo, revision, name) for name in entries if name in folders}
    return {**inside, **places}, [*revisions, *folders]
