"""The table of model families: one row an architecture. A new family is a row, not a branch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

ACTIVATION = "ffn_act"
"""The site after the FFN's activation, act(gate) in a gated block: the "neurons" that are counted as active where this
is above zero (LAPE, Tang et al. 2024, https://arxiv.org/abs/2402.16438)."""

GATED_PRODUCT = "ffn_gated"
"""What a gated block's `ffn_out` reads, act(gate) * up: how strongly a neuron writes, and with which sign. Without a gate
that is `ffn_act` itself."""


@dataclass(frozen=True)
class Family:
    """How to find the parts of one architecture, as dotted paths.

    Attributes:
        backbone: from the causal LM to the module that is run for hidden states (the LM head is not part of it).
        blocks: from the causal LM to the list of blocks.
        units: short site name -> path from a block to the linear layer. Units are numbered in this order; in the table
            it is the order in which the layers compute. The names in use are q, k, v (or qkv where one layer computes
            them), attn_out, ffn_gate, ffn_in, ffn_out.
        activation: path from a block to the module that applies the FFN's activation; in a gated block to the gate's
            values. Its output is the site `ffn_act`. A row with ffn_gate, ffn_in and ffn_out has the site `ffn_gated` too.
        sites: the sites that are units; all linear layers if empty.
    """

    backbone: str
    blocks: str
    units: Mapping[str, str] = field(default_factory=dict)
    activation: str | None = None
    sites: tuple[str, ...] = ()

    @property
    def before_activation(self) -> str:
        """The linear layer whose outputs the activation takes."""
        return "ffn_gate" if "ffn_gate" in self.units else "ffn_in"

    @property
    def all_sites(self) -> tuple[str, ...]:
        """Every site that can be chosen, in the order in which they compute."""
        names = list(self.units)
        if self.activation is not None and self.before_activation in names:
            names.insert(names.index(self.before_activation) + 1, ACTIVATION)
        if {"ffn_gate", "ffn_in", "ffn_out"} <= set(names):
            names.insert(names.index("ffn_out"), GATED_PRODUCT)
        return tuple(names)

    def path(self, site: str) -> str:
        """From a block to the module of a site; the gated product is the input of its module, all others the output."""
        if site == GATED_PRODUCT:
            return self.units["ffn_out"]
        return str(self.activation) if site == ACTIVATION else self.units[site]

    def chosen(self, sites: Sequence[str]) -> tuple[str, ...]:
        """The row's own names for a choice of sites, in the order in which they compute.

        Raises:
            ValueError: the row has no such site.
        """
        # One name for attention's input, whether the architecture has one layer for it or three.
        split = ("q", "k", "v") if "qkv" not in self.units and "q" in self.units else ()
        wanted = {name for site in sites for name in (split if site == "qkv" and split else (site,))}
        unknown = sorted(wanted - set(self.all_sites))
        if unknown:
            raise ValueError(f"sites: {', '.join(unknown)} is not there; choose from {', '.join(self.all_sites)}")
        return tuple(name for name in self.all_sites if name in wanted)


_MEGATRON_FFN = {"ffn_in": "mlp.dense_h_to_4h", "ffn_out": "mlp.dense_4h_to_h"}

# The gate is computed first: its activation stands before ffn_in.
_GATED = Family(
    "model",
    "model.layers",
    {
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "attn_out": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_in": "mlp.up_proj",
        "ffn_out": "mlp.down_proj",
    },
    "mlp.act_fn",
)

# One linear layer before the activation and one behind it.
_UNGATED = replace(
    _GATED,
    units={
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "attn_out": "self_attn.o_proj",
        "ffn_in": "mlp.up_proj",
        "ffn_out": "mlp.down_proj",
    },
)

FAMILIES: dict[str, Family] = {
    "xglm": Family(
        "model",
        "model.layers",
        {
            "q": "self_attn.q_proj",
            "k": "self_attn.k_proj",
            "v": "self_attn.v_proj",
            "attn_out": "self_attn.out_proj",
            "ffn_in": "fc1",
            "ffn_out": "fc2",
        },
        "activation_fn",
    ),
    "bloom": Family(
        "transformer",
        "transformer.h",
        {"qkv": "self_attention.query_key_value", "attn_out": "self_attention.dense", **_MEGATRON_FFN},
        "mlp.gelu_impl",
    ),
    "gpt2": Family(
        "transformer",
        "transformer.h",
        {"qkv": "attn.c_attn", "attn_out": "attn.c_proj", "ffn_in": "mlp.c_fc", "ffn_out": "mlp.c_proj"},
        "mlp.act",
    ),
    "gpt_neox": Family(
        "gpt_neox",
        "gpt_neox.layers",
        {"qkv": "attention.query_key_value", "attn_out": "attention.dense", **_MEGATRON_FFN},
        "mlp.act",
    ),
    "gptj": Family(
        "transformer",
        "transformer.h",
        {
            "q": "attn.q_proj",
            "k": "attn.k_proj",
            "v": "attn.v_proj",
            "attn_out": "attn.out_proj",
            "ffn_in": "mlp.fc_in",
            "ffn_out": "mlp.fc_out",
        },
        "mlp.act",
    ),
    "mpt": Family(
        "transformer",
        "transformer.blocks",
        {"qkv": "attn.Wqkv", "attn_out": "attn.out_proj", "ffn_in": "ffn.up_proj", "ffn_out": "ffn.down_proj"},
        "ffn.act",
    ),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "olmo", "olmo2", "olmo3", "gemma", "gemma2"), _GATED),
    **dict.fromkeys(("gemma3_text", "smollm3", "cohere", "cohere2", "granite", "stablelm"), _GATED),
    **dict.fromkeys(("apertus", "nemotron"), _UNGATED),
}
