"""Findings on their way to loggers: W&B with a step metric of its own and figures, others with plain columns."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow.compute as pc
import wandb
from lightning.pytorch.loggers import Logger, WandbLogger

from ...analysis.findings import Findings, read_rows
from .wandb_errors import attempt

log = logging.getLogger(__name__)

STEP_METRIC = "analysis/step"
TOKENS_METRIC = "analysis/tokens"
"""The other axis, where tokens are known: training tokens that the checkpoint has seen."""
_told: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()
"""What was told of a W&B run or a logger."""
_NULL_FOR_SCALARS = ("site", "other_language", "concept", "seed")


def scalars(findings: Findings) -> dict[str, float]:
    """Rows that make a readable curve: one value a checkpoint, a layer or a language."""
    values = {}
    for row in findings.table.to_pylist():
        if any(row[column] is not None for column in _NULL_FOR_SCALARS):
            continue
        name = f"{findings.analysis}/{row['metric']}"
        if row["layer"] is not None:
            name += f"/layer_{row['layer']:02d}"
        if row["language"] is not None:
            name += f"/{row['language']}"
        values[name] = row["value"]
    return values


def log_findings(loggers: Iterable[Logger], findings: Findings, results: str | Path) -> None:
    """Send findings to every logger. What is on disk is complete already: nothing depends on a logger."""
    for logger in loggers:
        if not isinstance(logger, WandbLogger):
            logger.log_metrics(scalars(findings), step=findings.step)
        elif hasattr(logger, "send"):  # ours: it takes calls, and makes them in its own time
            logger.send(findings_for_wandb(findings, results, logger))
        else:
            log_to_wandb(partial(getattr, logger, "experiment"), findings, results, logger)


def log_to_wandb(run: Callable[[], Any], findings: Findings, results: str | Path, whose: Any) -> None:
    """Send findings and their figures to somebody else's W&B run; the first time that it fails, a warning says so.

    Args:
        run: gives the run; it may start only now.
        findings: the findings of a step.
        results: folder of results, for figures over all steps so far.
        whose: the run or its logger, which is told to have failed once.
    """
    send = findings_for_wandb(findings, results, whose)
    _, failure = attempt(lambda: send(run()))
    if failure is not None:
        _warn_once(
            whose,
            "W&B did not take the findings of step %d (%s); they are whole in %s. This is told once",
            findings.step,
            failure,
            results,
        )


def findings_for_wandb(findings: Findings, results: str | Path, whose: Any) -> Callable[[Any], None]:
    """The calls that send findings and their figures to a W&B run, on an axis of their own.

    Figures are drawn here, of the results as they are now; where that fails the values are sent without them.
    """
    axes = {STEP_METRIC: findings.step}
    if (tokens := pc.max(findings.table["tokens"]).as_py()) is not None:
        axes[TOKENS_METRIC] = tokens
    drawn, failure = attempt(partial(_figures, findings, results))
    if failure is not None:
        _warn_once(whose, "No figures for W&B at step %d (%s), values alone. This is told once", findings.step, failure)
    return partial(_send, scalars(findings), drawn or {}, axes)


def _warn_once(whose: Any, message: str, *values: Any) -> None:
    told = _told.setdefault(whose, set())
    if message not in told:
        told.add(message)
        log.warning(message, *values)


def _figures(findings: Findings, results: str | Path) -> Mapping[str, Any]:
    # Imported where it is used: W&B alone needs figures while a model trains.
    from ...analysis.figures.logged import logged_figures

    return logged_figures(read_rows(results, findings.analysis, companions=False), findings.step)


def _send(curves: Mapping[str, float], figures: Mapping[str, Any], axes: Mapping[str, int], run: Any) -> None:
    # W&B drops points whose own step goes backwards: an axis of our own keeps all, in whatever order they come.
    run.define_metric(STEP_METRIC, hidden=True)
    run.define_metric(TOKENS_METRIC, hidden=True)
    values = {**curves, **{name: wandb.Plotly(figure) for name, figure in figures.items()}}
    # Name by name: where a trainer has given everything another axis ("*"), only an exact name goes before it.
    for name in values:
        run.define_metric(name, step_metric=STEP_METRIC)
    run.log({**values, **axes})
