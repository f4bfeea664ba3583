"""A checkpoint on which an analysis cannot be done: the error that says so, and how it is recorded among the results."""

from .findings import Findings

FAILED = "failed"
"""The metric of the one row that such findings have; its value is 1."""

_WHY = "failed: "


class BrokenModelError(ValueError):
    """A model whose numbers are not finite: there is nothing to measure, and no setting would help."""


class NoRoomError(BrokenModelError):
    """A model that an analysis could not be done on for want of memory; the message says which setting would help."""


def failed_findings(analysis: str, step: int, reason: str) -> Findings:
    """Findings that say that there are none, and why: the row `failed`, and the reason as the only warning."""
    return Findings.from_rows(analysis, step, [{"metric": FAILED, "value": 1.0}], warnings=[_WHY + reason])


def failure_of(findings: Findings) -> str | None:
    """Why an analysis could not be done; None where it was."""
    if FAILED not in findings.table["metric"].to_pylist():
        return None
    return next(warning.removeprefix(_WHY) for warning in findings.warnings if warning.startswith(_WHY))
