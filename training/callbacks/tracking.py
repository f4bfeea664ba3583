"""Findings on their way to loggers: W&B with a step metric of its own and figures, others with plain columns."""

import logging
from collections.abc import Iterable
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
            _log_to_wandb(logger, findings, results)
        else:
            logger.log_metrics(scalars(findings), step=findings.step)


def _log_to_wandb(logger: WandbLogger, findings: Findings, results: str | Path) -> None:
    # Imported where it is used: W&B alone needs figures while a model trains.
    from ...analysis.figures.logged import logged_figures

    # W&B drops points whose own step goes backwards: an axis of our own keeps all, in whatever order they come.
    try:
        experiment: Any = logger.experiment
        experiment.define_metric(STEP_METRIC, hidden=True)
        experiment.define_metric(TOKENS_METRIC, hidden=True)
        experiment.define_metric(f"{findings.analysis}/*", step_metric=STEP_METRIC)
        rows = read_rows(results)
        drawn = logged_figures(rows.filter(pc.equal(rows["analysis"], findings.analysis)), findings.step)
        pictures = {name: wandb.Plotly(figure) for name, figure in drawn.items()}
        tokens = pc.max(findings.table["tokens"]).as_py()
        axes = {STEP_METRIC: findings.step} | ({} if tokens is None else {TOKENS_METRIC: tokens})
        experiment.log({**scalars(findings), **pictures, **axes})
    except (wandb.Error, OSError) as error:
        log.warning(
            "W&B did not take the findings of step %d (%s); they are whole in %s", findings.step, error, results
        )
