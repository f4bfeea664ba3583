"""Held-out loss against a plain loop over single tokens, summed in float64, for every kind of head, start and model."""

import math

import pytest
import torch
from babelscope.analysis.concepts.text import load_text
from babelscope.analysis.language_loss import LanguageLoss, document_start
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ..model.families import CONFIGS, tiny_model
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


@pytest.mark.parametrize("kind", CONFIGS)
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


@pytest.mark.parametrize("most", [1, 3, 7, 10, 11, 10_000])
def test_as_many_tokens_are_scored_as_were_asked_for(most):
    """The last document is cut: neither is a long one scored whole, nor does it end the text before its time."""
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    words = [text.split() for text in TEXTS["xx"]]
    cut, left = [], most
    for document in words:
        cut.append(" ".join(document[:left]))
        left -= len(document[:left])
        if left == 0:
            break
    found = values(LanguageLoss({"xx": TEXTS["xx"]}, context=16, max_tokens=most)(model, tokenizer, 0))
    assert found["loss", "xx"] == pytest.approx(values(LanguageLoss({"xx": cut}, context=16)(model, tokenizer, 0))["loss", "xx"], rel=1e-6)  # fmt: skip
    long = LanguageLoss({"xx": ["w1 w2 w3 " * 500]}, context=16, max_tokens=12)
    assert len(long._stream(tokenizer, long.texts["xx"])[0]) == 12 + len(document_start(tokenizer))


def test_bytes_are_those_of_the_tokens_that_are_scored():
    """A character that several tokens spell is scored whole or not at all."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(sorted(alphabet))}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)
    for most, text in ((1, "a"), (3, "aनदी"), (4, "aनदी"), (6, "aनदी"), (7, "aनदी"), (9, "aनदी")):
        loss = LanguageLoss({"xx": ["b", text]}, max_tokens=1 + most)
        ids_N, labels_N, size = loss._stream(tokenizer, loss.texts["xx"])
        scored = int((labels_N != -100).sum())
        assert size == scored <= 1 + most
        assert len(ids_N) == scored + 1


def test_a_language_without_a_token_is_left_out_with_a_warning():
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    found = LanguageLoss({"xx": TEXTS["xx"], "yy": [" "]})(model, tokenizer, 0)
    assert ("loss", "yy") not in values(found)
    assert found.warnings == ("left out, without a token to score: yy",)
    with pytest.raises(ValueError, match="no language has a held-out token to score"):
        LanguageLoss({"yy": [" "]})(model, tokenizer, 0)


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
    with pytest.raises(ValueError, match="line 2: column language is missing or empty; it has lang, text"):
        load_text(tmp_path / "t.csv")
