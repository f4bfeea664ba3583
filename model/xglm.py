"""XGLM with the library's attention interface: `sdpa` by default, `eager` for checking.

Parameter names, configuration and saved checkpoints are those of `transformers.XGLMForCausalLM`; checkpoints load in
either class. The library's own class computes attention by hand and refuses `sdpa`.

Shapes: B batch, T query positions, S key positions, H heads, K head width, D model width.
"""

from collections.abc import Callable
from typing import Any

import torch
import transformers.models.xglm.modeling_xglm as stock
from torch import Tensor, nn
from transformers import XGLMConfig
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


def eager_attention(
    module: nn.Module,
    query_BHTK: Tensor,
    key_BHSK: Tensor,
    value_BHSK: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention as three plain operations, with the weights returned; the reference for every other kernel.

    Returns the output (B, T, H, K) and the weights (B, H, T, S).
    """
    score_BHTS = query_BHTK @ key_BHSK.transpose(2, 3) * scaling
    if attention_mask is not None:
        score_BHTS = score_BHTS + attention_mask
    weight_BHTS = torch.softmax(score_BHTS, dim=-1).to(value_BHSK.dtype)
    weight_BHTS = nn.functional.dropout(weight_BHTS, p=dropout, training=module.training)
    return (weight_BHTS @ value_BHSK).transpose(1, 2).contiguous(), weight_BHTS


class XGLMAttention(stock.XGLMAttention):
    """Causal self-attention through the attention interface."""

    config: XGLMConfig
    is_causal: bool
    layer_idx: int  # type: ignore[assignment]

    @classmethod
    def adopt(cls, attention: stock.XGLMAttention, config: XGLMConfig) -> "XGLMAttention":
        """Take over the projections of a stock attention module, sharing its parameters."""
        with torch.device("meta"):
            new = cls(
                attention.embed_dim,
                attention.num_heads,
                attention.dropout,
                True,
                layer_idx=attention.layer_idx,
            )
        new.config = config
        new.is_causal = True
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            setattr(new, name, getattr(attention, name))
        return new

    def forward(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Map hidden states (B, T, D) to (B, T, D); the second value is the weights where the kernel has them."""
        B, T, _ = hidden_states.shape
        query, key, value = (
            projection(hidden_states).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(str(self.config._attn_implementation), eager_attention)
        output_BTHK, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=self.dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.out_proj(output_BTHK.reshape(B, T, self.embed_dim)), weights


class XGLMModel(stock.XGLMModel):
    """The decoder without its head, every layer with `XGLMAttention`."""

    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: XGLMConfig) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.self_attn = XGLMAttention.adopt(layer.self_attn, self.config)  # type: ignore[arg-type]


class XGLMForCausalLM(stock.XGLMForCausalLM):
    """`transformers.XGLMForCausalLM` with fast attention; same parameters, same checkpoints, same logits.

    Raises:
        ValueError: the configuration asks for cross-attention, which no XGLM language model has.
    """

    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: XGLMConfig) -> None:
        if config.add_cross_attention:
            raise ValueError("add_cross_attention=True: this is a decoder-only language model, leave it out")
        # The parent would build its own decoder, which refuses sdpa: its parent's initialiser is the one needed.
        stock.XGLMPreTrainedModel.__init__(self, config)
        self.model = XGLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()
