"""How improbable a model finds given tokens: its own log-probabilities, without all its logits where its head allows.

Shapes: B texts, T tokens, P scored positions, V words, D model width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..model.loss import linear_cross_entropy
from ..model.sites import backbone_of
from ..model.text_config import text_config

NOT_SCORED = -100
_TRIED = 8
"""Tokens on which the head is tried out."""
_AFTER_THE_HEAD = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier_scale")


class TokenLosses:
    """Losses in nats of tokens under a causal LM.

    Some heads have a bias, some models scale their logits or cap them. Whether hidden states times the head's weight are
    the model's logits is asked of its configuration and tried out on a few tokens; where they are not, the model gives
    its logits itself, a text at a time.

    Args:
        sample: tokens to try the head on.
    """

    def __init__(self, model: nn.Module, sample: Sequence[int]) -> None:
        self.model: Any = model
        self.head: Any = model.get_output_embeddings()  # type: ignore[operator]
        self.from_hidden = self._is_plain(list(sample)[:_TRIED])

    def __call__(self, ids_BT: Tensor, labels_BP: Tensor, positions: slice, mask_BT: Tensor | None = None) -> Tensor:
        """Loss of each label, float32 (B, P); zero where it is `NOT_SCORED`.

        Args:
            positions: the P positions behind which the labels stand.
        """
        if self.from_hidden:
            hidden_BPD = self._hidden(ids_BT, mask_BT)[:, positions]
            return linear_cross_entropy(hidden_BPD, self.head.weight, labels_BP, reduction="none")
        losses = []
        for row, labels_P in enumerate(labels_BP):
            one = slice(row, row + 1)
            mask_1T = None if mask_BT is None else mask_BT[one]
            logits_TV = self.model(ids_BT[one], attention_mask=mask_1T, use_cache=False).logits[0, positions]
            losses.append(
                nn.functional.cross_entropy(logits_TV.float(), labels_P, ignore_index=NOT_SCORED, reduction="none")
            )
        return torch.stack(losses)

    def _hidden(self, ids_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        return backbone_of(self.model)(ids_BT, attention_mask=mask_BT, use_cache=False).last_hidden_state

    def _is_plain(self, sample: Sequence[int]) -> bool:
        config = text_config(self.model)
        if getattr(self.head, "bias", None) is not None:
            return False
        if any(getattr(config, name, None) not in (None, 1, 1.0) for name in _AFTER_THE_HEAD):
            return False
        weight_VD = self.head.weight
        few_1T = torch.tensor([sample], device=weight_VD.device)
        with torch.no_grad():
            logits_1TV = self.model(few_1T, use_cache=False).logits.float()
            product_1TV = (self._hidden(few_1T, None) @ weight_VD.T).float()
        scale = logits_1TV.abs().max().clamp(min=1e-6)
        margin = 1e-4 if weight_VD.dtype in (torch.float32, torch.float64) else 0.02
        # Broken weights give no number either way.
        return not torch.isfinite(scale) or bool((logits_1TV - product_1TV).abs().max() < margin * scale)
