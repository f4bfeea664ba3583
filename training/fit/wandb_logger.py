"""W&B that neither stops a run nor slows it: offline unless asked otherwise, and offline again where it fails."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import DummyExperiment, rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from .wandb_worker import MODES, WandbWorker

_NAMES = {"dryrun": "offline", "run": "online"}
"""What W&B's own documentation called two of the modes before, as WANDB_MODE may still say."""
_open: "WeakValueDictionary[str, RunWandbLogger]" = WeakValueDictionary()


class RunWandbLogger(WandbLogger):
    """Lightning's `WandbLogger` for a run that keeps its id through a resume and outlives W&B's failures.

    Calls are made in a thread of their own, in their order: training waits for W&B at its start and at its end alone,
    each time for little more than `timeout`. Whatever W&B raises is told once, and the run is logged offline from there
    on, or without W&B where that fails too. Each logger has a W&B run to itself, `wandb.run` is left to others.
    """

    def __init__(
        self,
        project: str = "babelscope",
        name: str | None = None,
        mode: str | None = None,
        save_dir: str = ".",
        id: str | None = None,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        timeout: float = 3.5,
    ) -> None:
        """Prepare a logger; W&B itself starts with the first value logged.

        Args:
            project: W&B project.
            name: the run's display name.
            mode: offline (no account, no network), online or disabled; by default what WANDB_MODE says, or offline.
            save_dir: where W&B keeps its files; the command line sets the run's folder.
            id: W&B run id; the command line sets the one kept in the run's folder.
            entity: W&B user or team.
            group: group of runs.
            tags: tags of the run.
            timeout: seconds that W&B's server has to answer when the run starts, and to take the rest when it ends;
                what is left lies in the run's folder, for `wandb sync`.

        Raises:
            ValueError: for a mode that does not exist, or a timeout that is not positive.
        """
        said = os.environ.get("WANDB_MODE") or "offline"
        asked = mode or _NAMES.get(said, said)
        if asked not in MODES:
            raise ValueError(f"{'wandb mode' if mode else 'WANDB_MODE'}={asked!r}: choose offline, online or disabled")
        if not timeout > 0:
            raise ValueError(f"wandb timeout={timeout}: give a positive number of seconds")
        super().__init__(
            project=project, name=name, save_dir=save_dir, id=id, entity=entity, group=group, tags=tags, resume="allow"
        )
        self._wandb_init.pop("anonymous", None)  # Lightning still passes it, and W&B warns of it
        self.mode, self.timeout = asked, timeout
        self._worker: WandbWorker | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What another process may have of it: the run and its thread stay where they are."""
        return {**self.__dict__, "_worker": None}

    def adopt_run(self, run_id: str, folder: str) -> None:
        """Take the run's own id and folder where the configuration named none."""
        self._wandb_init["id"] = self._wandb_init.get("id") or run_id
        self._id = self._wandb_init["id"]
        if self._wandb_init.get("dir") in (None, "."):
            self._wandb_init["dir"] = self._save_dir = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, for calls of your own, which may raise and wait; one that does nothing where there is none."""
        run = self._begin().run
        return DummyExperiment() if run is None else run

    @rank_zero_only
    def send(self, call: Callable[[Any], object]) -> None:
        """Have a call made with the W&B run, after those before it; what it raises is told once."""
        self._begin().send(call)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars."""
        values = dict(metrics) if step is None else {**metrics, "trainer/global_step": step}
        self.send(lambda run: run.log(values))

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:  # type: ignore[override]
        """Log the configuration."""
        values = dict(vars(params) if isinstance(params, Namespace) else params)
        self.send(lambda run: run.config.update(values, allow_val_change=True))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the W&B run; values that come later begin it again, under its id.

        Args:
            status: success, or anything else for a run that W&B shall show as failed.
        """
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end(0 if status == "success" else 1)

    def _begin(self) -> WandbWorker:
        if self._worker is None:
            identity = self._wandb_init.get("id")
            if identity is not None:
                # W&B keeps an id for one run at a time: another logger's run of this name in this process ends now.
                if (earlier := _open.get(identity)) not in (None, self):
                    earlier.finalize("success")
                _open[identity] = self
            self._worker = WandbWorker(self._start, self.mode, self.timeout)
            # Before data loaders fork: a start beside them could leave them with locks that nobody opens.
            self._worker.wait()
        return self._worker

    def _start(self, mode: str) -> Any:
        """Start the W&B run; called in the worker's thread."""
        # Error reports of W&B about itself take 10 s at the end of a process where its server does not answer.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        # Silent, W&B asks for no key at a terminal either, where nobody may be.
        wandb.setup(wandb.Settings(silent=True))
        settings = wandb.Settings(
            console="off",
            silent=True,
            init_timeout=self.timeout,
            finish_timeout=self.timeout,
            finish_timeout_raises=True,
        )
        as_asked: Any = {**self._wandb_init, "mode": mode, "reinit": "create_new"}
        run = wandb.init(**as_asked, settings=settings)
        if mode == "online" and (run.offline or run.disabled):
            raise ConnectionError("no API key; `wandb login` stores one")
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return run
