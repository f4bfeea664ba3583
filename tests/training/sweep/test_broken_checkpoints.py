"""Broken checkpoints among sound ones, through `babelscope analyze`: named, recorded with the reason, and gone past."""

import shutil

import pytest
import torch
import yaml
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.failures import BrokenModelError, failed_findings, failure_of
from babelscope.analysis.findings import read_findings, read_rows, read_warnings, result_steps
from babelscope.analysis.health.verdicts import Checkup, judge
from babelscope.training.callbacks import Steering
from babelscope.training.sweep.settings import other_settings

from ...model.families import tiny_model
from ...tokenizers_for_tests import WORDS, sentences, word_tokenizer

RANDOM, NAN, TRAINED, CUT, LAST, COPY, OVERFLOW = STEPS = (1, 5, 10, 12, 20, 30, 50)
ANALYSES = ["alignment", "experts", "health", "probe", "validation"]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A BLOOM that learns which word follows which; 30 is 10 again, and three checkpoints are broken, each in its way."""
    base = tmp_path_factory.mktemp("broken")
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    ids = torch.tensor([tokenizer(" ".join(WORDS[i:] + WORDS[:i]))["input_ids"] for i in range(4)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(21):
        name = {0: RANDOM, 10: TRAINED, 20: LAST}.get(step)
        if name is not None:
            model.save_pretrained(base / f"step_{name}")
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    shutil.copytree(base / f"step_{TRAINED}", base / f"step_{COPY}")
    with torch.no_grad():
        weight = model.transformer.h[1].mlp.dense_h_to_4h.weight
        kept = weight.clone()
        weight[3, 4] = float("nan")
        model.save_pretrained(base / f"step_{NAN}")
        weight.copy_(kept)
        weight[3] = 1e38  # finite, and more than any response can hold
        model.save_pretrained(base / f"step_{OVERFLOW}")
    shutil.copytree(base / f"step_{LAST}", base / f"step_{CUT}")
    file = base / f"step_{CUT}" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    for step in STEPS:
        tokenizer.save_pretrained(base / f"step_{step}")
    (base / "text").mkdir()
    for length, name in ((8, "xx"), (9, "yy")):
        lines = [" ".join((WORDS + WORDS)[i : i + length]) for i in range(45)]
        (base / "text" / f"{name}.txt").write_text("\n".join(lines))
    texts = {name: sentences(60, seed=seed) for seed, name in enumerate(("xx", "yy"))}
    rows = [Row(f"c{i % 2}", name, text, 1) for name, found in texts.items() for i, text in enumerate(found)]
    ConceptSet(rows).save(base / "concepts.parquet")
    lines = [f"{i},{name},{text}" for name, found in texts.items() for i, text in enumerate(found[:12])]
    (base / "parallel.csv").write_text("\n".join(["id,language,text", *lines]))
    return base


def config(series, run):
    text = {"text": str(series / "text")}
    callbacks = {
        "ExpertNeurons": {"concepts": str(series / "concepts.parquet"), "k": 5, "min_sentences": 4},
        "CheckpointHealth": {**text, "context": 16, "max_tokens": 200},
        "LanguageProbe": {**text, "tokens_per_language": 40, "seeds": [0]},
        "PerLanguageLoss": {**text, "context": 16, "max_tokens": 200},
        "ParallelAlignment": {"parallel": str(series / "parallel.csv"), "permutations": 2},
    }
    named = [{"class_path": f"babelscope.training.callbacks.{n}", "init_args": given} for n, given in callbacks.items()]
    return {"source": str(series), "run": str(run), "tokens_per_step": 8, "callbacks": named}


@pytest.fixture(scope="module")
def swept(series, tmp_path_factory, module_cli):
    run = tmp_path_factory.mktemp("swept") / "run"
    return run, module_cli(config(series, run))


@pytest.fixture(scope="module")
def module_cli(tmp_path_factory):
    """Run `babelscope analyze` with a configuration: status, and what it says at the end."""
    import contextlib
    import io

    from babelscope.training.commands.cli import main

    def call(settings, *arguments):
        path = tmp_path_factory.mktemp("config") / "analyze.yaml"
        path.write_text(yaml.safe_dump(settings))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = main(["analyze", "--config", str(path), *arguments])
        return status, said.getvalue()

    return call


def test_every_checkpoint_has_its_place_and_the_end_says_what_failed(swept):
    run, (status, said) = swept
    assert status == 1
    assert "Traceback" not in said
    assert "3 checkpoints could not be analysed in full:" in said
    nan = "weights that are not finite in transformer.h.1.mlp.dense_h_to_4h.weight"
    assert f"  step {NAN}: {nan} (experts, probe, validation, alignment)" in said
    assert f"  step {CUT}: " in said
    assert f"step_{CUT}: the weights can't be read" in said
    assert f"  step {OVERFLOW}: a response is NaN or infinite" in said
    assert "--again true with its --steps tries it again" in said
    for analysis in ANALYSES:
        assert result_steps(run / "results", analysis) == list(STEPS)


def test_health_names_the_broken_and_the_copy(swept):
    run, _ = swept
    reasons = {
        step: " ".join(said) for (name, step), said in read_warnings(run / "results").items() if name == "health"
    }
    assert set(reasons) == {RANDOM, COPY, NAN, CUT, OVERFLOW}, reasons
    assert "what begins before 8 tokens cannot be seen here" in reasons[RANDOM]
    assert "a copy of step 10" in reasons[COPY]
    assert "weights that are not finite in transformer.h.1" in reasons[NAN]
    assert "in the series: its weights are broken" in reasons[NAN]
    assert "in the series: it can't be read: " in reasons[CUT]
    assert "in the series: its loss is not finite" in reasons[OVERFLOW]
    sound = {r["step"]: r["value"] for r in read_rows(run / "results").to_pylist() if r["metric"] == "sound"}
    assert sound == {RANDOM: 1, TRAINED: 1, COPY: 0, NAN: 0, CUT: 0, OVERFLOW: 0, LAST: 1}


def test_the_others_are_recorded_as_failed_with_the_reason_and_sound_ones_are_whole(swept):
    run, _ = swept
    for analysis in set(ANALYSES) - {"health"}:
        for step in STEPS:
            found = read_findings(run / "results", analysis, step)
            reason = failure_of(found)
            if step in (RANDOM, TRAINED, COPY, LAST):
                assert reason is None
                assert found.table.num_rows > 1
            elif step == OVERFLOW and analysis == "validation":
                assert found.warnings == ("the loss is not finite in xx, yy: the weights are broken",)
            else:
                assert found.warnings == (f"failed: {reason}",)
                assert found.table.select(["step", "tokens", "metric", "value"]).to_pylist() == [
                    {"step": step, "tokens": 8 * step, "metric": "failed", "value": 1.0}
                ]
    last = read_findings(run / "results", "experts", LAST)
    assert other_settings(last, run / "results") == [], "a failure has no settings to differ from"


def test_the_same_command_again_does_nothing_and_says_the_same(series, swept, module_cli):
    run, (_, said) = swept
    times = {path: path.stat().st_mtime_ns for path in (run / "results").rglob("*.parquet")}
    status, again = module_cli(config(series, run))
    assert status == 1
    assert again.splitlines()[-6:] == said.splitlines()[-6:]
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_checkpoint_that_became_whole_is_tried_again(series, swept, module_cli, tmp_path):
    run, _ = swept
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(series, tmp_path / "series")
    shutil.copy(series / f"step_{LAST}" / "model.safetensors", tmp_path / "series" / f"step_{CUT}")
    settings = config(series, tmp_path / "run")
    settings["source"] = str(tmp_path / "series")
    status, said = module_cli(settings, "--steps", f"[{CUT}]", "--again", "true")
    assert (status, "could not be analysed" in said) == (0, False)
    found, last = (read_findings(tmp_path / "run" / "results", "experts", step) for step in (CUT, LAST))
    assert found.table["value"] == last.table["value"]


def test_health_is_not_needed_to_go_past_broken_weights(series, tmp_path, module_cli):
    settings = config(series, tmp_path / "run")
    settings["callbacks"] = [c for c in settings["callbacks"] if "Health" not in c["class_path"]]
    status, said = module_cli({**settings, "health": False, "steps": [NAN, CUT, LAST]})
    assert status == 1
    assert "hidden state is NaN or infinite" in said
    for analysis in ("experts", "probe", "alignment"):
        failed = {s: failure_of(read_findings(tmp_path / "run/results", analysis, s)) for s in (NAN, CUT, LAST)}
        assert [reason is None for reason in failed.values()] == [False, False, True]


def test_steering_says_that_the_experts_failed(tmp_path):
    from babelscope.analysis.findings import write_findings

    write_findings(failed_findings("experts", 3, "no number is finite"), tmp_path)
    steering = Steering(experts_results=str(tmp_path))
    with pytest.raises(BrokenModelError, match="no experts to steer with at step 3: no number is finite"):
        steering.experts_at(3)


def test_checkpoints_that_cannot_be_read_are_no_copies_of_each_other():
    found = judge([Checkup(1, b"a", 3.0), Checkup(2, b"", unreadable="cut"), Checkup(3, b"", unreadable="cut")])
    assert found[1].sound
    assert found[2].duplicate_of is found[3].duplicate_of is None
    assert found[2].reasons == ("it can't be read: cut",)
