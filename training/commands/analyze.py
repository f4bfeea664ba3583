"""`babelscope analyze`: the callbacks of training over a series of checkpoints."""

from pathlib import Path

from ..callbacks.checks import settings_out_of_range
from ..errors import StoppedRun
from ..runs import RunFolder
from ..sweep.analyze import analyze
from ..sweep.order import SweepStoppedError
from ..sweep.trained import callbacks_of
from .parsing import parsed


def run(arguments: list[str]) -> int:
    """The command."""
    settings = parsed(
        "analyze", analyze, arguments, lambda found: list(settings_out_of_range(found["callbacks"], "callbacks"))
    )
    if settings["callbacks"] is None and isinstance(settings["source"], str):
        settings["callbacks"] = callbacks_of(RunFolder(Path(settings["source"])))
    try:
        failed = analyze(**settings)
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
