"""The callbacks in `transformers.Trainer`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb
from transformers import TrainerCallback

from .base import AnalysisCallback
from .observing import get_ready, observe
from .tracking import log_to_wandb, scalars

if TYPE_CHECKING:
    from transformers import Trainer


class TransformersCallback(TrainerCallback):
    """Analysis callbacks in `transformers.Trainer`: the same schedule on optimizer steps, the same folder of results.

    Watching changes nothing: losses and weights are bit-identical with it and without. It looks at step 0 and at every
    due step, also under accumulation; after a resume no step is done twice.

    Findings go to the trainer's W&B run with a step axis of their own, where it reports to W&B; to its other reporters
    (TensorBoard, MLflow, …) where the trainer is given.

    Args:
        callbacks: analysis callbacks; `ExpertNeurons` before `Steering`.
        results: folder of results; by default `results` in the trainer's output_dir, for `babelscope report OUTPUT_DIR`.
        trainer: the trainer, for reporters other than W&B: `trainer.add_callback(TransformersCallback([…], trainer=trainer))`.
    """

    def __init__(
        self,
        callbacks: Sequence[AnalysisCallback],
        results: str | Path | None = None,
        trainer: "Trainer | None" = None,
    ) -> None:
        self.callbacks = list(callbacks)
        self.results = results
        self.trainer = trainer
        self._latest = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Find mistakes before training begins, and look at the untrained model."""
        get_ready(kwargs["model"], kwargs.get("processing_class"), self.callbacks, state.max_steps)
        self._latest = state.global_step
        if state.global_step == 0:
            self._observe(args, state, control, **kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """An optimizer step was taken, however many batches it took."""
        if state.global_step != self._latest:
            self._latest = state.global_step
            self._observe(args, state, control, **kwargs)

    def _observe(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        results = self.results or Path(args.output_dir) / "results"
        # Counted only where the trainer was asked to (include_num_input_tokens_seen).
        tokens = int(state.num_input_tokens_seen) or None
        model, words = kwargs["model"], kwargs.get("processing_class")
        for findings in observe(model, words, state.global_step, self.callbacks, results, tokens, state.max_steps):
            if "wandb" in (args.report_to or ()) and wandb.run is not None:
                log_to_wandb(lambda: wandb.run, findings, results, wandb.run)
            for reporter in self._reporters():
                reporter.on_log(args, state, control, model=model, logs=scalars(findings))

    def _reporters(self) -> list[Any]:
        """The trainer's own reporters, without W&B, whose axis would be the wrong one."""
        if self.trainer is None:
            return []
        # Imported where it is used: it takes seconds.
        from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, WandbCallback

        kinds = tuple(kind for kind in INTEGRATION_TO_CALLBACK.values() if kind is not WandbCallback)
        return [callback for callback in self.trainer.callback_handler.callbacks if isinstance(callback, kinds)]
