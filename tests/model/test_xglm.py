"""Our XGLM against the library's: logits, gradients, cache, generation, checkpoints."""

import pytest
import torch
import transformers
from babelscope.model import XGLMForCausalLM, build_model, preset


def tiny(**overrides):
    config = {"vocab_size": 61, "d_model": 16, "ffn_dim": 24, "num_layers": 3, "attention_heads": 2}
    return preset("toy", **{**config, "max_position_embeddings": 32, **overrides})


def pair(tmp_path, attention="sdpa", **overrides):
    ours = build_model(tiny(**overrides), seed=1, attention=attention)
    with torch.no_grad():  # biases and norms away from their trivial start
        for index, parameter in enumerate(ours.parameters()):
            generator = torch.Generator().manual_seed(index)
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    ours.save_pretrained(tmp_path)
    stock = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    assert type(stock) is transformers.XGLMForCausalLM
    return ours.eval(), stock.eval()


def batch(padding):
    ids = torch.randint(4, 61, (3, 13), generator=torch.Generator().manual_seed(3))
    mask = torch.ones_like(ids)
    if padding == "right":
        mask[0, -5:] = mask[1, -1:] = 0
    elif padding == "left":
        mask[0, :5] = mask[1, :1] = 0
    return ids.masked_fill(mask == 0, 1), mask


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("padding", ["none", "right", "left"])
def test_logits_and_gradients_equal_the_library(tmp_path, attention, padding):
    ours, stock = pair(tmp_path, attention)
    ids, mask = batch(padding)
    # A prediction made at a padding position means nothing: the first real token after left padding is no label.
    before = torch.roll(mask, 1, dims=1)
    labels = ids.masked_fill((mask == 0) | (before == 0), -100)
    got, want = (model(input_ids=ids, attention_mask=mask, labels=labels) for model in (ours, stock))
    assert torch.allclose(got.logits[mask.bool()], want.logits[mask.bool()], atol=1e-5, rtol=0)
    got.loss.backward()
    want.loss.backward()
    for (name, mine), theirs in zip(ours.named_parameters(), stock.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-6, rtol=1e-4), name


def test_no_mask_at_all_is_causal(tmp_path):
    ours, stock = pair(tmp_path)
    ids, _ = batch("none")
    assert torch.allclose(ours(ids).logits, stock(ids).logits, atol=1e-5, rtol=0)
    changed = ids.clone()
    changed[:, 8:] = 7
    assert torch.equal(ours(ids).logits[:, :8], ours(changed).logits[:, :8])


def test_the_cache_path_equals_the_whole_pass(tmp_path):
    ours, _ = pair(tmp_path)
    ids, _ = batch("none")
    whole = ours(ids).logits
    first = ours(ids[:, :6], use_cache=True)
    rest = ours(ids[:, 6:], past_key_values=first.past_key_values, use_cache=True)
    assert torch.allclose(torch.cat([first.logits, rest.logits], 1), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("sample", [False, True])
def test_generate_speaks_the_same_words(tmp_path, sample):
    ours, stock = pair(tmp_path)
    ids, mask = batch("left")
    texts = []
    for model in (ours, stock):
        torch.manual_seed(5)
        texts.append(model.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=sample))
    assert torch.equal(*texts)


def test_attentions_come_from_the_eager_kernel(tmp_path):
    ours, stock = pair(tmp_path, "eager")
    ids, mask = batch("right")
    got, want = (m(input_ids=ids, attention_mask=mask, output_attentions=True).attentions for m in (ours, stock))
    assert len(got) == 3
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(got, want, strict=True))


def test_dropout_falls_on_attention_as_in_the_library(tmp_path):
    ours, stock = pair(tmp_path, "eager", attention_dropout=0.5, dropout=0.1)
    ids, mask = batch("right")
    outputs = []
    for model in (ours, stock):
        model.train()
        torch.manual_seed(11)
        outputs.append(model(input_ids=ids, attention_mask=mask).logits[mask.bool()])
    assert torch.allclose(*outputs, atol=1e-5)
    still = build_model(tiny(attention_dropout=0.5), seed=1).train()
    assert not torch.equal(still(ids).logits, still(ids).logits), "sdpa must drop too"


def test_round_trip_in_our_class(tmp_path):
    ours, _ = pair(tmp_path)
    again = XGLMForCausalLM.from_pretrained(tmp_path).eval()
    ids, mask = batch("right")
    assert again.config._attn_implementation == "sdpa"
    assert torch.equal(
        again(input_ids=ids, attention_mask=mask).logits, ours(input_ids=ids, attention_mask=mask).logits
    )


def test_cross_attention_is_refused():
    with pytest.raises(ValueError, match="add_cross_attention=True: this is a decoder-only"):
        XGLMForCausalLM(tiny(add_cross_attention=True))


def test_gradient_checkpointing_changes_no_gradient(tmp_path):
    ours, _ = pair(tmp_path)
    ids, _ = batch("none")
    ours.train()
    ours(ids, labels=ids).loss.backward()
    want = ours.model.layers[0].fc1.weight.grad.clone()
    ours.zero_grad()
    ours.activation_checkpointing_enable()
    ours(ids, labels=ids, use_cache=False).loss.backward()
    assert torch.allclose(ours.model.layers[0].fc1.weight.grad, want, atol=1e-7)
