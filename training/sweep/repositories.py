"""The checkpoints of a repository: filled in from steps, or matched with the revisions and folders that it has."""

from typing import Protocol

from .checkpoint import Checkpoint, CheckpointSource, Found, chosen, tokens_of
from .patterns import FIELDS, Pattern, step_of

DEFAULT_REVISION = "global_step{step}"


class Listing(Protocol):
    """What tells the names that a repository has."""

    def revisions(self, repo: str) -> list[str]:
        """Its branches and tags."""

    def folders(self, repo: str, revision: str) -> list[str]:
        """The folders of a revision that hold a model."""


def is_repository(name: str) -> bool:
    """Whether a name can be that of a repository."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))


def repository_series(source: CheckpointSource, listing: Listing | None) -> Found:
    """The checkpoints of a repository, or of one repository a step, and what is wrong with the request."""
    try:
        path, subfolder = Pattern(source.path), Pattern(source.subfolder or "")
        revision = Pattern(source.revision or ("main" if path or subfolder else DEFAULT_REVISION))
    except ValueError as error:
        return [], [f"source: {error}"], []
    problems = []
    if not is_repository(source.path):
        problems.append(f"source={source.path} is neither a folder that exists nor a repository's name (owner/name)")
    if not (path or subfolder or revision) and len(source.steps or ()) > 1:
        problems.append(f"revision={revision.template!r}: it must contain {{step}}, as in {DEFAULT_REVISION}")
    if problems:
        return [], problems, []
    if source.steps:
        names = [[part.fill(step) for part in (path, revision, subfolder)] for step in sorted(set(source.steps))]
        if all(name is not None for row in names for name in row):
            filled = zip(sorted(set(source.steps)), names, strict=True)
            return (
                [
                    Checkpoint(step, str(at), rev, sub or None, tokens_of(step, source))
                    for step, (at, rev, sub) in filled
                ],
                [],
                [],
            )
    if path:
        return [], [f"source={source.path}: list the steps, as the repositories of an owner are not searched"], []
    if listing is None or not (revision or subfolder):
        return [], [f"steps is not set: list the steps of {source.path} to analyse"], []
    return _matched(source, revision, subfolder, listing)


def _matched(source: CheckpointSource, revision: Pattern, subfolder: Pattern, listing: Listing) -> Found:
    """The checkpoints whose names a repository has."""
    if revision and subfolder:
        return [], [f"revision={revision.template} and subfolder={subfolder.template}: only one can be a pattern"], []
    field, pattern = ("revision", revision) if revision else ("subfolder", subfolder)
    names = listing.revisions(source.path) if revision else listing.folders(source.path, revision.template)
    found: dict[int, Checkpoint] = {}
    problems = []
    for name in names:
        said = pattern.match(name)
        if said is None:
            continue
        try:
            step = step_of(said, source.tokens_per_step)
        except ValueError as error:
            return [], [f"{field}={pattern.template}: {error}"], []
        rev, sub = (name, source.subfolder) if revision else (revision.template, name)
        made = Checkpoint(
            step, source.path, rev, sub, said.tokens if said.tokens is not None else tokens_of(step, source)
        )
        if step in found:
            problems.append(
                f"{field}={pattern.template}: {found[step]} and {made} are both step {step}; narrow the pattern"
            )
        found[step] = made
    if not found:
        near = ", ".join(pattern.nearest(names)) or "nothing"
        return (
            [],
            [
                f"{field}={pattern.template} matches none of {len(names)} names in {source.path}; nearest: {near}. A pattern "
                f"has {FIELDS}"
            ],
            [],
        )
    checkpoints, _, missing = chosen(found, source)
    return checkpoints, problems, missing
