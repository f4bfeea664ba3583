"""The language probe on tiny models: what it samples, what it leaves out, signals and nulls planted in text."""

import random
import sys

import pytest
import torch
from babelscope.analysis.hidden import hidden_states
from babelscope.analysis.probe.analysis import ProbeAnalysis
from babelscope.analysis.token_batches import tokenise
from babelscope.model import build_model, preset
from tokenizers import normalizers
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from ...model.families import CONFIGS, tiny_model


def word_tokenizer(words):
    """One token a word, a leading </s> as XGLM's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    vocabulary |= {word: 4 + number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


WORDS = [f"w{number}" for number in range(60)]
TOKENIZER = word_tokenizer(WORDS)


def xglm():
    shape = {"vocab_size": 64, "d_model": 16, "ffn_dim": 32, "num_layers": 2, "attention_heads": 2}
    return build_model(preset("toy", **shape), seed=0).eval()


MODELS = {
    "xglm": xglm,
    "bloom": lambda: BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=2, n_head=2)).eval(),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=32)).eval(),
}


def sentences(count, low, high, seed=0, length=(3, 12)):
    generator = random.Random(f"{seed}{low}")
    return [
        " ".join(WORDS[generator.randrange(low, high)] for _ in range(generator.randint(*length))) for _ in range(count)
    ]


@pytest.mark.parametrize("family", [*MODELS, *(kind for kind in CONFIGS if kind not in MODELS)])
def test_states_are_the_librarys_and_do_not_depend_on_batches(family):
    torch.manual_seed(0)
    model = MODELS[family]() if family in MODELS else tiny_model(family)
    texts = sentences(9, 0, 60)
    tokens = tokenise(model, TOKENIZER, texts, special_tokens=False)
    chosen = [(row, place) for row in (7, 0, 3, 8) for place in (1, 3)]
    states = hidden_states(model, tokens, chosen, batch_tokens=4096)
    assert states.shape == (3, 8, model.get_input_embeddings().weight.shape[1])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    small = hidden_states(model, tokens, chosen, batch_tokens=5)
    assert torch.allclose(states, small, rtol=1e-4, atol=1e-5)
    for number, (row, place) in enumerate(chosen):
        ids = torch.tensor([tokens.ids[row]])
        with torch.no_grad():
            output = model(ids, output_hidden_states=True).hidden_states
        for layer in range(2):  # the library's last one is behind the final norm
            assert torch.allclose(states[layer, number], output[layer][0, place], rtol=1e-4, atol=1e-5)


def accuracy(texts, layer=None, **settings):
    settings = {"tokens_per_language": 200, "seeds": [0, 1], **settings}
    findings = ProbeAnalysis(texts, **settings)(xglm(), TOKENIZER, 3)
    rows = findings.table.to_pylist()
    found = [r["value"] for r in rows if r["metric"] == "accuracy_mean" and layer in (None, r["layer"])]
    return sum(found) / len(found), findings


def test_a_planted_signal_is_found():
    texts = {"aa": sentences(120, 0, 7), "bb": sentences(120, 30, 37)}
    assert accuracy(texts)[0] > 0.97


def test_a_planted_null_is_chance():
    texts = {"aa": sentences(400, 0, 60, seed=1), "bb": sentences(400, 0, 60, seed=2)}
    value, _ = accuracy(texts, tokens_per_language=1200, seeds=[0, 1, 2], tokens_per_sentence=6)
    assert abs(value - 0.5) < 0.06


def test_the_split_is_by_sentence():
    """Every sentence is made of one word: a split by token would find each test token among the training ones."""
    half = {"aa": WORDS[:30], "bb": WORDS[30:]}
    texts = {name: [" ".join([word] * 8 + ["w0"] * n) for word in words for n in (0,)] for name, words in half.items()}
    _, findings = accuracy(texts, min_sentences=20, tokens_per_sentence=8, seeds=[0, 1, 2, 3])
    rows = findings.table.to_pylist()
    embedding = [r["value"] for r in rows if r["metric"] == "accuracy" and r["layer"] == 0]
    assert sum(embedding) / len(embedding) < 0.75, "words never seen in training tell nothing but by luck"


def test_languages_are_balanced_and_the_rows_complete():
    texts = {"aa": sentences(300, 0, 25), "bb": sentences(60, 20, 45), "cc": sentences(100, 40, 60), "dd": ["w1"] * 9}
    _, findings = accuracy(texts, tokens_per_language=[120, 20])
    rows = findings.table.to_pylist()
    metrics = {row["metric"] for row in rows}
    assert {"accuracy", "accuracy_mean", "accuracy_std", "recall", "confusion", "chance"} <= metrics
    assert {"accuracy_20", "accuracy_20_mean", "accuracy_20_std", "accuracy_over_layers_mean"} <= metrics
    assert [row["value"] for row in rows if row["metric"] == "chance"] == [1 / 3]
    for layer in range(3):
        recall = [r["value"] for r in rows if r["metric"] == "recall" and r["layer"] == layer and r["seed"] == 1]
        (whole,) = (r["value"] for r in rows if r["metric"] == "accuracy" and r["layer"] == layer and r["seed"] == 1)
        assert sum(recall) / 3 == pytest.approx(whole), "equally many test tokens of every language"
        for language in ("aa", "bb", "cc"):
            shares = [
                r["value"] for r in rows if (r["metric"], r["layer"], r["language"]) == ("confusion", layer, language)
            ]
            assert sum(shares) == pytest.approx(1.0)
    assert findings.warnings[0] == "left out, with fewer than 40 sentences: dd (1)"


def test_nothing_depends_on_the_order_of_languages_or_sentences():
    texts = {"aa": sentences(90, 0, 35), "bb": sentences(90, 25, 60)}
    turned = {"bb": texts["bb"][::-1], "aa": texts["aa"][::-1]}
    one, two = accuracy(texts)[1], accuracy(turned)[1]
    assert one.table.equals(two.table)
    assert one.settings == two.settings


def test_batches_change_nothing_that_matters():
    texts = {"aa": sentences(90, 0, 35), "bb": sentences(90, 25, 60)}
    one, two = (accuracy(texts, batch_tokens=size)[1].table["value"].to_pylist() for size in (20, 4096))
    assert one == pytest.approx(two, abs=0.02)


def test_too_few_tokens_are_recorded():
    texts = {"aa": sentences(60, 0, 30), "bb": sentences(60, 30, 60)}
    _, findings = accuracy(texts, tokens_per_language=4000)
    for kind, wanted in (("training", 3000), ("test", 1000)):
        assert any(f"{kind} tokens a language, {wanted} were asked for" in warning for warning in findings.warnings)


def test_a_line_without_tokens_is_left_out_with_a_warning(monkeypatch):
    deaf = word_tokenizer(WORDS)
    deaf.backend_tokenizer.normalizer = normalizers.Replace("~", "")
    monkeypatch.setattr(sys.modules[__name__], "TOKENIZER", deaf)
    texts = {"aa": sentences(60, 0, 30), "bb": sentences(60, 30, 60)}
    before, _ = accuracy(texts)
    after, findings = accuracy({"aa": [*texts["aa"], "~", "~~"], "bb": texts["bb"]})
    assert "seed 0: 2 held-out texts have no tokens and are left out" in findings.warnings
    assert after == before
    with pytest.raises(ValueError, match="no sentence in bb has a token; give other text"):
        accuracy({"aa": texts["aa"], "bb": ["~" * count for count in range(1, 60)]})


def test_a_text_under_two_languages_counts_for_neither():
    texts = {"aa": sentences(60, 0, 30), "bb": sentences(60, 30, 60)}
    shared = ["w1 w2 w3 w4", "w5 w31"]
    one = ProbeAnalysis({name: found + shared for name, found in texts.items()})
    assert one.texts == ProbeAnalysis(texts).texts


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens_per_language": [20, 400]}, "give numbers from 4, the largest one first"),
        ({"seeds": []}, "seeds is empty"),
        ({"C": -1.0}, "C=-1.0"),
        ({"test_share": 1.0}, "test_share=1.0"),
        ({"tokens_per_sentence": 0}, "tokens_per_sentence=0"),
        (
            {"min_sentences": 500},
            r"0 language\(s\) with at least 500 sentences \(aa: \d+, bb: \d+\); a probe needs two",
        ),
    ],
)
def test_mistakes_are_named(settings, message):
    texts = {"aa": sentences(60, 0, 30), "bb": sentences(60, 30, 60)}
    with pytest.raises(ValueError, match=message):
        ProbeAnalysis(texts, **settings)
