"""All mistakes of a configuration in one message, before anything is loaded."""

import pytest
from babelscope.training.fit.preflight import changes_since


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data__alpha": 1.5}, "data.alpha=1.5: give 0 (all languages alike) to 1"),
        ({"data__weights": {"alvo": 1, "xx": 1}}, "xx"),
        ({"data__store": "nowhere"}, "data.store: there is no token store nowhere; write it with babelscope prepare"),
        ({"data__micro_batch_size": 3}, "global_batch_size 8 is not a multiple of micro_batch_size 3"),
        ({"model__preset": "xglm-9b"}, "preset 'xglm-9b' does not exist: choose from xglm-257m"),
        ({"model__overrides": {"vocab_size": 100}}, "data.store's tokenizer has 320 words, the model 100"),
        (
            {"model__overrides": {"max_position_embeddings": 8}},
            "data.store has blocks of 16 tokens, the model has 8 positions",
        ),
        ({"model__warmup_steps": 9}, "model.warmup_steps=9: give 0 to trainer.max_steps=8"),
        ({"model__decay": "steps"}, "model.decay=steps: choose from cosine"),
        ({"model__learning_rate": 0.0}, "model.learning_rate=0.0: give a positive number"),
        ({"model__betas": [0.9, 1.0]}, "model.betas=[0.9, 1.0]"),
        ({"trainer__max_steps": -1}, "trainer.max_steps=-1: give the number of optimizer steps"),
        ({"trainer__precision": "16-mixed"}, "trainer.precision=16-mixed: XGLM overflows in fp16"),
        ({"trainer__gradient_clip_val": 0}, "trainer.gradient_clip_val=0"),
        ({"checkpoints__schedule": {"at": [4, 99]}}, "checkpoints.schedule.at contains 99, beyond trainer.max_steps=8"),
    ],
)
def test_each_mistake_is_named(tmp_path, run_config, run_cli, capsys, change, message):
    assert run_cli("pretrain", run_config(tmp_path / "run", **change)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_mistakes_of_callbacks_are_named(tmp_path, run_config, run_cli, capsys):
    config = run_config(tmp_path / "run")
    config["trainer"]["callbacks"][0]["init_args"]["schedule"] = {"at": [12]}
    config["trainer"]["callbacks"][-1]["init_args"]["concepts"] = "missing.parquet"
    assert run_cli("pretrain", config) == 2
    error = capsys.readouterr().err
    assert "trainer.callbacks[0].schedule.at contains 12" in error
    assert "concepts=missing.parquet does not exist" in error


def test_the_shipped_sentences_are_no_file_that_is_missing(tmp_path, run_config, run_cli, capsys):
    config = run_config(tmp_path / "run", trainer__max_steps=0)  # a mistake, so that nothing is run
    loss, probe, experts = (callback["init_args"] for callback in config["trainer"]["callbacks"])
    loss["schedule"] = probe["schedule"] = experts["schedule"] = {"start": 0}
    loss["text"] = probe["text"] = experts["concepts"] = "shipped"
    assert run_cli("pretrain", config) == 2
    assert "1 problem in the configuration" in capsys.readouterr().err
    probe["text"] = "./shipped"
    assert run_cli("pretrain", config) == 2
    assert "trainer.callbacks[1].text=./shipped does not exist" in capsys.readouterr().err


def test_all_mistakes_come_at_once(tmp_path, run_config, run_cli, capsys):
    config = run_config(tmp_path, data__alpha=-1, model__warmup_steps=50, trainer__precision="16-mixed")
    assert run_cli("pretrain", config) == 2
    error = capsys.readouterr().err
    assert "3 problems in the configuration:" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pretrain"], "run"),
        (["pretrain", "--nonsense", "3"], "nonsense"),
        (["fly"], "no command 'fly'"),
        (["report", "nowhere"], "nowhere"),
        (["analyze", "--source", "nowhere", "--run", "x", "--callbacks", "[]"], "source=nowhere"),
    ],
)
def test_wrong_use_ends_with_status_2(run_cli, capsys, words, message):
    assert run_cli(words[0], None, *words[1:]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_no_command_shows_the_usage(run_cli, capsys):
    from babelscope.training.commands.cli import main

    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "babelscope COMMAND" in capsys.readouterr().out


def test_changes_are_told_apart_by_what_they_change():
    began = {"run": "a", "model": {"learning_rate": 1.0}, "data": {"num_workers": 0}, "trainer": {"precision": "32"}}
    now = {"run": "b", "model": {"learning_rate": 2.0}, "data": {"num_workers": 2}, "trainer": {"precision": "64"}}
    decisive, harmless = changes_since(began, now, 3)
    assert decisive == [
        "model.learning_rate was 1.0 and is 2.0 since the run began: set it back, or start a new run",
        "trainer.precision was '32' and is '64' since the run began: set it back, or start a new run",
    ]
    assert harmless == ["data.num_workers was 0 and is 2"]
    assert changes_since(began, began, 3) == ([], [])


@pytest.mark.parametrize(
    ("decay", "step", "longer", "problem"),
    [
        ("constant", 100, 200, None),
        ("constant", 60, 50, "the run is at step 60 already"),
        ("wsd", 80, 200, None),  # the decay of 100 steps begins behind step 80
        ("wsd", 81, 200, "from step 82 on"),
        ("cosine", 40, 200, "from step 12 on"),
        ("cosine", 9, 200, None),  # still warming up
    ],
)
def test_a_run_may_become_longer_where_its_learning_rates_stay_the_same(decay, step, longer, problem):
    course = {"decay": decay, "decay_floor": 0.1, "decay_share": 0.2, "warmup_steps": 10}
    began, now = ({"model": course, "trainer": {"max_steps": steps}} for steps in (100, longer))
    decisive, harmless = changes_since(began, now, step)
    assert harmless == ([] if problem else [f"trainer.max_steps was 100 and is {longer}"])
    assert len(decisive) == (problem is not None)
    assert problem is None or problem in decisive[0]


def test_what_callbacks_read_is_read_before_anything_is_written(tmp_path, run_config, run_cli, capsys):
    """Mistakes inside files, which would else stop the run at the first due step, told all at once."""
    schedule = {"at": [4], "final": False}
    (tmp_path / "pairs.jsonl").write_text('{"id": "1", "language": "alvo"}\n')
    (tmp_path / "concepts.csv").write_text("concept,language,text,label\nriver,alvo,bo,1\n")
    (tmp_path / "empty").mkdir()
    package = "babelscope.training.callbacks"
    arguments = {
        "ParallelAlignment": {"parallel": str(tmp_path / "pairs.jsonl")},
        "ExpertNeurons": {"concepts": str(tmp_path / "concepts.csv")},
        "Steering": {"experts_results": str(tmp_path / "empty")},
        "LanguageProbe": {"text": str(tmp_path / "empty")},
    }
    watching = [
        {"class_path": f"{package}.{name}", "init_args": {"schedule": schedule, **own}}
        for name, own in arguments.items()
    ]
    run = tmp_path / "run"
    assert run_cli("pretrain", run_config(run, trainer__callbacks=watching)) == 2
    told = capsys.readouterr().err
    assert "ParallelAlignment: " in told
    assert "pairs.jsonl, line 1: column text is missing" in told
    assert "ExpertNeurons: concepts: none of 1 concepts has 10 positives" in told
    assert "steering at step 4 needs the experts of that step" in told
    assert "holds neither heldout/*.jsonl (a prepared store) nor <language>.txt" in told
    assert not (run / "config.yaml").exists()
    assert not (run / "results").exists()
