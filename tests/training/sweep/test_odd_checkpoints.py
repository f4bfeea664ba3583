"""A checkpoint with an odd configuration among sound ones: its reason is recorded, and the others are done."""

import json
import shutil

import pytest
from babelscope.analysis.failures import failure_of
from babelscope.analysis.findings import read_findings
from babelscope.training.errors import CheckpointDamagedError
from babelscope.training.loading import load_model
from transformers import AutoConfig, AutoModelForCausalLM

from ...tokenizers_for_tests import WORDS, word_tokenizer

ODD = {
    "an int for a float": {"initializer_range": 1},
    "an unknown architecture": {"model_type": "unheard-of"},
    "no architecture": {"model_type": None},
    "a word for a number": {"n_head": "2"},
    "no heads": {"n_head": 0},
    "a width that heads do not divide": {"n_embd": 17},
    "no such activation": {"activation_function": "none-such"},
    "no such dtype": {"dtype": "none-such"},
    "no positions": {"n_positions": None},
    "fewer layers than the weights": {"n_layer": 1},
    "more layers than the weights": {"n_layer": 3},
    "quantised": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Three sound checkpoints and text to score."""
    base = tmp_path_factory.mktemp("odd")
    words = word_tokenizer()
    for step in (1, 2, 3):
        config = AutoConfig.for_model(
            "gpt2",
            vocab_size=len(words),
            n_embd=16,
            n_layer=2,
            n_head=2,
            n_positions=40,
            bos_token_id=0,
            eos_token_id=0,
        )
        AutoModelForCausalLM.from_config(config).save_pretrained(base / "series" / f"step_{step}")
        words.save_pretrained(base / "series" / f"step_{step}")
    (base / "text").mkdir()
    (base / "text" / "xx.txt").write_text("\n".join(" ".join(WORDS[i : i + 8]) for i in range(40)))
    return base


def swept(sound, run_cli, tmp_path):
    """Analyse the series in `tmp_path`; returns the status and what each step has."""
    loss = {"text": str(sound / "text"), "context": 32, "max_tokens": 300}
    config = {
        "source": str(tmp_path / "series"),
        "run": str(tmp_path / "run"),
        "health": False,
        "callbacks": [{"class_path": "babelscope.training.callbacks.PerLanguageLoss", "init_args": loss}],
    }
    status = run_cli("analyze", config)
    reasons = {step: failure_of(read_findings(tmp_path / "run" / "results", "validation", step)) for step in (1, 2, 3)}
    return status, reasons


@pytest.mark.parametrize("field", ODD.values(), ids=ODD)
def test_the_others_are_done_and_the_reason_is_recorded(field, sound, run_cli, tmp_path, capsys):
    shutil.copytree(sound / "series", tmp_path / "series")
    path = tmp_path / "series" / "step_2" / "config.json"
    content = {**json.loads(path.read_text()), **field}
    path.write_text(
        json.dumps({name: value for name, value in content.items() if value is not None or name != "model_type"})
    )
    status, reasons = swept(sound, run_cli, tmp_path)
    assert status == 1
    assert (reasons[1], reasons[3]) == (None, None)
    assert "step_2" in reasons[2]
    assert "1 checkpoint could not be analysed in full" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_configuration_that_is_none_is_one_checkpoints_fault(text, sound, run_cli, tmp_path):
    shutil.copytree(sound / "series", tmp_path / "series")
    (tmp_path / "series" / "step_2" / "config.json").write_text(text)
    status, reasons = swept(sound, run_cli, tmp_path)
    assert status == 1
    assert [step for step, reason in reasons.items() if reason] == [2]


def test_a_checkpoint_without_its_tokenizer_stops_no_series(sound, run_cli, tmp_path):
    shutil.copytree(sound / "series", tmp_path / "series")
    for path in (tmp_path / "series" / "step_1").glob("token*"):
        path.unlink()
    status, reasons = swept(sound, run_cli, tmp_path)
    assert status == 1
    assert "tokenizer: none can be loaded" in reasons[1]
    assert (reasons[2], reasons[3]) == (None, None)


def test_weights_that_the_configuration_has_no_place_for_are_another_model(sound, tmp_path):
    shutil.copytree(sound / "series" / "step_1", tmp_path / "c")
    assert len(load_model(tmp_path / "c").transformer.h) == 2
    path = tmp_path / "c" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "n_layer": 1}))
    with pytest.raises(
        CheckpointDamagedError, match=r"no place for: transformer\.h\.1\.attn\.c_attn\.weight.* and \d+ more"
    ):
        load_model(tmp_path / "c")
