"""The steering callback: experts of the same step, the toy world's own instruments, and what is refused beforehand."""

import pytest
import torch
from babelscope.analysis.findings import read_findings
from babelscope.analysis.steering.identification import KnownWords, LexiconWords, LinguaIdentifier, WordIdentifier
from babelscope.model import build_model, preset
from babelscope.model.families import Family
from babelscope.model.sites import family_of, recorded_family
from babelscope.training.callbacks import ExpertNeurons, Steering
from babelscope.training.callbacks.schedule import StepSchedule
from babelscope.training.callbacks.steering import check_experts_are_due, toy_world
from babelscope.training.commands.steer import steer
from babelscope.training.data.store import TokenStore
from transformers import AutoTokenizer

LEXICON = """
domain: nature
concepts:
  river: {gloss: flowing water, abstractness: concrete, forms: {en: [river], es: [río]}}
"""
SMALL = {"seeds": 6, "length": 5}


@pytest.fixture
def model() -> torch.nn.Module:
    config = preset("toy", vocab_size=320, num_layers=2, d_model=16, ffn_dim=32, attention_heads=2)
    return build_model(config, seed=0).train()


@pytest.fixture
def tokenizer(toy_store):
    return AutoTokenizer.from_pretrained(toy_store / "tokenizer")


def experts_at(step: int, model, tokenizer, store, results) -> None:
    callback = ExpertNeurons(k=10, min_sentences=4)
    callback.store = str(store)
    callback.run(model, tokenizer, step, 1000, results)


def test_it_steers_with_the_experts_of_the_same_step(tmp_path, model, tokenizer, toy_store):
    experts_at(4, model, tokenizer, toy_store, tmp_path)
    callback = Steering(**SMALL)
    callback.store = str(toy_store)
    before, state = [parameter.clone() for parameter in model.parameters()], torch.get_rng_state()
    written = callback.run(model, tokenizer, 4, 1000, tmp_path)
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert callback.has_results(tmp_path, 4)
    found = read_findings(tmp_path, "steering", 4)
    assert found.table.equals(written.table)
    assert set(found.table["tokens"].to_pylist()) == {1000}
    assert found.settings["k"] == 10
    assert found.settings["languages"] == ["alvo", "beki"]
    # Unsteered, and three concepts in two languages steered and with random units.
    assert len(found.texts) == 6 * (1 + 3 * 2 * 2)
    with pytest.raises(ValueError, match=r"at step 5 needs the experts of that step, .* has them at 4\): list ExpertN"):
        callback.run(model, tokenizer, 5, 1000, tmp_path)
    with pytest.raises(ValueError, match=r"\(it has none at all\)"):
        Steering(experts_results=str(tmp_path / "elsewhere")).run(model, tokenizer, 4, None, tmp_path)


def test_sites_and_a_row_of_the_experts_are_those_that_are_forced(tmp_path, model, tokenizer, toy_store, monkeypatch):
    """An architecture without a row, and the FFN after its activation: ExpertNeurons is told, Steering reads it there."""
    row = Family("model", "model.layers", {"ffn_in": "fc1", "ffn_out": "fc2"}, "activation_fn")
    monkeypatch.setattr(type(model.config), "model_type", "unheard-of")
    hooked = []
    for layer, block in enumerate(model.model.layers):
        for name in ("fc1", "activation_fn", "fc2"):
            module = block.get_submodule(name)
            real = module.register_forward_hook
            note = lambda hook, real=real, at=(layer, name): hooked.append(at) or real(hook)  # noqa: E731
            monkeypatch.setattr(module, "register_forward_hook", note)
    experts = ExpertNeurons(k=10, min_sentences=4, sites=["ffn_act"], family=row)
    experts.store = str(toy_store)
    found = experts.run(model, tokenizer, 4, None, tmp_path)
    assert found.settings["sites"] == ["ffn_act"]
    assert recorded_family(found.settings["family"]) == row
    assert found.settings["units"] == 2 * 32
    assert set(hooked) == {(0, "activation_fn"), (1, "activation_fn")}
    hooked.clear()
    callback = Steering(**SMALL)
    callback.store = str(toy_store)
    written = callback.run(model, tokenizer, 4, None, tmp_path)
    assert set(hooked) == {(0, "activation_fn"), (1, "activation_fn")}
    assert written.settings["sites"] == ["ffn_act"]
    with pytest.raises(ValueError, match="model_type='unheard-of' has no row"):
        family_of(model)
    with pytest.raises(ValueError, match="sites: gate is not there; choose from ffn_in, ffn_act, ffn_out"):
        ExpertNeurons(str(toy_store / "concepts.parquet"), sites=["gate"], family=row).run(
            model, tokenizer, 5, None, tmp_path
        )


def test_experts_may_lie_elsewhere(tmp_path, model, tokenizer, toy_store):
    experts_at(4, model, tokenizer, toy_store, tmp_path / "experts")
    callback = Steering(["river"], ["beki"], experts_results=str(tmp_path / "experts"), k_sweep=[0, 5], **SMALL)
    callback.store = str(toy_store)
    found = callback.run(model, tokenizer, 4, None, tmp_path / "steered")
    rows = found.table.to_pylist()
    assert {row["concept"] for row in rows if row["metric"] == "share_steered_k5"} == {"river"}
    assert {row["language"] for row in rows if row["metric"] == "share_steered"} == {"beki"}


def test_instruments_are_the_toy_worlds_own_or_lingua(tmp_path, model, tokenizer, toy_store):
    experts_at(0, model, tokenizer, toy_store, tmp_path)
    world = toy_world(TokenStore(toy_store))
    assert (world.languages, world.topics) == (2, 3)
    callback = Steering(experts_results=str(tmp_path))
    callback.store = str(toy_store)
    analysis = callback.build(model, tokenizer)
    assert isinstance(analysis.identifier, WordIdentifier)
    assert isinstance(analysis.words, KnownWords)
    assert analysis.words.concepts == {"river", "market", "forest"}
    text = next(text for _, text in world.documents())
    assert analysis.identifier.identify([text]) == [world.identify(text)]
    (tmp_path / "words.yaml").write_text(LEXICON)
    arguments = {"languages": ["es", "en"], "words": str(tmp_path / "words.yaml")}
    real = Steering(experts_results=str(tmp_path), **arguments).build(model, tokenizer)
    assert isinstance(real.identifier, LinguaIdentifier)
    assert isinstance(real.words, LexiconWords)
    assert real.identifier.languages == ("en", "es")
    assert real.words.shown(["the river", "un río"]) == [{("river", "en")}, {("river", "es")}]
    # Without a store or languages, those that have experts; lingua knows no invented ones.
    with pytest.raises(ValueError, match=r"\['alvo', 'beki'\]: .* of these lingua can identify none"):
        Steering(experts_results=str(tmp_path)).build(model, tokenizer)


def test_a_schedule_without_experts_is_refused_before_training():
    experts = ExpertNeurons(schedule=StepSchedule(at=(2, 8), start=0))
    every = Steering(schedule=StepSchedule(at=(2, 4)))
    with pytest.raises(ValueError, match="due at step 4, where ExpertNeurons is not: give both the same schedule"):
        check_experts_are_due([experts], every.schedule.steps(8))
    with pytest.raises(ValueError, match=r"list ExpertNeurons before it in trainer\.callbacks, or name experts_res"):
        every.check([], [2])
    check_experts_are_due([experts], every.schedule.steps(2))
    check_experts_are_due([experts], Steering(schedule=StepSchedule(at=(2,))).schedule.steps(8))


def test_a_run_and_its_replay_steer_alike(tmp_path, run_config, run_cli, capsys):
    run = tmp_path / "run"
    schedule = {"at": [2], "start": 0}
    package = "babelscope.training.callbacks"
    watching = [
        {
            "class_path": f"{package}.ExpertNeurons",
            "init_args": {"schedule": schedule, "k": 10, "min_sentences": 4, "sites": ["ffn_act", "attn_out"]},
        },
        {"class_path": f"{package}.Steering", "init_args": {"schedule": schedule, "concepts": ["river"], **SMALL}},
    ]
    config = run_config(run, trainer__callbacks=watching, trainer__max_steps=2, checkpoints__schedule=schedule)
    assert run_cli("pretrain", config) == 0
    replay = {"source": str(run), "run": str(tmp_path / "replay"), "callbacks": watching, "device": "cpu"}
    assert run_cli("analyze", replay) == 0
    for step in (0, 2):
        live, again = (read_findings(folder / "results", "steering", step) for folder in (run, tmp_path / "replay"))
        assert live.table.equals(again.table)
        assert live.texts == again.texts
        assert live.settings["sites"] == again.settings["sites"] == ["attn_out", "ffn_act"]

    # The command for one model takes the run's experts, its store, and gives the same texts.
    capsys.readouterr()
    words = ["--model", str(run / "checkpoints" / "step_00000002"), "--concept", "river", "--seeds", "6", "--length=5"]
    assert run_cli("steer", None, *words, "--source-language", "alvo") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("10 experts of river in alvo, 6 texts a condition, 95 % Wilson intervals")
    assert "random units" in printed
    first = next(t for t in live.texts if (t["condition"], t["source_language"], t["seed"]) == ("steered", "alvo", 0))
    assert " ".join(first["text"].split()) in " ".join(printed.split())
    assert run_cli("steer", None, *words, "--source-language", "gamma") == 2
    assert "source_language=gamma is not in" in capsys.readouterr().err


def test_texts_beyond_the_positions_are_refused_before_step_0(tmp_path, run_config, run_cli, capsys):
    schedule = {"at": [2], "start": 2}
    package = "babelscope.training.callbacks"
    finds = {"schedule": schedule, "k": 10, "min_sentences": 4}
    steers = {"schedule": schedule, "seeds": 2, "length": 5000}
    watching = [
        {"class_path": f"{package}.ExpertNeurons", "init_args": finds},
        {"class_path": f"{package}.Steering", "init_args": steers},
    ]
    run = tmp_path / "run"
    assert run_cli("pretrain", run_config(run, trainer__callbacks=watching, trainer__max_steps=2)) == 2
    message = capsys.readouterr().err
    assert "length=5000: the model has" in message
    assert "Traceback" not in message
    assert not list((run / "results").rglob("*.parquet"))


def test_steer_finds_experts_where_there_are_none(tmp_path, model, tokenizer, toy_store):
    model.save_pretrained(tmp_path / "step_00000003")
    tokenizer.save_pretrained(tmp_path / "step_00000003")
    printed = steer(
        str(tmp_path / "step_00000003"), "market", "beki", store=str(toy_store), k=8, k_sweep=[4], samples=2,
        output=str(tmp_path / "results"), device="cpu", **SMALL,
    )  # fmt: skip
    assert printed.startswith("8 experts of market in beki")
    assert "steered, k=4" in printed
    assert read_findings(tmp_path / "results", "steering", 3).settings["k"] == 8
    with pytest.raises(ValueError, match=r"results has step_00000003\.parquet of steering already.*--overwrite true"):
        steer(str(tmp_path / "step_00000003"), "market", "beki", store=str(toy_store), output=str(tmp_path / "results"))
    with pytest.raises(ValueError, match=r"(?s)concept=market is not in shipped.*source_language=beki is not in"):
        steer(str(tmp_path / "step_00000003"), "market", "beki")
    with pytest.raises(ValueError, match=r"(?s)3 problems.*nowhere is not a folder.*dtype=int8.*device=tpu"):
        steer(str(tmp_path / "nowhere"), "market", "beki", store=str(toy_store), dtype="int8", device="tpu")
