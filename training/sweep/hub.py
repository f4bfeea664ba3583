"""Checkpoints of repositories: fetched, resumed, kept as long as they are needed, and told apart from the user's own.

What is fetched for a sweep lies below the sweep's own folder and is removed after use; a single model goes to the user's
cache and stays. A checkpoint that the user's cache holds whole is read from there and never touched.
"""

import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import ConfigError
from .checkpoint import MOST_LISTED, Checkpoint
from .patterns import nearest

log = logging.getLogger(__name__)

SMALL_FILES = (
    "config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*",
    "merges.txt", "*.model",
)  # fmt: skip
FORMS = (
    ("model.safetensors", None),
    (None, "model.safetensors.index.json"),
    ("pytorch_model.bin", None),
    (None, "pytorch_model.bin.index.json"),
)
"""Files of weights: one, or an index that names the parts; safetensors first."""

CLIENT_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""What the hub library's HTTP client raises where there is no answer; it is not an OSError, and the client has changed."""

Result = TypeVar("Result")


class CheckpointMissing(Exception):
    """A checkpoint is not there, or not whole; the message says what is there instead."""


class Hub:
    """Fetches checkpoints.

    Args:
        folder: where they are put; any number of processes may share it as long as each fetches others. None for the
            user's own cache, where nothing can be released.
        attempts: how often a request that fails on its way is made.
        wait: seconds before the second attempt; doubled each time, half a minute at most.
    """

    def __init__(self, folder: Path | None, attempts: int = 6, wait: float = 1.0) -> None:
        self.folder, self.attempts, self.wait = folder, attempts, wait
        self._revisions: dict[str, list[str]] = {}
        self._folders: dict[tuple[str, str], list[str]] = {}
        self._closing = threading.Event()

    def missing(self, series: Iterable[Checkpoint]) -> dict[Checkpoint, str]:
        """Checkpoints whose revision or folder their repository lacks, each with what it has instead.

        One request a repository, and one for folders where all are in one revision. Offline nothing is known to be
        missing.
        """
        found = {}
        series = list(series)
        of_folders = {(checkpoint.path, checkpoint.revision) for checkpoint in series if checkpoint.subfolder}
        for checkpoint in series:
            try:
                there = self.revisions(checkpoint.path)
            except OfflineModeIsEnabled:
                continue
            except CheckpointMissing as error:
                found[checkpoint] = str(error)
                continue
            if checkpoint.revision not in there and not _is_commit(checkpoint.revision or ""):
                found[checkpoint] = (
                    f"{checkpoint}: no such revision; {_nearest(checkpoint, checkpoint.revision, there)}"
                )
            elif checkpoint.subfolder and len(of_folders) == 1:
                folders = self.folders(checkpoint.path, checkpoint.revision or "main")
                if checkpoint.subfolder not in folders:
                    has = _nearest(checkpoint, checkpoint.subfolder, folders)
                    found[checkpoint] = f"{checkpoint}: no such folder with a config.json; {has}"
        return found

    def revisions(self, repo: str) -> list[str]:
        """Branches and tags of a repository, in the order of the numbers in them.

        Raises:
            CheckpointMissing: there is no such repository, or it can't be reached.
        """
        if repo not in self._revisions:
            refs = self._again(f"the revisions of {repo}", lambda: HfApi().list_repo_refs(repo), repo)
            self._revisions[repo] = sorted({ref.name for ref in (*refs.branches, *refs.tags)}, key=_by_number)
        return self._revisions[repo]

    def folders(self, repo: str, revision: str) -> list[str]:
        """Folders of a revision that hold a config.json, in the order of the numbers in their names.

        Raises:
            CheckpointMissing: there is no such repository or revision, or it can't be reached.
        """
        if (repo, revision) not in self._folders:
            info = self._again(f"the files of {repo}", lambda: HfApi().model_info(repo, revision=revision), repo)
            names = [entry.rfilename for entry in info.siblings or ()]
            found = {name.rsplit("/", 1)[0] for name in names if name.endswith("/config.json")}
            self._folders[repo, revision] = sorted(found, key=_by_number)
        return self._folders[repo, revision]

    def fetch(self, checkpoint: Checkpoint) -> Path:
        """A folder that holds the whole checkpoint: the user's own, or one below ours.

        Raises:
            CheckpointMissing: it is not there, or half there, or can't be reached.
        """
        if not checkpoint.remote:
            return Path(checkpoint.path)
        repo, inside = checkpoint.path, f"{checkpoint.subfolder}/" if checkpoint.subfolder else ""
        try:
            info = self._again(str(checkpoint), lambda: HfApi().model_info(repo, revision=checkpoint.revision), repo)
        except OfflineModeIsEnabled:
            return self._offline(checkpoint)
        commit, names = str(info.sha), [entry.rfilename for entry in info.siblings or ()]
        here = [name.removeprefix(inside) for name in names if name.startswith(inside)]
        if "config.json" not in here:
            folders = sorted({name.split("/")[0] for name in names if "/" in name}, key=_by_number)
            raise CheckpointMissing(f"{checkpoint} has no config.json; the repository has {_listed(folders or names)}")

        def get(name: str) -> Path:
            own = try_to_load_from_cache(repo, inside + name, revision=commit)
            if isinstance(own, str):
                return Path(own)
            fetch = lambda: hf_hub_download(repo, inside + name, revision=commit, local_dir=target)  # noqa: E731
            return Path(self._again(f"{name} of {checkpoint}", fetch, repo))

        target = None if self.folder is None else self.folder_of(checkpoint)
        weights = _weights(checkpoint, here, get)
        wanted = [name for name in here if any(fnmatch(name, pattern) for pattern in SMALL_FILES)] + weights
        paths = [get(name) for name in wanted]
        if target is None or all(path.parent == paths[0].parent for path in paths):
            return paths[0].parent
        # Some in the user's cache, some fetched: one folder shows them all.
        for path in paths:
            link = target / inside / path.name
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())
        return target / inside

    def release(self, checkpoint: Checkpoint) -> None:
        """Remove what was fetched of a checkpoint; what the user had stays."""
        shutil.rmtree(self.folder_of(checkpoint), ignore_errors=True)

    def close(self) -> None:
        """Let a fetch that is under way try no further."""
        self._closing.set()

    def folder_of(self, checkpoint: Checkpoint) -> Path:
        """Where a checkpoint is put when it is fetched."""
        assert self.folder is not None, "the user's cache is not ours to name or to clear"
        name = "--".join(part.replace("/", "--") for part in (checkpoint.path, checkpoint.revision or "main"))
        return self.folder / (f"{name}--{checkpoint.subfolder.replace('/', '--')}" if checkpoint.subfolder else name)

    def _offline(self, checkpoint: Checkpoint) -> Path:
        try:
            folder = Path(snapshot_download(checkpoint.path, revision=checkpoint.revision, local_files_only=True))
        except (LocalEntryNotFoundError, FileNotFoundError) as error:
            raise CheckpointMissing(f"{checkpoint} is not in the local cache, and HF_HUB_OFFLINE is set") from error
        folder = folder / (checkpoint.subfolder or "")
        names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
        _weights(checkpoint, names, lambda name: folder / name)
        return folder

    def _again(self, what: str, request: Callable[[], Result], repo: str) -> Result:
        """Make a request, again after a while where it failed on its way."""
        for attempt in range(1, self.attempts + 1):
            try:
                return request()
            except OfflineModeIsEnabled:
                raise
            except RevisionNotFoundError as error:
                raise CheckpointMissing(f"{what}: no such revision; {self._what_is_there(repo)}") from error
            except (GatedRepoError, RepositoryNotFoundError) as error:
                raise CheckpointMissing(
                    f"{what}: no repository {repo}, or no access to it (a gated one needs HF_TOKEN)"
                ) from error
            except LocalEntryNotFoundError as error:  # how the hub's client calls a failed connection
                reason: Exception = error
            except EntryNotFoundError as error:
                raise CheckpointMissing(f"{what} is not there; {self._what_is_there(repo)}") from error
            except (CLIENT_ERROR, OSError) as error:
                status = getattr(getattr(error, "response", None), "status_code", None)
                if status is not None and status < 500 and status not in (408, 429):
                    raise CheckpointMissing(f"{what}: the hub answers {status} ({_first_line(error)})") from error
                if isinstance(error, OSError) and error.errno == 28:
                    raise
                reason = error
            if attempt == self.attempts:
                raise CheckpointMissing(f"{what}: not reached in {attempt} attempts ({_first_line(reason)})")
            wait = min(30.0, self.wait * 2 ** (attempt - 1))
            log.warning("%s failed (%s): again in %.0f s", what, _first_line(reason), wait)
            if self._closing.wait(wait):
                raise CheckpointMissing(f"{what}: given up, as the sweep ends")
        raise AssertionError("no attempt was made")

    def _what_is_there(self, repo: str) -> str:
        try:
            return f"{repo} has {_listed(self.revisions(repo))}"
        except (CheckpointMissing, OfflineModeIsEnabled):
            return f"the revisions of {repo} can't be listed"


def repository(name: str) -> Checkpoint | None:
    """A single model by its name on the hub, owner/name or owner/name@revision; None for what can be no such name."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@(.+))?", name)
    return None if found is None else Checkpoint(0, found[1], found[2] or "main")


def local_copy(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as a folder of this machine, fetched to the user's cache if it has to be.

    Raises:
        ConfigError: it is not there, or can't be reached.
    """
    try:
        return replace(checkpoint, path=str(Hub(None, attempts=3).fetch(checkpoint)), revision=None)
    except CheckpointMissing as error:
        raise ConfigError([f"model: no folder here, and on the hub: {error}"]) from error


def _weights(checkpoint: Checkpoint, names: Sequence[str], get: Callable[[str], Path]) -> list[str]:
    """The files of a checkpoint's weights, all of which must be there."""
    for single, index in FORMS:
        if single in names:
            return [str(single)]
        if index in names:
            assert index is not None
            parts = sorted(set(json.loads(get(index).read_text(encoding="utf-8"))["weight_map"].values()))
            absent = [part for part in parts if part not in names]
            if absent:
                raise CheckpointMissing(f"{checkpoint} is half there: {_listed(absent)} of {len(parts)} is missing")
            return [index, *parts]
    raise CheckpointMissing(f"{checkpoint} has no weights; it has {_listed(list(names))}")


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(letter in "0123456789abcdef" for letter in revision)


def _by_number(name: str) -> tuple[Any, ...]:
    digits = "".join(letter for letter in name if letter.isdigit())
    return (not digits, int(digits) if digits else 0, name)


def _nearest(checkpoint: Checkpoint, wanted: str | None, names: Sequence[str]) -> str:
    """What a repository has instead: all of it where that is little."""
    if len(names) <= MOST_LISTED:
        return f"{checkpoint.path} has {_listed(names)}"
    return f"the nearest of the {len(names)} in {checkpoint.path} are {', '.join(nearest(wanted or 'main', names))}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(names[:40]) + more if names else "nothing"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:160]
