"""A row for an architecture that has none, derived from the model itself: from what its modules compute in one pass.

What follows from what is compared by values: a layer's output is the activation's input, the product of two outputs is
what the next layer reads. Names of modules decide one thing alone, which layers make queries, keys and values.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .families import FUSED_GATE, Family
from .one_pass import TOKENS, Pass, Ran, at_rest, few_tokens, flat, is_product, passed, same
from .routed import experts_problem, one_by_one
from .text_config import text_config

_FUSED = re.compile(r"qkv|query_key_value|^c_attn$")
_LETTER = re.compile(r"^w?(q|k|v)(_|$|uery|ey|alue|proj|lin)")


@dataclass(frozen=True)
class Derivation:
    """A derived row, and what the pass showed about the model.

    Attributes:
        family: the row.
        notes: in words: what hidden states are to logits, and which modules the row leaves out.
    """

    family: Family
    notes: tuple[str, ...]


def derive_family(model: nn.Module) -> Derivation:
    """Derive a row from a causal LM and check it with a forward pass; the model is left as it was.

    The blocks are the longest list of modules that ran; units are the linear layers of a block in the order in which
    they compute, and routed experts; the backbone is the innermost module around the blocks whose output the LM head
    reads.

    Raises:
        ValueError: with what could not be found, or where blocks differ.
    """
    with at_rest(model):
        return _derived(model)


def _derived(model: nn.Module) -> Derivation:
    try:
        found = passed(model)
    except (TypeError, RuntimeError, AttributeError, IndexError) as error:
        raise ValueError(f"{type(model).__name__} can't be run on a few tokens: {error}") from error
    names = {module: name for name, module in model.named_modules()}
    path, blocks = _blocks(model, found)
    for number, block in enumerate(blocks):
        if found.ran[block].times != 1:
            raise ValueError(
                f"block {number} of {path} ran {found.ran[block].times} times in one pass: it can't be told apart"
            )
    units, activation, left_out = _units(blocks[0], found)
    experts, problem = _experts(model, blocks[0])
    backbone, note = _backbone(model, path, found, names)
    if not units and experts is None:
        raise ValueError(f"{path} has blocks without linear layers: name its units by hand")
    family = Family(backbone, path, units, activation, experts)
    _check(model, family, blocks, found)
    notes = [note, _head_note(model, found)]
    if left_out:
        notes.append(
            f"left out, as they give one number a token, several things, or run otherwise: {', '.join(left_out)}"
        )
    if activation is None and experts is None:
        notes.append("no module applies an activation: there is no site ffn_act, and layers keep names of their own")
    if problem:
        notes.append(problem)
    return Derivation(family, tuple(notes))


def _blocks(model: nn.Module, found: Pass) -> tuple[str, list[nn.Module]]:
    """The longest list of modules of which all ran, and not one inside of another's."""
    lists: list[tuple[str, nn.ModuleList]] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer, _ in lists)
        if (
            isinstance(module, nn.ModuleList)
            and not inside
            and all(part in found.ran for part in module)
            and len(module)
        ):
            lists.append((name, module))
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of blocks (nn.ModuleList) that runs")
    path, blocks = max(lists, key=lambda item: (len(item[1]), sum(p.numel() for p in item[1].parameters())))
    return path, list(blocks)


def _units(block: nn.Module, found: Pass) -> tuple[dict[str, str], str | None, list[str]]:
    """Sites of a block in the order of computing, its activation, and the linear layers that are left out."""
    path = {module: name for name, module in block.named_modules()}
    order = [module for module in found.ran if module in path]
    linear = [module for module in order if _is_linear(module)]
    tokens = len(TOKENS) * len(TOKENS[0])
    left_out = []
    for module in list(linear):
        ran = found.ran[module]
        width = ran.gave.shape[-1] if ran.gave is not None and ran.alone else 1
        if ran.times != 1 or width == 1 or ran.gave.numel() != tokens * width:  # type: ignore[union-attr]
            linear.remove(module)
            left_out.append(path[module])
    roles, activation = _feed_forward(linear, order, found)
    rest = [module for module in linear if module not in roles]
    roles |= _attention(rest, path, found)
    used = set(roles.values())
    units: dict[str, str] = {}
    for module in linear:
        name = roles.get(module) or path[module].rpartition(".")[2]
        # Its own last name, or where that is taken, the whole of it.
        units[name if module in roles or name not in used | set(units) else path[module].replace(".", "_")] = path[
            module
        ]
    return units, None if activation is None else path[activation], left_out


def _is_linear(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    width = getattr(module, "out_features", None) or getattr(module, "nf", None)
    return isinstance(weight, Tensor) and weight.dim() == 2 and isinstance(width, int)


def _feed_forward(
    linear: list[nn.Module], order: list[nn.Module], found: Pass
) -> tuple[dict[nn.Module, str], nn.Module | None]:
    """The layers around the activation by name, and the activation."""
    for activation in order:
        ran = found.ran[activation]
        if ran.read is None or ran.gave is None or _is_linear(activation) or not _is_elementwise(activation, ran):
            continue
        for feeder in linear:
            whole = flat(found.ran[feeder].gave)
            gate, other = whole.chunk(2, dim=-1) if whole.shape[-1] % 2 == 0 else (whole, None)
            act = flat(ran.gave)
            if same(whole, ran.read):
                for reader in linear:
                    taken = flat(found.ran[reader].read)
                    if same(taken, act):
                        return {feeder: "ffn_in", reader: "ffn_out"}, activation
                    for up in linear:
                        if up is not feeder and is_product(taken, act, flat(found.ran[up].gave)):
                            return {feeder: "ffn_gate", up: "ffn_in", reader: "ffn_out"}, activation
            elif other is not None and same(gate, ran.read):
                for reader in linear:
                    if is_product(flat(found.ran[reader].read), act, other):
                        return {feeder: FUSED_GATE, reader: "ffn_out"}, activation
    return {}, None


def _attention(rest: list[nn.Module], path: dict[nn.Module, str], found: Pass) -> dict[nn.Module, str]:
    """The layers that read the same states as queries, keys and values do, and the one that ends attention."""
    roles: dict[nn.Module, str] = {}
    if not rest:
        return roles
    first = [module for module in rest if same(flat(found.ran[module].read), found.ran[rest[0]].read)]
    parents = {module: path[module].rpartition(".")[0] for module in rest}
    own = [path[module].rpartition(".")[2].lower() for module in first]
    letters = [_LETTER.match(name) for name in own]
    if len(first) == 3 and {letter and letter[1] for letter in letters} == {"q", "k", "v"}:
        roles = {module: letter[1] for module, letter in zip(first, letters, strict=True) if letter}
    elif len(first) == 1 and _FUSED.search(own[0]):
        roles = {first[0]: "qkv"}
    # Attention ends with the one other layer of its module, or of the block.
    others = [module for module in rest if module not in first]
    beside = [module for module in others if parents[module] == parents[first[0]]]
    for last in (beside, others):
        if roles and len(last) == 1:
            roles[last[0]] = "attn_out"
            break
    return roles


def _is_elementwise(module: nn.Module, ran: Ran) -> bool:
    """Whether a module is an activation: each number follows from the one in its place, and not by being it."""
    if list(module.children()):
        return False
    assert ran.read is not None
    assert ran.gave is not None
    if ran.gave.shape != ran.read.shape or torch.equal(ran.gave, ran.read):
        return False
    turned = ran.read.clone()
    turned[..., 1:] = 0
    try:
        alone = module(turned)
    except (TypeError, RuntimeError, ValueError, IndexError):  # needs more than one argument: no activation
        return False
    return isinstance(alone, Tensor) and alone.shape == ran.gave.shape and same(alone[..., :1], ran.gave[..., :1])


def _experts(model: Any, block: nn.Module) -> tuple[str | None, str | None]:
    """Path of the routed experts whose neurons can be read, or what hinders that; checked against what they give."""
    held = ((name, module) for name, module in block.named_modules() if _holds_experts(module))
    path, experts = next(held, (None, None))
    if experts is None:
        return None, None
    problem = experts_problem(experts)
    if problem is None:
        ran: list[Any] = []
        handle = experts.register_forward_hook(lambda _m, *all_of_it: ran.append(all_of_it), with_kwargs=True)
        try:
            model(input_ids=few_tokens(model), use_cache=False)
            arguments, keywords, gave = ran[0]
            if same(one_by_one(experts, (), *arguments, **keywords), gave):
                return path, None
            problem = "computed one by one they give something else"
        except (TypeError, RuntimeError, IndexError) as error:
            problem = f"they do not compute as others do: {error}"
        finally:
            handle.remove()
    return None, f"left out: the neurons of the routed experts in {path} can't be read ({problem})"


def _holds_experts(module: nn.Module) -> bool:
    # The weight of a convolution has three dimensions as well.
    return any(values.dim() == 3 and name != "weight" for name, values in module.named_parameters(recurse=False))


def _backbone(model: Any, blocks: str, found: Pass, names: dict[nn.Module, str]) -> tuple[str, str]:
    """The innermost module around the blocks that gives what the LM head reads."""
    head = model.get_output_embeddings()
    if head is None or head not in found.ran:
        raise ValueError(f"{type(model).__name__} has no LM head that runs (get_output_embeddings)")
    around = [
        (name, module)
        for module, name in names.items()
        if name and module in found.ran and blocks.startswith(f"{name}.")
    ]
    around.sort(key=lambda item: len(item[0]), reverse=True)
    alone = [(name, module) for name, module in around if _runs_alone(model, module, found)]
    for name, module in alone:
        if same(found.ran[module].gave, found.ran[head].read):
            return name, f"the LM head reads what {name} gives"
    if not alone:
        raise ValueError(
            f"{type(model).__name__} has no module around {blocks} that gives hidden states for token ids, without the LM "
            "head"
        )
    name = alone[0][0]
    return name, f"the LM head does not read what {name} gives as it is: losses are taken from the model's own logits"


def _runs_alone(model: Any, module: nn.Module, found: Pass) -> bool:
    """Whether a module, given token ids alone, gives what it gave inside of the model."""
    ids_BT = few_tokens(model)
    try:
        given = module(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT), use_cache=False)
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):  # it wants something else
        return False
    return same(getattr(given, "last_hidden_state", None), found.ran[module].gave)


def _head_note(model: Any, found: Pass) -> str:
    """How the model's logits follow from the LM head's output."""
    head_BTV, logits_BTV = found.ran[model.get_output_embeddings()].gave, found.logits
    if head_BTV is None or logits_BTV is None or head_BTV.shape != logits_BTV.shape:
        return "its logits are of another shape than the LM head's output"
    if same(head_BTV, logits_BTV):
        return "its logits are the LM head's output"
    ratio = (logits_BTV.double() * head_BTV.double()).sum() / (head_BTV.double() ** 2).sum()
    if same((head_BTV * ratio).to(logits_BTV.dtype), logits_BTV):
        return f"its logits are the LM head's output times {ratio:.6g}"
    return "its logits are not proportional to the LM head's output (capped, for example)"


def _check(model: Any, family: Family, blocks: list[nn.Module], found: Pass) -> None:
    """Every site of every block ran once, and widths fit.

    Raises:
        ValueError: they do not.
    """
    width = getattr(text_config(model), "hidden_size", None)
    paths = [*family.units.values(), *(path for path in (family.activation, family.experts) if path)]
    for number, block in enumerate(blocks):
        for path in paths:
            try:
                module = block.get_submodule(path)
            except AttributeError as error:
                raise ValueError(
                    f"block {number} has no {path}, which block 0 has: a row is for blocks that are alike"
                ) from error
            times = found.ran[module].times if module in found.ran else 0
            if times != 1:
                raise ValueError(f"{path} of block {number} ran {times} times in one pass")
        gave = found.ran[block].gave
        if width is not None and gave is not None and gave.shape[-1] != width:
            raise ValueError(
                f"block {number} gives {gave.shape[-1]} numbers a token, and config.hidden_size is {width}"
            )
