"""`babelscope steer` on models whose tokenizer, positions or generation settings are unusual."""

import json

import pytest
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.findings import read_findings
from babelscope.training.commands import steer as command

from ...model.families import tiny_model
from ...tokenizers_for_tests import sentences, word_tokenizer

SMALL = ["--seeds", "3", "--k", "4", "--languages", '["en", "es"]', "--samples", "1", "--device", "cpu"]


@pytest.fixture
def steered(tmp_path, run_cli):
    """Save a model and a tokenizer, steer, and give the status."""
    ConceptSet([Row(f"c{i % 2}", "en", text, 1) for i, text in enumerate(sentences(60))]).save(tmp_path / "set.csv")

    def call(model, tokenizer, *more, generation=None):
        model.save_pretrained(tmp_path / "step_5")
        tokenizer.save_pretrained(tmp_path / "step_5")
        if generation is not None:
            (tmp_path / "step_5" / "generation_config.json").write_text(generation)
        words = ["--model", str(tmp_path / "step_5"), "--concept", "c1", "--source-language", "en"]
        files = ["--concepts", str(tmp_path / "set.csv"), "--output", str(tmp_path / "results"), "--overwrite", "true"]
        return run_cli("steer", None, *words, *files, *SMALL, *more)

    return call


@pytest.mark.parametrize(("kind", "field"), [("gpt2", "n_positions"), ("opt", "max_position_embeddings"), ("llama", "max_position_embeddings")])  # fmt: skip
def test_a_length_beyond_the_positions_is_refused_before_experts_are_looked_for(
    kind, field, steered, capsys, monkeypatch
):
    model, tokenizer = tiny_model(kind, **{field: 20}), word_tokenizer("</s> $A")
    assert steered(model, tokenizer, "--length", "20") == 0
    monkeypatch.setattr(command, "ExpertAnalysis", None)
    capsys.readouterr()
    assert steered(model, tokenizer, "--length", "21") == 2
    message = capsys.readouterr().err
    assert "length=21: the model has 20 positions, and 1 of them is the start of a text; give at most 20" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    "kind", ["opt", "falcon", "codegen", "phi3", "gemma3", "mixtral", "qwen2_moe", "qwen3_moe", "olmoe"]
)
def test_every_new_family_is_steered_from_the_command_line(kind, steered, tmp_path):
    assert steered(tiny_model(kind), word_tokenizer("</s> $A"), "--length", "6", "--strength", "4") == 0
    found = read_findings(tmp_path / "results", "steering", 5)
    texts = {name: [t["text"] for t in found.texts if t["condition"] == name] for name in ("steered", "unsteered")}
    assert len(texts["steered"]) == 6, "of the concept, and of the other one as a control"
    assert set(texts["steered"]) - set(texts["unsteered"])


@pytest.mark.parametrize("kind", ["gpt2", "opt", "llama"])
def test_no_end_and_no_padding_token_is_no_hindrance(kind, steered, tmp_path):
    tokenizer = word_tokenizer(pad_token=None, eos_token=None)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (None, None)
    # And more words than the tokenizer has, as in models whose vocabulary is filled up.
    assert steered(tiny_model(kind, vocab_size=80), tokenizer, "--length", "6", "--temperature", "5") == 0
    found = read_findings(tmp_path / "results", "steering", 5)
    assert {text["tokens"] for text in found.texts} == {6}, "nothing ends a text"
    assert found.settings["start"] == [0]


def test_a_tokenizer_that_can_begin_no_text_is_refused(steered, capsys):
    assert steered(tiny_model("gpt2"), word_tokenizer(pad_token=None, eos_token=None, bos_token=None)) == 2
    assert "neither a begin- nor an end-of-text token: set tokenizer.bos_token" in capsys.readouterr().err


def test_a_start_that_the_model_does_not_know_is_refused(steered, capsys):
    tokenizer = word_tokenizer(bos_token="<the beginning>")
    assert tokenizer.bos_token_id == 64
    assert steered(tiny_model("gpt2"), tokenizer) == 2
    assert "texts begin with token 64, but the model's vocabulary has 64 entries" in capsys.readouterr().err


@pytest.mark.parametrize(
    "generation",
    [
        json.dumps({"max_length": 2, "do_sample": True, "temperature": 5.0, "top_k": 1, "eos_token_id": [7, 9], "pad_token_id": -1}),
        json.dumps({"num_beams": 4, "forced_bos_token_id": 3, "suppress_tokens": list(range(60)), "max_new_tokens": 0}),
        json.dumps({"temperature": 0.0, "do_sample": False, "top_p": 7}),
        "{not json",
    ],
)  # fmt: skip
def test_what_a_model_says_about_its_own_generation_plays_no_part(generation, steered, tmp_path):
    model, tokenizer = tiny_model("llama"), word_tokenizer("</s> $A")
    assert steered(model, tokenizer, "--length", "5") == 0
    plain = read_findings(tmp_path / "results", "steering", 5)
    assert steered(model, tokenizer, "--length", "5", generation=generation) == 0
    assert read_findings(tmp_path / "results", "steering", 5).texts == plain.texts
