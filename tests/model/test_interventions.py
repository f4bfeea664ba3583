"""Forced units hold their values in every layer, position and call; all else, and the model afterwards, is intact."""

from functools import cache, partial

import pytest
import torch
from babelscope.model import build_model, preset
from babelscope.model.families import FAMILIES
from babelscope.model.interventions import Forcing, forced
from babelscope.model.routed import NO_RESPONSE
from babelscope.model.sites import unit_sites, use_family
from transformers import DynamicCache

from .families import tiny_model


@cache
def tiny(family: str) -> torch.nn.Module:
    if family == "our xglm":
        config = preset("toy", vocab_size=64, num_layers=2, d_model=16, ffn_dim=24, attention_heads=2)
        return build_model(config, seed=0).eval()
    model = tiny_model(family.removesuffix(" activations"))
    if family.endswith(" activations"):
        use_family(model, sites=("ffn_act",))
    return model


FOUR = ["xglm", "bloom", "gpt2", "llama"]
MODELS = [*sorted(FAMILIES), "our xglm", "gpt2 activations", "llama activations"]
IDS = torch.tensor([[2, 7, 9, 4, 30, 11], [2, 8, 8, 1, 0, 5], [2, 3, 39, 20, 6, 6]])


@torch.no_grad()
def outputs(model, calls) -> dict[int, list[torch.Tensor]]:
    """What every site put out in each call, as whatever follows it sees it; `calls` drives the model."""
    seen: dict[int, list[torch.Tensor]] = {}

    def keep(site, output):
        # OPT's feed-forward layers see the tokens of all rows in one.
        seen.setdefault(site.start, []).append(output.reshape(len(IDS), -1, site.stop - site.start).clone())

    handles = [
        site.hook(partial(keep, site))
        if site.expert is not None
        else site.module.register_forward_hook(lambda _m, _a, out, site=site: keep(site, out))
        for site in unit_sites(model)
    ]
    try:
        calls()
    finally:
        for handle in handles:
            handle.remove()
    return seen


def whole(model):
    return lambda: model(input_ids=IDS, use_cache=False)


def cached(model):
    def calls() -> None:
        cache = DynamicCache(config=model.config)
        for part in (IDS[:, :2], IDS[:, 2:3], IDS[:, 3:4], IDS[:, 4:]):
            model(input_ids=part, past_key_values=cache, use_cache=True)

    return calls


def every_kind_of_unit(model) -> Forcing:
    """Two units of every site of every block."""
    units = [unit for site in unit_sites(model) for unit in (site.start + 1, site.stop - 1)]
    return Forcing(tuple(units), tuple(0.25 + 0.5 * number for number in range(len(units))))


@pytest.mark.parametrize("drive", [whole, cached])
@pytest.mark.parametrize("family", MODELS)
def test_forced_units_hold_their_values_everywhere(family, drive):
    model = tiny(family)
    forcing = every_kind_of_unit(model)
    with forced(model, forcing):
        seen = outputs(model, drive(model))
    wanted = dict(zip(forcing.units, forcing.values, strict=True))
    for site in unit_sites(model):
        output_BTW = torch.cat(seen[site.start], dim=1)
        assert output_BTW.shape[:2] == IDS.shape
        for unit in range(site.start, site.stop):
            values = output_BTW[..., unit - site.start]
            # An expert of a mixture is forced where tokens are routed to it, and has no response elsewhere.
            values = values[values != NO_RESPONSE]
            if unit in wanted:
                assert (values == wanted[unit]).all()
            elif len(values) > 1:
                assert not (values == values[0]).all()


@pytest.mark.parametrize("family", MODELS)
def test_nothing_else_changes_before_the_first_forced_layer(family):
    model = tiny(family)
    sites = unit_sites(model)
    target = next(site for site in sites if site.layer == 1)
    plain, logits = outputs(model, whole(model)), whole(model)().logits
    with forced(model, Forcing((target.start + 3,), (9.0,))):
        changed, changed_logits = outputs(model, whole(model)), whole(model)().logits
    for site in sites:
        same = plain[site.start][0] == changed[site.start][0]
        if site.layer == 0:
            assert same.all()
        elif site is target:
            assert torch.equal(same.all(dim=(0, 1)), torch.arange(same.shape[-1]) != 3)
    assert not torch.equal(logits, changed_logits)


@pytest.mark.parametrize("family", FOUR)
def test_each_row_has_its_own_forcing(family):
    model = tiny(family)
    first, second = every_kind_of_unit(model), Forcing((5,), (-3.0,))
    with forced(model, [first, second], rows=[1, -1, 0]):
        together = outputs(model, cached(model))
    plain = outputs(model, cached(model))
    with forced(model, first):
        alone_first = outputs(model, cached(model))
    with forced(model, second):
        alone_second = outputs(model, cached(model))
    for site in unit_sites(model):
        for call, found in enumerate(together[site.start]):
            expected = [parts[site.start][call][row] for row, parts in enumerate((alone_second, plain, alone_first))]
            torch.testing.assert_close(found, torch.stack(expected))


def test_modes_and_positions():
    model = tiny("xglm")
    site = unit_sites(model)[4]
    unit = site.start + 2
    plain = outputs(model, whole(model))[site.start][0][..., 2]
    for mode, expected in (("set", torch.full_like(plain, 1.5)), ("add", plain + 1.5), ("multiply", plain * 1.5)):
        for rows in (None, [0, 0, 0]):
            with forced(model, [Forcing((unit,), (1.5,))], rows=rows, mode=mode):
                assert torch.equal(outputs(model, whole(model))[site.start][0][..., 2], expected)
            with forced(model, [Forcing((unit,), (1.5,))], rows=rows, mode=mode, positions="last"):
                found = outputs(model, whole(model))[site.start][0][..., 2]
            assert torch.equal(found[:, -1], expected[:, -1])
            assert torch.equal(found[:, :-1], plain[:, :-1])


def hooks_of(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("family", FOUR)
def test_the_model_is_bit_identical_afterwards_also_after_an_error(family):
    model = tiny(family)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    before = model(input_ids=IDS).logits
    forcing = every_kind_of_unit(model)
    with forced(model, forcing):
        assert hooks_of(model) == len(unit_sites(model))
        assert not torch.equal(model(input_ids=IDS).logits, before)
    with pytest.raises(RuntimeError, match="in the middle"):  # noqa: PT012, SIM117
        with forced(model, forcing):
            model(input_ids=IDS)
            raise RuntimeError("in the middle")
    assert hooks_of(model) == 0
    assert torch.equal(model(input_ids=IDS).logits, before)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_only_sites_with_forced_units_get_a_hook():
    model = tiny("gpt2")
    with forced(model, Forcing((0, 1), (1.0, 2.0))):
        assert hooks_of(model) == 1
    with forced(model, [], rows=[-1, -1]):
        assert hooks_of(model) == 0


def test_the_gradient_reaches_what_is_not_forced():
    model = tiny_model("bloom")
    with forced(model, every_kind_of_unit(model), mode="multiply"):
        model(input_ids=IDS, labels=IDS).loss.backward()
    assert model.transformer.word_embeddings.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: Forcing((1, 2), (0.5,)), "2 units and 1 values: give one value a unit"),
        (lambda model: Forcing((7, 3, 7), (0.5, 0.1, 0.2)), "unit 7 is forced twice"),
        (lambda model: Forcing((7,), (float("nan"),)), "unit 7 is to be forced to nan: give a finite number"),
        (lambda model: forced(model, Forcing((432,), (1.0,))).__enter__(), "unit 432 does not exist: .* 0 to 207"),
        (lambda model: forced(model, Forcing((-1,), (1.0,))).__enter__(), "unit -1 does not exist"),
        (lambda model: forced(model, Forcing((1,), (1.0,)), mode="clamp").__enter__(), "mode='clamp': choose one of set"),
        (lambda model: forced(model, Forcing((1,), (1.0,)), positions="first").__enter__(), "positions='first'"),
        (lambda model: forced(model, []).__enter__(), "0 forcings and no rows"),
        (lambda model: forced(model, [], rows=[0]).__enter__(), "rows name forcings 0 to 0: there are 0 to -1"),
    ],
)  # fmt: skip
def test_wrong_use_says_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make(tiny("xglm"))


def test_a_batch_of_another_size_is_refused():
    model = tiny("xglm")
    with pytest.raises(ValueError, match="a batch of 3 rows, but forcings were given for 2"):  # noqa: SIM117
        with forced(model, [Forcing((1,), (1.0,))], rows=[0, -1]):
            model(input_ids=IDS)
