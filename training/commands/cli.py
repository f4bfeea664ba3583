"""The command line: `babelscope prepare | pretrain | analyze | steer | report | concepts | expertise`."""

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError

USAGE = """usage: babelscope COMMAND [--config FILE] [--setting value ...]

  prepare    text -> tokenizer -> token blocks
  pretrain   train the model with callbacks that watch it; --resume goes on where a run stopped
  analyze    the same callbacks over a series of checkpoints: a run's, local ones, or published ones; status 1 where
             a checkpoint is broken, after all others are done
  steer      force a concept's experts in one model and read what it then writes
  report     one self-contained HTML page about one or several runs
  concepts   mine and check concept sets
  expertise  ml-selfcond's expertise.csv of a checkpoint

`babelscope COMMAND --help` lists every setting; `--print_config` prints them as YAML to start from.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed on the way, 2 wrong use, 75 stopped and resumable."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if words else 2
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        print(f"babelscope: no command {command!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    _quiet_start()
    try:
        return COMMANDS[command](rest)
    except ConfigError as error:
        print(f"babelscope {command}: {error}", file=sys.stderr)
        return 2
    except (ValueError, FileNotFoundError) as error:
        if os.environ.get("BABELSCOPE_DEBUG"):
            raise
        print(f"babelscope {command}: {error}\n(BABELSCOPE_DEBUG=1 shows where this came from)", file=sys.stderr)
        return 2
    except StoppedRun as error:
        print(f"babelscope {command}: {error}", file=sys.stderr)
        return 1


class StoppedRun(RuntimeError):
    """A run that failed on its way for a reason that its message explains in full."""


def _prepare(arguments: list[str]) -> int:
    from ..data.prepare import prepare

    store = prepare(**_parsed("prepare", prepare, arguments))
    print(f"Prepared {store}")
    return 0


def _pretrain(arguments: list[str]) -> int:
    from ..fit.module import NonFiniteLossError
    from ..fit.pretrain import pretrain

    try:
        return pretrain(arguments)
    except NonFiniteLossError as error:
        raise StoppedRun(str(error)) from error


def _analyze(arguments: list[str]) -> int:
    from ..sweep.analyze import analyze
    from ..sweep.order import SweepStoppedError

    try:
        failed = analyze(**_parsed("analyze", analyze, arguments))
    except SweepStoppedError as error:
        raise StoppedRun(str(error)) from error
    if failed:
        lines = "\n".join(f"  {line}" for line in failed)
        raise StoppedRun(
            f"{len(failed)} checkpoint{'s' if len(failed) > 1 else ''} could not be analysed in full:\n{lines}\n"
            "All others are done, and the reasons are recorded; once a checkpoint is whole, --again true with its "
            "--steps tries it again"
        )
    return 0


def _steer(arguments: list[str]) -> int:
    from .steer import steer

    # --source-language is --source_language.
    words = [re.sub("^--[a-z-]+", lambda name: "--" + name[0][2:].replace("-", "_"), word) for word in arguments]
    print(steer(**_parsed("steer", steer, words)))
    return 0


def _report(arguments: list[str]) -> int:
    import argparse

    from ...analysis.report.write import write_report

    parser = argparse.ArgumentParser("babelscope report", description="One self-contained HTML page about runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run; several are compared")
    parser.add_argument("-o", "--output", type=Path, help="the page; by default RUN/report.html of the first run")
    options = parser.parse_args(arguments)
    print(f"Wrote {write_report(options.runs, options.output)}")
    return 0


def _concepts(arguments: list[str]) -> int:
    from .concepts import concepts

    return concepts(arguments)


def _expertise(arguments: list[str]) -> int:
    from .expertise import export_expertise

    return export_expertise(**_parsed("expertise", export_expertise, arguments))


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "prepare": _prepare,
    "pretrain": _pretrain,
    "analyze": _analyze,
    "steer": _steer,
    "report": _report,
    "concepts": _concepts,
    "expertise": _expertise,
}


def _parsed(command: str, function: Callable[..., Any], arguments: list[str]) -> dict[str, Any]:
    """Arguments of a function from YAML files and the command line, classes among them instantiated."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog=f"babelscope {command}", description=(function.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", action="config", help="a YAML file with any of the settings below")
    parser.add_function_arguments(function, sub_configs=True)
    settings = parser.instantiate(parser.parse_args(arguments)).as_dict()
    settings.pop("config", None)
    return settings


def _quiet_start() -> None:
    """Lines for people: our own messages, and of the libraries only what they warn about."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for name in ("httpx", "urllib3", "filelock", "fsspec", "huggingface_hub", "torch", "wandb", "jsonargparse"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for chatter in (
        ".*LightningCLI's args parameter.*",
        ".*does not have many workers.*",
        ".*LeafSpec.*is deprecated.*",
        ".*isinstance\\(treespec, LeafSpec\\).*",
        ".*Checkpoint directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message=chatter)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Read when torch is imported. Threads that spin while they wait cost a busy machine up to twenty times the time of a
    # step; threads that sleep cost an idle one nothing that was measurable.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if __name__ == "__main__":
    sys.exit(main())
