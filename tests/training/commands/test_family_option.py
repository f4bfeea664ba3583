"""`family`: auto, the name of a row, or the paths, alike in analyze, steer and expertise; on an architecture without a row."""

import json

import pytest
import torch
import yaml
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.findings import read_findings
from babelscope.model.families import FAMILIES, Family
from babelscope.model.sites import recorded_family
from transformers import Starcoder2Config, Starcoder2ForCausalLM

from ...tokenizers_for_tests import sentences, word_tokenizer

PATHS = {
    "backbone": "model",
    "blocks": "model.layers",
    "units": {
        **{name: f"self_attn.{name}_proj" for name in "qkv"},
        "attn_out": "self_attn.o_proj",
        "ffn_in": "mlp.c_fc",
        "ffn_out": "mlp.c_proj",
    },
    "activation": "mlp.act",
}
SMALL = [
    "--seeds",
    "2",
    "--length",
    "3",
    "--k",
    "4",
    "--languages",
    '["en", "es"]',
    "--samples",
    "1",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkpoint of an architecture that the table does not have, and sentences of two concepts."""
    assert "starcoder2" not in FAMILIES
    base = tmp_path_factory.mktemp("family")
    torch.manual_seed(0)
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64}
    model = Starcoder2ForCausalLM(Starcoder2Config(**sizes, **heads, bos_token_id=0, eos_token_id=2))
    model.save_pretrained(base / "step_5")
    word_tokenizer("</s> $A").save_pretrained(base / "step_5")
    rows = [Row(f"c{i % 2}", "en", text, 1) for i, text in enumerate(sentences(60))]
    ConceptSet(rows).save(base / "set.csv")
    return base


def steered(place, family, *more):
    words = ["--model", str(place / "step_5"), "--concept", "c1", "--source-language", "en"]
    family = [] if family is None else ["--family", family]
    return [*words, "--concepts", str(place / "set.csv"), *SMALL, *family, *more]


@pytest.mark.parametrize(
    "family", ["auto", json.dumps(PATHS), yaml.safe_dump(PATHS, default_flow_style=True, sort_keys=False)]
)
def test_steer_takes_a_family(place, tmp_path, run_cli, capsys, family):
    assert run_cli("steer", None, *steered(place, family, "--output", str(tmp_path))) == 0
    assert "4 experts of c1 in en, 2 texts a condition" in capsys.readouterr().out
    found = read_findings(tmp_path, "steering", 5)
    assert recorded_family(found.settings["family"]) == Family(**PATHS)
    assert list(recorded_family(found.settings["family"]).units) == list(PATHS["units"])


def test_expertise_and_analyze_take_a_family_alike(place, tmp_path, run_cli):
    expected = {f"model.layers.{layer}.{path}:0" for layer in range(2) for path in PATHS["units"].values()}
    for number, family in enumerate(("auto", json.dumps(PATHS))):
        words = ["--model", str(place / "step_5"), "--concepts", str(place / "set.csv"), "--device", "cpu"]
        assert run_cli("expertise", None, *words, "--output", str(tmp_path / str(number)), "--family", family) == 0
        (info, _) = (tmp_path / str(number)).rglob("expertise_info.json")
        assert set(json.loads(info.read_text())["layer_names"]) == expected
        experts = {"concepts": str(place / "set.csv"), "k": 5, "min_sentences": 4}
        config = {
            "source": str(place / "step_5"),
            "run": str(tmp_path / f"run{number}"),
            "callbacks": [{"class_path": "babelscope.training.callbacks.ExpertNeurons", "init_args": experts}],
            "family": family if family == "auto" else PATHS,
            "device": "cpu",
        }
        assert run_cli("analyze", config) == 0
        found = read_findings(tmp_path / f"run{number}" / "results", "experts", 5)
        assert recorded_family(found.settings["family"]) == Family(**PATHS)
        assert found.settings["units"] == 2 * (16 + 8 + 8 + 16 + 24 + 16)


def test_without_a_family_the_row_is_shown(place, run_cli, capsys):
    assert run_cli("steer", None, *steered(place, None)) == 2
    message = capsys.readouterr().err
    assert "model_type='starcoder2' has no row in babelscope.model.families" in message
    (written,) = [line for line in message.splitlines() if line.strip().startswith("family: ")]
    assert yaml.safe_load(written)["family"] == PATHS
    assert "Traceback" not in message


def test_a_sweep_goes_on_in_its_run_by_the_row_that_it_was_told(place, tmp_path, run_cli, capsys):
    """What stopped for want of a row has no results: a family is no change of settings. Later it is."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "en.txt").write_text("\n\n".join(sentences(20)))
    loss = {"text": str(tmp_path / "text"), "context": 16}
    config = {
        "source": str(place / "step_5"),
        "run": str(tmp_path / "run"),
        "callbacks": [{"class_path": "babelscope.training.callbacks.PerLanguageLoss", "init_args": loss}],
        "device": "cpu",
    }
    assert run_cli("analyze", config) == 2
    assert "say family: auto (--family auto)" in capsys.readouterr().err
    assert run_cli("analyze", config, "--family", "auto") == 0
    assert read_findings(tmp_path / "run" / "results", "validation", 5).table.num_rows
    assert run_cli("analyze", {**config, "family": PATHS}) == 2
    assert "family was auto and is" in capsys.readouterr().err


@pytest.mark.parametrize("family", ["starcoder", "{backbone: model, blocks: model.layers, unit: {q: x}}"])
def test_a_family_that_is_none_is_refused_before_the_model_is_loaded(
    place, tmp_path, run_cli, capsys, monkeypatch, family
):
    for module in ("steer", "expertise"):
        monkeypatch.setattr(f"babelscope.training.commands.{module}.load_model", None)
    expertise = ["--model", str(place / "step_5"), "--concepts", str(place / "set.csv"), "--output", str(tmp_path)]
    analyze = {"source": str(place / "step_5"), "run": str(tmp_path / "run"), "family": family, "callbacks": [
        {"class_path": "babelscope.training.callbacks.CheckpointHealth"}
    ]}  # fmt: skip
    for result in (
        lambda: run_cli("steer", None, *steered(place, family)),
        lambda: run_cli("expertise", None, *expertise, "--family", family),
        lambda: run_cli("analyze", analyze),
    ):
        assert result() == 2
        message = capsys.readouterr().err
        assert (
            f"family={family}: there is no such row; choose auto, which derives one from the model, one of" in message
        )
        assert "by the fields backbone, blocks, units, activation, experts, sites" in message


def test_experts_found_with_another_row_are_not_steered(place, tmp_path, run_cli, capsys):
    experts = {"concepts": str(place / "set.csv"), "k": 5, "min_sentences": 4}
    config = {
        "source": str(place / "step_5"),
        "run": str(tmp_path),
        "callbacks": [{"class_path": "babelscope.training.callbacks.ExpertNeurons", "init_args": experts}],
        "family": "auto",
        "device": "cpu",
    }
    assert run_cli("analyze", config) == 0
    results = ["--experts_results", str(tmp_path / "results")]
    assert run_cli("steer", None, *steered(place, "auto", *results)) == 0
    assert run_cli("steer", None, *steered(place, None, *results)) == 0, "the row is among the results"
    other = json.dumps({**PATHS, "units": {"ffn_in": "mlp.c_fc"}})
    assert run_cli("steer", None, *steered(place, other, *results)) == 2
    assert "family: the experts at step 5 of" in capsys.readouterr().err
