"""Named model configurations, and building a model from one."""

import copy
from typing import Any

import torch
from transformers import XGLMConfig

from .xglm import XGLMForCausalLM

_CAPACITY = {f"xglm-d{width}": width for width in (128, 256, 512, 1024)}

PRESETS: dict[str, dict[str, Any]] = {
    # XGLM-564M with half the width and nothing else changed: 257,115,136 parameters.
    "xglm-257m": {"d_model": 512},
    "xglm-564m": {},
    # Same depth and vocabulary, heads of width 64, FFN 4 x width: only capacity varies. d1024 is xglm-564m.
    **{
        name: {"d_model": width, "ffn_dim": 4 * width, "attention_heads": width // 64}
        for name, width in _CAPACITY.items()
    },
    # Learns the toy world in minutes on two cores.
    "toy": {
        "vocab_size": 2048,
        "d_model": 96,
        "ffn_dim": 384,
        "num_layers": 6,
        "attention_heads": 4,
        "max_position_embeddings": 128,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
}


def preset(name: str, **overrides: Any) -> XGLMConfig:
    """The configuration of a preset, with single fields of `XGLMConfig` overridden.

    Raises:
        ValueError: no such preset, no such field, or heads that do not divide the width.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} does not exist: choose from {', '.join(PRESETS)}")
    known = set(XGLMConfig().to_dict())
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise ValueError(f"preset {name!r}: XGLMConfig has no field {unknown[0]!r}")
    config = XGLMConfig(**{**PRESETS[name], **overrides})
    if config.d_model % config.attention_heads:
        raise ValueError(f"d_model={config.d_model} is not a multiple of attention_heads={config.attention_heads}")
    return config


def build_model(config: XGLMConfig, seed: int | None = None, attention: str = "sdpa") -> XGLMForCausalLM:
    """A randomly initialised model; with a seed, the same weights every time and the global random state untouched.

    Args:
        config: from `preset`, or any `XGLMConfig`.
        seed: seed of the initialisation; None draws from the global random state.
        attention: `sdpa` or `eager`.
    """
    config = copy.deepcopy(config)
    config._attn_implementation = attention
    if seed is None:
        return XGLMForCausalLM(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return XGLMForCausalLM(config)
