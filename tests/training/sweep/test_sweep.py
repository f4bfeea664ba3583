"""Sweeps over a series of briefly trained tiny BLOOMs with a planted copy and a planted broken checkpoint."""

import json
import logging
import multiprocessing
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
import wandb
import yaml
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.findings import read_findings, read_rows, read_warnings, result_steps
from babelscope.training.callbacks import CheckpointHealth, PerLanguageLoss
from babelscope.training.errors import ConfigError
from babelscope.training.fit.wandb_logger import RunWandbLogger
from babelscope.training.sweep.analyze import analyze
from babelscope.training.sweep.order import SweepStoppedError
from babelscope.training.sweep.series import CheckpointSource

from tests.patience import PATIENCE, wait_until

from ...model.families import tiny_model
from ...tokenizers_for_tests import WORDS, sentences, word_tokenizer
from ..fit.watching import Watch, sweep, watched_sweep
from .hub_server import LoopbackHub, use_hub

STEPS = [1, 10, 20, 30, 40]
COPY, BROKEN = 30, 40


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Folders step_1 … step_40 of a BLOOM that learns which word follows which; 30 is 10 again, 40 is noise."""
    base = tmp_path_factory.mktemp("series")
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    ids = torch.tensor([tokenizer(" ".join(WORDS[i:] + WORDS[:i]))["input_ids"] for i in range(8)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(21):
        if step in STEPS:
            model.save_pretrained(base / f"step_{step}")
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    shutil.copytree(base / "step_10", base / f"step_{COPY}")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    model.save_pretrained(base / f"step_{BROKEN}")
    for step in STEPS:
        tokenizer.save_pretrained(base / f"step_{step}")
    (base / "text").mkdir()
    for number, name in enumerate(("xx", "yy")):
        lines = [" ".join(WORDS[number * 7 + i : number * 7 + i + 12]) for i in range(6)]
        (base / "text" / f"{name}.txt").write_text("\n".join(lines))
    return base


def in_a_process(series, run, notes, **how):
    """The same sweep in a process of its own; started anew, as a fork of one that has threads may wait forever."""
    process = multiprocessing.get_context("spawn").Process(
        target=watched_sweep, args=(series, run, notes), kwargs=how, daemon=True
    )
    process.start()
    return process


def rows(run):
    table = read_rows(Path(run) / "results").to_pylist()
    return sorted(map(repr, table))


def test_a_sweep_names_what_is_not_sound_and_analyses_a_copy_once(series, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    watch = Watch(tmp_path / "notes")
    loss = PerLanguageLoss(text=str(series / "text"), context=16)
    sweep(series, tmp_path / "run", watch, loss)
    assert watch.seen() == [1, 10, 20, 40]
    results = tmp_path / "run" / "results"
    for analysis in ("watch", "validation", "health"):
        assert result_steps(results, analysis) == STEPS
    value = {(r["step"], r["metric"]): r["value"] for r in read_rows(results).to_pylist() if r["analysis"] == "health" and r["language"] is None and r["layer"] is None}  # fmt: skip
    assert [value[step, "sound"] for step in STEPS] == [1, 1, 1, 0, 0]
    assert (value[30, "duplicate_of"], value[10, "duplicate_of"]) == (10, 30)
    assert value[20, "loss"] < value[10, "loss"] < value[1, "loss"] < value[40, "loss"]
    assert "Step 30 is not sound: a copy of step 10, whose place in the course of the loss it has" in caplog.text
    assert "Step 40 is not sound: the loss jumps to" in caplog.text
    # Marked, with the step and tokens of its own.
    copied, original = (read_findings(results, "watch", step) for step in (30, 10))
    assert copied.table["value"] == original.table["value"]
    assert (copied.table["step"].to_pylist(), copied.table["tokens"].to_pylist()) == ([30], [240])
    note = "step 30 has the weights of step 10: these are its results, not computed again"
    assert read_warnings(results)["watch", 30] == (note,)
    assert "1 of 5: step 1 in" in caplog.text
    assert "left" in caplog.text
    assert not list((tmp_path / "run" / "claims").iterdir())


def test_an_interrupted_sweep_goes_on_where_it_stopped(series, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first, watch = Watch(tmp_path / "first", fail_at=10), Watch(tmp_path / "second")
    with pytest.raises(RuntimeError, match="a fault of an analysis"):
        sweep(series, tmp_path / "run", first)
    assert first.seen() == [1, 10]
    health_10 = (tmp_path / "run/results/health/step_00000010.parquet").stat().st_mtime_ns
    sweep(series, tmp_path / "run", watch, steps=[1, 10])
    assert watch.seen() == [10], "step 1 has its results, and of step 10 the health is not done again"
    assert (tmp_path / "run/results/health/step_00000010.parquet").stat().st_mtime_ns == health_10
    assert "1 of 2 checkpoints have their results already" in caplog.text
    sweep(series, tmp_path / "run", watch)
    assert watch.seen() == [10, 20, 40]
    sweep(series, tmp_path / "whole", Watch(tmp_path / "third"))
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")
    sweep(series, tmp_path / "run", watch, steps=[1], again=True)
    assert watch.seen() == [10, 20, 40, 1]


def test_a_changed_configuration_is_named(series, tmp_path):
    notes = tmp_path / "notes"
    sweep(series, tmp_path / "run", Watch(notes), steps=[1])
    with pytest.raises(ConfigError) as caught:
        sweep(series, tmp_path / "run", Watch(notes, seed=3), dtype="bfloat16")
    assert "dtype was float32 and is bfloat16 since this sweep began: set again: true" in str(caught.value)
    assert "Watch.seed was 0 and is 3 since its results were begun: set again: true" in str(caught.value)
    loss = {"text": str(tmp_path / "text"), "context": 16}
    shutil.copytree(series / "text", tmp_path / "text")
    sweep(series, tmp_path / "run", PerLanguageLoss(**loss), steps=[1])
    with pytest.raises(ConfigError, match=r"PerLanguageLoss\.max_tokens was 32768 and is 100 since"):
        sweep(series, tmp_path / "run", PerLanguageLoss(**loss, max_tokens=100))
    # More passes are other work, but no other results.
    sweep(series, tmp_path / "run", PerLanguageLoss(**loss, batch_tokens=100), steps=[1, 20])
    (tmp_path / "text" / "xx.txt").write_text("w1 w2 w3")
    with pytest.raises(ConfigError, match=r"PerLanguageLoss: text was \w+ at step 1 and is \w+"):
        sweep(series, tmp_path / "run", PerLanguageLoss(**loss), steps=[10])
    assert result_steps(tmp_path / "run" / "results", "validation") == [1, 20], "nothing is mixed in"


def test_shards_and_processes_share_one_folder(series, tmp_path):
    sweep(series, tmp_path / "whole", Watch(tmp_path / "n0"))
    for shard in ("1/2", "2/2"):
        sweep(series, tmp_path / "shards", Watch(tmp_path / "n1"), shard=shard)
    assert rows(tmp_path / "shards") == rows(tmp_path / "whole")
    other = in_a_process(series, tmp_path / "two", tmp_path / "n2", in_company=True)
    watch = Watch(tmp_path / "n2")
    wait_until(lambda: watch.processes() or not other.is_alive(), "the other process at work")
    sweep(series, tmp_path / "two", watch)
    other.join(PATIENCE)
    assert other.exitcode == 0
    assert sorted(set(watch.seen()) | {COPY}) == STEPS
    assert len(watch.seen()) == len(set(watch.seen())), "no step was computed twice"
    assert len(watch.processes()) == 2
    values = {step: read_findings(tmp_path / "two/results", "watch", step).table["value"] for step in STEPS}
    assert values == {step: read_findings(tmp_path / "whole/results", "watch", step).table["value"] for step in STEPS}
    assert [row for row in rows(tmp_path / "two") if "'health'" in row] == [row for row in rows(tmp_path / "whole") if "'health'" in row]  # fmt: skip


def test_a_killed_process_is_followed(series, tmp_path, caplog):
    process = in_a_process(series, tmp_path / "run", tmp_path / "first", die_at=10)
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "run" / "claims").iterdir()] == ["step_00000010.claim"]
    watch = Watch(tmp_path / "second")
    sweep(series, tmp_path / "run", watch)
    assert watch.seen() == [10, 20, 40]
    assert "Taking over step_00000010: process" in caplog.text
    assert not list((tmp_path / "run" / "claims").iterdir())


@pytest.fixture
def server(series, tmp_path, monkeypatch):
    with LoopbackHub() as server:
        for step in STEPS[:4]:
            server.add("zoo/bloom", f"global_step{step}", series / f"step_{step}")
        use_hub(monkeypatch, server, tmp_path / "cache")
        yield server


class DiskWatch(Watch):
    """Notes what lies in the downloads folder while a checkpoint is analysed."""

    def run(self, model, tokenizer, step, tokens, results):
        downloads = Path(results).parent / "downloads"
        self._left -= 1
        wanted = min(self._wanted, self._left + 1)
        wait_until(lambda: len(list(downloads.iterdir())) >= wanted, f"{wanted} checkpoints fetched")
        time.sleep(0.05)  # for one too many to show
        self._lying.append(sorted(path.name.rsplit("global_step")[-1] for path in downloads.iterdir()))
        return super().run(model, tokenizer, step, tokens, results)


@pytest.mark.parametrize("keep", [1, 2])
def test_the_next_checkpoint_is_fetched_ahead_and_the_disk_is_bounded(series, server, tmp_path, keep):
    watch = DiskWatch(tmp_path / "notes")
    watch._lying, watch._wanted, watch._left = [], keep, 3
    sweep(series, tmp_path / "run", watch, source="zoo/bloom", steps=[1, 10, 20], keep=keep)
    assert watch._lying == ([["1"], ["10"], ["20"]] if keep == 1 else [["1", "10"], ["10", "20"], ["20"]])
    assert not list((tmp_path / "run" / "downloads").iterdir())
    assert not (tmp_path / "cache").exists()
    sweep(series, tmp_path / "local", Watch(tmp_path / "n"), steps=[1, 10, 20])
    assert rows(tmp_path / "run") == rows(tmp_path / "local")


def test_a_missing_revision_stops_or_is_skipped(series, server, tmp_path, caplog):
    arguments = {"source": "zoo/bloom", "steps": [1, 5, 10]}
    with pytest.raises(ConfigError) as caught:
        sweep(series, tmp_path / "run", Watch(tmp_path / "notes"), **arguments)
    text = "zoo/bloom@global_step5: no such revision; zoo/bloom has global_step1, global_step10, global_step20, global_step30"
    assert text in str(caught.value)
    watch = Watch(tmp_path / "notes")
    sweep(series, tmp_path / "run", watch, missing="skip", **arguments)
    assert watch.seen() == [1, 10]
    assert f"Skipped: {text}" in caplog.text


def test_a_half_uploaded_checkpoint_stops_or_is_skipped(series, server, tmp_path, caplog, run_cli, capsys):
    del server.repos["zoo/bloom"]["global_step10"]["model.safetensors"]
    arguments = {"source": "zoo/bloom", "steps": [1, 10, 20]}
    with pytest.raises(SweepStoppedError, match=r"@global_step10 has no weights; it has config\.json"):
        sweep(series, tmp_path / "run", Watch(tmp_path / "notes"), **arguments)
    assert result_steps(tmp_path / "run" / "results", "watch") == [1], "what was written before is valid"
    watch = Watch(tmp_path / "more")
    sweep(series, tmp_path / "run", watch, missing="skip", **arguments)
    assert watch.seen() == [20]
    assert "Skipped step 10" in caplog.text
    loss = {"class_path": "babelscope.training.callbacks.PerLanguageLoss", "init_args": {"text": str(series / "text")}}
    config = {"run": str(tmp_path / "cli"), "callbacks": [loss], "tokenizer": str(series / "step_1"), **arguments}
    assert run_cli("analyze", config) == 1
    message = capsys.readouterr().err
    assert "missing: skip goes on without this checkpoint" in message
    assert "Traceback" not in message


def test_several_sources_and_another_tokenizer(series, tmp_path):
    for step in (1, 20):
        shutil.copytree(series / f"step_{step}", tmp_path / f"m{step}", ignore=shutil.ignore_patterns("token*"))
    sources = [CheckpointSource(str(tmp_path / "m1"), [5], tokens_per_step=2), CheckpointSource(str(tmp_path / "m20"), [7])]  # fmt: skip
    loss = PerLanguageLoss(text=str(series / "text"), context=16)
    with pytest.raises(ValueError, match=r"tokenizer: none can be loaded from .*m1"):
        analyze(sources, str(tmp_path / "run"), [loss])
    analyze(sources, str(tmp_path / "other"), [loss], tokenizer=str(series / "step_1"))
    found = read_rows(tmp_path / "other" / "results").to_pylist()
    assert {(row["step"], row["tokens"]) for row in found} == {(5, 10), (7, None)}


def test_a_row_and_sites_from_yaml(series, tmp_path, run_cli, capsys):
    """The same family under another name, and the FFN after its activation in place of the linear layers."""
    ConceptSet([Row(f"c{i % 2}", "xx", text, 1) for i, text in enumerate(sentences(60))]).save(tmp_path / "set.csv")
    init = {"concepts": str(tmp_path / "set.csv"), "k": 5, "min_sentences": 4, "sites": ["ffn_act"]}
    experts = {"class_path": "babelscope.training.callbacks.ExpertNeurons", "init_args": init}
    config = {
        "source": str(series),
        "steps": [1],
        "run": str(tmp_path / "run"),
        "callbacks": [{"class_path": "babelscope.training.callbacks.CheckpointHealth"}, experts],
        "family": {
            "backbone": "transformer",
            "blocks": "transformer.h",
            "units": {"ffn_in": "mlp.dense_h_to_4h"},
            "activation": "mlp.gelu_impl",
        },
    }
    assert run_cli("analyze", config) == 0
    kept = json.loads((tmp_path / "run" / "sweep.json").read_text())
    assert kept["steps"] == [1], "the report counts what is still to come"
    settings = kept["common"]
    assert settings["family"]["activation"] == "mlp.gelu_impl"
    found = read_findings(tmp_path / "run" / "results", "experts", 1)
    assert (found.settings["sites"], found.settings["units"]) == (["ffn_act"], 2 * 64)
    assert found.settings["family"]["units"] == [["ffn_in", "mlp.dense_h_to_4h"]]
    assert {row["site"] for row in found.table.to_pylist() if row["metric"] == "expert_layer"} == {"ffn_act"}
    init["sites"] = ["ffn_out"]
    assert run_cli("analyze", config) == 2
    assert "ExpertNeurons.sites was ['ffn_act'] and is ['ffn_out'] since" in capsys.readouterr().err
    init["sites"] = None
    config["family"]["blocks"] = "transformer.layers"
    config["run"] = str(tmp_path / "wrong")
    assert run_cli("analyze", config) == 2
    assert "has no module 'transformer.layers'" in capsys.readouterr().err


def test_all_mistakes_are_named_at_once(tmp_path, run_cli, capsys):
    config = {"source": "nowhere", "run": str(tmp_path), "callbacks": [], "shard": "3/2", "keep": 0, "missing": "ask", "dtype": "int8"}  # fmt: skip
    assert run_cli("analyze", config) == 2
    message = capsys.readouterr().err
    for text in (
        "source=nowhere is neither a folder",
        "callbacks is empty",
        "shard=3/2: give i/n with i from 1 to n",
        "keep=0: at least the checkpoint at work",
        "missing=ask: choose stop or skip",
        "dtype=int8: choose float32 or bfloat16",
    ):
        assert text in message
    with pytest.raises(ConfigError, match="callbacks has health 2 times"):
        analyze(str(tmp_path), str(tmp_path), [CheckpointHealth(), CheckpointHealth()])


def test_a_logger_sees_every_step(series, tmp_path):
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path / "csv")
    sweep(series, tmp_path / "run", steps=[1, 10, 30], logger=logger)
    logger.save()
    lines = Path(logger.log_dir, "metrics.csv").read_text().splitlines()
    assert "health/sound" in lines[0]
    assert len(lines) == 4


def test_wandb_has_the_rows_of_a_checkpoint_before_the_next_one_is_begun(series, tmp_path, monkeypatch):
    """Offline, as without an account: what was logged by the time, and what lies in W&B's file in the end."""
    logger, watch, sent, seen = RunWandbLogger(), Watch(tmp_path / "notes"), [], []
    log, send = wandb.Run.log, RunWandbLogger.send

    def noted(run, values, *rest, **more):
        sent.append(values)
        return log(run, values, *rest, **more)

    def handed_over(logger, call):
        seen.append(watch.seen())
        send(logger, call)

    monkeypatch.setattr(wandb.Run, "log", noted)
    monkeypatch.setattr(RunWandbLogger, "send", handed_over)
    try:
        sweep(series, tmp_path / "run", watch, steps=[20, 1], logger=logger)
    finally:
        logger.finalize("success")
    axes = [(values["analysis/step"], values["analysis/tokens"], then) for values, then in zip(sent, seen, strict=True)]
    assert axes == [(1, 8, []), (1, 8, [1]), (20, 160, [1]), (20, 160, [1, 20])], (
        "health, then watch, a checkpoint each"
    )
    results = tmp_path / "run" / "results"
    sums = {step: read_findings(results, "watch", step).table["value"][0].as_py() for step in (1, 20)}
    assert [values["watch/sum"] for values in sent if "watch/sum" in values] == [sums[1], sums[20]]
    # Another process writes it, in its own time on a busy machine.
    (file,) = wait_until(lambda: [*(tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")], "W&B's file")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["id"] in file.name
    wait_until(lambda: file.read_bytes().count(b"watch/sum") >= 2, "both sums in W&B's file")
    assert b"analysis/tokens" in file.read_bytes()


def test_watching_a_checkpoint_leaves_no_thread_or_file_open(series, tmp_path):
    before = set(threading.enumerate())
    sweep(series, tmp_path / "run", steps=[1])
    assert set(threading.enumerate()) <= before
    assert yaml.safe_load((tmp_path / "run" / "run.json").read_text())["note"].startswith("Analysis of ")


def test_live_and_replay_agree_on_health_and_alignment(tmp_path, run_config, run_cli):
    callbacks = [
        {"class_path": f"babelscope.training.callbacks.{name}", "init_args": {"schedule": {"at": [1, 3], "start": 0}, **more}}
        for name, more in (("CheckpointHealth", {"max_tokens": 100}), ("ParallelAlignment", {"permutations": 5}))
    ]  # fmt: skip
    config = run_config(tmp_path / "run", trainer__max_steps=3, trainer__callbacks=callbacks, checkpoints__schedule={"at": [1, 3], "start": 0})  # fmt: skip
    assert run_cli("pretrain", config) == 0
    assert run_cli("analyze", {"source": str(tmp_path / "run"), "run": str(tmp_path / "replay"), "callbacks": callbacks}) == 0  # fmt: skip
    for analysis in ("health", "alignment"):
        assert result_steps(tmp_path / "run" / "results", analysis) == [0, 1, 3]
        for step in (0, 1, 3):
            live, again = (read_findings(tmp_path / run / "results", analysis, step) for run in ("run", "replay"))
            assert live.table.equals(again.table), (analysis, step)
            assert live.settings == again.settings
            assert all((live.arrays[name] == again.arrays[name]).all() for name in live.arrays)
    # Over the run itself there is nothing left to do, and nothing is found to be otherwise.
    assert run_cli("analyze", {"source": str(tmp_path / "run"), "run": str(tmp_path / "run"), "callbacks": callbacks}) == 0  # fmt: skip
