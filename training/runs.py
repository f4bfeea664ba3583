"""A run's folder: where everything lies, and what a checkpoint says about itself."""

import json
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..analysis.atomic import write_text

log = logging.getLogger(__name__)

STEP_FOLDER = re.compile(r"step_(\d{8})")
CHECKPOINT_FILE = "babelscope.json"


@dataclass(frozen=True)
class RunFolder:
    """Paths below a run's folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def info(self) -> Path:
        """The run's id and note."""
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        """Scheduled weights in Hugging Face form, never pruned."""
        return self.path / "checkpoints"

    @property
    def resume(self) -> Path:
        """Rolling full training states."""
        return self.path / "resume"

    @property
    def results(self) -> Path:
        """What analyses found."""
        return self.path / "results"

    def checkpoint(self, step: int) -> Path:
        """The folder of one checkpoint."""
        return self.checkpoints / f"step_{step:08d}"

    def resume_state(self, step: int) -> Path:
        """The file of one resume state."""
        return self.resume / f"step_{step:08d}.ckpt"

    def checkpoint_steps(self) -> list[int]:
        """Steps of all whole checkpoints, ascending."""
        return [step for step, path in _numbered(self.checkpoints) if (path / CHECKPOINT_FILE).exists()]

    def resume_states(self) -> list[tuple[int, Path]]:
        """(step, path) of the resume states, newest first."""
        return sorted(_numbered(self.resume), reverse=True)

    def has_work(self) -> bool:
        """Whether a run has begun here."""
        folders = (self.checkpoints, self.resume, self.results)
        return any(folder.is_dir() and any(folder.iterdir()) for folder in folders)

    def settings(self) -> dict[str, Any]:
        """The resolved configuration; empty where there is none.

        Raises:
            ValueError: it is damaged.
        """
        if not self.config.exists():
            return {}
        return _mapping(self.config, yaml.safe_load, "put back the one that the run began with")

    def store(self) -> str | None:
        """The token store that the run reads, where it still is there.

        Raises:
            ValueError: the configuration is damaged.
        """
        path = (self.settings().get("data") or {}).get("store")
        return path if path is not None and Path(path).exists() else None

    def run_id(self, note: str | None = None) -> str:
        """The run's id, made on first use and kept for its life; loggers go on under it after a resume.

        Where the file that keeps it is damaged, a new one is made, with a warning.
        """
        if self.info.exists():
            try:
                return str(_mapping(self.info, json.loads, "")["id"])
            except (ValueError, KeyError) as error:
                log.warning("%s: the run has a new id, and loggers begin anew", str(error).rstrip(": "))
        self.path.mkdir(parents=True, exist_ok=True)
        info = {"id": secrets.token_hex(4), **({"note": note} if note else {})}
        write_text(self.info, json.dumps(info, indent=1) + "\n")
        return str(info["id"])


def checkpoint_info(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours says about itself: step, tokens, tokens per language, loss, attention kernel.

    Raises:
        ValueError: the file is damaged.
    """
    return _mapping(path / CHECKPOINT_FILE, json.loads, "take the checkpoint from a copy, or train that step again")


def _mapping(path: Path, parse: Callable[[str], Any], remedy: str) -> dict[str, Any]:
    """A file of ours that holds one mapping.

    Raises:
        ValueError: it does not; the message names it, and the remedy.
    """
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is damaged ({reason}): {remedy}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (it holds no mapping): {remedy}")
    return content


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(int(match[1]), path) for path in paths if (match := STEP_FOLDER.fullmatch(path.stem))]
