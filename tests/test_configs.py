"""Every committed configuration is loaded and dry-run."""

import subprocess

import pytest
import yaml
from babelscope.training.callbacks.schedule import StepSchedule
from babelscope.training.fit.preflight import problems_of

from tests.places import CONFIGS, ROOT

PRETRAIN = sorted((CONFIGS / "pretrain").glob("*.yaml"))
TOGETHER = {"toy_control": "toy"}
"""Configurations that change another one."""


def resolved(path, monkeypatch, *arguments):
    """The configuration after parsing, without building anything."""
    from babelscope.training.data.datamodule import TokenBlocks
    from babelscope.training.fit.module import Pretraining
    from babelscope.training.fit.pretrain import TRAINER_DEFAULTS, PretrainCLI

    found = {}

    class Parsed(Exception):
        pass

    def stop(self):
        found.update(self.config.as_dict())
        raise Parsed

    monkeypatch.setattr(PretrainCLI, "before_instantiate_classes", stop)
    words = ["--config", str(path), *arguments]
    if path.stem in TOGETHER:
        words = ["--config", str(path.with_stem(TOGETHER[path.stem])), *words]
    with pytest.raises(Parsed):
        PretrainCLI(
            Pretraining,
            TokenBlocks,
            run=False,
            save_config_callback=None,
            auto_configure_optimizers=False,
            trainer_defaults=TRAINER_DEFAULTS,
            args=words,
        )
    return found


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda path: path.stem)
def test_pretrain_configurations_parse_and_lack_only_data(path, monkeypatch, tmp_path):
    config = resolved(path, monkeypatch)
    monkeypatch.chdir(tmp_path)  # whoever ran the demo here has its run and its data
    found = problems_of(config, resume=False)
    assert all("there is no token store" in p or "does not exist: name a file" in p for p in found), found


@pytest.mark.parametrize("path", PRETRAIN, ids=lambda path: path.stem)
def test_pretrain_configurations_run(path, tmp_path, toy_store, run_cli):
    """Two steps of a shrunken model with everything else as the configuration says."""
    config = yaml.safe_load(path.read_text())
    base = yaml.safe_load(path.with_stem(TOGETHER[path.stem]).read_text()) if path.stem in TOGETHER else {}
    config = {**base, **config, "data": {**base.get("data", {}), **config.get("data", {})}}
    config["run"] = str(tmp_path / "run")
    config["model"]["overrides"] = {
        **config["model"].get("overrides", {}), "vocab_size": 320, "d_model": 16, "ffn_dim": 16, "num_layers": 1, "attention_heads": 2,
    }  # fmt: skip
    config["model"]["warmup_steps"] = 1
    config["data"].update(store=str(toy_store), global_batch_size=4, micro_batch_size=2)
    config["trainer"].update(max_steps=2, accelerator="cpu", devices=1, logger=False)
    for callback in config["trainer"]["callbacks"]:
        settings = callback["init_args"]
        settings["schedule"] = {"start": 0}
        settings.pop("concepts", None)
        if "LanguageProbe" in callback["class_path"]:
            settings.update(tokens_per_language=40, min_sentences=20)
        if "ExpertNeurons" in callback["class_path"]:
            settings.update(k=5, min_sentences=4)
        if "Steering" in callback["class_path"]:
            settings.update(seeds=3)
    assert run_cli("pretrain", config) == 0


def test_the_study_configuration_has_the_studys_steps(monkeypatch):
    config = resolved(CONFIGS / "pretrain" / "257m.yaml", monkeypatch)
    last = config["trainer"]["max_steps"]
    assert last == 131_072
    schedule = config["checkpoints"]["schedule"]
    steps = StepSchedule(**schedule).steps(last)
    assert steps[0] == 0
    assert len(steps) == 45
    assert config["model"]["preset"] == "xglm-257m"


def test_batch_scripts_are_valid_shell():
    scripts = sorted((ROOT / "slurm").glob("*.sh"))
    assert scripts
    for script in scripts:
        assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
        assert subprocess.run(["bash", script], capture_output=True, check=False).returncode == 2, (
            "usage, without words"
        )
