"""Tiny random models of every family, with the paths of their parts written out a second time."""

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

WIDE = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
KEY_VALUES = {"num_key_value_heads": 1, "head_dim": 8}
EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
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
    "opt": {**WIDE, "ffn_dim": 24, "word_embed_proj_dim": 16, "max_position_embeddings": 64},
    "falcon": {**WIDE, "ffn_hidden_size": 24, "new_decoder_architecture": True, "num_kv_heads": 1},
    "codegen": {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
    "phi3": {**WIDE, "num_key_value_heads": 1},
    "gemma3": {
        "text_config": {**WIDE, **KEY_VALUES},
        # More blocks than the text model has: they are not the model's blocks.
        "vision_config": {
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 3,
            "num_attention_heads": 1,
            "image_size": 28,
            "patch_size": 14,
        },
        "mm_tokens_per_image": 4,
    },
    "mixtral": {**WIDE, **KEY_VALUES, "num_local_experts": 5, "num_experts_per_tok": 2},
    "qwen2_moe": {**WIDE, **EXPERTS, "shared_expert_intermediate_size": 20, "num_key_value_heads": 1},
    "qwen3_moe": {**WIDE, **KEY_VALUES, **EXPERTS},
    "olmoe": {**WIDE, **EXPERTS},
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
ROUTED = "model.layers", [f"self_attn.{name}_proj" for name in "qkvo"], None
PLACES |= {
    "opt": ("model.decoder.layers", PLACES["xglm"][1], "activation_fn"),
    "falcon": (*PLACES["bloom"][:2], "mlp.act"),
    "codegen": ("transformer.h", ["attn.qkv_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out"], "mlp.act"),
    "phi3": (
        "model.layers",
        ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"],
        "mlp.activation_fn",
    ),
    "gemma3": ("model.language_model.layers", *GATED[1:]),
    **dict.fromkeys(("mixtral", "qwen3_moe", "olmoe"), ROUTED),
    "qwen2_moe": (
        "model.layers",
        ROUTED[1] + [f"mlp.shared_expert.{name}_proj" for name in ("gate", "up", "down")],
        "mlp.shared_expert.act_fn",
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
