"""Callbacks as a configuration lists them: what is wrong is told before anything is loaded."""

import pytest
from babelscope.analysis.findings import read_findings

PACKAGE = "babelscope.training.callbacks"


@pytest.fixture
def three(run_config, tmp_path):
    """A run's configuration with three analysis callbacks."""
    return run_config(tmp_path / "run")


def test_settings_out_of_range_are_all_told_before_a_run(three, run_cli, capsys, tmp_path):
    loss, probe, experts = (callback["init_args"] for callback in three["trainer"]["callbacks"])
    loss["context"] = 1
    probe.update(seeds=[], test_share=2.0)
    experts["pooling"] = "sum"
    assert run_cli("pretrain", three) == 2
    said = capsys.readouterr().err
    for line in (
        "4 problems in the configuration",
        "trainer.callbacks[0].context=1: give at least 2",
        "trainer.callbacks[1].seeds is empty",
        "trainer.callbacks[1].test_share=2.0: give a share between 0 and 1",
        "trainer.callbacks[2].pooling='sum': choose one of max, mean, last",
    ):
        assert line in said
    assert not (tmp_path / "run").exists()


def test_two_of_a_kind_are_refused_where_they_would_write_over_each_other(three, run_cli, capsys, tmp_path):
    probe = three["trainer"]["callbacks"][1]
    second = {**probe, "init_args": {**probe["init_args"], "seeds": [1]}}
    three["trainer"]["callbacks"].append(second)
    assert run_cli("pretrain", three) == 2
    assert "trainer.callbacks has probe 2 times, and each writes over the other's results" in capsys.readouterr().err
    second["init_args"]["results"] = str(tmp_path / "elsewhere")
    assert run_cli("pretrain", three) == 0
    assert len(list((tmp_path / "elsewhere" / "probe").glob("*.parquet"))) == 4


def test_a_sweep_is_checked_alike(run_cli, capsys, tmp_path):
    probe = {"class_path": f"{PACKAGE}.LanguageProbe", "init_args": {"C": -1.0}}
    config = {"source": str(tmp_path), "run": str(tmp_path / "run"), "callbacks": [probe]}
    assert run_cli("analyze", config) == 2
    assert "callbacks[0].C=-1.0: give a positive inverse strength" in capsys.readouterr().err
    probe["init_args"] = {}
    config["callbacks"] = [probe, probe]
    assert run_cli("analyze", config) == 2
    assert "callbacks has probe 2 times" in capsys.readouterr().err


def test_a_run_brings_its_own_callbacks(three, run_cli, capsys, tmp_path):
    three["trainer"]["max_steps"] = 4
    three["model"]["overrides"].update(dropout=0.0, attention_dropout=0.0)
    for callback in three["trainer"]["callbacks"]:
        callback["init_args"]["schedule"] = {"at": [2, 4], "start": 0}
    assert run_cli("pretrain", three) == 0
    assert (
        run_cli("analyze", {"source": str(tmp_path / "run"), "run": str(tmp_path / "again"), "steps": [0, 2, 4]}) == 0
    )
    for name in ("validation", "probe", "experts"):
        for step in (0, 2, 4):
            live, again = (read_findings(tmp_path / run / "results", name, step) for run in ("run", "again"))
            assert live.settings == again.settings
            assert live.table.equals(again.table)
    assert run_cli("analyze", {"source": str(tmp_path / "run" / "checkpoints"), "run": str(tmp_path / "none")}) == 2
    assert "callbacks is empty: list at least one" in capsys.readouterr().err
