"""From run folders to one self-contained HTML page."""

import os
from collections.abc import Sequence
from pathlib import Path

from .report_page import render_page
from .report_run import read_runs
from .report_sections import make_sections


def write_report(runs: Sequence[Path], output: Path | None = None) -> Path:
    """Write a report of one run, or of several compared in the same figures.

    Args:
        runs: run folders, each with `results/`; `config.yaml` and `run.json` (key `note`) are shown if they are there.
        output: the file to write; by default `report.html` in the folder of a single run, and in the working folder
            for several.

    Returns:
        the path of the page. It is written to a temporary name and renamed: whole or absent.

    Raises:
        ValueError: a run does not exist, is given twice, or has no results.
    """
    found = read_runs(runs)
    if output is None:
        output = found[0].folder / "report.html" if len(found) == 1 else Path("report.html")
    output = Path(output)
    page = render_page(found, make_sections({run.name: run.rows for run in found}))
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, output)
    return output
