"""A run's W&B logger: whatever W&B raises, however long it takes, training goes on, and W&B offline where it can."""

import json
import logging
import threading
import time
from pathlib import Path

import pytest
import wandb
import yaml
from babelscope.training.fit import wandb_worker
from babelscope.training.fit.wandb_logger import RunWandbLogger
from babelscope.training.runs import RunFolder

from tests.patience import wait_until
from tests.training.fit.wandb_server import KEY, logged_run, served, values_in

ERRORS = [RuntimeError("run ID run1 is in use"), wandb.errors.CommError("no network"), TypeError("an argument less")]


class FakeRun:
    """Records what W&B would get; fails at the calls it is told to fail at, or stays in them."""

    offline = disabled = False

    def __init__(self, folder, failing=(), error=None, stuck=(), freed=None):
        self.dir = str(folder / "files")
        self.logged, self.finished, self.failing, self.error = [], [], failing, error
        self.stuck, self.freed = stuck, freed
        self.config = self

    def _call(self, name):
        if name in self.stuck:
            self.freed.wait()
        if name in self.failing:
            raise self.error

    def define_metric(self, name, **settings):
        self._call("define_metric")

    def update(self, values, **settings):
        self._call("config")

    def log(self, values, **settings):
        self._call("log")
        self.logged.append(values)

    def finish(self, exit_code=0):
        self._call("finish")
        self.finished.append(exit_code)


@pytest.fixture
def starts(monkeypatch, tmp_path):
    """W&B without W&B: modes that were tried, with the run of each; what fails and what is stuck in a mode are functions."""
    tried = []

    def make(fails=lambda mode: (), error=None, stuck=lambda mode: (), freed=None):
        def init(mode, **settings):
            run = FakeRun(tmp_path / mode, fails(mode), error, stuck(mode), freed)
            tried.append((mode, run))
            run._call("init")
            return run

        monkeypatch.setattr(wandb, "init", init)
        monkeypatch.setattr(wandb, "teardown", lambda: None)
        return tried

    return make


def told(caplog):
    """What we said ourselves, one message a warning."""
    ours = [record for record in caplog.records if record.name.startswith("babelscope")]
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


def log_three(logger, status="success"):
    logger.log_hyperparams({"seed": 0})
    for step in range(3):
        logger.log_metrics({"loss": float(step)}, step)
    logger.finalize(status)


def steps_of(run):
    return [values["trainer/global_step"] for values in run.logged if values]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", ["init", "define_metric", "config", "log"])
def test_whatever_fails_online_goes_on_offline_and_is_told_once(starts, tmp_path, caplog, call, error):
    tried = starts(lambda mode: (call, "log") if mode == "online" else (), error)
    log_three(RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1"))
    assert [mode for mode, _ in tried] == ["online", "offline"]
    assert steps_of(tried[-1][1]) == [0, 1, 2], "the value that failed was sent again"
    assert tried[-1][1].finished == [0]
    (message,) = told(caplog)
    said = f"W&B online failed ({type(error).__name__}: {error}). Offline from here on; `wandb sync {tmp_path / 'offline'}`"
    assert message == f"{said} uploads it"


@pytest.mark.parametrize("call", ["init", "log"])
def test_where_offline_fails_too_it_goes_on_without_wandb(starts, tmp_path, caplog, call):
    tried = starts(lambda mode: (call, "log"), RuntimeError("disk full"))
    logger = RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1")
    log_three(logger)
    assert [mode for mode, _ in tried] == ["online", "offline"]
    (message,) = told(caplog)
    assert "W&B online failed (RuntimeError: disk full). Going on without it; results/ and" in message


def test_disabled_starts_nothing(starts, tmp_path):
    tried = starts()
    logger = RunWandbLogger(mode="disabled", save_dir=str(tmp_path), id="run1")
    log_three(logger)
    assert logger.experiment.log({"loss": 1.0}) is None
    assert not tried


def test_a_value_that_wandb_does_not_take_costs_that_value_alone(starts, tmp_path, caplog):
    def odd(run):
        raise TypeError("no such chart")

    tried = starts()
    logger = RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1")
    for step in range(3):
        logger.log_metrics({"loss": 1.0}, step)
        logger.send(odd)
    logger.finalize("failed")
    ((mode, run),) = tried
    assert mode == "online"
    assert steps_of(run) == [0, 1, 2]
    assert run.finished == [1], "shown as failed"
    (message,) = told(caplog)
    assert "W&B did not take everything (TypeError: no such chart)" in message


def test_no_step_waits_for_a_run_that_is_stuck(starts, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(wandb_worker, "GRACE", 0.2)
    monkeypatch.setattr(wandb_worker, "LONGEST_QUEUE", 50)
    freed = threading.Event()
    tried = starts(stuck=lambda mode: ("log", "finish"), freed=freed)
    logger = RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1", timeout=0.3)
    began = time.monotonic()
    for step in range(100):
        logger.log_metrics({"loss": 0.0}, step)
    assert time.monotonic() - began < 2
    began = time.monotonic()
    logger.finalize("success")
    assert time.monotonic() - began < 2, "the end is stuck"
    full, late = told(caplog)
    assert "W&B has stopped taking values" in full
    assert f"not taken everything within 0.5 s: `wandb sync {tmp_path / 'online'}` uploads it" in late
    freed.set()
    (run,) = (run for _, run in tried)
    wait_until(lambda: run.finished, "the end")
    assert len(run.logged) >= 50, "what waited arrives once W&B moves again"
    assert steps_of(run)[:50] == list(range(50))


def test_a_run_that_ends_before_wandb_has_started(starts, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(wandb_worker, "GRACE", 0.2)
    freed = threading.Event()
    tried = starts(stuck=lambda mode: ("init",), freed=freed)
    began = time.monotonic()
    log_three(RunWandbLogger(mode="offline", save_dir=str(tmp_path), id="run1", timeout=0.1))
    assert time.monotonic() - began < 2
    assert told(caplog) == ["W&B has not started by the end of the run; results/ and logs/ are whole"]
    freed.set()
    ((_, run),) = tried
    wait_until(lambda: run.finished, "the end")
    assert steps_of(run) == [0, 1, 2], "where the process goes on, the values still arrive"


def test_a_start_that_never_returns_is_left_behind(starts, tmp_path, caplog, monkeypatch):
    """As W&B 0.27 waits ten seconds longer for its server than it was told."""
    monkeypatch.setattr(wandb_worker, "PATIENCE", {"online": 0.2, "offline": 60.0})
    freed = threading.Event()
    tried = starts(stuck=lambda mode: ("init",) if mode == "online" else (), freed=freed)
    began = time.monotonic()
    log_three(RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1", timeout=0.3))
    assert time.monotonic() - began < 2
    assert [mode for mode, _ in tried] == ["online", "offline"]
    assert steps_of(tried[1][1]) == [0, 1, 2]
    (message,) = told(caplog)
    assert "W&B online failed (nothing for 0.5 s). Offline from here on;" in message
    freed.set()


@pytest.mark.parametrize(
    ("said", "asked", "mode"),
    [
        (None, None, "offline"),
        ("online", None, "online"),
        ("run", None, "online"),
        ("dryrun", None, "offline"),
        ("disabled", None, "disabled"),
        ("disabled", "offline", "offline"),
        ("nonsense", "online", "online"),
    ],
)
def test_the_configuration_goes_before_the_environment(starts, tmp_path, monkeypatch, said, asked, mode):
    monkeypatch.delenv("WANDB_MODE")
    if said is not None:
        monkeypatch.setenv("WANDB_MODE", said)
    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    tried = starts()
    log_three(RunWandbLogger(mode=asked, save_dir=str(tmp_path)))
    assert [tried_mode for tried_mode, _ in tried] == [mode for mode in [mode] if mode != "disabled"]


def test_settings_that_do_not_exist_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="wandb mode='cloud': choose offline, online or disabled"):
        RunWandbLogger(mode="cloud")
    with pytest.raises(ValueError, match="wandb timeout=0: give a positive number of seconds"):
        RunWandbLogger(timeout=0)
    monkeypatch.setenv("WANDB_MODE", "shared")
    with pytest.raises(ValueError, match="WANDB_MODE='shared': choose offline, online or disabled"):
        RunWandbLogger()


def test_two_runs_of_one_process_are_two(tmp_path):
    """Side by side, and one after the other under one id; `wandb.run` stays somebody else's."""
    first, second = (RunWandbLogger(save_dir=str(tmp_path / name), id=name) for name in ("one", "two"))
    for step in range(3):
        first.log_metrics({"only/first": 1.0}, step)
        second.log_metrics({"only/second": 1.0}, step)
    assert wandb.run is None
    again = RunWandbLogger(save_dir=str(tmp_path / "again"), id="one")
    again.log_metrics({"only/again": 1.0}, 3)
    assert first.experiment is not again.experiment, "begun anew, the first ends the one that was begun after it"
    for logger in (first, second, again):
        logger.finalize("success")
    found = {
        name: {metric for metric in ("only/first", "only/second", "only/again") if values_in(tmp_path / name, metric)}
        for name in ("one", "two", "again")
    }
    assert found == {"one": {"only/first"}, "two": {"only/second"}, "again": {"only/again"}}


@pytest.fixture
def online(monkeypatch):
    """W&B begins anew, with a key, for a server of the test's own."""
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    wandb.teardown()
    yield lambda server: monkeypatch.setenv("WANDB_BASE_URL", server.url)
    wandb.teardown()


def nowhere(folder, secret):
    return not any(secret.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_server_that_answers_has_the_values_and_nobody_has_the_key(tmp_path, online, caplog):
    with served() as server:
        online(server)
        log_three(RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1"))
        assert b'"loss":2' in server.received.replace(b" ", b"")
    assert not told(caplog)
    assert nowhere(tmp_path, KEY)


@pytest.mark.parametrize("fault", ["dropped", "500"])
def test_a_server_that_misbehaves_from_the_start(tmp_path, online, caplog, fault):
    with served(fault) as server:
        online(server)
        began = time.monotonic()
        log_three(RunWandbLogger(mode="online", save_dir=str(tmp_path), id="run1", timeout=1))
        assert time.monotonic() - began < 10
    (message,) = told(caplog)
    assert "W&B online failed (CommError:" in message
    (offline,) = (tmp_path / "wandb").glob("offline-run-*")
    assert f"`wandb sync {offline}`" in message
    assert values_in(tmp_path, "loss")
    assert nowhere(tmp_path, KEY)


def test_a_server_that_stops_answering_half_way(tmp_path):
    """In a process of its own, whose end W&B's own hook would put off for as long as the server is away."""
    with served() as server:
        run = logged_run(server, tmp_path, then="slow", timeout=1)
    assert run["status"] == 0
    assert run["longest"] < 1
    assert run["lost"] < 10
    (folder,) = (tmp_path / "wandb").glob("run-*")
    said = f"WARNING W&B's server has not taken everything within 1 s: `wandb sync {folder}` uploads it\n"
    assert run["log"] == said
    assert values_in(tmp_path) >= 40


def test_a_training_whose_server_is_not_there(tmp_path, run_config, run_cli, caplog, online):
    """One warning, and all of it offline."""
    caplog.set_level(logging.INFO)
    config = run_config(tmp_path / "run", trainer__max_steps=5)
    config["trainer"]["logger"] = {
        "class_path": "babelscope.training.fit.wandb_logger.RunWandbLogger",
        "init_args": {"mode": "online", "timeout": 1.0},
    }
    with served("refused") as server:
        online(server)
        assert run_cli("pretrain", config) == 0
    assert [message[:18] for message in told(caplog) if "W&B" in message] == ["W&B online failed "]
    assert values_in(tmp_path / "run", "validation/loss/alvo")
    assert nowhere(tmp_path / "run", KEY)


def test_a_run_with_the_default_loggers(tmp_path, run_config, run_cli):
    """W&B offline without an account, CSV beside it, one W&B id for the run's life."""
    config = run_config(tmp_path / "run", trainer__max_steps=5)
    del config["trainer"]["logger"]
    assert run_cli("pretrain", config) == 0
    run = RunFolder(tmp_path / "run")
    identity = json.loads(run.info.read_text())["id"]
    (folder,) = (path for path in (run.path / "wandb").iterdir() if path.name.startswith("offline-run"))
    assert folder.name.endswith(identity)
    assert values_in(run.path)
    (table,) = (run.path / "logs").rglob("metrics.csv")
    header = table.read_text().splitlines()[0]
    assert "training/loss" in header
    assert "validation/loss/alvo" in header
    assert yaml.safe_load(run.config.read_text())["trainer"].get("logger") is None
    assert not Path("lightning_logs").exists()
