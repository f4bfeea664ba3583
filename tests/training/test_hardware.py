"""What a processor does well decides what is done with it where the user says nothing."""

import logging

import pytest
import torch
import yaml
from babelscope.training.hardware import accelerator_kind, multiplies_bf16
from babelscope.training.loading import placed

WITHOUT = {"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}
WITH = {**WITHOUT, "amx_bf16": True}


@pytest.fixture
def processor(monkeypatch):
    """Pretend that the processor has other capabilities."""

    def has(capabilities):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return has


def test_a_processor_is_asked_and_a_device_that_cannot_be_asked_is_trusted(processor):
    processor(WITHOUT)
    assert not multiplies_bf16("cpu")
    processor(WITH)
    assert multiplies_bf16("cpu")
    assert multiplies_bf16("mps")


def test_auto_is_what_the_machine_has(processor, monkeypatch):
    processor(WITH)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert [accelerator_kind(name) for name in ("auto", "cpu", "tpu")] == ["cpu", "cpu", "tpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [accelerator_kind(name) for name in ("auto", "gpu", "cpu")] == ["cuda", "cuda", "cpu"]


@pytest.mark.parametrize(("capabilities", "precision"), [(WITH, "bf16-mixed"), (WITHOUT, "32-true")])
def test_a_run_takes_the_precision_that_is_fast_records_it_and_keeps_it(
    processor, run_config, run_cli, tmp_path, caplog, capabilities, precision
):
    processor(capabilities)
    run = tmp_path / "run"
    config = run_config(run, callbacks=False, trainer__max_steps=3)
    with caplog.at_level(logging.WARNING):
        assert run_cli("pretrain", config) == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["precision"] == precision
    said = [record.getMessage() for record in caplog.records if "bf16 in software" in record.getMessage()]
    assert len(said) == (precision == "32-true")
    processor(WITH if capabilities is WITHOUT else WITHOUT)  # it goes on elsewhere, in what it began with
    assert run_cli("pretrain", config, "--resume") == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["precision"] == precision


def test_bf16_that_was_asked_for_is_given_with_a_warning(processor, run_config, run_cli, tmp_path, caplog):
    processor(WITHOUT)
    config = run_config(tmp_path / "run", callbacks=False, trainer__max_steps=3, trainer__precision="bf16-mixed")
    with caplog.at_level(logging.WARNING):
        assert run_cli("pretrain", config) == 0
    assert "trainer.precision=bf16-mixed: this processor multiplies bf16 in software" in caplog.text
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"
    placed("cpu", "bfloat16")
    assert "dtype=bfloat16: this processor multiplies bf16 in software" in caplog.text
