"""The callback around the expert analysis: where concepts come from, what it writes, and an untouched model."""

import numpy as np
import pytest
import torch
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.findings import read_findings
from babelscope.model import build_model, preset
from babelscope.training.callbacks.experts import ExpertNeurons
from babelscope.training.callbacks.schedule import StepSchedule
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = [f"w{i}" for i in range(30)]


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<unk>", *WORDS])}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


@pytest.fixture
def model() -> torch.nn.Module:
    config = preset("toy", vocab_size=31, num_layers=2, d_model=16, ffn_dim=32, attention_heads=2)
    return build_model(config, seed=0).train()


@pytest.fixture
def concepts() -> ConceptSet:
    random = np.random.default_rng(0)
    return ConceptSet(
        Row(f"c{c}", language, " ".join([WORDS[c], *random.choice(WORDS, 6)]), 1)
        for c in range(3)
        for language in ("aa", "bb")
        for _ in range(24)
    )


def test_run_writes_rows_and_arrays_and_leaves_the_model(tmp_path, model, tokenizer, concepts):
    concepts.save(tmp_path / "set.parquet")
    callback = ExpertNeurons(str(tmp_path / "set.parquet"), k=7, seed=3)
    before = [parameter.clone() for parameter in model.parameters()]
    state = torch.get_rng_state()
    written = callback.run(model, tokenizer, 64, 1000, tmp_path / "results")
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert callback.has_results(tmp_path / "results", 64)
    found = read_findings(tmp_path / "results", "experts", 64)
    assert found.table.equals(written.table)
    assert set(found.table["tokens"].to_pylist()) == {1000}
    assert found.arrays["indices"].shape == found.arrays["median"].shape == (3, 2, 7)
    assert found.settings["k"] == 7
    assert found.settings["seed"] == 3
    assert found.settings["concept_set"] == concepts.fingerprint()
    assert (found.settings["concepts"], found.settings["languages"]) == (["c0", "c1", "c2"], ["aa", "bb"])


def test_same_rows_again(tmp_path, model, tokenizer, concepts):
    concepts.save(tmp_path / "set.parquet")
    first, second = (
        ExpertNeurons(str(tmp_path / "set.parquet")).run(model, tokenizer, 1, None, tmp_path) for _ in range(2)
    )
    assert first.table.equals(second.table)


def test_concepts_of_the_token_store_are_the_default(tmp_path, model, tokenizer, concepts):
    callback = ExpertNeurons()
    with pytest.raises(ValueError, match="ExpertNeurons has no concepts, and there is no token store: pass concepts="):
        callback.build(model, tokenizer)
    callback.store = str(tmp_path)
    with pytest.raises(ValueError, match=r"concepts\.parquet does not exist: pass concepts=FILE"):
        callback.build(model, tokenizer)
    concepts.save(tmp_path / "concepts.parquet")
    assert callback.build(model, tokenizer).fingerprint == concepts.fingerprint()
    assert callback.concepts_path() == tmp_path / "concepts.parquet"


def test_arguments_reach_the_analysis(tmp_path, model, tokenizer, concepts):
    concepts.save(tmp_path / "set.csv")
    callback = ExpertNeurons(
        str(tmp_path / "set.csv"),
        schedule=StepSchedule(at=(5,)),
        pooling="mean",
        special_tokens=False,
        max_length=4,
        max_negatives=30,
        languages=["bb"],
        only=["c0", "c2"],
    )
    assert callback.schedule.due(5)
    settings = callback.build(model, tokenizer)(model, tokenizer, 5).settings
    assert settings["languages"] == ["bb"]
    assert settings["concepts"] == ["c0", "c2"]
    expected = {"pooling": "mean", "special_tokens": False, "max_length": 4, "max_negatives": 30}
    assert {name: settings[name] for name in expected} == expected
