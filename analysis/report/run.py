"""What a report reads of a run's folder: rows, warnings, configuration, note, and whether the data is a toy."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from ..figures.sound import unsound_of
from ..findings import read_rows, read_warnings
from ..health.resolution import Resolution
from ..integrity import ASIDE
from .progress import progress_of
from .resolution import resolution_of_rows

FACTS = {
    "d_model": "width", "hidden_size": "width", "num_layers": "blocks", "n_layer": "blocks", "vocab_size": "vocabulary",
    "max_steps": "planned steps", "lr": "learning rate", "learning_rate": "learning rate", "batch_size": "batch size",
    "global_batch_size": "batch size", "store": "data",
    "block_length": "block length", "alpha": "mixture α", "mix": "bilingual documents", "preset": "model",
    "seed_everything": "seed", "seed": "seed", "precision": "precision",
}  # fmt: skip
"""Keys of the configuration that are shown at a glance, wherever they stand in it, and what they are called there."""


MOST_NAMED = 8
"""Checkpoints that are not sound and that are named up front."""


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
    unsound: dict[int, str]
    """Steps whose checkpoint is not sound, with the reason."""
    progress: str
    """How far the run or sweep has come, if it is not done; else empty."""
    resolution: Resolution | None
    """What its checkpoints leave out of sight; None where they begin with the untrained model."""

    left_out: str = ""
    """What of the text could not be used."""
    damaged: tuple[str, ...] = ()
    """Files of results that were set aside."""

    @property
    def notices(self) -> list[str]:
        """What a reader must know before looking at any figure."""
        found = [self.note, self.toy, self.progress, str(self.resolution or "")]
        if self.damaged:
            found.append(f"Damaged files were set aside, and are not in what follows: {', '.join(self.damaged)}.")
        if self.unsound:
            named = "; ".join(f"step {step:,} ({reason})" for step, reason in list(self.unsound.items())[:MOST_NAMED])
            more = f"; and {len(self.unsound) - MOST_NAMED} more" if len(self.unsound) > MOST_NAMED else ""
            found.append(
                f"Not sound, by the health check: {named}{more}. Curves show these checkpoints as hollow points that no "
                "line joins; maps, stacked shares, sliders and the key figures leave them out."
            )
        return [said for said in found if said]

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
        runs.append(
            Run(
                name=name,
                folder=path,
                rows=rows,
                warnings=read_warnings(path / "results"),
                config=config,
                note=note,
                toy=toy_notice(config, path),
                left_out=left_out_notice(config, path),
                unsound=unsound_of(rows),
                progress=progress_of(path, rows, _parsed(config)),
                resolution=resolution_of_rows(rows),
                damaged=tuple(
                    f"{file.parent.name}/{file.name.removesuffix(ASIDE)}"
                    for file in sorted((path / "results").glob(f"*/*.parquet{ASIDE}"))
                ),
            )
        )
    return runs


def toy_notice(config: str, folder: Path) -> str:
    """What a reader must know if the configuration, or the manifest of a store it names, says the data is a toy.

    A relative path of a store is looked for from the working folder, the run's folder, and those above it.
    """
    settings = list(_walk(_parsed(config)))
    for manifest in _manifests(config, folder):
        settings += _walk(manifest)
    # `model.preset: toy` is a small model, whatever it reads.
    if not any((key == "toy" and value) or (key in ("kind", "source") and value == "toy") for key, value in settings):
        return ""
    mix = next((value for key, value in settings if key == "mix" and isinstance(value, int | float)), None)
    if mix == 0:
        return (
            "The text comes from a generated toy world without bilingual documents (mix 0): it is the "
            "negative control of the instruments and no evidence about natural languages."
        )
    share = "" if mix is None else f" (mix {mix:g})"
    return (
        f"The text comes from a generated toy world in which bilingual documents are built in{share}: what is seen here "
        "demonstrates the instruments and is no evidence about natural languages."
    )


def left_out_notice(config: str, folder: Path) -> str:
    """How many documents of the stores that a configuration names could not be used, by reason and language."""
    counts: dict[str, dict[str, int]] = {}
    for manifest in _manifests(config, folder):
        languages = manifest.get("languages") if isinstance(manifest, dict) else None
        for language, entry in (languages if isinstance(languages, dict) else {}).items():
            problems = entry.get("problems") if isinstance(entry, dict) else None
            for reason, count in (problems if isinstance(problems, dict) else {}).items():
                if isinstance(count, int) and count:
                    counts.setdefault(reason, {})[str(language)] = count
    said = []
    for reason, by_language in counts.items():
        most = sorted(by_language.items(), key=lambda entry: -entry[1])
        named = ", ".join(f"{language} {count:,}" for language, count in most[:MOST_NAMED])
        more = f" and {len(most) - MOST_NAMED} more" if len(most) > MOST_NAMED else ""
        said.append(f"{reason.replace('_', ' ')}: {named}{more}")
    return f"Documents that the store leaves out: {'; '.join(said)}." if said else ""


def _manifests(config: str, folder: Path) -> Iterator[Any]:
    """The manifests of the stores that a configuration names."""
    for key, value in _walk(_parsed(config)):
        if key == "store" and isinstance(value, str):
            places = [Path(value), *(parent / value for parent in (folder, *folder.parents))]
            manifest = next((place / "manifest.json" for place in places if (place / "manifest.json").is_file()), None)
            if manifest is not None:
                yield _parsed(_text(manifest))


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
