"""Where hidden states, blocks and units are, one row a model family. A new family is a row, not a branch.

Units are the outputs of the linear layers of each block, before the activation; the LM head, the embeddings and the
norms have none. They are numbered block by block, within a block in the order of the row's sites, within a site by
output index.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Family:
    """How to find the parts of one architecture, as dotted paths.

    Attributes:
        backbone: from the causal LM to the module that is run for hidden states (the LM head is not part of it).
        blocks: from the causal LM to the list of blocks.
        units: short site name -> path from a block to the linear layer.
    """

    backbone: str
    blocks: str
    units: Mapping[str, str]


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
    ),
    "bloom": Family(
        "transformer",
        "transformer.h",
        {
            "qkv": "self_attention.query_key_value",
            "attn_out": "self_attention.dense",
            "ffn_in": "mlp.dense_h_to_4h",
            "ffn_out": "mlp.dense_4h_to_h",
        },
    ),
    "gpt2": Family(
        "transformer",
        "transformer.h",
        {"qkv": "attn.c_attn", "attn_out": "attn.c_proj", "ffn_in": "mlp.c_fc", "ffn_out": "mlp.c_proj"},
    ),
}


@dataclass(frozen=True)
class UnitSite:
    """One linear layer of one block: `units[start:stop]` of the model's numbering are its outputs."""

    layer: int
    site: str
    module: nn.Linear
    start: int
    stop: int


def family_of(model: nn.Module) -> Family:
    """The row of a causal LM's family.

    Raises:
        ValueError: the family has no row, or the model is set so that hooks would not see its units.
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind not in FAMILIES:
        raise ValueError(
            f"model_type={kind!r} has no row in babelscope.model.sites.FAMILIES (known: {', '.join(FAMILIES)}): "
            'add one, for example FAMILIES["' + str(kind) + '"] = Family(backbone="model", blocks="model.layers", '
            'units={"ffn_in": "mlp.up_proj", "ffn_out": "mlp.down_proj"})'
        )
    if getattr(config, "pretraining_tp", 1) > 1 and getattr(config, "slow_but_exact", False):
        raise ValueError(
            "config.slow_but_exact=True with pretraining_tp > 1 makes BLOOM bypass the linear layers that hold the "
            "units: load it with slow_but_exact=False"
        )
    return FAMILIES[kind]


def backbone_of(model: nn.Module) -> nn.Module:
    """The module that computes hidden states, without the LM head."""
    return model.get_submodule(family_of(model).backbone)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The model's blocks, in order."""
    blocks = model.get_submodule(family_of(model).blocks)
    assert isinstance(blocks, nn.ModuleList)
    return list(blocks)


def unit_sites(model: nn.Module) -> list[UnitSite]:
    """All sites of the model's units in the order of their numbering."""
    family = family_of(model)
    sites: list[UnitSite] = []
    start = 0
    for layer, block in enumerate(blocks_of(model)):
        for name, path in family.units.items():
            module = block.get_submodule(path)
            # GPT-2's Conv1D keeps its width as nf.
            width = int(getattr(module, "out_features", 0) or module.nf)  # type: ignore[arg-type]
            sites.append(UnitSite(layer, name, module, start, start + width))  # type: ignore[arg-type]
            start += width
    return sites
