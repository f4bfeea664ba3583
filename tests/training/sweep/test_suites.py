"""Every configuration of a published suite, against a hub on loopback that has the suite's names as they are."""

import json

import pytest
import yaml
from babelscope.analysis.findings import read_rows
from babelscope.training.sweep.hub import Hub
from babelscope.training.sweep.series import CheckpointSource, Phase, find_series

from tests.places import CONFIGS

from ...model.families import tiny_model
from ...tokenizers_for_tests import word_tokenizer
from .hub_server import LoopbackHub, use_hub

MANY = 4_194_304
"""Tokens of a step in most suites: 1,024 sequences of 4,096."""
B = 10**9


def each(first, last, every):
    return list(range(first, last + 1, every))


APERTUS = {
    **{step: step * 42 * B // 10_000 for step in each(50_000, 1_000_000, 50_000)},
    1_194_000: 5014 * B, 1_432_000: 6014 * B, 1_670_000: 7014 * B, 1_678_000: 7048 * B,
    **{step: step * 42 * B // 10_000 for step in each(1_700_000, 2_600_000, 50_000)},
    2_627_139: 15_000 * B,
}  # fmt: skip
LUCIOLE = [each(1000, 4000, 1000), each(5000, 30_000, 5000), each(40_000, 710_000, 10_000), [715_787]]
LUCIOLE_NAMES = {
    **{f"phase1-step{step:07d}": step for part in LUCIOLE for step in part},
    **{f"phase2-step{step:07d}": 715_787 + step for step in [*each(10_000, 350_000, 10_000), 358_931]},
    **{f"phase3-annealing-step{step:07d}": 1_074_718 + step for step in [*each(10_000, 110_000, 10_000), 118_238]},
}
LUCIE = [*each(5000, 25_000, 5000), *each(50_000, 750_000, 25_000), 753_851]
SMOLLM3 = {
    f"stage{1 + (step > 3_440_000) + (step > 4_200_000)}-step-{step}": step for step in each(40_000, 4_720_000, 40_000)
}
PYTHIA = [0, *(2**power for power in range(10)), *each(1000, 143_000, 1000)]
NEO = [f"{16.78 * part:.2f}B" for part in range(1, 61)]
OLMO2 = {
    "stage1-step50000-tokens210B": (50_000, 210 * B), "stage1-step1907359-tokens4001B": (1_907_359, 4001 * B),
    "stage2-ingredient1-step1000-tokens3B": (1_908_359, 4004 * B),
    "stage2-ingredient1-step23852-tokens51B": (1_931_211, 4052 * B),
}  # fmt: skip

SUITES = {
    "apertus_8b": (
        "swiss-ai/Apertus-8B-2509",
        {f"step{step}-tokens{'15T' if step == 2_627_139 else f'{tokens // B}B'}": (step, tokens) for step, tokens in APERTUS.items()},
        ["main", "longcontext"],
    ),
    "luciole_1b": (
        "OpenLLM-France/Luciole-1B-Base-2603",
        {name: (step, MANY * step) for name, step in LUCIOLE_NAMES.items()},
        ["main"],
    ),
    "lucie_7b": (
        "OpenLLM-France/Lucie-7B",
        {f"step{step:07d}": (step, MANY * step) for step in LUCIE},
        ["main", "extension_step0000250", "extension_step0001220"],
    ),
    "smollm3_3b": (
        "HuggingFaceTB/SmolLM3-3B-checkpoints",
        {name: (step, 2_359_296 * step) for name, step in SMOLLM3.items()},
        ["main"],
    ),
    **{
        f"datamix_2b/{mix}": (
            f"openeurollm/datamix-2b-{mix}",
            {f"checkpoint_{step:07d}": (step, MANY * step) for step in [*each(5000, 950_000, 5000), 953_675]},
            ["main"],
        )
        for mix in ("en", "50-50", "60-40", "70-30", "80-20", "90-10")
    },
    **{
        f"hplt_monolingual/{language}": (
            f"HPLT/hplt2c_{language}_checkpoints",
            {f"checkpoint_{step:07d}": (step, 2_097_152 * step) for step in [*each(1000, 47_000, 1000), 47_684]},
            ["main"],
        )
        for language in ("fra", "fin")
    },
    "neo_250m": (
        "m-a-p/neo_scalinglaw_250M",
        {f"hf_ckpt/{name}": (round(float(name[:-1]) * 1000), round(float(name[:-1]) * 100) * 10**7) for name in NEO},
        ["main"],
    ),
    "olmo2_1b": (
        "allenai/OLMo-2-0425-1B",
        OLMO2,
        ["main", "stage2-ingredient2-step1000-tokens3B", "stage2-ingredient3-step23852-tokens51B"],
    ),
    "olmo3_7b": (
        "allenai/Olmo-3-1025-7B",
        {f"stage1-step{step}": (step, MANY * step) for step in (1000, 2000, 1_413_814)},
        ["main", "stage2-step1000", "stage3-step1000"],
    ),
    "amber": (
        "LLM360/Amber",
        {f"ckpt_{index:03d}": (index + 1, 3_500_000_000 * (index + 1)) for index in range(359)},
        ["main"],
    ),
    **{
        f"pythia_160m_seeds/{seed}": (
            f"EleutherAI/pythia-160m-{seed}", {f"step{step}": (step, 2_097_152 * step) for step in PYTHIA}, ["main"]
        )
        for seed in ("seed1", "seed9", "data-seed2", "weight-seed3")
    },
}  # fmt: skip
"""Configuration -> repository, name -> step and tokens, and names that are no part of the series."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    with LoopbackHub() as server:
        for stem, (repo, names, others) in SUITES.items():
            files = {"config.json": b"{}"}
            if stem == "neo_250m":
                server.repos[repo] = {"main": {f"{name}/config.json": b"{}" for name in names}}
            else:
                server.repos[repo] = dict.fromkeys([*names, *others], files)
        use_hub(monkeypatch, server, tmp_path / "cache")
        yield server


def configuration(suite):
    return yaml.safe_load((CONFIGS / "analyze" / f"{suite.split('/')[0]}.yaml").read_text(encoding="utf-8"))


def source_of(suite, **changes):
    config = configuration(suite) | {"source": SUITES[suite][0]} | changes
    names = ("steps", "revision", "subfolder", "tokens_per_step")
    phases = [Phase(**phase) for phase in config["phases"]] if "phases" in config else None
    return CheckpointSource(config["source"], **{name: config.get(name) for name in names}, phases=phases)


@pytest.mark.parametrize("suite", SUITES)
def test_a_configuration_finds_the_suite_that_it_is_for(suite, server):
    repo, names, _ = SUITES[suite]
    hub = Hub(None, attempts=1)
    series, problems, missing = find_series([source_of(suite, steps=None)], listing=hub)
    assert (problems, missing) == ([], [])
    by_name = {
        (checkpoint.subfolder or checkpoint.revision): (checkpoint.step, checkpoint.tokens) for checkpoint in series
    }
    assert by_name == names
    assert {checkpoint.path for checkpoint in series} == {repo}
    assert hub.missing(series) == {}
    tokens = [checkpoint.tokens for checkpoint in series]
    assert tokens == sorted(set(tokens))
    chosen, problems, missing = find_series([source_of(suite)], listing=hub)
    assert (problems, missing) == ([], [])
    asked = configuration(suite).get("steps")
    assert chosen == [checkpoint for checkpoint in series if asked is None or checkpoint.step in asked]
    assert hub.missing(chosen) == {}
    assert chosen[0] == series[0], "what begins early is not lost to the choice"
    assert chosen[-1] == series[-1]


@pytest.mark.parametrize(
    "suite", [name for name in SUITES if "/" not in name or name.endswith(("50-50", "fra", "seed1"))]
)
def test_a_configuration_names_its_own_suite(suite):
    assert configuration(suite)["source"] == SUITES[suite][0]


def test_every_configuration_of_a_suite_is_tried():
    tried = {suite.split("/")[0] for suite in SUITES}
    stems = {path.stem for path in (CONFIGS / "analyze").glob("*.yaml")}
    assert {stem for stem in stems - tried if not stem.startswith(("bloom_", "pythia_"))} == {"run"}


def test_series_lists_what_a_configuration_would_take(server, run_cli, capsys):
    path = str(CONFIGS / "analyze" / "luciole_1b.yaml")
    assert run_cli("series", None, path, "--steps", "null") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1,000", "4.19B", "-", "OpenLLM-France/Luciole-1B-Base-2603@phase1-step0001000"]
    assert len(lines) == 1 + len(LUCIOLE_NAMES) + 3
    assert lines[-1] == "Not understood: main"
    assert run_cli("series", None, path, "--json", "true") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["step"] for row in rows] == configuration("luciole_1b")["steps"]
    assert run_cli("series", None, path, "--steps", "[3500, 1000000]") == 2
    message = capsys.readouterr().err
    assert "steps=[3500, 1000000] are not in OpenLLM-France/Luciole-1B-Base-2603: nearest of its" in message
    assert "3000 (OpenLLM-France/Luciole-1B-Base-2603@phase1-step0003000), 4000" in message
    assert "995787 (OpenLLM-France/Luciole-1B-Base-2603@phase2-step0280000)" in message


def test_the_map_of_a_configuration_is_listed(server, run_cli, capsys, tmp_path):
    config = {"source": "allenai/Olmo-3-1025-7B", "checkpoints": {"main": {"step": 9, "tokens": 7 * B}, "stage1-step1000": {"step": 2}}}  # fmt: skip
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(config))
    assert run_cli("series", None, str(tmp_path / "map.yaml")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["2", "9"]
    assert "@stage1-step1000" in lines[1]
    config["checkpoints"]["stage1-step100"] = {"step": 1}
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(config))
    assert run_cli("series", None, str(tmp_path / "map.yaml")) == 2
    message = capsys.readouterr().err
    assert "checkpoints has stage1-step100, which is not in allenai/Olmo-3-1025-7B; nearest of 6 names: stage1-step1000" in message  # fmt: skip


def test_a_suite_in_phases_is_swept(server, run_cli, tmp_path):
    """From the configuration's own source: a tiny model in place of each checkpoint."""
    config = configuration("luciole_1b")
    tiny_model("llama", vocab_size=64).save_pretrained(tmp_path / "model")
    word_tokenizer().save_pretrained(tmp_path / "model")
    files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    server.repos[config["source"]] = dict.fromkeys(LUCIOLE_NAMES, files)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "xx.txt").write_text("w1 w2 w3 w4 w5 w6\n" * 5)
    loss = {"text": str(tmp_path / "text"), "context": 8, "max_tokens": 20}
    config["callbacks"] = [{"class_path": "babelscope.training.callbacks.PerLanguageLoss", "init_args": loss}]
    config.update(run=str(tmp_path / "run"), steps=[1000, 715_787, 725_787, 1_192_956], health=False)
    assert run_cli("analyze", config) == 0
    rows = read_rows(tmp_path / "run" / "results").to_pylist()
    assert {(row["step"], row["tokens"]) for row in rows} == {(step, MANY * step) for step in config["steps"]}
