"""`babelscope report`: one self-contained HTML page about one or several runs."""

import argparse
from pathlib import Path

from ...analysis.report import write_report


def run(arguments: list[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser("babelscope report", description="One self-contained HTML page about runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; several are compared")
    parser.add_argument("-o", "--output", type=Path, help="the page; by default RUN/report.html of the first run")
    options = parser.parse_args(arguments)
    output = None if options.output is None else options.output.expanduser()
    print(f"Wrote {write_report([run.expanduser() for run in options.runs], output)}")
    return 0
