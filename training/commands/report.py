"""`babelscope report`: one self-contained HTML page about one or several runs."""

import argparse
from pathlib import Path
from typing import NoReturn

from ...analysis.report import write_report


class _Parser(argparse.ArgumentParser):
    """A mistake is raised, for the command line to print it alone."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


def run(arguments: list[str]) -> int:
    """The command."""
    parser = _Parser("babelscope report", description="One self-contained HTML page about runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; several are compared")
    parser.add_argument("-o", "--output", type=Path, help="the page; by default RUN/report.html of the first run")
    options = parser.parse_args(arguments)
    output = None if options.output is None else options.output.expanduser()
    print(f"Wrote {write_report([run.expanduser() for run in options.runs], output)}")
    return 0
