"""The callbacks that a run was trained with, from its own configuration."""

from jsonargparse import ArgumentParser

from ..callbacks import AnalysisCallback
from ..callbacks.checks import analyses_among
from ..runs import RunFolder


def callbacks_of(run: RunFolder) -> list[AnalysisCallback] | None:
    """The analysis callbacks that a run was trained with, by its own configuration; None where it is no run."""
    if not run.config.exists():
        return None
    entries = analyses_among(run.settings().get("trainer", {}).get("callbacks") or [])
    parser = ArgumentParser()
    parser.add_argument("--callbacks", type=list[AnalysisCallback])
    return parser.instantiate(parser.parse_object({"callbacks": entries})).callbacks
