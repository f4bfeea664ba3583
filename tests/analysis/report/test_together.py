"""What is said before runs are compared, of files that are damaged, and of text that could not be used."""

import json

from babelscope.analysis.findings import findings_path, read_rows
from babelscope.analysis.report.run import left_out_notice
from babelscope.analysis.report.together import different_languages
from babelscope.analysis.report.write import write_report

from tests.synthetic_run import synthetic_run

STEPS = (0, 1, 8)


def test_runs_of_other_languages_are_told_apart(tmp_path):
    one = synthetic_run(tmp_path / "one", steps=STEPS, last=8, languages=("en", "es", "sw"))
    two = synthetic_run(tmp_path / "two", steps=STEPS, last=8, languages=("en", "es", "te", "ur"))
    rows = {run.name: read_rows(run / "results") for run in (one, two)}
    said = different_languages(rows)
    assert "probe: en, es in all, one alone sw; two alone te, ur" in said
    assert different_languages({"one": rows["one"], "again": rows["one"]}) == ""
    assert different_languages({"one": rows["one"]}) == ""
    page = write_report([one, two], tmp_path / "both.html").read_text(encoding="utf-8")
    assert page.count("The runs are not of the same languages") == 2


def test_one_checkpoint_is_no_course_of_learning(tmp_path):
    one = synthetic_run(tmp_path / "one", steps=(8,), last=8, analyses=("probe",))
    two = synthetic_run(tmp_path / "two", steps=(8,), last=8, analyses=("probe",))
    several = synthetic_run(tmp_path / "several", steps=STEPS, last=8)
    for runs, said in (
        ([one], "What was measured on one checkpoint of this model:"),
        ([one, two], "What was measured on one checkpoint of each of these models:"),
        ([several], "What was measured while this model learned:"),
        ([one, several], "What was measured while these models learned:"),
    ):
        assert said in write_report(runs, tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_report_is_made_of_what_is_whole(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=STEPS, last=8)
    findings_path(run / "results", "probe", 1).write_bytes(b"PAR1 cut short")
    page = write_report([run]).read_text(encoding="utf-8")
    assert "Damaged files were set aside, and are not in what follows: probe/step_00000001.parquet." in page
    assert "<h2>Language identity</h2>" in page
    # Once more: the file was set aside, and still is told.
    assert "probe/step_00000001.parquet." in write_report([run]).read_text(encoding="utf-8")


def test_what_a_store_leaves_out_is_told_once_more(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=STEPS, last=8)
    problems = {"sw": {"empty": 3, "too_long": 0}, "te": {"empty": 1200, "malformed": 2}}
    manifest = {"languages": {language: {"problems": counts} for language, counts in problems.items()}}
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "manifest.json").write_text(json.dumps(manifest))
    (run / "config.yaml").write_text("data: {store: store}\n")
    said = "Documents that the store leaves out: empty: te 1,200, sw 3; malformed: te 2."
    assert left_out_notice("data: {store: store}", run) == said
    assert write_report([run]).read_text(encoding="utf-8").count(said) == 1
    assert left_out_notice("data: {store: elsewhere}", run) == ""
    (tmp_path / "store" / "manifest.json").write_text('{"languages": [1]}')
    assert left_out_notice("data: {store: store}", run) == ""
