"""How far a run or a sweep has come, for a report that is made before it is done."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from .figures_data import steps_of
from .findings import result_steps

MOST_NAMED = 5


def progress_of(folder: Path, rows: pa.Table, config: Any) -> str:
    """One sentence on what is still to come; empty where nothing is, as far as the folder tells."""
    sweep = folder / "sweep.json"
    if sweep.is_file():
        return _of_sweep(folder, json.loads(sweep.read_text(encoding="utf-8")))
    trainer = config.get("trainer") if isinstance(config, dict) else None
    planned = trainer.get("max_steps") if isinstance(trainer, dict) else None
    last = steps_of(rows)[-1]
    if isinstance(planned, int) and last < planned:
        return (
            f"Not done yet: training has come to step {last:,} of {planned:,}. What is shown is what there was by then."
        )
    return ""


def _of_sweep(folder: Path, sweep: Mapping[str, Any]) -> str:
    names = sorted(sweep["analyses"])
    done = {name: set(result_steps(folder / "results", name)) for name in names}
    planned = _planned(folder, sweep)
    begun = set.union(*done.values())
    whole = set.intersection(*done.values())
    if planned is not None:
        begun, whole = begun & planned, whole & planned
        if whole == planned:
            return ""
        how_many = f"{len(whole)} of {len(planned)} checkpoints have"
    elif begun == whole and not any((folder / "claims").glob("*.claim")):
        return ""
    else:
        how_many = f"{len(whole)} checkpoint{'s have' if len(whole) != 1 else ' has'}"
    parts = [
        f"step {step:,} lacks {', '.join(name for name in names if step not in done[name])}"
        for step in sorted(begun - whole)
    ]
    more = f"; {len(parts) - MOST_NAMED} more lack some" if len(parts) > MOST_NAMED else ""
    lacking = f" ({'; '.join(parts[:MOST_NAMED])}{more})" if parts else ""
    unknown = "" if planned is not None else " How many there will be is not recorded."
    return (
        f"Not done yet: {how_many} all of their analyses ({', '.join(names)}){lacking}.{unknown} What is shown is what "
        "there was when this page was made."
    )


def _planned(folder: Path, sweep: Mapping[str, Any]) -> set[int] | None:
    """Steps that the sweep is to take: those it recorded, else those of local sources that can be looked at."""
    if isinstance(sweep.get("steps"), list):
        return {int(step) for step in sweep["steps"]}
    found: set[int] = set()
    for source in sweep["common"].get("source", ()):
        steps = _local_steps(folder, str(source["path"]))
        if not steps or source.get("subfolder") or source.get("steps"):
            return None
        found |= steps
    return found or None


def _local_steps(folder: Path, path: str) -> set[int]:
    """Steps of the checkpoints of a run, or of a folder of them; a relative path counts from here, or from above."""
    for place in (Path(path), *(parent / path for parent in (folder, *folder.parents))):
        configs = (*place.glob("checkpoints/*/config.json"), *place.glob("*/config.json"))
        numbers = [re.fullmatch(r"(?:.*\D)?(\d+)", config.parent.name) for config in configs]
        if any(numbers):
            return {int(number[1]) for number in numbers if number}
    return set()
