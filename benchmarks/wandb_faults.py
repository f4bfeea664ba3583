"""Seconds that a run loses to W&B under each fault of its server, against a run without W&B.

    python benchmarks/wandb_faults.py [--timeout 3.5] [--steps 40]

Each row is a process that logs numbers with the logger of a run (mode online) to a server on loopback: from the start, or
from half of the run on, it refuses, answers after 30 s, answers 500, or drops connections; `killed` ends W&B's own process.
Lost is the sum of what the start, the slowest step, the end of the run and the hooks at the end of the process took.
The claim is that no fault costs more than 10 s, is told in more than one line, or loses a value that was not on its way.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the server is the tests' own

from tests.training.fit.wandb_server import FAULTS, KEY, logged_run, served, values_in

LIMIT_S = 10.0


def main() -> None:
    """Print a row a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=3.5, help="the logger's")
    parser.add_argument("--steps", type=int, default=40, help="steps of each run")
    arguments = parser.parse_args()
    faults = [(None, None), *((fault, None) for fault in FAULTS), *((None, then) for then in (*FAULTS, "killed"))]
    print(
        f"{'from the start':15} {'half-way':9} {'start':>6} {'step':>6} {'end':>6} {'exit':>6} {'lost':>6}  lines  values"
    )
    worst = 0.0
    for fault, then in faults:
        with tempfile.TemporaryDirectory() as name, served(fault) as server:
            run = logged_run(server, Path(name), then, arguments.steps, timeout=arguments.timeout)
            values = values_in(Path(name))
        seconds = "".join(f"{run[part]:7.2f}" for part in ("start", "longest", "end", "exit", "lost"))
        lines = len(run["log"].splitlines())
        print(f"{fault or '-':15} {then or '-':9}{seconds} {lines:6d} {values:7d}", flush=True)
        assert run["status"] == 0, run["log"]
        assert KEY not in run["log"]
        worst = max(worst, run["lost"])
    print(f"at most {worst:.1f} s lost ({'within' if worst <= LIMIT_S else 'OVER'} {LIMIT_S:.0f} s)")


if __name__ == "__main__":
    main()
