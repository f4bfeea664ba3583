"""The table of model families: one row an architecture. A new family is a row, not a branch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

ACTIVATION = "ffn_act"
"""The site after the FFN's activation, act(gate) in a gated block: the "neurons" that are counted as active where this
is above zero (LAPE, Tang et al. 2024, https://arxiv.org/abs/2402.16438)."""

GATED_PRODUCT = "ffn_gated"
"""What a gated block's `ffn_out` reads, act(gate) * up: how strongly a neuron writes, and with which sign. Without a gate
that is `ffn_act` itself."""

FUSED_GATE = "ffn_gate_in"
"""One linear layer that computes ffn_gate and ffn_in, the gate's half first."""

EXPERT_SITES = ("expert_gate", "expert_act", "expert_in", "expert_gated", "expert_out")
"""What each routed expert of a mixture computes for the tokens that are routed to it, as in a gated block: the gate, the
gate after its activation, the other half, their product, and the expert's output before the router weighs it."""

AUTO = "auto"
"""Instead of a row: derive one from the model itself (`derivation.derive_family`)."""

# What one layer may compute, or several: the fused name stands for the parts, where those are apart.
_PARTS = {"qkv": ("q", "k", "v"), FUSED_GATE: ("ffn_gate", "ffn_in")}


@dataclass(frozen=True)
class Family:
    """How to find the parts of one architecture, as dotted paths.

    Attributes:
        backbone: from the causal LM to the module that is run for hidden states (the LM head is not part of it).
        blocks: from the causal LM to the list of blocks.
        units: short site name -> path from a block to the linear layer. Units are numbered in this order; in the table
            it is the order in which the layers compute. The names in use are q, k, v (or qkv where one layer computes
            them), attn_out, ffn_gate and ffn_in (or ffn_gate_in where one layer computes them), ffn_out.
        activation: path from a block to the module that applies the FFN's activation; in a gated block to the gate's
            values. Its output is the site `ffn_act`. A row with ffn_gate, ffn_in and ffn_out has the site `ffn_gated` too.
        experts: path from a block to the module that holds the routed experts of a mixture as three-dimensional weights;
            its sites are `EXPERT_SITES`, behind those of `units`.
        sites: the sites that are units; all linear layers if empty, those of the routed experts too.
    """

    backbone: str
    blocks: str
    units: Mapping[str, str] = field(default_factory=dict)
    activation: str | None = None
    experts: str | None = None
    sites: tuple[str, ...] = ()

    @property
    def before_activation(self) -> str:
        """The linear layer whose outputs, or the first half of them, the activation takes."""
        return next((name for name in ("ffn_gate", FUSED_GATE) if name in self.units), "ffn_in")

    @property
    def unit_sites(self) -> tuple[str, ...]:
        """The sites that are units."""
        linear = ("expert_gate", "expert_in", "expert_out") if self.experts is not None else ()
        return self.sites or (*self.units, *linear)

    @property
    def all_sites(self) -> tuple[str, ...]:
        """Every site that can be chosen, in the order in which they compute."""
        names = list(self.units)
        if self.activation is not None and self.before_activation in names:
            names.insert(names.index(self.before_activation) + 1, ACTIVATION)
        gated = FUSED_GATE in names or {"ffn_gate", "ffn_in"} <= set(names)
        if gated and "ffn_out" in names:
            names.insert(names.index("ffn_out"), GATED_PRODUCT)
        return (*names, *(EXPERT_SITES if self.experts is not None else ()))

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
        # One name for attention's input, whether the architecture has one layer for it or three; for a gate as well.
        apart = {
            fused: parts for fused, parts in _PARTS.items() if fused not in self.units and set(parts) <= set(self.units)
        }
        wanted = {name for site in sites for name in apart.get(site, (site,))}
        unknown = sorted(wanted - set(self.all_sites))
        if unknown:
            raise ValueError(f"sites: {', '.join(unknown)} is not there; choose from {', '.join(self.all_sites)}")
        return tuple(name for name in self.all_sites if name in wanted)


def family_problems(family: "Family | str | None") -> Iterator[str]:
    """What is wrong with a family that was asked for by its name, before there is a model."""
    if isinstance(family, str) and family != AUTO and family not in FAMILIES:
        yield (
            f"family={family}: there is no such row; choose {AUTO}, which derives one from the model, one of "
            f"{', '.join(sorted(FAMILIES))}, or give the paths, by the fields {', '.join(f.name for f in fields(Family))}"
        )


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

# Routed experts, which every block of these has, instead of one feed-forward part.
_ROUTED = replace(
    _GATED,
    units={"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "attn_out": "self_attn.o_proj"},
    activation=None,
    experts="mlp.experts",
)

# XGLM and OPT come from one library, and their blocks are called alike.
_FAIRSEQ = Family(
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
)

FAMILIES: dict[str, Family] = {
    "xglm": _FAIRSEQ,
    "opt": replace(_FAIRSEQ, backbone="model.decoder", blocks="model.decoder.layers"),
    "bloom": Family(
        "transformer",
        "transformer.h",
        {"qkv": "self_attention.query_key_value", "attn_out": "self_attention.dense", **_MEGATRON_FFN},
        "mlp.gelu_impl",
    ),
    "falcon": Family(
        "transformer",
        "transformer.h",
        {"qkv": "self_attention.query_key_value", "attn_out": "self_attention.dense", **_MEGATRON_FFN},
        "mlp.act",
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
    "codegen": Family(
        "transformer",
        "transformer.h",
        {"qkv": "attn.qkv_proj", "attn_out": "attn.out_proj", "ffn_in": "mlp.fc_in", "ffn_out": "mlp.fc_out"},
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
    "phi3": replace(
        _GATED,
        units={
            "qkv": "self_attn.qkv_proj",
            "attn_out": "self_attn.o_proj",
            "ffn_gate_in": "mlp.gate_up_proj",
            "ffn_out": "mlp.down_proj",
        },
        activation="mlp.activation_fn",
    ),
    # The text model inside of the one that reads images as well.
    "gemma3": replace(_GATED, backbone="model.language_model", blocks="model.language_model.layers"),
    **dict.fromkeys(("mixtral", "qwen3_moe", "olmoe"), _ROUTED),
    # Beside the routed experts, one that all tokens go through.
    "qwen2_moe": replace(
        _ROUTED,
        units={
            **_ROUTED.units,
            "ffn_gate": "mlp.shared_expert.gate_proj",
            "ffn_in": "mlp.shared_expert.up_proj",
            "ffn_out": "mlp.shared_expert.down_proj",
        },
        activation="mlp.shared_expert.act_fn",
    ),
}
