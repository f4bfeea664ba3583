"""The Lightning module: a multilingual XGLM, its loss and its optimizer.

Shapes: B sequences of a micro-batch, T tokens of a block, D model width.
"""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from ...model import XGLMForCausalLM, build_model, linear_cross_entropy
from .beginning import run_config, take_weights
from .optimizer import learning_rate_factor, parameter_groups


class NonFiniteLossError(RuntimeError):
    """The loss or the gradient became NaN or infinite; the message says where, and the way back."""


class Pretraining(pl.LightningModule):
    """Next-token prediction over packed blocks. `model` is a Hugging Face causal LM that any callback can look at."""

    def __init__(
        self,
        preset: str | None = None,
        overrides: dict[str, Any] | None = None,
        seed: int | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.95),
        epsilon: float = 1e-8,
        warmup_steps: int = 2000,
        decay: str = "cosine",
        decay_floor: float = 0.1,
        decay_share: float = 0.2,
        attention: str = "sdpa",
        compile: bool = False,
        recompute_activations: bool = False,
    ) -> None:
        """Describe the model and its training; nothing is allocated before the fit begins.

        Args:
            preset: name of the model configuration (babelscope.model.PRESETS), by default xglm-257m; none where the run
                begins from a checkpoint.
            overrides: single fields of XGLMConfig that differ from the preset; of a checkpoint's, those that change no
                weight: dropout, attention_dropout, activation_dropout, layerdrop, max_position_embeddings.
            seed: seed of the initial weights; by default the run's, `seed_everything`, and 0 where there is none.
            learning_rate: peak learning rate of AdamW.
            weight_decay: decay of matrices and embeddings; norms and biases have none.
            betas: AdamW's averaging factors.
            epsilon: AdamW's epsilon.
            warmup_steps: optimizer steps of linear warm-up.
            decay: course after the warm-up: cosine, linear, wsd or constant.
            decay_floor: learning rate at the end, as a share of the peak.
            decay_share: share of the run over which wsd decays.
            attention: kernel, sdpa or eager.
            compile: compile the decoder with torch.compile.
            recompute_activations: save memory by computing activations again in the backward pass.
        """
        super().__init__()
        self.save_hyperparameters()
        self.begin_from: str | None = None
        """Folder of a checkpoint, ours or another XGLM in Hugging Face form, whose weights are those of step 0."""
        self.model: XGLMForCausalLM | None = None
        self._decoder: Any = None
        self.step_loss: Tensor | None = None
        self.grad_norm: Tensor | None = None
        self.step_learning_rate = 0.0
        self._losses: list[Tensor] = []
        self._languages: list[Tensor] = []

    def configure_model(self) -> None:
        """Build the model; called by Lightning once devices are known, and harmless when called again."""
        if self.model is not None:
            return
        settings = self.hparams
        config = run_config({**settings, "from": self.begin_from})
        self.model = build_model(config, settings["seed"] or 0, settings["attention"])
        if self.begin_from is not None:
            take_weights(self.model, self.begin_from)
        if settings["recompute_activations"]:
            self.model.activation_checkpointing_enable()
        # Not registered as a submodule: the compiled decoder shares the model's parameters.
        decoder = torch.compile(self.model.model) if settings["compile"] else self.model.model
        object.__setattr__(self, "_decoder", decoder)
        self.model.train()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean loss in nats per token of a micro-batch with `input_ids` (B, T) and `languages` (B,)."""
        assert self.model is not None
        ids_BT = batch["input_ids"]
        hidden_BTD = self._decoder(ids_BT, use_cache=False).last_hidden_state
        loss = linear_cross_entropy(hidden_BTD[:, :-1], self.model.lm_head.weight, ids_BT[:, 1:])
        self._losses.append(loss.detach())
        self._languages.append(batch["languages"])
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log `validation/loss/<language>` in nats per token, for Lightning's own `validate`.

        While it trains, `PerLanguageLoss` measures held-out text at exact steps; `pretrain` leaves this loop off.
        """
        assert self.model is not None
        ids_BT = batch["input_ids"]
        hidden_BTD = self._decoder(ids_BT, use_cache=False).last_hidden_state
        loss_BT = linear_cross_entropy(hidden_BTD[:, :-1], self.model.lm_head.weight, ids_BT[:, 1:], reduction="none")
        names = self.trainer.datamodule.languages  # type: ignore[attr-defined]
        for index in batch["languages"].unique().tolist():
            losses = loss_BT[batch["languages"] == index]
            self.log(f"validation/loss/{names[index]}", losses.mean(), batch_size=len(losses), on_epoch=True)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by global norm, and stop before a step is taken with a loss or gradient that is not finite."""
        limit = float("inf") if gradient_clip_val is None else float(gradient_clip_val)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit, foreach=True)
        # One small reduction for all processes: where one has a NaN, all stop.
        mean = self.trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean")
        assert isinstance(mean, Tensor)
        self.step_loss, self.grad_norm = mean, norm
        self.step_learning_rate = optimizer.param_groups[0]["lr"]
        if not torch.isfinite(mean + norm):
            self._stop_at_nonfinite(mean, norm)
        self._losses.clear()
        self._languages.clear()

    def _stop_at_nonfinite(self, loss: Tensor, norm: Tensor) -> None:
        names = getattr(self.trainer.datamodule, "languages", None)  # type: ignore[attr-defined]
        indices, counts = torch.cat(self._languages).cpu().unique(return_counts=True)
        batch = ", ".join(
            f"{names[i] if names else i}: {n}" for i, n in zip(indices.tolist(), counts.tolist(), strict=True)
        )
        raise NonFiniteLossError(
            f"optimizer step {self.trainer.global_step + 1}: loss {loss.item()}, gradient norm {norm.item()}. "
            f"Sequences in the batch: {batch}. The weights were not updated. Everything written so far is valid; go "
            "back with --resume (the newest resume state), lower model.learning_rate or trainer.gradient_clip_val, "
            "or look at the text of these languages."
        )

    def configure_optimizers(self) -> Any:
        """AdamW and the learning rate's course over `trainer.max_steps`."""
        assert self.model is not None
        settings = self.hparams
        optimizer = torch.optim.AdamW(
            parameter_groups(self.model, settings["weight_decay"]),
            lr=settings["learning_rate"],
            betas=settings["betas"],
            eps=settings["epsilon"],
            fused=True,
        )
        factor = learning_rate_factor(
            settings["warmup_steps"],
            self.trainer.max_steps,
            settings["decay"],
            settings["decay_floor"],
            settings["decay_share"],
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
