"""Every configuration of `analyze` parses, names a series, and runs when its source and data are at hand."""

import pytest
import yaml
from babelscope.training.commands.parsing import parsed
from babelscope.training.sweep.analyze import analyze
from babelscope.training.sweep.series import CheckpointSource, find_series

from tests.places import CONFIGS

from ...model.families import tiny_model

ANALYZE = sorted((CONFIGS / "analyze").glob("*.yaml"))


def grown(step, stem, start=192, ramp=9_765_625):
    """Tokens after a step, batch by batch: Megatron's batch grows in equal steps over equal numbers of sequences."""
    batch, increment = {"560m": (256, 32), "1b1": (256, 16)}.get(stem.rsplit("_", 1)[1], (512, 32))
    each = ramp / ((batch - start) // increment)
    sequences = 0
    for done in range(step):
        if sequences > ramp:
            return 2048 * (sequences + (step - done) * batch)
        sequences += start + int(sequences / each) * increment
    return 2048 * sequences


@pytest.mark.parametrize("path", ANALYZE, ids=lambda path: path.stem)
def test_a_configuration_parses_and_names_its_series(path):
    settings = parsed("analyze", analyze, ["--config", str(path)])
    assert [callback.name for callback in settings["callbacks"]][:2] == ["health", "validation"]
    if path.stem == "run" or not (settings["steps"] and path.stem.startswith(("bloom", "pythia"))):
        return  # test_suites.py asks a hub for the names of the others
    source = CheckpointSource(settings["source"], settings["steps"], settings["revision"], tokens_per_step=settings["tokens_per_step"], tokens_at=settings["tokens_at"])  # fmt: skip
    series, problems, _ = find_series([source])
    assert problems == []
    assert len(series) == len(settings["steps"]) >= 8
    # No series may claim more tokens than the suite says its models saw.
    seen = {"bloom": 341e9, "pythia": 300e9}[path.stem.split("_")[0]]
    assert 0.88 * seen < series[-1].tokens <= seen
    tokens = [checkpoint.tokens for checkpoint in series]
    assert tokens == sorted(set(tokens))
    if "bloom" in path.stem:
        assert tokens == [grown(checkpoint.step, path.stem) for checkpoint in series]


@pytest.mark.parametrize("stem", ["bloom_560m", "pythia_70m", "run"])
def test_a_configuration_runs(stem, tmp_path, toy_store, run_cli):
    """The callbacks as they are, on one tiny checkpoint, with the toy world's text and concepts."""
    config = yaml.safe_load(next(path for path in ANALYZE if path.stem == stem).read_text())
    kind = "gpt_neox" if "pythia" in stem else "bloom"
    folder = tmp_path / "models" / "step_5"
    tiny_model(kind, vocab_size=320).save_pretrained(folder)
    config.update(source=str(folder.parent), run=str(tmp_path / "run"), tokenizer=str(toy_store / "tokenizer"), store=str(toy_store))  # fmt: skip
    config["steps"] = [5]
    config.pop("revision", None)
    config.pop("tokens_at", None)
    for callback in config["callbacks"]:
        settings = callback.setdefault("init_args", {})
        settings.pop("text", None)
        settings.pop("concepts", None)
        if "LanguageProbe" in callback["class_path"]:
            settings.update(tokens_per_language=40, min_sentences=20)
        if "ExpertNeurons" in callback["class_path"]:
            settings.update(k=5, min_sentences=4)
        if "CheckpointHealth" in callback["class_path"] or "PerLanguageLoss" in callback["class_path"]:
            settings.update(max_tokens=100)
    assert run_cli("analyze", config) == 0
    results = sorted(path.parent.name for path in (tmp_path / "run" / "results").glob("*/step_00000005.parquet"))
    assert results == sorted({"health", "validation", "probe", "experts"} | ({"alignment"} if stem == "run" else set()))  # fmt: skip
