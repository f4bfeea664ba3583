"""Loggers: W&B offline with its own step metric and kept id, failures that stop nothing, CSV."""

import json
import logging
from pathlib import Path

import pytest
import wandb
import yaml
from babelscope.analysis.findings import Findings, write_findings
from babelscope.training.callbacks.tracking import STEP_METRIC, TOKENS_METRIC, log_findings, scalars
from babelscope.training.fit.wandb_logger import RunWandbLogger
from babelscope.training.runs import RunFolder


class FakeRun:
    """Records what W&B would get."""

    def __init__(self, failing=False):
        self.defined, self.logged, self.failing = {}, [], failing

    def define_metric(self, name, **settings):
        self.defined[name] = settings

    def log(self, values):
        if self.failing:
            raise wandb.errors.CommError("no network")
        self.logged.append(values)


class Logger(RunWandbLogger):
    """A W&B logger around a fake run."""

    def __init__(self, run):
        super().__init__(mode="disabled")
        self.fake = run

    @property
    def experiment(self):
        return self.fake


def findings(step):
    rows = [
        {"metric": "loss", "value": 3.0, "language": "sw"},
        {"metric": "accuracy_mean", "value": 0.5, "layer": 2},
        {"metric": "mean", "value": 1.0},
        {"metric": "overlap", "value": 0.1, "language": "sw", "other_language": "te", "concept": "joy"},
    ]
    return Findings.from_rows("toyed", step, rows)


def test_scalars_are_what_makes_a_readable_curve():
    assert scalars(findings(3)) == {"toyed/loss/sw": 3.0, "toyed/accuracy_mean/layer_02": 0.5, "toyed/mean": 1.0}


def test_analysis_metrics_have_their_own_step_so_that_none_is_dropped(tmp_path):
    run = FakeRun()
    for step, tokens in ((8, 800), (2, None)):
        found = findings(step).with_tokens(tokens)
        write_findings(found, tmp_path)
        log_findings([Logger(run)], found, tmp_path)
    assert run.defined["toyed/loss/sw"] == run.defined["toyed/mean"] == {"step_metric": STEP_METRIC}
    assert [values[STEP_METRIC] for values in run.logged] == [8, 2]
    assert [values.get(TOKENS_METRIC) for values in run.logged] == [800, None]


def test_wandb_failing_is_a_warning(tmp_path, caplog):
    log_findings([Logger(FakeRun(failing=True))], findings(1), tmp_path)
    assert "W&B did not take the findings of step 1 (no network)" in caplog.text


def test_wandb_that_cannot_start_goes_offline(tmp_path, monkeypatch, caplog):
    modes = []

    def init(**settings):
        modes.append(settings["mode"])
        if settings["mode"] == "online":
            raise wandb.errors.CommError("no account")
        return wandb.sdk.wandb_run.Run.__new__(wandb.sdk.wandb_run.Run)

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr("wandb.sdk.wandb_run.Run.define_metric", lambda *a, **k: None)
    logger = RunWandbLogger(mode="online", save_dir=str(tmp_path), id="abc")
    assert logger.experiment is not None
    assert modes == ["online", "offline"]
    assert "going on in mode offline" in caplog.text


def test_a_mode_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="wandb mode='cloud': choose offline, online or disabled"):
        RunWandbLogger(mode="cloud")


def test_a_run_with_the_default_loggers(tmp_path, run_config, run_cli, caplog):
    """W&B offline without an account, CSV beside it, one W&B id for the run's life."""
    caplog.set_level(logging.INFO)
    config = run_config(tmp_path / "run", trainer__max_steps=5)
    del config["trainer"]["logger"]
    assert run_cli("pretrain", config) == 0
    run = RunFolder(tmp_path / "run")
    identity = json.loads(run.info.read_text())["id"]
    folders = [path.name for path in (run.path / "wandb").iterdir() if path.name.startswith("offline-run")]
    assert len(folders) == 1
    assert folders[0].endswith(identity)
    (table,) = (run.path / "logs").rglob("metrics.csv")
    header = table.read_text().splitlines()[0]
    assert "training/loss" in header
    assert "validation/loss/alvo" in header
    assert yaml.safe_load(run.config.read_text())["trainer"].get("logger") is None
    assert not Path("lightning_logs").exists()
