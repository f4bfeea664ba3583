"""Where hidden states, blocks and units are in a causal LM, by its row of the table in `families`.

Units are outputs of modules inside the blocks, by default of the linear layers, before the activation; the LM head,
the embeddings and the norms have none. They are numbered block by block, within a block in the order in which the
row's sites compute, within a site by output index.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from .advice import advice
from .derivation import derive_family
from .families import ACTIVATION, AUTO, EXPERT_SITES, FAMILIES, FUSED_GATE, GATED_PRODUCT, Family, family_problems
from .routed import expert_path, expert_width, experts_problem
from .text_config import text_config
from .unit_site import UnitSite

_OWN_ROW = "babelscope_family"
_NOTHING = object()


def family_of(model: nn.Module) -> Family:
    """The row of a causal LM's family, or the one that `use_family` gave this model.

    Raises:
        ValueError: the family has no row, or the model is set so that hooks would not see its units.
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    # The trap: BLOOM then multiplies slices of the weights by hand, and the linear modules never run.
    if getattr(config, "pretraining_tp", 1) > 1 and getattr(config, "slow_but_exact", False):
        raise ValueError(
            "config.slow_but_exact=True with pretraining_tp > 1 makes BLOOM bypass the linear layers that hold the "
            "units: load it with slow_but_exact=False"
        )
    own = getattr(model, _OWN_ROW, None)
    if own is not None:
        return own
    if kind not in FAMILIES:
        raise ValueError(
            f"model_type={kind!r} has no row in babelscope.model.families (known: {', '.join(sorted(FAMILIES))}): "
            f"{advice(model)}"
        )
    return FAMILIES[kind]


def use_family(model: nn.Module, family: Family | str | None = None, sites: Sequence[str] = ()) -> None:
    """Let one model be read by a row of its own, or with other sites than the row's linear layers.

    Args:
        model: a causal LM; nothing that is computed or saved changes.
        family: the row, the name of one, or `auto` to derive it from the model; by default the one its architecture has.
        sites: names of the row's sites, `ffn_act` for the FFN after its activation, `ffn_gated` for that times the other
            half of a gated FFN, or `qkv` for q, k and v too.

    Raises:
        ValueError: a path of the row leads nowhere, there is no such site or row, or none can be derived.
    """
    row = _row(model, family)
    row = replace(row, sites=row.chosen(sites))
    before = getattr(model, _OWN_ROW, None)
    setattr(model, _OWN_ROW, row)
    try:
        unit_sites(model)
    except ValueError:
        setattr(model, _OWN_ROW, before)
        raise


def _row(model: nn.Module, family: Family | str | None) -> Family:
    if family is None:
        return family_of(model)
    if isinstance(family, Family):
        return family
    for problem in family_problems(family):
        raise ValueError(problem)
    return derive_family(model).family if family == AUTO else FAMILIES[family]


@contextmanager
def read_as(model: nn.Module, family: Family | str | None = None, sites: Sequence[str] = ()) -> Iterator[None]:
    """`use_family` for a while; afterwards, also after an error, the model is read as before.

    With neither a row nor sites it is read as it is.
    """
    before = vars(model).get(_OWN_ROW, _NOTHING)
    try:
        if family is not None or sites:
            use_family(model, family, sites)
        yield
    finally:
        if before is not _NOTHING:
            setattr(model, _OWN_ROW, before)
        elif _OWN_ROW in vars(model):
            delattr(model, _OWN_ROW)


def reading_of(model: nn.Module) -> dict[str, Any]:
    """How the model's units are read, JSON-serialisable: `family`, the fields of its row, and `sites`, their names.

    The row's units are a list of pairs: they are numbered in its order, and JSON's objects are written sorted.
    """
    family = family_of(model)
    units = [[name, path] for name, path in family.units.items()]
    return {"family": {**asdict(family), "sites": [], "units": units}, "sites": list(family.unit_sites)}


def recorded_family(recorded: Mapping[str, Any]) -> Family:
    """The row that `reading_of` wrote down."""
    return Family(**{**recorded, "sites": tuple(recorded["sites"]), "units": dict(recorded["units"])})


def most_positions(model: nn.Module) -> int | None:
    """How many tokens the model can read at once; None where its positions have no end (ALiBi)."""
    config = text_config(model)
    # GPT-2's own name comes second: some configurations know only that. MPT has a table of ALiBi of so many tokens.
    names = ("max_position_embeddings", "n_positions", "max_seq_len")
    return next((getattr(config, name) for name in names if getattr(config, name, None)), None)


def backbone_of(model: nn.Module) -> nn.Module:
    """The module that computes hidden states, without the LM head."""
    return _module(model, family_of(model).backbone, "backbone", model)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The model's blocks, in order."""
    path = family_of(model).blocks
    blocks = _module(model, path, "blocks", model)
    if not isinstance(blocks, nn.ModuleList):
        raise ValueError(f"blocks={path!r} is a {type(blocks).__name__} of {_name(model)}: name its list of blocks")
    return list(blocks)


def unit_sites(model: nn.Module, sites: Sequence[str] | None = None) -> list[UnitSite]:
    """The sites of the model's units in the order of their numbering.

    Args:
        sites: names to choose; by default what `use_family` chose, else all linear layers of the row.

    Raises:
        ValueError: the row has no such site, or a path of it leads nowhere.
    """
    family = family_of(model)
    names = family.chosen(sites) if sites is not None else family.unit_sites
    found: list[UnitSite] = []
    start = 0
    for layer, block in enumerate(blocks_of(model)):
        for name in names:
            for path, module, width, expert in _parts(model, family, block, name):
                reads = name == GATED_PRODUCT
                found.append(UnitSite(layer, name, path, module, block, start, start + width, reads, expert))
                start += width
    return found


def _parts(
    model: nn.Module, family: Family, block: nn.Module, name: str
) -> Iterator[tuple[str, nn.Module, int, int | None]]:
    """Path, module, width and expert of what a site is made of in one block: one module, or all routed experts."""
    if name in EXPERT_SITES:
        assert family.experts is not None
        experts: Any = _module(block, family.experts, "experts", model)
        problem = experts_problem(experts)
        if problem is not None:
            raise ValueError(
                f"experts={family.experts!r} is a {type(experts).__name__} of {_name(model)} whose neurons can't be read "
                f"({problem}): leave experts out of the row"
            )
        for expert in range(len(experts.down_proj)):
            yield expert_path(family.experts, expert, name), experts, expert_width(experts, name), expert
        return
    path = family.path(name)
    module = _module(block, path, f"site {name}", model)
    if name in (ACTIVATION, GATED_PRODUCT):
        # They do not know their width: it is that of the linear layer before them.
        feeder = family.before_activation
        width = _width(_module(block, family.units[feeder], f"site {feeder}", model), feeder, model)
        yield path, module, width // 2 if feeder == FUSED_GATE else width, None
    else:
        yield path, module, _width(module, name, model), None


def _module(parent: nn.Module, path: str, what: str, model: nn.Module) -> nn.Module:
    try:
        return parent.get_submodule(path)
    except AttributeError as error:
        names = [name for name, _ in parent.named_modules() if name]
        raise ValueError(
            f"{what}: {_name(model)} has no module {path!r} in its {type(parent).__name__}; it has "
            f"{', '.join(names[:12])}{' …' if len(names) > 12 else ''}: correct the row of its family"
        ) from error


def _width(module: nn.Module, site: str, model: nn.Module) -> int:
    # GPT-2's Conv1D keeps its width as nf.
    width = getattr(module, "out_features", None) or getattr(module, "nf", None)
    if width is None:
        raise ValueError(
            f"site {site}: a {type(module).__name__} of {_name(model)} has no out_features: name a linear layer; "
            "the activation goes into the row's field `activation`"
        )
    return int(width)


def _name(model: nn.Module) -> str:
    return type(model).__name__
