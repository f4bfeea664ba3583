"""Writes a report: runs read, sections made, one page rendered."""

from collections.abc import Sequence
from pathlib import Path

from ..atomic import write_text
from .page import render_page
from .run import read_runs
from .sections.order import make_sections


def write_report(runs: Sequence[Path], output: Path | None = None) -> Path:
    """Write a report of one run, or of several compared in the same figures.

    Args:
        runs: run folders, each with `results/`; `config.yaml` and `run.json` (key `note`) are shown if they are there.
        output: the file to write; by default `report.html` in the folder of the first run.

    Returns:
        the path of the page. It is written to a temporary name and renamed: whole or absent.

    Raises:
        ValueError: a run does not exist, is given twice, or has no results.
    """
    found = read_runs(runs)
    if output is None:
        output = found[0].folder / "report.html"
    page = render_page(found, make_sections({run.name: run.rows for run in found}))
    write_text(output, page)
    return Path(output)
