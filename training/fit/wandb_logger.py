"""W&B that never stops a run: offline unless asked otherwise, and offline again where the network fails."""

import logging
from collections.abc import Mapping
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment

log = logging.getLogger(__name__)


class RunWandbLogger(WandbLogger):
    """Lightning's `WandbLogger` for a run that keeps its id through a resume and outlives W&B's failures."""

    def __init__(
        self,
        project: str = "babelscope",
        name: str | None = None,
        mode: str = "offline",
        save_dir: str = ".",
        id: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Prepare a logger; W&B itself starts with the first value logged.

        Args:
            project: W&B project.
            name: the run's display name.
            mode: offline (no account, no network), online or disabled.
            save_dir: where W&B keeps its files; the command line sets the run's folder.
            id: W&B run id; the command line sets the one kept in the run's folder.
            entity: W&B user or team.
            group: group of runs.
            tags: tags of the run.
        """
        if mode not in ("offline", "online", "disabled"):
            raise ValueError(f"wandb mode={mode!r}: choose offline, online or disabled")
        super().__init__(
            project=project,
            name=name,
            save_dir=save_dir,
            id=id,
            entity=entity,
            group=group,
            tags=tags,
            mode=mode,
            resume="allow",
            settings=wandb.Settings(console="off", silent=True, init_timeout=60),
        )
        self._wandb_init.pop("anonymous", None)  # Lightning still passes it, and W&B warns of it

    def adopt_run(self, run_id: str, folder: str) -> None:
        """Take the run's own id and folder where the configuration named none."""
        self._wandb_init["id"] = self._wandb_init.get("id") or run_id
        self._id = self._wandb_init["id"]
        if self._wandb_init.get("dir") in (None, "."):
            self._wandb_init["dir"] = self._save_dir = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; where it can't be started as asked, the next milder mode is taken, with a warning."""
        for milder in ("offline", "disabled", None):
            try:
                return super().experiment
            except (wandb.Error, OSError) as error:
                if milder is None:
                    raise
                log.warning(
                    "W&B could not start (%s): going on in mode %s; results/ is complete without it", error, milder
                )
                self._wandb_init["mode"] = milder

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars; a failure is a warning."""
        try:
            super().log_metrics(metrics, step)
        except (wandb.Error, OSError) as error:
            log.warning("W&B did not take the values of step %s: %s", step, error)

    def log_hyperparams(self, params: Any) -> None:  # type: ignore[override]
        """Log the configuration; a failure is a warning."""
        try:
            super().log_hyperparams(params)
        except (wandb.Error, OSError) as error:
            log.warning("W&B did not take the configuration: %s", error)
