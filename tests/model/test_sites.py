"""Places of hidden states, blocks and units of every family, against plain forward passes with hooks found by name."""

import json
import re

import pytest
import torch
import yaml
from babelscope.analysis.experts.activations import Units, unit_responses
from babelscope.model import build_model, preset
from babelscope.model.families import EXPERT_SITES, FAMILIES, Family
from babelscope.model.interventions import Forcing, forced
from babelscope.model.sites import (
    backbone_of,
    blocks_of,
    family_of,
    most_positions,
    read_as,
    reading_of,
    recorded_family,
    unit_sites,
    use_family,
)
from babelscope.model.text_config import text_config
from transformers import BloomConfig, BloomForCausalLM

from ..tokenizers_for_tests import sentences, word_tokenizer
from .families import CONFIGS, PLACES, tiny_model

BATCH = [[5, 9, 33, 7, 12], [40, 3], [8, 8, 21]]


def outputs_by_name(model, names, ids, call, read=()):
    """What modules gave, and some of them read, in one plain unpadded pass, in the order in which they ran."""
    seen = {}

    def values(output):
        # A copy, as Falcon adds attention's output to it in place; OPT's feed-forward layers know no rows.
        return output.reshape(len(ids), -1).clone()

    reading = [
        model.get_submodule(name).register_forward_pre_hook(lambda _m, args, name=name: seen.__setitem__(f"to {name}", values(args[0])))
        for name in read
    ]  # fmt: skip
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, _a, out, name=name: seen.__setitem__(name, values(out))
        )
        for name in names
    ]
    with torch.no_grad():
        call(model, torch.tensor([ids]))
    for handle in [*handles, *reading]:
        handle.remove()
    return seen


def is_gated(linear):
    return any("gate" in name for name in linear)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_family_is_where_the_table_says(kind):
    """Unit responses of all sites of padded batches equal one plain pass a sentence, and run in the order they list."""
    model, tokenizer, texts = tiny_model(kind), word_tokenizer(), sentences(9)
    blocks, linear, activation = PLACES[kind]
    first, *_ = unit_sites(model)
    assert (first.layer, first.start) == (0, 0)
    assert [name for site in unit_sites(model)[: len(linear)] for name, m in blocks_of(model)[0].named_modules() if m is site.module] == linear  # fmt: skip
    # What the experts of a mixture compute has no modules: see test_routed.py.
    use_family(model, sites=[site for site in FAMILIES[kind].all_sites if site not in EXPERT_SITES])
    responses_SU, units = unit_responses(model, tokenizer, texts, batch_tokens=40)
    for text, response_U in zip(texts, responses_SU, strict=True):
        names = [f"{blocks}.{layer}.{path}" for layer in range(2) for path in [*linear, activation] if path]
        read = [name for name in names if name.endswith(".down_proj") and is_gated(linear)]
        seen = outputs_by_name(model, names, tokenizer(text)["input_ids"], lambda m, ids: m(ids), read)
        expected = torch.cat([output.amax(0) for output in seen.values()])  # in the order in which they computed
        torch.testing.assert_close(response_U, expected, rtol=1e-4, atol=1e-5)
    assert units.n == responses_SU.shape[1]


@pytest.mark.parametrize("kind", CONFIGS)
def test_hidden_states_do_not_depend_on_padding(kind):
    model = tiny_model(kind)
    ids_BT = torch.zeros(3, 5, dtype=torch.long)
    mask_BT = torch.zeros(3, 5, dtype=torch.long)
    for row, ids in enumerate(BATCH):
        ids_BT[row, : len(ids)], mask_BT[row, : len(ids)] = torch.tensor(ids), 1
    with torch.no_grad():
        padded = backbone_of(model)(ids_BT, attention_mask=mask_BT, output_hidden_states=True).hidden_states
        assert len(padded) == 3
        for row, ids in enumerate(BATCH):
            # A block's output, by a hook found by name, is the next hidden state; the last has the final norm behind it.
            blocks, _, _ = PLACES[kind]
            seen = {}
            handle = model.get_submodule(f"{blocks}.0").register_forward_hook(
                lambda _m, _a, out, seen=seen: seen.update(out=out[0] if isinstance(out, tuple) else out)
            )
            model(torch.tensor([ids]))
            handle.remove()
            torch.testing.assert_close(padded[1][row, : len(ids)], seen["out"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind, (_, _, activation) in PLACES.items() if activation])
def test_the_activation_is_applied_to_the_site_before_it(kind):
    model = tiny_model(kind)
    use_family(model, sites=[FAMILIES[kind].before_activation, "ffn_act"])
    before, after = unit_sites(model)[:2]
    assert before.stop == after.start
    given, taken = [], []
    before.module.register_forward_hook(lambda _m, _a, out: given.append(out[..., : after.stop - after.start]))
    after.module.register_forward_pre_hook(lambda _m, args: taken.append(args[0].clone()))
    with torch.no_grad():
        model(torch.tensor([BATCH[0]]))
    torch.testing.assert_close(taken[0], given[0], rtol=0, atol=0)
    assert given[0].shape[-1] == after.stop - after.start


@pytest.mark.parametrize("kind", [kind for kind, places in PLACES.items() if is_gated(places[1])])
def test_the_gated_product_is_the_activation_times_the_other_half(kind):
    model = tiny_model(kind)
    fused = "ffn_gate_in" in FAMILIES[kind].units
    order = ["ffn_gate_in", "ffn_act", "ffn_gated"] if fused else ["ffn_act", "ffn_in", "ffn_gated"]
    use_family(model, sites=order)
    sites = unit_sites(model)[:3]
    assert [site.site for site in sites] == order
    product = sites[2]
    seen = {}
    handles = [site.hook(lambda value, name=site.site: seen.update({name: value.clone()})) for site in sites]
    with torch.no_grad():
        model(torch.tensor([BATCH[0]]))
    up = seen["ffn_gate_in"].chunk(2, dim=-1)[1] if fused else seen["ffn_in"]
    torch.testing.assert_close(seen["ffn_gated"], seen["ffn_act"] * up, rtol=0, atol=0)
    assert seen["ffn_gated"].shape[-1] == product.stop - product.start
    for handle in handles:
        handle.remove()
    # Forced, it is what the layer behind it reads.
    unit = unit_sites(model)[2].start + 5
    read = []
    with torch.no_grad(), forced(model, Forcing((unit,), (7.5,))):
        handle = product.module.register_forward_pre_hook(
            lambda _m, args: read.append(args[0].reshape(1, 5, -1).clone())
        )
        model(torch.tensor([BATCH[0]]))
        handle.remove()
    assert (read[0][..., 5] == 7.5).all()
    assert torch.equal(read[0][..., :5], seen["ffn_gated"][..., :5])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("falcon", {"new_decoder_architecture": False, "multi_query": True}),
        (
            "falcon",
            {
                "new_decoder_architecture": False,
                "multi_query": False,
                "num_kv_heads": 2,
                "parallel_attn": False,
                "alibi": True,
            },
        ),
        ("opt", {"do_layer_norm_before": False, "word_embed_proj_dim": 8}),
        ("gpt_neox", {"use_parallel_residual": False}),
        ("stablelm", {"use_parallel_residual": True}),
        ("mpt", {"max_seq_len": 20}),
    ],
)
def test_a_family_s_other_forms_are_read_as_well(kind, changes):
    model, tokenizer, texts = tiny_model(kind, **changes), word_tokenizer(), sentences(9)
    blocks, linear, _ = PLACES[kind]
    responses_SU, _ = unit_responses(model, tokenizer, texts, batch_tokens=40)
    for text, response_U in zip(texts, responses_SU, strict=True):
        names = [f"{blocks}.{layer}.{path}" for layer in range(2) for path in linear]
        seen = outputs_by_name(model, names, tokenizer(text)["input_ids"], lambda m, ids: m(ids))
        expected = torch.cat([output.amax(0) for output in seen.values()])
        torch.testing.assert_close(response_U, expected, rtol=1e-4, atol=1e-5)


def test_a_family_without_a_gate_has_no_gated_product():
    with pytest.raises(ValueError, match="sites: ffn_gated is not there"):
        use_family(tiny_model("bloom"), sites=["ffn_gated"])


def test_the_numbering_of_the_study_is_kept():
    widths = {}
    for kind, config in {
        "xglm": {"d_model": 64, "ffn_dim": 4096, "num_layers": 24, "attention_heads": 16},
        "bloom": {"hidden_size": 64, "n_layer": 24, "n_head": 16},
    }.items():
        widths[kind] = unit_sites(tiny_model(kind, **config))[-1].stop
    assert widths == {"xglm": 24 * (5 * 64 + 4096), "bloom": 24 * 9 * 64}
    model = build_model(preset("toy", **CONFIGS["xglm"]), seed=0)
    assert [site.site for site in unit_sites(model)[:6]] == ["q", "k", "v", "attn_out", "ffn_in", "ffn_out"]


def test_qkv_names_attention_input_in_every_family():
    assert Units.of(_with("llama", ["qkv"])).sites == ("q", "k", "v") * 2
    assert Units.of(_with("gpt_neox", ["qkv"])).sites == ("qkv",) * 2
    # Chosen in any order, they are numbered in the order in which they compute.
    assert Units.of(_with("llama", ["ffn_out", "ffn_in", "ffn_act"])).sites[:3] == ("ffn_act", "ffn_in", "ffn_out")


def _with(kind, sites):
    model = tiny_model(kind)
    use_family(model, sites=sites)
    return model


def test_a_model_s_own_row_is_its_own():
    one, two = tiny_model("gpt2"), tiny_model("gpt2")
    use_family(one, sites=["ffn_in"])
    assert unit_sites(one)[-1].stop == 2 * 64
    assert unit_sites(two)[-1].stop == 2 * 9 * 16
    assert family_of(two) is FAMILIES["gpt2"]
    assert "babelscope_family" not in one.state_dict()


def test_a_model_is_read_otherwise_for_a_while():
    model = tiny_model("gpt2")
    before = dict(vars(model))
    with read_as(model):
        assert family_of(model) is FAMILIES["gpt2"]
    with read_as(model, sites=["ffn_act"]):
        assert reading_of(model)["sites"] == ["ffn_act"]
    assert vars(model).keys() == before.keys()
    use_family(model, sites=["ffn_in"])
    with pytest.raises(KeyError), read_as(model, sites=["ffn_out"]):
        raise KeyError
    assert reading_of(model)["sites"] == ["ffn_in"]
    with pytest.raises(ValueError, match="sites: gate is not there"), read_as(model, sites=["gate"]):
        pass
    assert reading_of(model)["sites"] == ["ffn_in"]


@pytest.mark.parametrize("name", FAMILIES)
def test_units_keep_their_numbers_in_a_row_that_was_written_down(name):
    model = tiny_model(name)
    numbers = [(site.layer, site.site, site.start, site.stop) for site in unit_sites(model)]
    # Findings are written with sorted keys.
    recorded = json.loads(json.dumps(reading_of(model), sort_keys=True))
    with read_as(model, recorded_family(recorded["family"]), recorded["sites"]):
        assert [(site.layer, site.site, site.start, site.stop) for site in unit_sites(model)] == numbers


def test_an_unknown_family_gets_the_row_to_add():
    model = tiny_model("llama")
    model.config.model_type = "llama5"
    with pytest.raises(ValueError, match="model_type='llama5' has no row") as caught:
        unit_sites(model)
    message = str(caught.value)
    assert "say family: auto (--family auto)" in message
    # Both forms, as they stand there, are the row.
    (written,) = [line for line in message.splitlines() if line.startswith("family: ")]
    assert Family(**yaml.safe_load(written)["family"]) == FAMILIES["llama"]
    (python,) = [line for line in message.splitlines() if line.startswith("FAMILIES['llama5'] = ")]
    assert eval(python.partition(" = ")[2]) == FAMILIES["llama"]  # noqa: S307
    use_family(model, "llama")
    assert family_of(model) is not None
    assert unit_sites(model)[-1].stop == unit_sites(tiny_model("llama"))[-1].stop


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Family("transformer", "transformer.layers", {"a": "b"}), "blocks: GPT2LMHeadModel has no module 'transformer.layers' in its GPT2LMHeadModel; it has transformer, transformer.wte"),
        (Family("transformer", "transformer.h", {"a": "mlp.up"}), "site a: GPT2LMHeadModel has no module 'mlp.up' in its GPT2Block; it has ln_1, attn"),
        (Family("transformer", "transformer.h", {"a": "mlp.act"}), "has no out_features: name a linear layer"),
        (Family("transformer", "transformer.ln_f", {"a": "b"}), "is a LayerNorm of GPT2LMHeadModel: name its list of blocks"),
    ],
)  # fmt: skip
def test_a_wrong_row_says_what_is_there(row, message):
    model = tiny_model("gpt2")
    with pytest.raises(ValueError) as caught:
        use_family(model, row)
    assert message in str(caught.value)
    assert family_of(model) is FAMILIES["gpt2"], "a row that does not fit is not kept"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda out: (out, out), "site ffn_in of block 1 is a Conv1D that gives several things (a tuple): leave it out"),
        (lambda out: out[:, :2], "site ffn_in of block 1 sees values of shape (1, 2, 64) for (1, 5) rows and tokens"),
        (lambda out: out.reshape(-1, 64)[:4], "site ffn_in of block 1 sees values of shape (4, 64) for (1, 5) rows and tokens"),
        (lambda out: out.reshape(1, 5, 4, 16), "site ffn_in of block 1 sees values of shape (1, 5, 4, 16)"),
    ],
)  # fmt: skip
def test_a_module_that_does_not_see_each_token_once_is_refused(output, message):
    model = tiny_model("gpt2")
    site = next(site for site in unit_sites(model) if (site.layer, site.site) == (1, "ffn_in"))
    site.module.register_forward_hook(lambda _m, _a, out: output(out))
    site.hook(lambda values: None)
    with pytest.raises(ValueError, match=re.escape(message)):
        model(torch.tensor([BATCH[0]]))


def test_an_unknown_site_is_named():
    with pytest.raises(
        ValueError, match="sites: gate is not there; choose from qkv, attn_out, ffn_in, ffn_act, ffn_out"
    ):
        use_family(tiny_model("bloom"), sites=["gate"])


def test_the_trap_of_bloom_is_refused():
    config = BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2, pretraining_tp=2, slow_but_exact=True)
    with pytest.raises(ValueError, match="load it with slow_but_exact=False"):
        unit_sites(BloomForCausalLM(config))
    config.slow_but_exact = False
    assert unit_sites(BloomForCausalLM(config))[-1].stop == 9 * 16


def test_sizes_are_those_of_the_text_model():
    """Inside of a model that reads images as well."""
    model = tiny_model("gemma3")
    assert text_config(model) is model.config.text_config
    assert most_positions(model) == model.config.text_config.max_position_embeddings
    assert [most_positions(tiny_model(kind)) for kind in ("gpt2", "opt", "mpt", "bloom")] == [40, 64, 64, None]
