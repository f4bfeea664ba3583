"""Damaged files of a run: each is named with a remedy, and costs no more than itself."""

import json
import logging
import random

import pytest
import torch
import yaml
from babelscope.analysis.atomic import write_text
from babelscope.analysis.integrity import file_digest
from babelscope.model import build_model, preset
from babelscope.training.errors import CheckpointDamagedError
from babelscope.training.fit.checkpoints import newest_whole_state
from babelscope.training.loading import load_model
from babelscope.training.runs import CHECKPOINT_FILE, RunFolder, checkpoint_info

DAMAGED = [b"", b"{", b'{"id": ', b"[1]", b"\xff\xfe\x00", b"\0" * 40]


@pytest.mark.parametrize("content", DAMAGED)
def test_files_that_hold_a_mapping_are_named(tmp_path, caplog, content):
    run = RunFolder(tmp_path)
    before = run.run_id("a note")
    assert run.run_id() == before
    run.info.write_bytes(content)
    fresh = run.run_id()
    assert fresh != before
    assert "run.json is damaged" in caplog.text
    assert run.run_id() == fresh
    (tmp_path / CHECKPOINT_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"babelscope\.json is damaged \(.*\): take the checkpoint from a copy"):
        checkpoint_info(tmp_path)
    run.config.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml is damaged \(.*\): put back the one that the run began with"):
        run.settings()


def test_a_run_without_a_configuration_has_no_store(tmp_path):
    run = RunFolder(tmp_path)
    assert run.settings() == {}
    assert run.store() is None
    run.config.write_text(yaml.safe_dump({"data": {"store": str(tmp_path / "gone")}}))
    assert run.store() is None
    (tmp_path / "gone").mkdir()
    assert run.store() == str(tmp_path / "gone")


def test_any_flipped_bit_of_a_state_is_found_and_the_one_before_it_taken(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    run = RunFolder(tmp_path)
    for step in (3, 6):
        run.resume.mkdir(exist_ok=True)
        state = run.resume_state(step)
        torch.save({"weights": torch.rand(50), "step": step}, state)
        write_text(state.with_name(f"{state.name}.blake2b"), file_digest(state))
    assert newest_whole_state(run) == run.resume_state(6)
    content = run.resume_state(6).read_bytes()
    rng = random.Random(0)
    for _ in range(200):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        run.resume_state(6).write_bytes(damaged)
        assert newest_whole_state(run) == run.resume_state(3)
    assert "trying the one before it" in caplog.text


def test_a_checkpoint_whose_own_file_is_damaged_is_the_checkpoints_fault(tmp_path):
    config = preset("toy", vocab_size=320, d_model=16, ffn_dim=16, num_layers=1, attention_heads=2)
    build_model(config, seed=0).save_pretrained(tmp_path)
    (tmp_path / CHECKPOINT_FILE).write_text(json.dumps({"step": 3})[:-3])
    with pytest.raises(CheckpointDamagedError, match=r"babelscope\.json is damaged"):
        load_model(tmp_path)
