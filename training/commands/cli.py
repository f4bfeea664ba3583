"""The command line: `babelscope prepare | pretrain | analyze | series | steer | report | concepts | expertise`."""

import logging
import os
import re
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from importlib import import_module

from ...analysis.files.faults import why
from ..errors import EXIT_INTERRUPTED, ConfigError, StoppedRun, raise_if
from ..yaml_files import config_files, repeated_keys

COMMANDS = ("prepare", "pretrain", "analyze", "series", "steer", "report", "concepts", "expertise")
"""Each a module beside this one, with a function `run`."""

USAGE = """usage: babelscope COMMAND [--config FILE] [--setting value ...]

  prepare    text -> tokenizer -> token blocks
  pretrain   train the model with callbacks that watch it; --resume goes on where a run stopped
  analyze    the same callbacks over a series of checkpoints: a run's, local ones, or published ones; status 1 where
             a checkpoint is broken, after all others are done
  series     which checkpoints a run, a folder or a repository has: step, tokens, size, name
  steer      force a concept's experts in one model and read what it then writes
  report     one self-contained HTML page about one or several runs
  concepts   mine and check concept sets
  expertise  ml-selfcond's expertise.csv of a checkpoint

`babelscope COMMAND --help` lists every setting; `--print_config` prints them as YAML to start from.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 failed on the way, 2 wrong use, 75 stopped and resumable,
    130 interrupted."""
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
        raise_if(problem for path in config_files(rest) for problem in repeated_keys(path))
        return import_module(f".{command}", __package__).run(rest)
    except ArgumentError as error:
        print(f"babelscope {command}: {error}{_hint(str(error))}", file=sys.stderr)
        print(f"(babelscope {command} --help lists every setting)", file=sys.stderr)
        return 2
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
    except KeyboardInterrupt:
        print(
            f"\nbabelscope {command}: interrupted. What is finished is kept: give the command again to go on",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    except OSError as error:
        if os.environ.get("BABELSCOPE_DEBUG"):
            raise
        print(f"babelscope {command}: {why(error)}", file=sys.stderr)
        return 2 if isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError) else 1


def _hint(message: str) -> str:
    """What YAML may have done to a value that was meant as text."""
    taken = "Expected a <class 'str'>" in message and re.search(
        r"(?:Given|Got) value: .*?(True|False|\b\d+\b)", message
    )
    return "\nYAML reads no, off, yes and on as true or false, and 12 as a number: put text in quotes" if taken else ""


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
