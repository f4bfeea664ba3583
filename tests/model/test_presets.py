"""Presets: sizes that are facts, messages that help."""

import pytest
import torch
from babelscope.model import PRESETS, XGLMForCausalLM, build_model, preset


def on_meta(config):
    with torch.device("meta"):
        return XGLMForCausalLM(config)


def test_the_study_model_has_exactly_its_parameters():
    model = on_meta(preset("xglm-257m"))
    assert model.num_parameters() == 257_115_136
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(name):
    model = on_meta(preset(name))
    assert model.config.d_model % model.config.attention_heads == 0


def test_the_capacity_series_varies_width_alone():
    series = [preset(f"xglm-d{width}") for width in (128, 256, 512, 1024)]
    assert {config.num_layers for config in series} == {24}
    assert {config.d_model // config.attention_heads for config in series} == {64}
    assert {config.ffn_dim / config.d_model for config in series} == {4.0}
    assert series[-1].to_diff_dict() == preset("xglm-564m").to_diff_dict()


def test_initialisation_is_xglms():
    model = build_model(preset("toy", d_model=128, attention_heads=4), seed=0)
    embedding = model.model.embed_tokens
    assert embedding.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert embedding.embed_scale == pytest.approx(128**0.5)
    assert embedding.weight[1].abs().max() == 0, "the padding word starts at zero"
    assert model.model.layers[0].fc1.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.model.layers[0].fc1.bias.abs().max() == 0
    assert model.model.embed_positions.offset == 2


def test_a_seed_gives_the_same_weights_and_disturbs_nobody():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, two = build_model(preset("toy"), seed=7), build_model(preset("toy"), seed=7)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    other = build_model(preset("toy"), seed=8)
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xglm-1t", {}), "preset 'xglm-1t' does not exist: choose from xglm-257m"),
        (("toy", {"hidden": 3}), "XGLMConfig has no field 'hidden'"),
        (("toy", {"attention_heads": 7}), "d_model=96 is not a multiple of attention_heads=7"),
    ],
)
def test_mistakes_are_named(arguments, message):
    name, overrides = arguments
    with pytest.raises(ValueError, match=message):
        preset(name, **overrides)
