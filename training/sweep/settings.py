"""What a sweep was asked for, kept beside its results: a changed configuration is named instead of mixed in."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...analysis.atomic import write_text
from ...analysis.failures import failure_of
from ...analysis.findings import Findings, find_findings, result_steps
from ..callbacks.base import AnalysisCallback
from ..runs import RunFolder
from .trained import callbacks_of

SWEEP_FILE = "sweep.json"
_ABSENT = "not set"

# They decide how the work is done, not what comes out.
_NEUTRAL = frozenset({"schedule", "results", "batch_tokens", "memory_gb", "ready"})


def described(callback: AnalysisCallback) -> dict[str, Any]:
    """The settings of a callback by the names that they have in its configuration, and its token store."""
    own = {name: value for name, value in vars(callback).items() if not name.startswith("_") and name != "settings"}
    both = _flat({**own, **callback.settings.as_arguments()})
    return {name: both[name] for name in sorted(both) if name not in _NEUTRAL}


def changes(folder: RunFolder, common: Mapping[str, Any], callbacks: Sequence[AnalysisCallback]) -> list[str]:
    """What is otherwise than when the results in a folder were begun, by a sweep or in training; one problem a setting.

    Raises:
        ValueError: the configuration of the run that was trained there is damaged.
    """
    path = folder.path / SWEEP_FILE
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"common": {}, "analyses": {}}
    remedy = "set again: true to replace the results, or name another run"
    # What stopped before its first result left nothing to be mixed with.
    begun = any(result_steps(folder.results, name) for name in before["analyses"])
    found = [
        f"{name} was {old} and is {new} since this sweep began: {remedy}"
        for name, old, new in (_differences(before["common"], _plain(dict(common))) if begun else ())
    ]
    with_results = [callback for callback in callbacks if result_steps(folder.results, callback.name)]
    trained = {}
    if any(callback.name not in before["analyses"] for callback in with_results):
        for callback in callbacks_of(folder) or []:
            callback.store = callback.store or folder.store()
            trained[callback.name] = _plain(described(callback))
    for callback in with_results:
        was = before["analyses"].get(callback.name) or trained.get(callback.name)
        if was is not None:
            found += [
                f"{type(callback).__name__}.{name} was {old} and is {new} since its results were begun: {remedy}"
                for name, old, new in _differences(was, _plain(described(callback)))
            ]
    return found


def remember(
    folder: Path, common: Mapping[str, Any], callbacks: Sequence[AnalysisCallback], steps: Iterable[int]
) -> None:
    """Keep what the sweep was asked for; analyses and steps of earlier sweeps in the same folder stay known."""
    path = folder / SWEEP_FILE
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"analyses": {}, "steps": []}
    content = {
        "common": dict(common),
        "analyses": {**before["analyses"], **{callback.name: described(callback) for callback in callbacks}},
        "steps": sorted({*before["steps"], *steps}),
    }
    write_text(path, json.dumps(content, indent=1, sort_keys=True, default=str))


def other_settings(findings: Findings, results: Path) -> list[str]:
    """How the settings of findings differ from those of other steps: where a file changed under the same name."""
    for step in result_steps(results, findings.analysis):
        before = None if step == findings.step else find_findings(results, findings.analysis, step)
        if before is not None and failure_of(before) is None:
            return [
                f"{name} was {old} at step {step} and is {new}"
                for name, old, new in _differences(_flat(before.settings), _flat(_plain(dict(findings.settings))))
            ]
    return []


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for name in sorted({*before, *now}):
        old, new = before.get(name, _ABSENT), now.get(name, _ABSENT)
        if old != new:
            yield name, old, new


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from JSON."""
    return json.loads(json.dumps(values, default=str))
