"""Loss, learning rate, gradient norm, throughput and memory of training: to the loggers and to results/training."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from transformers import PreTrainedModel

from ...analysis.findings import Findings, write_findings
from ..callbacks.base import causal_lm, tokens_seen

ANALYSIS = "training"

# Dense bf16 peak in TFLOP/s by a part of the device's name, from the vendors' data sheets.
PEAK_TFLOPS = {
    "A100": 312.0,
    "H100": 989.0,
    "H200": 989.0,
    "B200": 2250.0,
    "L40S": 362.0,
    "A6000": 155.0,
    "4090": 165.0,
}


def flops_per_token(model: PreTrainedModel, tokens_per_block: int) -> float:
    """Arithmetic of one training token, forward and backward: 6 N + 12 L d T.

    N counts the parameters used in matrix products: all of them where the embedding is tied to the head, as the head
    multiplies with it. The second term is attention over whole blocks (Chowdhery et al. 2022, PaLM, appendix B).
    """
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    return 6.0 * parameters + 12.0 * config.num_hidden_layers * config.hidden_size * tokens_per_block


class StepMetrics(pl.Callback):
    """Measures training every few optimizer steps. Other callbacks' time does not count towards the throughput."""

    def __init__(self, every: int = 10, flush_every: int = 1000, peak_tflops: float | None = None) -> None:
        """Log `training/*` to the loggers, and rows to `results/training/`.

        Args:
            every: optimizer steps between two measurements.
            flush_every: optimizer steps whose rows share a results file.
            peak_tflops: the device's peak, for MFU; known for common GPUs, without it MFU is left out.
        """
        super().__init__()
        if every < 1 or flush_every < every:
            raise ValueError(f"metrics.every={every}, flush_every={flush_every}: give 1 <= every <= flush_every")
        self.every, self.flush_every, self.peak_tflops = every, flush_every, peak_tflops
        self.latest: dict[str, float] = {}
        self._rows: list[dict[str, Any]] = []
        self._step = 0
        self._since, self._measured = 0.0, 0

    def pause(self, seconds: float) -> None:
        """Leave out time that was not training."""
        self._since += seconds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._step = self._measured = trainer.global_step
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure at every `every`-th optimizer step and at the last."""
        step = trainer.global_step
        if step == self._step:
            return
        self._step = step
        last = step == trainer.max_steps
        if step % self.every == 0 or last or step == 1:
            self._measure(trainer, pl_module, step)
        if step % self.flush_every == 0 or last:
            self.flush(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Rows that no file holds yet travel with the training state."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows up again."""
        self._rows = list(state_dict["rows"])

    def flush(self, trainer: pl.Trainer) -> None:
        """Write the rows so far of this stretch; a resumed run writes the same file again, complete."""
        step = -(-self._step // self.flush_every) * self.flush_every
        if trainer.is_global_zero and self._rows:
            write_findings(_findings(step, self._rows), Path(trainer.default_root_dir) / "results")
        if self._step % self.flush_every == 0:
            self._rows = []

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """A run that fails keeps what it measured."""
        self.flush(trainer)

    def _measure(self, trainer: pl.Trainer, pl_module: pl.LightningModule, step: int) -> None:
        loss = float(pl_module.step_loss)  # type: ignore[arg-type]
        now = time.perf_counter()
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        steps = step - self._measured
        rate = steps * datamodule.global_batch_size * datamodule.block_length / (now - self._since)
        self._since, self._measured = now, step
        tokens = tokens_seen(trainer, step) or {}
        values = {
            "loss": loss,
            "learning_rate": pl_module.step_learning_rate,
            "grad_norm": float(pl_module.grad_norm),  # type: ignore[arg-type]
            "tokens_per_second": rate,
            "peak_memory_gb": peak_memory_gb(pl_module.device),
        }
        peak = self.peak_tflops or _device_peak(pl_module.device)
        if peak is not None:
            per_token = flops_per_token(causal_lm(pl_module), datamodule.block_length)
            values["mfu"] = rate * per_token / (peak * 1e12 * trainer.world_size)
        self.latest = values
        total = sum(tokens.values())
        self._rows += [
            {"step": step, "tokens": total, "metric": name, "value": value} for name, value in values.items()
        ]
        self._rows += [
            {"step": step, "tokens": total, "metric": "tokens_seen", "value": float(n), "language": language}
            for language, n in tokens.items()
        ]
        logged = {f"{ANALYSIS}/{name}": value for name, value in values.items()}
        for logger in trainer.loggers:
            logger.log_metrics({**logged, f"{ANALYSIS}/tokens": float(total)}, step=step)


def _findings(step: int, rows: list[dict[str, Any]]) -> Findings:
    """Findings of a stretch: the file is named after its last step, the rows keep their own."""
    plain = [{key: value for key, value in row.items() if key not in ("step", "tokens")} for row in rows]
    findings = Findings.from_rows(ANALYSIS, step, plain)
    return findings.with_columns(step=[row["step"] for row in rows], tokens=[row["tokens"] for row in rows])


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory in GB (10^9 bytes): allocated on a GPU, resident in the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def _device_peak(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)
