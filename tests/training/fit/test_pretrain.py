"""Whole runs of a tiny model: what they write, and the invariants of watching, stopping and replaying."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import ClassVar

import lightning.pytorch as pl
import pytest
import torch
import yaml
from babelscope.analysis.findings import read_findings, read_rows, result_steps
from babelscope.training.claims import Claims
from babelscope.training.runs import RunFolder
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ANALYSES = ("validation", "probe", "experts")


def weights(run, step):
    return load_file(RunFolder(run).checkpoint(step) / "model.safetensors")


def losses(run):
    rows = read_rows(RunFolder(run).results).to_pylist()
    return {row["step"]: row["value"] for row in rows if row["analysis"] == "training" and row["metric"] == "loss"}


def same_weights(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def assert_same_results(one, two):
    for analysis in ANALYSES:
        steps = result_steps(one / "results", analysis)
        assert steps == result_steps(two / "results", analysis)
        for step in steps:
            a, b = (read_findings(run / "results", analysis, step) for run in (one, two))
            assert a.table.equals(b.table), (analysis, step)
            assert all((a.arrays[name] == b.arrays[name]).all() for name in a.arrays)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, run_config):
    """One uninterrupted run of eight steps with every callback."""
    from babelscope.training.commands.cli import main

    folder = tmp_path_factory.mktemp("whole")
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(run_config(folder / "run")))
    assert main(["pretrain", "--config", str(config)]) == 0
    return folder / "run"


def test_a_run_leaves_what_the_design_says(whole_run):
    run = RunFolder(whole_run)
    assert run.checkpoint_steps() == [0, 1, 2, 4, 8]
    assert [step for step, _ in run.resume_states()] == [8, 6]
    assert yaml.safe_load(run.config.read_text())["trainer"]["max_steps"] == 8
    for analysis in ANALYSES:
        assert result_steps(run.results, analysis) == [0, 2, 5, 8]
    info = json.loads((run.checkpoint(4) / "babelscope.json").read_text())
    assert info["step"] == 4
    assert info["tokens"] == 4 * 8 * 16 == sum(info["tokens_per_language"].values())
    assert info["loss"] == pytest.approx(losses(whole_run)[4])
    rows = read_rows(run.results)
    assert {row["tokens"] for row in rows.to_pylist() if row["step"] == 5} == {5 * 8 * 16}
    assert not list(run.path.rglob("*.tmp"))


def test_checkpoints_load_in_stock_classes(whole_run):
    folder = RunFolder(whole_run).checkpoint(8)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("mira", return_tensors="pt").input_ids
    assert ids[0, 0] == 2
    assert torch.isfinite(model(ids).logits).all()


def test_every_step_is_recorded_once(whole_run):
    assert sorted(losses(whole_run)) == list(range(1, 9))
    rows = [r for r in read_rows(whole_run / "results").to_pylist() if r["analysis"] == "training"]
    rates = {r["step"]: r["value"] for r in rows if r["metric"] == "learning_rate"}
    assert rates[1] == pytest.approx(0.005), "the rate a step was taken with, not the next one's"
    assert rates[2] == pytest.approx(0.01)
    assert {"loss", "grad_norm", "tokens_per_second", "peak_memory_gb", "tokens_seen"} <= {r["metric"] for r in rows}


def test_watching_changes_nothing(whole_run, tmp_path, run_config, run_cli):
    assert run_cli("pretrain", run_config(tmp_path / "run", callbacks=False)) == 0
    assert losses(tmp_path / "run") == losses(whole_run)
    assert same_weights(weights(tmp_path / "run", 8), weights(whole_run, 8))


def test_the_comparison_could_fail(whole_run, tmp_path, run_config, run_cli):
    assert run_cli("pretrain", run_config(tmp_path / "run", callbacks=False, seed_everything=1)) == 0
    assert losses(tmp_path / "run") != losses(whole_run)


def test_one_seed_decides_weights_and_data_unless_they_have_their_own(tmp_path, run_config, run_cli):
    def trained(name, **settings):
        config = run_config(tmp_path / name, callbacks=False, trainer__max_steps=2, **settings)
        config["model"]["overrides"].update(dropout=0.0, attention_dropout=0.0)
        assert run_cli("pretrain", config) == 0
        return losses(tmp_path / name)

    first = trained("first")
    both = trained("both", seed_everything=1)
    assert trained("weights", seed_everything=1, data__seed=0) not in (first, both)
    assert trained("data", seed_everything=1, model__seed=0) not in (first, both)
    assert trained("neither", seed_everything=1, model__seed=0, data__seed=0) == first
    assert yaml.safe_load(RunFolder(tmp_path / "both").config.read_text())["model"]["seed"] == 1


def test_accumulation_does_not_change_which_data_a_step_sees(whole_run, tmp_path, run_config, run_cli):
    config = run_config(tmp_path / "run", callbacks=False, data__micro_batch_size=8, trainer__max_steps=2)
    config["model"]["overrides"].update(dropout=0.0, attention_dropout=0.0)
    other = run_config(tmp_path / "other", callbacks=False, data__micro_batch_size=2, trainer__max_steps=2)
    other["model"]["overrides"].update(dropout=0.0, attention_dropout=0.0)
    assert run_cli("pretrain", config) == run_cli("pretrain", other) == 0
    one, two = losses(tmp_path / "run"), losses(tmp_path / "other")
    assert one == pytest.approx(two, rel=1e-2)


INTERRUPTED = """
import os, signal, sys
from babelscope.training.callbacks import LanguageProbe
from babelscope.training.commands.cli import main
from babelscope.training.fit.checkpoints import ResumeStates, StreamedCheckpoints
from babelscope.training.fit.stopping import StopWatch

step, where, how = int(sys.argv[1]), sys.argv[2], sys.argv[3].split("+")

def at(trainer):
    if trainer.global_step == step:
        for name in how:
            os.kill(os.getpid(), getattr(signal, name))

def before(kind, method, trainer_of=lambda words: words[0]):
    original = getattr(kind, method)
    def stop(self, *words, **named):
        at(trainer_of(words) or self.trainer)
        return original(self, *words, **named)
    setattr(kind, method, stop)

def after(kind, method):
    original = getattr(kind, method)
    def stop(self, trainer, *rest, **named):
        original(self, trainer, *rest, **named)
        at(trainer)
    setattr(kind, method, stop)

if where == "end of step":
    before(ResumeStates, "on_train_batch_end")
elif where == "behind the step":
    after(ResumeStates, "on_train_batch_end")
elif where == "start":
    after(StopWatch, "setup")
elif where == "analysis":
    before(LanguageProbe, "at_step")
elif where == "save":
    original = StreamedCheckpoints.save_checkpoint
    def half(self, checkpoint, path, storage_options=None):
        original(self, checkpoint, path)
        if checkpoint["global_step"] == step:
            path.write_bytes(path.read_bytes()[:-1000])
            os.kill(os.getpid(), getattr(signal, how[0]))
    StreamedCheckpoints.save_checkpoint = half
sys.exit(main(sys.argv[4:]))
"""


@pytest.mark.parametrize(
    ("step", "where", "how", "status", "states"),
    [
        (5, "behind the step", "SIGKILL", -signal.SIGKILL, [3, 0]),
        (4, "end of step", "SIGTERM", 75, [4, 3]),
        (5, "end of step", "SIGINT", 130, [5, 3]),
        (5, "end of step", "SIGINT+SIGINT", 130, [3, 0]),
        (0, "analysis", "SIGKILL", -signal.SIGKILL, []),
        (0, "analysis", "SIGTERM", 75, [0]),
        (0, "start", "SIGTERM", 75, [0]),
        (5, "analysis", "SIGUSR1", 75, [5, 3]),
        (3, "save", "SIGKILL", -signal.SIGKILL, [0]),
    ],
)
def test_stopping_changes_nothing(whole_run, tmp_path, run_config, run_cli, caplog, step, where, how, status, states):
    """Wherever a signal arrives the run goes on to the very same end: killed, from the last state; told, from the step."""
    caplog.set_level(logging.INFO)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(run_config(tmp_path / "run")))
    words = ["pretrain", "--config", str(config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", INTERRUPTED, str(step), where, how, *words]
    stopped = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert stopped.returncode == status, stopped.stderr
    assert "Traceback" not in stopped.stderr
    if status > 0 and "+" not in how:
        assert f"the state of step {step} is saved in" in stopped.stderr
    elif status > 0:
        assert "Ended at once: --resume goes on from the state that was saved last" in stopped.stderr
    run = RunFolder(tmp_path / "run")
    assert [saved for saved, _ in run.resume_states()] == states
    if where == "analysis":
        assert not (run.results / "probe" / f"step_{step:08d}.parquet").exists()
    assert run_cli("pretrain", run_config(tmp_path / "run"), "--resume") == 0
    if states:
        assert f"Resuming from {run.resume_state(states[0])}" in caplog.text
    else:
        assert "starting at step 0, over what it wrote before its first state" in caplog.text
    assert losses(run.path) == losses(whole_run)
    assert run.checkpoint_steps() == [0, 1, 2, 4, 8]
    for saved in run.checkpoint_steps():
        assert same_weights(weights(run.path, saved), weights(whole_run, saved)), saved
    assert_same_results(run.path, whole_run)
    assert not list(run.path.rglob("*.tmp"))


def test_states_that_are_gone_are_no_run_to_begin_again(whole_run, tmp_path, run_config, run_cli, capsys):
    shutil.copytree(whole_run, tmp_path / "run")
    for _, path in RunFolder(tmp_path / "run").resume_states():
        path.unlink()
    assert run_cli("pretrain", run_config(tmp_path / "run"), "--resume") == 2
    assert "its resume states are gone" in capsys.readouterr().err


def test_a_damaged_state_is_named_and_the_one_before_it_taken(whole_run, tmp_path, run_config, run_cli, caplog):
    caplog.set_level(logging.INFO)
    import shutil

    shutil.copytree(whole_run, tmp_path / "run")
    newest = RunFolder(tmp_path / "run").resume_states()[0][1]
    newest.write_bytes(newest.read_bytes()[:-5000])
    config = run_config(tmp_path / "run")
    assert run_cli("pretrain", config, "--resume") == 0
    assert f"Resume state {newest} is damaged" in caplog.text
    assert "step_00000006.ckpt" in caplog.text
    assert losses(tmp_path / "run") == losses(whole_run)


def test_a_replay_uses_the_kernel_of_the_run(tmp_path, run_config, run_cli):
    from babelscope.training.loading import load_model

    config = run_config(tmp_path / "run", callbacks=False, trainer__max_steps=1, model__attention="eager")
    config["model"]["warmup_steps"] = 1
    assert run_cli("pretrain", config) == 0
    assert load_model(RunFolder(tmp_path / "run").checkpoint(1)).config._attn_implementation == "eager"


def test_live_and_replay_agree(whole_run, tmp_path, run_config, run_cli):
    callbacks = run_config(tmp_path)["trainer"]["callbacks"]
    config = {"source": str(whole_run), "run": str(tmp_path / "replay"), "callbacks": callbacks, "steps": [0, 2, 8]}
    assert run_cli("analyze", config) == 0
    for analysis in ANALYSES:
        assert result_steps(tmp_path / "replay" / "results", analysis) == [0, 2, 8]
        for step in (0, 2, 8):
            live, again = (read_findings(run / "results", analysis, step) for run in (whole_run, tmp_path / "replay"))
            assert live.table.equals(again.table), (analysis, step)
            assert live.settings == again.settings


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, run_config, run_cli, capsys):
    config = run_config(tmp_path / "run", callbacks=False, model__learning_rate=1e30, model__warmup_steps=0)
    assert run_cli("pretrain", config) == 1
    message = capsys.readouterr().err
    assert "optimizer step" in message
    assert "Sequences in the batch: alvo: " in message
    assert "--resume" in message
    assert "Traceback" not in message


def test_a_run_is_not_overwritten(whole_run, tmp_path, run_config, run_cli, capsys):
    assert run_cli("pretrain", run_config(whole_run)) == 2
    assert "holds a run already: go on with --resume, or name another folder" in capsys.readouterr().err


def test_a_resumed_run_may_not_change_its_course(whole_run, run_config, run_cli, capsys):
    config = run_config(whole_run, model__learning_rate=0.02)
    assert run_cli("pretrain", config, "--resume") == 2
    assert "model.learning_rate was 0.01 and is 0.02 since the run began" in capsys.readouterr().err


def test_resume_of_a_run_that_has_not_begun_starts_it(tmp_path, run_config, run_cli, caplog):
    caplog.set_level(logging.INFO)
    config = run_config(tmp_path / "run", callbacks=False, trainer__max_steps=2)
    assert run_cli("pretrain", config, "--resume") == 0
    assert "Nothing to resume" in caplog.text
    assert RunFolder(tmp_path / "run").checkpoint_steps() == [0, 1, 2]


def test_a_run_whose_time_is_up_says_so_and_goes_on_to_the_same_end(
    whole_run, run_config, run_cli, tmp_path, caplog, monkeypatch
):
    from babelscope.training.fit.module import Pretraining
    from lightning.pytorch.callbacks import Timer

    batches = []
    real = Pretraining.training_step
    monkeypatch.setattr(Pretraining, "training_step", lambda *a, **k: (batches.append(1), real(*a, **k))[1])
    monkeypatch.setattr(Timer, "time_elapsed", lambda *_: 1e6 * (len(batches) > 2))  # two batches are a step
    run = tmp_path / "run"
    config = run_config(run, callbacks=False, trainer__max_time={"hours": 1})
    assert run_cli("pretrain", config) == 75
    assert "trainer.max_time is over: the state of step 2 is saved" in caplog.text
    assert "Done" not in caplog.text
    config["trainer"].pop("max_time")
    assert run_cli("pretrain", config, "--resume") == 0
    assert losses(run) == losses(whole_run)
    assert same_weights(weights(run, 8), weights(whole_run, 8))


def test_a_run_made_longer_equals_the_longer_run(tmp_path, run_config, run_cli, capsys):
    """A constant learning rate does not know how long the run is; a cosine does, and the message says what would go."""
    config = run_config(tmp_path / "grown", trainer__max_steps=6, model__decay="constant")
    assert run_cli("pretrain", config) == 0
    config["trainer"]["max_steps"] = 8
    assert run_cli("pretrain", config, "--resume") == 0
    assert run_cli("pretrain", run_config(tmp_path / "whole", trainer__max_steps=8, model__decay="constant")) == 0
    assert losses(tmp_path / "grown") == losses(tmp_path / "whole")
    assert same_weights(weights(tmp_path / "grown", 8), weights(tmp_path / "whole", 8))
    config = run_config(tmp_path / "cosine", callbacks=False, trainer__max_steps=4)
    assert run_cli("pretrain", config) == 0
    config["trainer"]["max_steps"] = 8
    capsys.readouterr()
    assert run_cli("pretrain", config, "--resume") == 2
    assert "begin a new run from a checkpoint (model.from)" in capsys.readouterr().err


def test_a_run_begins_from_weights(tmp_path, whole_run, toy_store, run_config, run_cli):
    """Ours, and a stock XGLM as the library saves it; step 0 has them to the bit, and learns from there."""
    checkpoint = RunFolder(whole_run).checkpoint(8)
    stock = tmp_path / "stock"
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    model.save_pretrained(stock)
    for number, folder in enumerate((checkpoint, stock)):
        config = run_config(tmp_path / f"run{number}", trainer__max_steps=5, **{"model__from": str(folder)})
        del config["model"]["preset"], config["model"]["overrides"]
        assert run_cli("pretrain", config) == 0
        run = tmp_path / f"run{number}"
        assert same_weights(weights(run, 0), weights(whole_run, 8))
        assert not same_weights(weights(run, 5), weights(whole_run, 8))
        assert yaml.safe_load(RunFolder(run).config.read_text())["model"]["from"] == str(folder)
        first = read_findings(run / "results", "validation", 0).table["value"]
        assert first.equals(read_findings(whole_run / "results", "validation", 8).table["value"])
    # A run that began so goes on like any other.
    assert run_cli("pretrain", config, "--resume") == 0


def test_weights_that_do_not_fit_are_refused_beforehand(tmp_path, whole_run, run_config, run_cli, capsys):
    checkpoint = RunFolder(whole_run).checkpoint(8)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "gpt2"}')
    words = tmp_path / "words"
    shutil.copytree(checkpoint, words)
    (tmp_path / "half").mkdir()
    definition = json.loads((words / "tokenizer.json").read_text())
    definition["added_tokens"] += [{**definition["added_tokens"][0], "id": 319, "content": "<new>"}]
    (words / "tokenizer.json").write_text(json.dumps(definition))
    overrides = {"dropout": 0.2, "num_layers": 9}
    for folder, change, message in (
        (whole_run, {}, f"is a run: name one of its checkpoints, for example {checkpoint}"),
        (
            tmp_path / "nowhere",
            {},
            "does not exist: name the folder of a checkpoint; one on the hub is fetched by hf down",
        ),
        (tmp_path / "half", {}, "has no config.json"),
        (other, {}, "is a gpt2, and what is trained here is XGLM"),
        (checkpoint, {"preset": "toy"}, "brings its own configuration: leave preset=toy out"),
        (checkpoint, {"overrides": overrides}, "overrides.num_layers=9: the weights of from="),
        (words, {}, "has another tokenizer than data.store="),
    ):
        config = run_config(tmp_path / "run", callbacks=False, **{"model__from": str(folder)})
        del config["model"]["preset"], config["model"]["overrides"]
        config["model"] |= change
        assert run_cli("pretrain", config) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_of_two_that_train_into_one_folder_the_second_is_told_who_does(
    tmp_path, run_config, run_cli, capsys, monkeypatch
):
    monkeypatch.setattr("babelscope.training.fit.pretrain.Claims", partial(Claims, beat=0.1, stale_after=2.0))
    config = run_config(tmp_path / "run", callbacks=False, trainer__max_steps=2)
    with Claims(tmp_path / "run" / "claims", beat=0.05) as other:
        assert other.take("training")
        assert run_cli("pretrain", config) == 2
    assert f"is in training by process {os.getpid()} on " in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.yaml").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert run_cli("pretrain", config) == 0
    assert not list((tmp_path / "run" / "claims").iterdir())


def test_analyses_into_a_training_run_must_be_those_that_it_has(tmp_path, whole_run, run_config, run_cli, capsys):
    """Another probe under the name of the run's own would be mixed with it, or pass for done."""
    run = tmp_path / "run"
    shutil.copytree(whole_run, run)
    into = {"source": str(run), "run": str(run), "device": "cpu"}
    assert run_cli("analyze", into) == 0
    shutil.rmtree(run)
    shutil.copytree(whole_run, run)
    other = {
        "class_path": "babelscope.training.callbacks.LanguageProbe",
        "init_args": {"tokens_per_language": 70, "seeds": [0]},
    }
    assert run_cli("analyze", {**into, "callbacks": [other]}) == 2
    said = capsys.readouterr().err
    assert "LanguageProbe.tokens_per_language was 60 and is 70 since its results were begun: set again: true" in said
    assert "seeds" not in said
    assert_same_results(run, whole_run)
    assert run_cli("analyze", {**into, "callbacks": [other], "again": True}) == 0
    assert run_cli("analyze", {**into, "source": str(whole_run)}) == 2
    assert f"source={whole_run} is another: its results would be mixed with the run's" in capsys.readouterr().err


def test_logs_are_on_disk_with_every_state(tmp_path, run_config, run_cli):
    """Lightning's CSV logger writes every hundredth line: a run that is killed would lose what it has logged."""
    config = run_config(tmp_path / "run", callbacks=False, trainer__max_steps=5, checkpoints__schedule={"at": [5]})
    config["trainer"]["logger"] = {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": str(tmp_path / "run"), "name": "logs"},
    }
    config["trainer"]["callbacks"] = [
        {"class_path": f"{__name__}.Peek", "init_args": {"folder": str(tmp_path / "run")}}
    ]
    Peek.seen.clear()
    assert run_cli("pretrain", config) == 0
    assert Peek.seen == {0: [], 1: [], 2: [], 3: [], 4: ["1", "2", "3"], 5: ["1", "2", "3"]}


class Peek(pl.Callback):
    """Which steps a run's table of values has on disk when a step ends."""

    seen: ClassVar[dict[int, list[str]]] = {}

    def __init__(self, folder: str):
        self.folder = folder

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        tables = list(Path(self.folder).rglob("metrics.csv"))
        rows = list(csv.DictReader(tables[0].open())) if tables else []
        steps = sorted({row["step"] for row in rows if row.get("training/loss")})
        self.seen.setdefault(trainer.global_step, steps)
