"""`babelscope analyze`: the callbacks of training over a series of checkpoints."""

from pathlib import Path

from jsonargparse import ArgumentParser

from ..callbacks import AnalysisCallback
from ..callbacks.checks import analyses_among, settings_out_of_range
from ..errors import StoppedRun
from ..runs import RunFolder
from ..sweep.analyze import analyze
from ..sweep.order import SweepStoppedError
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


def callbacks_of(run: RunFolder) -> list[AnalysisCallback] | None:
    """The analysis callbacks that a run was trained with, by its own configuration; None where it is no run."""
    if not run.config.exists():
        return None
    entries = analyses_among(run.settings().get("trainer", {}).get("callbacks") or [])
    parser = ArgumentParser()
    parser.add_argument("--callbacks", type=list[AnalysisCallback])
    return parser.instantiate(parser.parse_object({"callbacks": entries})).callbacks
