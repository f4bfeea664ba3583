"""A report of work that is not done says how far it has come."""

import json

from babelscope.analysis.findings import Findings, read_rows, write_findings
from babelscope.analysis.report.progress import progress_of
from babelscope.analysis.report.write import write_report

ROWS = [{"metric": "chance", "value": 0.5}]


def sweep(folder, done, steps):
    for name, steps_done in done.items():
        for step in steps_done:
            write_findings(Findings.from_rows(name, step, ROWS), folder / "results")
    content = {"common": {}, "analyses": {"health": {}, "probe": {}}, "steps": steps}
    (folder / "sweep.json").write_text(json.dumps(content), encoding="utf-8")
    return progress_of(folder, read_rows(folder / "results"), None)


def test_a_half_done_sweep_says_how_many_of_how_many(tmp_path):
    said = sweep(tmp_path, {"health": [1, 8], "probe": [1]}, steps=[1, 8, 64, 512])
    assert said == (
        "Not done yet: 1 of 4 checkpoints have all of their analyses (health, probe) (step 8 lacks probe). What is shown "
        "is what there was when this page was made."
    )
    assert sweep(tmp_path, {"health": [64, 512], "probe": [8, 64, 512]}, steps=[1, 8, 64, 512]) == ""


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
