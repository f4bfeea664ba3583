"""How far a run or a sweep has come, for a report that is made before it is done."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..figures.data import steps_of
from ..findings import result_steps

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
    planned = set(sweep["steps"])
    done = {name: planned.intersection(result_steps(folder / "results", name)) for name in names}
    whole = set.intersection(*done.values())
    if whole == planned:
        return ""
    parts = [
        f"step {step:,} lacks {', '.join(name for name in names if step not in done[name])}"
        for step in sorted(set.union(*done.values()) - whole)
    ]
    more = f"; {len(parts) - MOST_NAMED} more lack some" if len(parts) > MOST_NAMED else ""
    lacking = f" ({'; '.join(parts[:MOST_NAMED])}{more})" if parts else ""
    return (
        f"Not done yet: {len(whole)} of {len(planned)} checkpoints have all of their analyses ({', '.join(names)})"
        f"{lacking}. What is shown is what there was when this page was made."
    )
