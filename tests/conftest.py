"""Shared fixtures: a tiny token store of the toy world, and runs on it through the command line.

Beside them what holds for every test: it draws the same random numbers wherever it runs, and a run of the tests ends by
saying what was not tested.
"""

import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

# Before torch is imported: tiny tensors gain nothing from threads, and lose much where they wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

REQUIRE_BROWSER = "BABELSCOPE_REQUIRE_BROWSER"
"""Set in the environment, a test of a page in a browser that is skipped has failed."""

TINY_MODEL = {"vocab_size": 320, "d_model": 16, "ffn_dim": 32, "num_layers": 2, "attention_heads": 2}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Where a browser is required, its tests may not be skipped."""
    report = yield
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and os.environ.get(REQUIRE_BROWSER)
        and "window" in item.fixturenames
    ):
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}\n{REQUIRE_BROWSER} is set: tests in a browser may not be skipped"
    return report


def pytest_terminal_summary(terminalreporter):
    """Name what was not tested, and how it could be, last of all."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("not tested")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")


def _reason(report):
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else str(where)


@pytest.fixture(autouse=True)
def same_chances():
    """No test hangs on which were run before it: random numbers begin anew for each."""
    _begin_anew()


@pytest.fixture(autouse=True)
def no_run_goes_on():
    """W&B knows one run a process: one that a test has begun would take the values of the next."""
    yield
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def pytest_fixture_setup(fixturedef):
    """Random numbers begin anew for each fixture that tests share, too."""
    if fixturedef.scope != "function":
        _begin_anew()


def _begin_anew():
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def toy_store(tmp_path_factory) -> Path:
    """A prepared store of a small toy world: two languages, blocks of 16 tokens."""
    from babelscope.training.data.prepare import prepare
    from babelscope.training.data.tokenizer import TokenizerConfig
    from babelscope.training.toy.world import ToyWorld

    folder = tmp_path_factory.mktemp("store") / "toy"
    world = ToyWorld(languages=2, topics=3, words=12_000, concept_sentences=24)
    prepare(
        str(folder),
        toy=world,
        tokenizer=TokenizerConfig(algorithm="bpe", vocab_size=320),
        block_length=16,
        validation_fraction=0.2,
        progress=False,
    )
    return folder


@pytest.fixture(scope="session")
def run_config(toy_store):
    """A function that gives a complete `pretrain` configuration for a tiny model, with parts replaced."""

    def make(run: Path, callbacks: bool = True, **changes) -> dict:
        schedule = {"at": [2, 5], "start": 0}
        watching = [
            {
                "class_path": "babelscope.training.callbacks.PerLanguageLoss",
                "init_args": {"schedule": schedule, "max_tokens": 200, "context": 16},
            },
            {
                "class_path": "babelscope.training.callbacks.LanguageProbe",
                "init_args": {"schedule": schedule, "tokens_per_language": 60, "seeds": [0]},
            },
            {
                "class_path": "babelscope.training.callbacks.ExpertNeurons",
                "init_args": {"schedule": schedule, "k": 10, "min_sentences": 4},
            },
        ]
        config = {
            "run": str(run),
            "model": {
                "preset": "toy",
                "overrides": {**TINY_MODEL, "dropout": 0.1, "attention_dropout": 0.1},
                "warmup_steps": 2,
                "learning_rate": 0.01,
            },
            "data": {"store": str(toy_store), "global_batch_size": 8, "micro_batch_size": 4},
            "trainer": {
                "accelerator": "cpu",
                "devices": 1,
                "max_steps": 8,
                "logger": False,
                "callbacks": watching if callbacks else [],
            },
            "checkpoints": {"schedule": {"powers_of": 2, "start": 0}},
            "resume_states": {"every_steps": 3, "every_minutes": None},
            "metrics": {"every": 1},
        }
        for path, value in changes.items():
            *parents, last = path.split("__")
            place = config
            for parent in parents:
                place = place[parent]
            place[last] = value
        return config

    return make


@pytest.fixture
def run_cli(tmp_path):
    """A function that runs a babelscope command in this process with a configuration; returns its status."""
    from babelscope.training.commands.cli import main

    def call(command: str, config: dict | None = None, *arguments: str) -> int:
        words = [command]
        if config is not None:
            path = tmp_path / f"{command}_{len(list(tmp_path.iterdir()))}.yaml"
            path.write_text(yaml.safe_dump(config))
            words += ["--config", str(path)]
        try:
            return main([*words, *arguments])
        except SystemExit as stop:
            return int(stop.code or 0)

    return call
