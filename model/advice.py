"""What to do about an architecture without a row: the derived one, as it is written in a configuration or in Python."""

from torch import nn

from .derivation import derive_family
from .families import Family


def advice(model: nn.Module) -> str:
    """What to do about an architecture without a row: the row that can be derived, ready to be pasted, or why none."""
    kind = getattr(getattr(model, "config", None), "model_type", None)
    try:
        found = derive_family(model)
    except ValueError as error:
        return (
            f"none could be derived from the model itself ({error}): give the paths, in YAML for the field family or in "
            "JSON for --family, as family: {backbone: model, blocks: model.layers, units: {q: self_attn.q_proj, "
            "k: self_attn.k_proj, v: self_attn.v_proj, attn_out: self_attn.o_proj, ffn_gate: mlp.gate_proj, "
            "ffn_in: mlp.up_proj, ffn_out: mlp.down_proj}, activation: mlp.act_fn}"
        )
    return (
        "say family: auto (--family auto), which reads it by the row derived from the model itself, or give that row: in "
        f"YAML as\n{as_yaml(found.family)}\nor in Python as\nFAMILIES[{kind!r}] = {as_python(found.family)}\n"
        f"({'; '.join(found.notes)})"
    )


def as_yaml(family: Family) -> str:
    """A row for the field `family` of a configuration, on one line, which is what --family takes behind the colon too."""
    units = ", ".join(f"{name}: {path}" for name, path in family.units.items())
    parts = {"backbone": family.backbone, "blocks": family.blocks, "units": f"{{{units}}}"}
    parts |= {name: value for name in ("activation", "experts") if (value := getattr(family, name)) is not None}
    return f"family: {{{', '.join(f'{name}: {value}' for name, value in parts.items())}}}"


def as_python(family: Family) -> str:
    """A row for the table of families."""
    units = ", ".join(f'"{name}": "{path}"' for name, path in family.units.items())
    parts = [f'backbone="{family.backbone}"', f'blocks="{family.blocks}"', f"units={{{units}}}"]
    parts += [f'{name}="{value}"' for name in ("activation", "experts") if (value := getattr(family, name)) is not None]
    return f"Family({', '.join(parts)})"
