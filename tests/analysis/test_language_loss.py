"""Held-out loss against a plain loop over single tokens, summed in float64, for every kind of head, start and model."""

import math

import pytest
import torch
from babelscope.analysis.concepts.text import load_text
from babelscope.analysis.language_loss import LanguageLoss, document_start

from ..model.families import tiny_model
from ..tokenizers_for_tests import sentences, word_tokenizer

TEXTS = {"xx": sentences(4, seed=1), "yy": sentences(4, seed=2)}


def values(findings):
    return {(row["metric"], row["language"]): row["value"] for row in findings.table.to_pylist()}


@torch.no_grad()
def token_by_token(model, ids, scored, context, stride):
    """Nats of the scored tokens, one after the other, each from the first window that reaches behind it."""
    total, windows = 0.0, {}
    for place in range(1, len(ids)):
        if not scored[place]:
            continue
        begin = 0
        while begin + context <= place:
            begin += stride
        if begin not in windows:
            windows[begin] = model(torch.tensor([ids[begin : begin + context]])).logits[0].double()
        total -= torch.log_softmax(windows[begin][place - begin - 1], -1)[ids[place]].item()
    return total


def stream(tokenizer, texts, start):
    ids, scored = [], []
    for text in texts:
        words = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += [*start, *words]
        scored += [False] * len(start) + [True] * len(words)
    return ids, [flag and place > 0 for place, flag in enumerate(scored)]


@pytest.mark.parametrize("kind", ["xglm", "bloom", "gpt2", "gpt_neox", "llama", "gemma2"])
def test_equals_a_loop_over_tokens(kind):
    """gemma2 caps its logits: there, hidden states times the head would be another number."""
    # Padding tokens take part nowhere, hence batches of several windows.
    model, tokenizer = tiny_model(kind), word_tokenizer()
    found = values(LanguageLoss(TEXTS, context=8, stride=5, batch_tokens=24)(model, tokenizer, 0))
    ids, scored = stream(tokenizer, TEXTS["yy"], [2])
    nats = token_by_token(model, ids, scored, 8, 5)
    assert found["loss", "yy"] == pytest.approx(nats / sum(scored), rel=2e-5)
    size = sum(len(text) for text in TEXTS["yy"])
    assert found["bits_per_byte", "yy"] == pytest.approx(nats / math.log(2) / size, rel=2e-5)
    assert found["loss", None] == pytest.approx((found["loss", "xx"] + found["loss", "yy"]) / 2)


def test_a_head_with_a_bias_counts():
    model, tokenizer = tiny_model("llama"), word_tokenizer()
    without = values(LanguageLoss(TEXTS, context=8)(model, tokenizer, 0))
    model.lm_head.bias = torch.nn.Parameter(torch.linspace(-3, 3, 64))
    found = values(LanguageLoss(TEXTS, context=8, stride=4)(model, tokenizer, 0))
    ids, scored = stream(tokenizer, TEXTS["xx"], [2])
    assert found["loss", "xx"] == pytest.approx(token_by_token(model, ids, scored, 8, 4) / sum(scored), rel=2e-5)
    assert abs(found["loss", "xx"] - without["loss", "xx"]) > 0.01


@pytest.mark.parametrize("start", [[2], [0], []])
def test_tokenizers_with_and_without_a_start(start):
    """Its own start, the end-of-text token, or nothing at all: then the very first token is not scored, nor its bytes."""
    model = tiny_model("gpt2")
    tokenizer = {
        2: lambda: word_tokenizer("</s> $A"),
        0: lambda: word_tokenizer(eos_token=None),
        None: lambda: word_tokenizer(bos_token=None, eos_token=None),
    }[start[0] if start else None]()
    assert document_start(tokenizer) == start
    found = values(LanguageLoss(TEXTS, context=40)(model, tokenizer, 0))
    ids, scored = stream(tokenizer, TEXTS["xx"], start)
    assert sum(scored) == len(ids) - (len(start) * 4 or 1)
    nats = token_by_token(model, ids, scored, 40, 20)
    assert found["loss", "xx"] == pytest.approx(nats / sum(scored), rel=2e-5)
    first = 0 if start else len(TEXTS["xx"][0].split()[0]) + 1
    size = sum(len(text) for text in TEXTS["xx"]) - first
    assert found["bits_per_byte", "xx"] == pytest.approx(nats / math.log(2) / size, rel=2e-5)


def test_batches_do_not_show():
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    one, many = (values(LanguageLoss(TEXTS, context=8, batch_tokens=size)(model, tokenizer, 0)) for size in (1, 10_000))
    assert one == pytest.approx(many, rel=1e-6)


def test_more_context_scores_otherwise():
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    short, long = (values(LanguageLoss(TEXTS, context=size)(model, tokenizer, 0)) for size in (2, 30))
    assert abs(short["loss", "xx"] - long["loss", "xx"]) > 1e-3


def test_positions_of_the_model_bound_the_context():
    model, tokenizer = tiny_model("gpt2"), word_tokenizer()
    found = LanguageLoss({"xx": sentences(40)}, context=4096)(model, tokenizer, 0)
    assert math.isfinite(values(found)["loss", "xx"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": {}}, "text: no language has a held-out document"),
        ({"texts": TEXTS, "context": 1}, "context=1"),
        ({"texts": TEXTS, "context": 8, "stride": 9}, "stride=9: give 1 to context=8"),
    ],
)
def test_wrong_use_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LanguageLoss(**arguments)


def test_text_is_read_from_folders_and_tables(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "xx.txt").write_text("one two\n\nthree\n", encoding="utf-8")
    assert load_text(tmp_path / "texts") == {"xx": ["one two", "three"]}
    (tmp_path / "t.csv").write_text("language,text\nxx,one two\nyy,drei\n", encoding="utf-8")
    assert load_text(tmp_path / "t.csv") == {"xx": ["one two"], "yy": ["drei"]}
    (tmp_path / "t.jsonl").write_text('{"language": "xx", "text": "one"}\n', encoding="utf-8")
    assert load_text(tmp_path / "t.jsonl") == {"xx": ["one"]}
    sentences = load_text("shipped")["en"]
    assert len(sentences) == len(set(sentences)) > 600


def test_text_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="does not exist; give a store"):
        load_text(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds neither heldout"):
        load_text(tmp_path)
    (tmp_path / "t.csv").write_text("lang,text\nxx,one two\n", encoding="utf-8")
    with pytest.raises(ValueError, match="column language is missing in some row; it has lang, text"):
        load_text(tmp_path / "t.csv")
