"""What a report reads of a run's folder: rows, warnings, the configuration, the note, and whether the data is a toy."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from .findings import read_rows, read_warnings

FACTS = {
    "d_model": "width", "hidden_size": "width", "num_layers": "blocks", "n_layer": "blocks", "vocab_size": "vocabulary",
    "max_steps": "steps", "lr": "learning rate", "learning_rate": "learning rate", "batch_size": "batch size",
    "block_length": "block length", "alpha": "mixture α", "mix": "bilingual documents", "preset": "model",
    "seed_everything": "seed", "seed": "seed", "precision": "precision",
}  # fmt: skip
"""Keys of the configuration that are shown at a glance, wherever they stand in it, and what they are called there."""


@dataclass(frozen=True)
class Run:
    """A run as the report sees it."""

    name: str
    folder: Path
    rows: pa.Table
    warnings: dict[tuple[str, int], tuple[str, ...]]
    config: str
    note: str
    toy: str
    """Empty for real text, else what to say about toy data."""

    @property
    def digest(self) -> str:
        """First digits of the SHA-256 of the configuration."""
        return hashlib.sha256(self.config.encode()).hexdigest()[:12] if self.config else ""

    def facts(self) -> dict[str, str]:
        """The settings worth seeing first, by their name."""
        found: dict[str, str] = {}
        for key, value in _walk(_parsed(self.config)):
            if key in FACTS and isinstance(value, str | int | float) and FACTS[key] not in found:
                found[FACTS[key]] = f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
        return found


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders, with names that tell them apart.

    Raises:
        ValueError: no folder given, a folder does not exist, or it has no results.
    """
    if not folders:
        raise ValueError("runs: no run folder given: name at least one, for example `babelscope report runs/toy`")
    paths = [Path(folder).resolve() for folder in folders]
    for given, path in zip(folders, paths, strict=True):
        if not path.is_dir():
            raise ValueError(f"run={str(given)!r} is not a folder: give the folder that holds `results/`")
        if paths.count(path) > 1:
            raise ValueError(f"run={str(given)!r} is given twice: give each run once")
    runs = []
    for given, path, name in zip(folders, paths, _names(paths), strict=True):
        rows = read_rows(path / "results")
        if not rows.num_rows:
            raise ValueError(
                f"run={str(given)!r} has no results below {str(path / 'results')!r}: "
                "let `babelscope pretrain` or `babelscope analyze` write some first"
            )
        config = _text(path / "config.yaml")
        note = _note(path / "run.json")
        runs.append(Run(name, path, rows, read_warnings(path / "results"), config, note, toy_notice(config, path)))
    return runs


def toy_notice(config: str, folder: Path) -> str:
    """What a reader must know if the configuration, or the manifest of a store it names, says that the data is a toy."""
    settings = list(_walk(_parsed(config)))
    for _, value in list(settings):
        if isinstance(value, str) and 0 < len(value) < 1024 and "\n" not in value:
            for manifest in (folder / value / "manifest.json", Path(value) / "manifest.json"):
                if manifest.is_file():
                    settings += _walk(_parsed(_text(manifest)))
                    break
    if not any(value == "toy" or (key == "toy" and value) for key, value in settings):
        return ""
    mix = next((value for key, value in settings if key == "mix" and isinstance(value, int | float)), None)
    if mix == 0:
        return (
            "The text comes from a generated toy world without bilingual documents (mix 0): it is the negative control "
            "of the instruments and no evidence about natural languages."
        )
    share = "" if mix is None else f" (mix {mix:g})"
    return (
        f"The text comes from a generated toy world in which bilingual documents are built in{share}: what is seen here "
        "demonstrates the instruments and is no evidence about natural languages."
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that differ."""
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _note(path: Path) -> str:
    content = _parsed(_text(path))
    note = content.get("note") if isinstance(content, dict) else None
    return note if isinstance(note, str) else json.dumps(note, ensure_ascii=False) if note else ""


def _parsed(content: str) -> Any:
    """YAML (and so JSON) as plain data; what cannot be read is shown as it is and yields no facts."""
    try:
        return yaml.safe_load(content) if content else None
    except yaml.YAMLError:
        return None


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    """All (key, value) pairs of nested mappings and lists, outer ones first; items of a list have the list's key."""
    queue: list[tuple[str, Any]] = [("", value)]
    while queue:
        key, part = queue.pop(0)
        if isinstance(part, dict):
            queue += [(str(name), inner) for name, inner in part.items()]
            yield key, part
        elif isinstance(part, list):
            queue += [(key, inner) for inner in part]
        else:
            yield key, part
