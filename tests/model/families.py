"""Tiny random models of every family, with the paths of their parts written out a second time."""

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

WIDE = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
KEY_VALUES = {"num_key_value_heads": 1, "head_dim": 8}
CONFIGS = {
    "xglm": {"vocab_size": 64, "d_model": 16, "ffn_dim": 24, "num_layers": 2, "attention_heads": 2},
    "bloom": {"vocab_size": 64, "hidden_size": 16, "n_layer": 2, "n_head": 2},
    "gpt2": {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "gpt_neox": WIDE,
    "llama": {**WIDE, **KEY_VALUES},
    "mistral": {**WIDE, **KEY_VALUES},
    "qwen2": {**WIDE, "num_key_value_heads": 1},
    "qwen3": {**WIDE, **KEY_VALUES},
    "olmo": WIDE,
    "olmo2": WIDE,
    "gemma": {**WIDE, **KEY_VALUES},
    "gemma2": {**WIDE, **KEY_VALUES},
    "gemma3_text": {**WIDE, **KEY_VALUES},
    "smollm3": {**WIDE, "num_key_value_heads": 1},
    "olmo3": {**WIDE, "num_key_value_heads": 1},
    "cohere": {**WIDE, "num_key_value_heads": 1},
    "cohere2": {**WIDE, **KEY_VALUES},
    "granite": {**WIDE, "num_key_value_heads": 1},
    "stablelm": {**WIDE, "num_key_value_heads": 1},
    "apertus": {**WIDE, "num_key_value_heads": 1},
    "nemotron": {**WIDE, **KEY_VALUES},
    "gptj": {"vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "rotary_dim": 4},
    "mpt": {"vocab_size": 64, "d_model": 16, "n_heads": 2, "n_layers": 2, "max_seq_len": 64},
}
SPECIAL = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}

# blocks, linear layers in the order of a block, activation
MEGATRON = ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
GATED = (
    "model.layers",
    [f"self_attn.{name}_proj" for name in "qkvo"] + ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"],
    "mlp.act_fn",
)
PLACES = {
    "xglm": (
        "model.layers",
        [*(f"self_attn.{name}_proj" for name in ("q", "k", "v", "out")), "fc1", "fc2"],
        "activation_fn",
    ),
    "bloom": ("transformer.h", ["self_attention.query_key_value", "self_attention.dense", *MEGATRON], "mlp.gelu_impl"),
    "gpt2": ("transformer.h", ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"], "mlp.act"),
    "gpt_neox": ("gpt_neox.layers", ["attention.query_key_value", "attention.dense", *MEGATRON], "mlp.act"),
    "gptj": (
        "transformer.h",
        [*(f"attn.{name}_proj" for name in ("q", "k", "v", "out")), "mlp.fc_in", "mlp.fc_out"],
        "mlp.act",
    ),
    "mpt": ("transformer.blocks", ["attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj"], "ffn.act"),
    **dict.fromkeys(
        ("apertus", "nemotron"),
        (
            "model.layers",
            [f"self_attn.{name}_proj" for name in "qkvo"] + ["mlp.up_proj", "mlp.down_proj"],
            "mlp.act_fn",
        ),
    ),
}
PLACES |= {
    **{kind: GATED for kind in CONFIGS if kind not in PLACES},
}


def tiny_model(kind: str, seed: int = 0, **changes) -> nn.Module:
    """A model of a family, strong enough that a wrong place or pooling could not pass for noise."""
    config = AutoConfig.for_model(kind, **{**CONFIGS[kind], **SPECIAL, **changes})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0).add_(torch.randn_like(parameter) * 0.1)
    return model.eval()
