"""A report of work that is not done says how far it has come."""

import json

import pytest
from babelscope.analysis.findings import Findings, read_rows, write_findings
from babelscope.analysis.report import write_report
from babelscope.analysis.report_progress import progress_of

ROWS = [{"metric": "chance", "value": 0.5}]


def sweep(folder, done, *, names=("health", "probe"), source="nowhere/model", **more):
    for name, steps in done.items():
        for step in steps:
            write_findings(Findings.from_rows(name, step, ROWS), folder / "results")
    common = {"source": [{"path": source, "steps": None, "subfolder": None}]}
    content = {"common": common, "analyses": {name: {} for name in names}, **more}
    (folder / "sweep.json").write_text(json.dumps(content), encoding="utf-8")
    return progress_of(folder, read_rows(folder / "results"), None)


def checkpoints(folder, steps):
    for step in steps:
        path = folder / f"step_{step:08d}"
        path.mkdir(parents=True)
        (path / "config.json").write_text("{}")


def test_a_half_done_sweep_says_how_many_of_how_many(tmp_path):
    said = sweep(tmp_path, {"health": [1, 8], "probe": [1]}, steps=[1, 8, 64, 512])
    assert said == (
        "Not done yet: 1 of 4 checkpoints have all of their analyses (health, probe) (step 8 lacks probe). What is shown "
        "is what there was when this page was made."
    )
    assert sweep(tmp_path, {"health": [64, 512], "probe": [8, 64, 512]}, steps=[1, 8, 64, 512]) == ""


@pytest.mark.parametrize("place", ["model/checkpoints", "model"])
def test_steps_of_a_local_source_are_counted(tmp_path, place):
    checkpoints(tmp_path / place, (1, 8, 64))
    run = tmp_path / "runs" / "sweep"
    said = sweep(run, {"health": [1], "probe": [1]}, source="model")
    assert said.startswith("Not done yet: 1 of 3 checkpoints have all of their analyses (health, probe).")


def test_where_nobody_knows_how_many_that_is_said(tmp_path):
    assert sweep(tmp_path, {"health": [1], "probe": [1]}) == ""
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "step_00000008.claim").write_text("{}")
    said = sweep(tmp_path, {"health": [1], "probe": [1]})
    assert said.startswith("Not done yet: 1 checkpoint has all of their analyses (health, probe).")
    assert "How many there will be is not recorded." in said


def test_many_incomplete_checkpoints_are_counted(tmp_path):
    said = sweep(tmp_path, {"health": range(8)}, steps=list(range(9)))
    assert "step 4 lacks probe; 3 more lack some)" in said


def test_training_that_goes_on(tmp_path):
    write_findings(Findings.from_rows("training", 512, ROWS), tmp_path / "results")
    rows = read_rows(tmp_path / "results")
    said = progress_of(tmp_path, rows, {"trainer": {"max_steps": 1200}})
    assert said.startswith("Not done yet: training has come to step 512 of 1,200.")
    for done in ({"trainer": {"max_steps": 512}}, {"trainer": {"max_steps": -1}}, {"trainer": None}, {}, None, "text"):
        assert progress_of(tmp_path, rows, done) == ""


def test_the_page_says_it_first(tmp_path):
    sweep(tmp_path, {"health": [1], "probe": [1]}, steps=[1, 8])
    page = write_report([tmp_path]).read_text(encoding="utf-8")
    assert 0 < page.index("Not done yet: 1 of 2 checkpoints") < page.index("<main>")
