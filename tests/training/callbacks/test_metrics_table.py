"""The documentation's table of metrics names what the analyses write."""

import re
from fnmatch import fnmatchcase

import pytest
from babelscope.analysis.findings import read_rows
from babelscope.model import build_model, preset
from babelscope.training.callbacks import (
    CheckpointHealth,
    ExpertNeurons,
    LanguageProbe,
    ParallelAlignment,
    PerLanguageLoss,
    Steering,
)
from transformers import AutoTokenizer

from tests.places import ROOT

from ...conftest import TINY_MODEL

PAGE = ROOT / "docs" / "metrics.md"


def table() -> list[list[str]]:
    """Cells of the page's table, without its head."""
    (lines,) = [
        part.splitlines() for part in PAGE.read_text(encoding="utf-8").split("\n\n") if part.startswith("| metric |")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture(scope="module")
def written(toy_store, tmp_path_factory) -> dict[str, set[str]]:
    """Metrics by analysis, of one model under two steps."""
    results = tmp_path_factory.mktemp("all") / "results"
    tokenizer = AutoTokenizer.from_pretrained(toy_store / "tokenizer")
    model = build_model(preset("toy", **TINY_MODEL), seed=0)
    for callback in (
        PerLanguageLoss(max_tokens=200, context=16),
        LanguageProbe(tokens_per_language=60, seeds=[0]),
        ExpertNeurons(k=10, min_sentences=4),
        Steering(seeds=3, length=4),
        ParallelAlignment(max_sentences=8, permutations=3),
        CheckpointHealth(max_tokens=200, context=16),
    ):
        callback.store = str(toy_store)
        for step in (0, 1) if isinstance(callback, CheckpointHealth) else (1,):
            callback.run(model, tokenizer, step, step * 10, results)
    found: dict[str, set[str]] = {}
    for row in read_rows(results).to_pylist():
        found.setdefault(row["analysis"], set()).add(row["metric"])
    return found


def test_every_metric_of_the_table_is_written(written):
    rows = table()
    analyses = [re.findall(r"`([^`]+)`", cells[0])[0] for cells in rows]
    assert set(analyses) == set(written), "all analyses have a row"
    for cells, analysis in zip(rows, analyses, strict=True):
        assert len(cells) == 4
        names = re.findall(r"`([^`]+)`", " ".join(cells))
        assert len(names) > 1, "names of metrics beside the analysis"
        for name in names[1:]:
            pattern = name.replace("NN", "[0-9][0-9]")
            assert any(fnmatchcase(metric, pattern) for metric in written[analysis]), f"{analysis} has no {name}"
