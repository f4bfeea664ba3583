"""Unit responses against one plain unpadded forward pass a sentence, and a model that is left as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from babelscope.analysis.experts.activations import Units, iter_unit_responses, unit_responses
from babelscope.analysis.experts.memory import forward_bytes, text_bytes
from babelscope.analysis.experts.settings import POOLINGS, ResponseSettings
from babelscope.analysis.token_batches import tokenise
from babelscope.model import build_model, preset
from babelscope.model.sites import FAMILIES, use_family
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    XGLMConfig,
    XGLMForCausalLM,
)

WORDS = [f"w{i}" for i in range(60)]
VOCABULARY = {word: i for i, word in enumerate(["<s>", "<pad>", "</s>", "<unk>", *WORDS])}
XGLM = {"vocab_size": 64, "d_model": 16, "ffn_dim": 24, "num_layers": 2, "attention_heads": 2}


def _tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    # On the wrong side on purpose: nothing may depend on it.
    return PreTrainedTokenizerFast(tokenizer_object=inner, padding_side="left", truncation_side="left", **names)


def _model(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "bloom":
        model = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=2, n_head=2))
    elif kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=40))
    elif kind == "stock xglm":
        model = XGLMForCausalLM(XGLMConfig(**XGLM))
    else:
        model = build_model(preset("toy", **XGLM), seed=0)
    # Small random models respond so weakly that a wrong pooling could pass for noise.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0).add_(torch.randn_like(parameter) * 0.1)
    return model.train()


def _sentences(count: int = 23, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 14))) for _ in range(count)]


@torch.no_grad()
def _plain(model: nn.Module, ids: list[int], pooling: str, first: int = 0, stop: int | None = None) -> torch.Tensor:
    """One sentence through the whole LM without padding; the units' modules are found by name."""
    family = FAMILIES[model.config.model_type]
    outputs, handles = {}, []
    for layer in range(2):
        for path in family.units.values():
            name = f"{family.blocks}.{layer}.{path}"
            handles.append(
                model.get_submodule(name).register_forward_hook(
                    lambda _m, _a, output, name=name: outputs.__setitem__(name, output[0, first:stop])
                )
            )
    training = model.training
    model.eval()(torch.tensor([ids]))
    model.train(training)
    for handle in handles:
        handle.remove()
    pool = {"max": lambda x: x.max(0).values, "mean": lambda x: x.mean(0), "last": lambda x: x[-1]}[pooling]
    return torch.cat([pool(output) for output in outputs.values()])


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", ["xglm", "stock xglm", "bloom", "gpt2"])
def test_equals_one_plain_forward_pass_a_sentence(kind, pooling):
    model, tokenizer, sentences = _model(kind), _tokenizer("</s> $A" if "xglm" in kind else None), _sentences()
    responses_SU, units = unit_responses(model, tokenizer, sentences, pooling, batch_tokens=40)
    assert responses_SU.dtype == torch.float32
    assert responses_SU.shape == (23, units.n)
    assert responses_SU.std() > 0.1
    for sentence, response_U in zip(sentences, responses_SU, strict=True):
        # Rows of a site come site after site in execution order, which is the table's for these families.
        torch.testing.assert_close(response_U, _plain(model, tokenizer(sentence)["input_ids"], pooling))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_special_tokens_can_be_left_out(pooling):
    model, tokenizer, sentences = _model("xglm"), _tokenizer("</s> $A <s>"), _sentences(8)
    responses_SU, _ = unit_responses(model, tokenizer, sentences, pooling, special_tokens=False)
    for sentence, response_U in zip(sentences, responses_SU, strict=True):
        ids = tokenizer(sentence)["input_ids"]
        assert (ids[0], ids[-1]) == (2, 0)
        torch.testing.assert_close(response_U, _plain(model, ids, pooling, 1, -1))
    counted_SU, _ = unit_responses(model, tokenizer, sentences, pooling)
    assert not torch.allclose(counted_SU, responses_SU)


@pytest.mark.parametrize("batch_tokens", [1, 30, 10_000])
def test_batches_and_order_do_not_show(batch_tokens):
    model, tokenizer, sentences = _model("xglm"), _tokenizer("</s> $A"), _sentences()
    expected_SU, _ = unit_responses(model, tokenizer, sentences, batch_tokens=60)
    order = np.random.default_rng(1).permutation(len(sentences))
    found_SU, _ = unit_responses(model, tokenizer, [sentences[i] for i in order], batch_tokens=batch_tokens)
    torch.testing.assert_close(found_SU, expected_SU[order])
    same_SU, _ = unit_responses(model, tokenizer, [sentences[i] for i in order], batch_tokens=60)
    assert torch.equal(same_SU, expected_SU[order])


def test_a_unit_that_responds_to_the_leading_token_alone_is_tied_exactly():
    """In batches of different shapes its last bit differs, and sentences would be ranked by their length."""
    wide = {**XGLM, "d_model": 512, "ffn_dim": 512, "num_layers": 1}
    model, tokenizer = build_model(preset("toy", **wide), seed=0), _tokenizer("</s> $A")
    with torch.no_grad():
        model.get_input_embeddings().weight[2] *= 30
    # A batch a sentence: products of 2 to 14 rows, for which this width takes different routes through the library.
    responses_SU, _ = unit_responses(model, tokenizer, _sentences(60), batch_tokens=1)
    spread_U = (responses_SU - responses_SU[0]).abs().amax(dim=0) / responses_SU.abs().mean(dim=0)
    near = spread_U < 1e-5
    assert near.sum() > 100
    assert (responses_SU[:, near] == responses_SU[0, near]).all()


@pytest.mark.parametrize("kind", ["xglm", "bloom"])
@pytest.mark.parametrize("groups", [2, 7, 40])
def test_memory_setting_does_not_show(kind, groups):
    model, tokenizer, sentences = _model(kind), _tokenizer(None), _sentences()
    expected_SU, units = unit_responses(model, tokenizer, sentences, batch_tokens=60)
    tokens = tokenise(model, tokenizer, sentences)
    beside = forward_bytes(model, tokens.batches(60)) + text_bytes(tokens)
    memory_gb = (4 * units.n * len(sentences) / groups + beside) / 1e9
    parts = list(
        iter_unit_responses(model, tokenizer, sentences, ResponseSettings(batch_tokens=60, memory_gb=memory_gb))
    )
    assert groups <= len(parts) <= 2 * groups
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]
    assert parts[-1][0].stop == units.n
    assert all(4 * responses.numel() + beside <= memory_gb * 1e9 for _, responses in parts)
    assert torch.equal(torch.cat([responses for _, responses in parts], dim=1), expected_SU)


def test_a_pass_ends_with_the_last_block_it_needs_and_never_runs_the_head():
    model, tokenizer, sentences = _model("gpt2"), _tokenizer(None), _sentences(4)
    ran = []
    model.transformer.h[1].register_forward_hook(lambda *_: ran.append("block 1"))
    model.lm_head.register_forward_hook(lambda *_: ran.append("head"))
    tokens = tokenise(model, tokenizer, sentences)
    beside = forward_bytes(model, tokens.batches(4096)) + text_bytes(tokens)
    groups = iter_unit_responses(model, tokenizer, sentences, ResponseSettings(memory_gb=(4 * 150 * 4 + beside) / 1e9))
    part, _ = next(groups)
    assert part == slice(0, 144)
    assert ran == []
    list(groups)
    unit_responses(model, tokenizer, sentences)
    assert "head" not in ran


def test_a_row_may_list_its_sites_in_any_order():
    """The pass ends when all have responded, not when the one that the row lists last has."""
    model, tokenizer, sentences = _model("gpt2"), _tokenizer(None), _sentences()
    row = FAMILIES["gpt2"]
    right_SU, units = unit_responses(model, tokenizer, sentences, batch_tokens=60)
    use_family(model, replace(row, units=dict(reversed(row.units.items())), activation=None))
    found_SU, turned = unit_responses(model, tokenizer, sentences, batch_tokens=60)
    assert turned.sites == ("ffn_out", "ffn_in", "attn_out", "qkv") * 2
    for number, (layer, site) in enumerate(zip(turned.layers, turned.sites, strict=True)):
        there = next(i for i in range(8) if (units.layers[i], units.sites[i]) == (layer, site))
        stop = [*turned.starts, turned.n][number + 1]
        begin = units.starts[there]
        expected_SU = right_SU[:, begin : begin + stop - turned.starts[number]]
        assert torch.equal(found_SU[:, turned.starts[number] : stop], expected_SU)


def test_bfloat16_weights_give_float32_responses():
    model, tokenizer, sentences = _model("bloom").bfloat16(), _tokenizer(None), _sentences(5)
    responses_SU, _ = unit_responses(model, tokenizer, sentences, "mean")
    assert responses_SU.dtype == torch.float32
    outputs = _plain(model, tokenizer(sentences[0])["input_ids"], "mean")
    torch.testing.assert_close(responses_SU[0], outputs.float(), rtol=0.05, atol=0.05)


def _traces(model: nn.Module) -> tuple:
    hooks = [len(module._forward_hooks) for module in model.modules()]
    modes = [module.training for module in model.modules()]
    weights = [parameter.detach().clone() for parameter in model.state_dict().values()]
    return hooks, modes, weights, torch.get_rng_state(), [p.grad for p in model.parameters()]


def _assert_same(before: tuple, after: tuple) -> None:
    assert before[:2] == after[:2]
    assert all(torch.equal(a, b) for a, b in zip(before[2], after[2], strict=True))
    assert torch.equal(before[3], after[3])
    assert before[4] == after[4]


def test_model_is_left_as_it_was():
    model, tokenizer = _model("xglm"), _tokenizer("</s> $A")
    model.model.layers[1].eval()
    before = _traces(model)
    groups = iter_unit_responses(model, tokenizer, _sentences())
    next(groups)
    _assert_same(before, _traces(model))
    groups.close()
    unit_responses(model, tokenizer, _sentences())
    _assert_same(before, _traces(model))


def test_model_is_left_as_it_was_after_an_error():
    model, tokenizer = _model("xglm"), _tokenizer("</s> $A")

    def fail(*_args):
        raise KeyError("from within")

    handle = model.model.layers[1].fc2.register_forward_pre_hook(fail)
    before = _traces(model)
    with pytest.raises(KeyError, match="from within"):
        unit_responses(model, tokenizer, _sentences())
    _assert_same(before, _traces(model))
    handle.remove()
    unit_responses(model, tokenizer, _sentences())


def test_units_are_numbered_by_block_site_and_output():
    units = Units.of(_model("xglm"))
    assert units.n == 2 * (5 * 16 + 24)
    idx = np.array([0, 15, 16, 64, 87, 88, 103, 104, 207])
    assert units.layer_of(idx).tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    sites = ["q", "q", "k", "ffn_in", "ffn_in", "ffn_out", "ffn_out", "q", "ffn_out"]
    assert units.site_of(idx).tolist() == sites
    assert units.index_within_site(idx).tolist() == [0, 15, 0, 0, 23, 0, 15, 0, 15]
    assert units.per_layer().tolist() == [104, 104]
    assert Units.of(_model("bloom")).per_layer().tolist() == [9 * 16] * 2
    with pytest.raises(ValueError, match="units 3 to 208: the model has units 0 to 207"):
        units.layer_of([3, 208])


def test_long_sentences_are_cut_at_max_length_and_at_the_models_positions():
    model, tokenizer = _model("gpt2"), _tokenizer(None)
    sentence = " ".join(WORDS)
    responses_SU, _ = unit_responses(model, tokenizer, [sentence], "last", max_length=5)
    torch.testing.assert_close(responses_SU[0], _plain(model, [4, 5, 6, 7, 8], "last"))
    responses_SU, _ = unit_responses(model, tokenizer, [sentence], "last")
    torch.testing.assert_close(responses_SU[0], _plain(model, list(range(4, 44)), "last"))


def test_mistakes_are_named():
    model, tokenizer = _model("xglm"), _tokenizer("</s> $A")
    with pytest.raises(ValueError, match=r"sentence 1 \(''\) has no tokens within max_length=128: leave it out"):
        unit_responses(model, tokenizer, ["w1", ""])
    with pytest.raises(ValueError, match=r"sentence 0 \('w1'\) has no tokens within max_length=1: .* allow more"):
        unit_responses(model, tokenizer, ["w1"], max_length=1)
    with pytest.raises(ValueError, match="sentences is empty"):
        unit_responses(model, tokenizer, [])
    with pytest.raises(ValueError, match="sentences is one text"):
        unit_responses(model, tokenizer, "w1 w2")
    with pytest.raises(ValueError, match="pooling='sum': choose one of max, mean, last"):
        unit_responses(model, tokenizer, ["w1"], "sum")
    with pytest.raises(ValueError, match="max_length=0"):
        unit_responses(model, tokenizer, ["w1"], max_length=0)
    with pytest.raises(ValueError, match="batch_tokens=0"):
        unit_responses(model, tokenizer, ["w1"], batch_tokens=0)
    with pytest.raises(ValueError, match="memory_gb=0: give a positive"):
        ResponseSettings(memory_gb=0)
    with pytest.raises(ValueError, match=r"memory_gb=1e-06: 4\.08e-06 GB are needed beside .*, or lower batch_tokens"):
        next(iter_unit_responses(model, tokenizer, ["w1"], ResponseSettings(memory_gb=1e-6)))
    small = build_model(preset("toy", **{**XGLM, "vocab_size": 20}), seed=0)
    with pytest.raises(ValueError, match="sentence 0 has token 63, but the model's vocabulary has 20 entries"):
        unit_responses(small, tokenizer, ["w59"])


def test_a_model_that_bypasses_its_linear_layers_is_refused():
    tokenizer = _tokenizer(None)
    model = _model("bloom")
    model.config.pretraining_tp, model.config.slow_but_exact = 2, True
    with pytest.raises(ValueError, match="load it with slow_but_exact=False"):
        unit_responses(model, tokenizer, ["w1"])
    model = _model("gpt2")
    model.transformer.h[1].mlp.forward = lambda hidden: hidden
    with pytest.raises(RuntimeError, match="the model bypasses ffn_in of block 1"):
        unit_responses(model, tokenizer, ["w1"])
