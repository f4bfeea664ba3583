"""Units of routed experts against plain loops over tokens: what they respond, how it is pooled, and what forcing does."""

import copy

import pytest
import torch
from babelscope.analysis.experts.activations import Units, unit_responses
from babelscope.model.families import EXPERT_SITES, FAMILIES
from babelscope.model.interventions import Forcing, forced
from babelscope.model.routed import NO_RESPONSE
from babelscope.model.sites import blocks_of, unit_sites, use_family

from ..tokenizers_for_tests import sentences, word_tokenizer
from .families import tiny_model

KINDS = [kind for kind, row in FAMILIES.items() if row.experts is not None]
EXPERTS = 5


def routed_model(kind):
    model = tiny_model(kind)
    use_family(model, sites=EXPERT_SITES)
    return model


@torch.no_grad()
def by_loop(model, ids):
    """(layer, site, expert) -> its values, one row for each token that is routed to it, by plain arithmetic in float64,
    with the numbers of these tokens."""
    taken = []
    handles = [
        block.mlp.experts.register_forward_pre_hook(lambda _m, args: taken.append(args)) for block in blocks_of(model)
    ]
    model(torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    found = {}
    for layer, (hidden, chosen, _) in enumerate(taken):
        experts = blocks_of(model)[layer].mlp.experts
        for expert in range(EXPERTS):
            tokens = [token for token in range(len(ids)) if expert in chosen[token]]
            both, down = experts.gate_up_proj[expert].double(), experts.down_proj[expert].double()
            rows = {site: [] for site in EXPERT_SITES}
            for token in tokens:
                gate, up = (both @ hidden[token].double()).chunk(2)
                act = experts.act_fn(gate)
                for site, value in zip(EXPERT_SITES, (gate, act, up, act * up, down @ (act * up)), strict=True):
                    rows[site].append(value)
            for site in EXPERT_SITES:
                found[layer, site, expert] = tokens, rows[site]
    return found


def beside_loop(model, tokenizer, texts, responses_SU):
    """Of each sentence and expert: tokens in all, those routed there, their values in float64, and the response (W,)."""
    for text, response_U in zip(texts, responses_SU, strict=True):
        ids = tokenizer(text)["input_ids"]
        found = by_loop(model, ids)
        for site in unit_sites(model):
            yield len(ids), *found[site.layer, site.site, site.expert], response_U[site.start : site.stop].double()


@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_responses_are_pooled_over_the_tokens_that_are_routed(kind, pooling):
    model, tokenizer, texts = routed_model(kind), word_tokenizer(), sentences(9)
    responses_SU, units = unit_responses(model, tokenizer, texts, pooling, batch_tokens=40)
    assert set(units.sites) == set(EXPERT_SITES)
    without = 0
    for length, tokens, values, response_W in beside_loop(model, tokenizer, texts, responses_SU):
        if not tokens or (pooling == "last" and tokens[-1] != length - 1):
            expected, without = torch.zeros_like(response_W), without + 1
        else:
            stacked = torch.stack(values)
            expected = {"max": stacked.amax(0), "mean": stacked.mean(0), "last": stacked[-1]}[pooling]
        torch.testing.assert_close(response_W, expected, rtol=1e-4, atol=1e-5)
    assert without > 10, "some sentence has no token for some expert, or nothing was tested"


@pytest.mark.parametrize("special_tokens", [True, False])
def test_the_leading_token_is_routed_like_others(special_tokens):
    """Its response is computed apart; an expert that it alone is routed to keeps a negative one."""
    model, texts = routed_model("olmoe"), sentences(12)
    tokenizer = word_tokenizer("</s> $A")
    responses_SU, _ = unit_responses(model, tokenizer, texts, special_tokens=special_tokens, batch_tokens=40)
    alone = 0
    for _, tokens, values, response_W in beside_loop(model, tokenizer, texts, responses_SU):
        values = [value for token, value in zip(tokens, values, strict=True) if special_tokens or token > 0]
        expected = torch.stack(values).amax(0) if values else torch.zeros_like(response_W)
        torch.testing.assert_close(response_W, expected, rtol=1e-4, atol=1e-5)
        alone += tokens == [0]
    assert alone > 0


@pytest.mark.parametrize("kind", KINDS)
def test_experts_are_numbered_site_by_site_and_expert_by_expert(kind):
    model = tiny_model(kind)
    names = [(site.site, site.expert) for site in unit_sites(model) if site.layer == 1 and site.expert is not None]
    assert names == [(name, e) for name in ("expert_gate", "expert_in", "expert_out") for e in range(EXPERTS)]
    assert len({site.path for site in unit_sites(model) if site.layer == 0}) == len(unit_sites(model)) // 2
    widths = {site.site: site.stop - site.start for site in unit_sites(model)}
    assert widths["expert_out"] == 16
    assert widths["expert_gate"] == widths["expert_in"] == (24 if kind in ("mixtral", "olmoe") else 12)
    assert Units.of(model).n == unit_sites(model)[-1].stop


IDS = torch.tensor([[5, 9, 33, 7, 12], [40, 3, 3, 8, 2]])


@pytest.mark.parametrize("kind", KINDS)
def test_watching_changes_no_logit(kind):
    model = routed_model(kind)
    with torch.no_grad():
        before = model(IDS).logits
        handles = [site.hook(lambda values: None) for site in unit_sites(model)]
        torch.testing.assert_close(model(IDS).logits, before, rtol=1e-5, atol=1e-5)
        for handle in handles:
            handle.remove()
        assert torch.equal(model(IDS).logits, before)
    assert not any(
        name in vars(block.mlp.experts) for block in blocks_of(model) for name in ("forward", "babelscope_taps")
    )


def first_unit(model, site, layer=1, expert=2):
    return next(s.start for s in unit_sites(model) if (s.layer, s.site, s.expert) == (layer, site, expert))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", ["expert_gate", "expert_in", "expert_gated", "expert_out"])
@torch.no_grad()
def test_a_multiplied_unit_is_a_multiplied_weight(kind, site):
    """Unit 3 of one expert times 2.5, against another model whose weights say the same."""
    model = routed_model(kind)
    other = copy.deepcopy(model)
    experts = blocks_of(other)[1].mlp.experts
    inner = experts.down_proj.shape[2]
    weight = {
        "expert_gate": experts.gate_up_proj[2, 3],
        "expert_in": experts.gate_up_proj[2, inner + 3],
        "expert_gated": experts.down_proj[2, :, 3],
        "expert_out": experts.down_proj[2, 3],
    }[site]
    weight *= 2.5
    with forced(model, Forcing((first_unit(model, site) + 3,), (2.5,)), mode="multiply"):
        found = model(IDS).logits
    torch.testing.assert_close(found, other(IDS).logits, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, model(IDS).logits, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_set_units_hold_where_tokens_are_routed_and_write_nowhere_else():
    model = routed_model("mixtral")
    unit = first_unit(model, "expert_out") + 3
    site = next(site for site in unit_sites(model) if site.start == unit - 3)
    plain, wrote = [], []
    blocks_of(model)[1].mlp.register_forward_hook(lambda _m, _a, out: wrote.append(out.clone()))
    before = site.hook(lambda values: plain.append(values.clone()))
    model(IDS)
    before.remove()
    taken = []
    blocks_of(model)[1].mlp.experts.register_forward_pre_hook(lambda _m, args: taken.append(args))
    with forced(model, Forcing((unit,), (7.0,))):
        model(IDS)
    _, chosen, weights = taken[0]
    share = torch.where(chosen == 2, weights, 0).sum(1).view(2, 5)
    routed = share > 0
    assert 0 < routed.sum() < 10
    assert torch.equal(plain[0][..., 3] != NO_RESPONSE, routed)
    expected = wrote[0].clone()
    expected[..., 3] += torch.where(routed, share * (7.0 - plain[0][..., 3]), 0)
    torch.testing.assert_close(wrote[1], expected, rtol=1e-4, atol=1e-5)


def test_each_row_has_its_own_forcing():
    model = routed_model("qwen2_moe")
    forcing = Forcing(tuple(first_unit(model, "expert_gated", 0, e) for e in range(EXPERTS)), (9.0,) * EXPERTS)
    with torch.no_grad():
        plain = model(IDS).logits
        with forced(model, [forcing], rows=[-1, 0]):
            found = model(IDS).logits
        with forced(model, forcing):
            both = model(IDS).logits
    torch.testing.assert_close(found[0], plain[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], both[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[1], plain[1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda experts: setattr(experts, "has_bias", True), "its has_bias is True"),
        (lambda experts: setattr(experts, "is_transposed", True), "its is_transposed is True"),
        (lambda experts: delattr(experts, "act_fn"), "it has no act_fn"),
        (lambda experts: delattr(experts, "down_proj"), "it has no three-dimensional gate_up_proj and down_proj"),
        (lambda experts: setattr(type(experts), "_apply_gate", lambda self, x: x), "it applies its gate in a way of its own"),
    ],
)  # fmt: skip
def test_experts_of_another_kind_are_refused(change, message, monkeypatch):
    model = tiny_model("mixtral")
    monkeypatch.setattr(type(model.model.layers[0].mlp.experts), "_apply_gate", type(model.model.layers[0].mlp.experts)._apply_gate)  # fmt: skip
    change(model.model.layers[0].mlp.experts)
    with pytest.raises(ValueError, match=rf"whose neurons can't be read \({message}\): leave experts out of the row"):
        unit_sites(model)
    assert {site.site for site in unit_sites(model, ["qkv", "attn_out"])} == {"q", "k", "v", "attn_out"}
