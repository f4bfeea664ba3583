"""ml-selfcond's expertise.csv: its columns, order and definitions, written out here from its public description."""

import csv
import json

import numpy as np
import pytest
import torch
from babelscope.training.commands.cli import main
from babelscope.training.commands.expertise import export_expertise
from sklearn.metrics import average_precision_score

from ...model.families import tiny_model
from ...tokenizers_for_tests import WORDS, word_tokenizer


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A concept folder with sentences of one length, and what is written for it."""
    base = tmp_path_factory.mktemp("selfcond")
    model, tokenizer = tiny_model("gpt2", n_layer=11), word_tokenizer()
    model.save_pretrained(base / "model")
    tokenizer.save_pretrained(base / "model")
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, 6)) for _ in range(50)]
    (base / "concepts" / "keyword").mkdir(parents=True)
    (base / "concepts" / "concept_list.csv").write_text("group,concept\nkeyword,ball\n")
    content = {"concept": "ball", "group": "keyword", "source": "x", "sentences": {"positive": texts[:21], "negative": texts[21:]}}  # fmt: skip
    (base / "concepts" / "keyword" / "ball.json").write_text(json.dumps(content))
    words = ["--model", str(base / "model"), "--concepts", str(base / "concepts"), "--output", str(base / "out")]
    assert main(["expertise", *words, "--batch_tokens", "70", "--memory_gb", "5.5e-4"]) == 0
    return model, tokenizer, texts, base / "out" / "keyword" / "ball" / "expertise"


@torch.no_grad()
def expected_columns(model, tokenizer, texts):
    """By definition: per layer name, sorted as strings, the maximum over all positions of one padded batch."""
    names = [
        name
        for name, module in model.named_modules()
        if type(module).__name__ in ("Conv1D", "Linear") and "lm_head" not in name
    ]
    outputs = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _m, _a, out, name=name: outputs.__setitem__(f"{name}:0", out))
        for name in names
    ]  # fmt: skip
    model(torch.tensor(tokenizer(texts)["input_ids"]))
    for handle in handles:
        handle.remove()
    labels = np.array([1] * 21 + [0] * 29)
    rows = []
    for name in sorted(outputs):
        pooled_US = outputs[name].numpy().max(axis=1).transpose().astype(np.float64)
        for unit, response_S in enumerate(pooled_US):
            on, off = response_S[labels == 1], response_S[labels != 1]
            ap = average_precision_score(labels, response_S)
            rows.append((ap, off.mean(), np.percentile(on, 50), np.percentile(on, 90), name, unit))
    return rows


def test_expertise_csv_is_ml_selfconds(exported):
    model, tokenizer, texts, folder = exported
    with (folder / "expertise.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["ap", "off_mean", "on_p50", "on_p90", "layer", "unit", "uuid", "concept", "group"]
    expected = expected_columns(model, tokenizer, texts)
    assert len(rows) - 1 == len(expected) == 11 * 9 * 16
    for number, (row, (*values, layer, unit)) in enumerate(zip(rows[1:], expected, strict=True)):
        assert [float(value) for value in row[:4]] == pytest.approx(values, abs=1e-6, rel=1e-6)
        assert row[4:] == [layer, str(unit), str(number), "ball", "keyword"]


def test_expertise_info_is_ml_selfconds(exported):
    model, tokenizer, texts, folder = exported
    info = json.loads((folder / "expertise_info.json").read_text())
    aps = np.array([row[0] for row in expected_columns(model, tokenizer, texts)])
    assert info["concept"] == "ball"
    assert info["group"] == "keyword"
    assert info["total_neurons"] == len(aps)
    assert info["max_ap"] == pytest.approx(aps.max(), abs=1e-9)
    assert info["layer_names"] == sorted(info["layer_names"])
    assert len(info["neurons_at_ap"]) == 501
    assert info["neurons_at_ap"]["0.50000"] == (aps > 0.5).sum() > 0
    assert info["neurons_at_ap"]["1.00000"] == 0


def test_wrong_use_is_named(tmp_path, exported):
    table = tmp_path / "c.csv"
    table.write_text("concept,language,text,label\na,xx,w1,1\na,yy,w2,1\na,xx,w3,0\n")
    with pytest.raises(ValueError) as caught:
        export_expertise(str(tmp_path), str(table), str(tmp_path / "out"), dtype="int8", device="tpu")
    for text in (
        "language is not set, and",
        "has xx, yy: choose one",
        "dtype=int8",
        "device=tpu",
        "holds no config.json",
    ):
        assert text in str(caught.value)
