"""What the pages tell people to type works: commands parse, examples run."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml
from babelscope.analysis.findings import read_rows, result_steps
from babelscope.analysis.report.write import write_report
from babelscope.model import build_model, preset
from babelscope.model.derivation import derive_family
from babelscope.model.families import FAMILIES, Family
from babelscope.model.sites import unit_sites, use_family
from babelscope.training import callbacks
from babelscope.training.commands.cli import main
from transformers import AutoModelForCausalLM, AutoTokenizer, Starcoder2Config

from tests.places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    """Code blocks of a page in one language."""
    return re.findall(rf"^```{language}.*?\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Every `babelscope` line of every page, once."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["babelscope"]:
                    found.setdefault(shlex.join(words[1:]), page.name)
    return [(page, line) for line, page in found.items()]


def shown_files(folder: Path) -> dict[str, str]:
    """Configurations that pages show whole, by their titles, written to a folder."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name, content in re.findall(r'^```yaml title="([\w.]+)"\n(.*?)^```', text, re.DOTALL | re.MULTILINE):
            (folder / name).write_text(content, encoding="utf-8")
            found[name] = str(folder / name)
    return found


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: value)
def test_commands_parse(page, line, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    shown = shown_files(tmp_path)
    words = [shown.get(word, word) for word in shlex.split(line)]
    if words[0] == "report":
        words.append("--help")
    elif words[:2] in (["concepts", "check"], ["concepts", "convert"]):
        words = [*words[:2], "--print_config", *words[2:]]
    else:
        words = [word for word in words if word not in ("--resume", "--print_config")] + ["--print_config"]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0, capsys.readouterr().err


def test_files_that_pages_name_exist():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(
            r"\b(?:configs|slurm|benchmarks|tests|analysis|training|model)/[\w/]+\.(?:py|yaml|sh)\b", text
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_reference_has_every_instruments_settings():
    page = (ROOT / "docs" / "reference" / "callbacks.md").read_text(encoding="utf-8")
    watching = [getattr(callbacks, name) for name in callbacks.__all__]
    kinds = [kind.settings_type for kind in watching if "settings_type" in vars(kind)]
    assert len(kinds) > 5
    for kind in kinds:
        assert f"::: {kind.__module__}.{kind.__qualname__}\n" in page


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 180


def test_links_between_files_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_example_of_an_instrument_runs(tmp_path, monkeypatch, run_config, run_cli):
    page = ROOT / "docs" / "extending.md"
    code = next(block for block in blocks(page, "python") if "class EmbeddingNorm" in block)
    (tmp_path / "embedding_norm.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (watching,) = (block for block in blocks(page, "yaml") if "class_path" in block)
    run = tmp_path / "run"
    assert run_cli("pretrain", run_config(run, trainer__callbacks=yaml.safe_load(watching), trainer__max_steps=4)) == 0
    rows = read_rows(run / "results").to_pandas()
    live = rows[rows["analysis"] == "embedding_norm"]
    assert sorted(set(live["step"])) == [0, 2, 4]
    assert set(live["language"]) == {"alvo", "beki"}
    assert "Embedding norm" in write_report([run]).read_text(encoding="utf-8")
    replay = {"source": str(run), "run": str(tmp_path / "again"), "callbacks": yaml.safe_load(watching)}
    assert run_cli("analyze", replay) == 0
    again = read_rows(tmp_path / "again" / "results").to_pandas()
    at_four = again[(again["analysis"] == "embedding_norm") & (again["step"] == 4)]
    assert list(at_four["value"]) == list(live[live["step"] == 4]["value"])


@pytest.mark.parametrize(("marked", "analyses"), [("Trainer(model", ["probe"]), ("observe(", ["probe", "validation"])])
def test_the_examples_of_other_loops_run(tmp_path, monkeypatch, toy_store, marked, analyses):
    """As they stand, on less text and for fewer steps."""
    (code,) = (block for block in blocks(ROOT / "docs" / "trainer.md", "python") if marked in block)
    shorter = {'text="shipped"': f'text="{toy_store}"', "every=1000": "every=2", "10_000": "4, use_cpu=True"}
    for old, new in shorter.items():
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    model = build_model(preset("toy", vocab_size=320, d_model=16, ffn_dim=16, num_layers=1, attention_heads=2), seed=0)
    ids = torch.randint(4, 320, (16, 8), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": row, "labels": row} for row in ids]
    given = {
        "model": model,
        "tokenizer": AutoTokenizer.from_pretrained(toy_store / "tokenizer"),
        "rows": rows,
        "batches": [{"input_ids": ids[:4], "labels": ids[:4]}] * 4,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
    }
    exec(code, given)
    results = tmp_path / "runs" / "mine" / "results"
    steps = {analysis: result_steps(results, analysis) for analysis in analyses}
    assert steps == ({"probe": [0, 2, 4]} if len(analyses) == 1 else {name: [0, 1, 2, 4] for name in analyses})
    assert "runs/mine" in write_report([tmp_path / "runs" / "mine"]).as_posix()


def test_the_example_of_a_family_fits():
    (block,) = (block for block in blocks(ROOT / "docs" / "extending.md", "yaml") if block.startswith("family:"))
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = Starcoder2Config(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, **heads)
    assert config.model_type not in FAMILIES
    model = AutoModelForCausalLM.from_config(config)
    row = Family(**yaml.safe_load(block)["family"])
    use_family(model, row)
    assert unit_sites(model)[-1].stop == 2 * (5 * 16 + 24)
    assert derive_family(model).family == row


def test_pages_ask_for_nothing_from_elsewhere():
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    style = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "assets").glob("*.css"))
    assert "\n  font: false\n" in settings, "no web font"
    assert "://" not in settings + style
    for page in PAGES:
        assert not re.search(r"(src=[\"']?|!\[[^]]*\]\()https?:", page.read_text(encoding="utf-8")), page.name
