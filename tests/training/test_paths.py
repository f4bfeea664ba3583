"""One reading of a path, whatever the command and the field."""

import pytest
from babelscope.training.paths import expand_paths
from jsonargparse import Namespace


def test_every_text_is_read_as_a_path_but_what_people_read(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("SCRATCH", "/scratch/7")
    settings = Namespace(
        run="~/run",
        note="~/ is my home and costs $5",
        data=Namespace(store="$SCRATCH/store", weights={"en": 1.0}),
        callbacks=[Namespace(class_path="X", init_args=Namespace(text="${SCRATCH}/text", seeds=[1], only=["a~b"]))],
        sources=["bigscience/bloom-560m", "out/step_{step:07d}"],
        steps=None,
    )
    assert list(expand_paths(settings)) == []
    assert settings.run == "/home/ada/run"
    assert settings.note == "~/ is my home and costs $5"
    assert settings.data.store == "/scratch/7/store"
    assert settings.callbacks[0].init_args.text == "/scratch/7/text"
    assert settings.callbacks[0].init_args.only == ["a~b"]
    assert settings.sources == ["bigscience/bloom-560m", "out/step_{step:07d}"]


def test_a_variable_that_is_not_set_is_named_with_its_field(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    settings = Namespace(run="x", data=Namespace(store="$NOWHERE/store"), sources=["${NOWHERE}/a"])
    assert list(expand_paths(settings)) == [
        "data.store=$NOWHERE/store: the environment has no NOWHERE; set it, or write the path out",
        "sources[0]=${NOWHERE}/a: the environment has no NOWHERE; set it, or write the path out",
    ]


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """An empty home folder, and work done elsewhere."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(elsewhere)
    return home


def test_a_run_in_the_home_folder_is_one_folder_to_all_commands(at_home, run_config, run_cli, capsys):
    config = run_config("~/run", callbacks=False, trainer__max_steps=3)
    assert run_cli("pretrain", config) == 0
    assert {path.name for path in (at_home / "run").iterdir()} >= {"config.yaml", "checkpoints", "results", "resume"}
    assert run_cli("pretrain", config) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert run_cli("report", None, "~/run") == 0
    assert (at_home / "run" / "report.html").exists()
    loss = {
        "class_path": "babelscope.training.callbacks.PerLanguageLoss",
        "init_args": {"context": 16, "max_tokens": 99},
    }
    assert run_cli("analyze", {"source": "~/run", "run": "~/again", "callbacks": [loss]}) == 0
    assert len(list((at_home / "again" / "results" / "validation").glob("*.parquet"))) == 4
    assert list((at_home.parent / "elsewhere").iterdir()) == []
