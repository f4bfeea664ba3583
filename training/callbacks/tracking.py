"""Findings on their way to loggers: W&B with a step metric of its own and figures, others with plain columns."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import wandb
from lightning.pytorch.loggers import Logger, WandbLogger

from ...analysis.findings import Findings, read_rows

log = logging.getLogger(__name__)

STEP_METRIC = "analysis/step"
TOKENS_METRIC = "analysis/tokens"
"""The other axis, where tokens are known: training tokens that the checkpoint has seen."""
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
        if isinstance(logger, WandbLogger):
            log_to_wandb(partial(getattr, logger, "experiment"), findings, results)
        else:
            logger.log_metrics(scalars(findings), step=findings.step)


def log_to_wandb(run: Callable[[], Any], findings: Findings, results: str | Path) -> None:
    """Send findings and their figures to a W&B run, on an axis of their own; where that fails, a warning says so.

    Args:
        run: gives the run; it may start only now.
    """
    # Imported where it is used: W&B alone needs figures while a model trains.
    from ...analysis.figures.logged import logged_figures

    # W&B drops points whose own step goes backwards: an axis of our own keeps all, in whatever order they come.
    try:
        experiment = run()
        experiment.define_metric(STEP_METRIC, hidden=True)
        experiment.define_metric(TOKENS_METRIC, hidden=True)
        rows = read_rows(results)
        drawn = logged_figures(rows.filter(pc.equal(rows["analysis"], findings.analysis)), findings.step)
        values = scalars(findings) | {name: wandb.Plotly(figure) for name, figure in drawn.items()}
        # Name by name: where a trainer has given everything another axis ("*"), only an exact name goes before it.
        for name in values:
            experiment.define_metric(name, step_metric=STEP_METRIC)
        tokens = pc.max(findings.table["tokens"]).as_py()
        axes = {STEP_METRIC: findings.step} | ({} if tokens is None else {TOKENS_METRIC: tokens})
        experiment.log({**values, **axes})
    except (wandb.Error, OSError) as error:
        log.warning(
            "W&B did not take the findings of step %d (%s); they are whole in %s", findings.step, error, results
        )
