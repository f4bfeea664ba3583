"""A run's folder: where everything lies, and what a checkpoint says about itself."""

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.atomic import write_text

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

    def run_id(self, note: str | None = None) -> str:
        """The run's id, made on first use and kept for its life; loggers go on under it after a resume."""
        if not self.info.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            info = {"id": secrets.token_hex(4), **({"note": note} if note else {})}
            write_text(self.info, json.dumps(info, indent=1) + "\n")
        return str(json.loads(self.info.read_text(encoding="utf-8"))["id"])


def checkpoint_info(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours says about itself: step, tokens, tokens per language, loss."""
    return json.loads((path / CHECKPOINT_FILE).read_text(encoding="utf-8"))


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(int(match[1]), path) for path in paths if (match := STEP_FOLDER.fullmatch(path.stem))]
