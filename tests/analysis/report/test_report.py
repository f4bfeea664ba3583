"""The report holds what the run holds, whatever that is, and nothing of it can become markup."""

import json
import re
import time

import pytest
import yaml
from babelscope.analysis.figures.data import Series
from babelscope.analysis.findings import Findings, read_rows, write_findings
from babelscope.analysis.report.glance import KeyFigure, common_scale, key_figures, sparkline
from babelscope.analysis.report.panels import dump_json, panel_data
from babelscope.analysis.report.run import read_runs, toy_notice
from babelscope.analysis.report.sections.order import make_sections
from babelscope.analysis.report.write import write_report

from tests.synthetic_run import SIXTEEN, synthetic_run

STEPS = (0, 1, 8, 512)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return synthetic_run(tmp_path_factory.mktemp("runs") / "mixed", steps=STEPS, last=512)


@pytest.fixture(scope="module")
def page(run):
    return write_report([run]).read_text(encoding="utf-8")


def embedded(page):
    """Panels of a page by title, as the page's script reads them."""
    found = {}
    for part in page.split("<figure ")[1:]:
        title = re.search(r"<h3>(.*?)</h3>", part)[1]
        found[title] = json.loads(re.search(r'<script type="application/json">(.*?)</script>', part, re.S)[1])
    return found


def text_of(page):
    """The page without scripts and styles: what a reader can see."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)


def test_the_page_stands_alone_and_says_so_to_the_browser(run, page):
    assert (run / "report.html").read_text(encoding="utf-8") == page
    assert [name.name for name in run.iterdir() if name.name.endswith(".tmp")] == []
    assert len(page.encode()) < 7_000_000
    outside = text_of(page)
    assert not re.search(r'(?:src|href)="(?!#|data:)', outside)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline' " not in policy.split("style-src")[0]
    for heading in ("Loss", "Language identity", "Shared experts", "Depth", "Transfer", "What to keep in mind"):
        assert f"<h2>{heading}</h2>" in outside


def test_every_panel_says_how_to_read_it(run):
    for section in make_sections({"run": read_rows(run / "results")}):
        for panel in section.panels:
            assert len(panel.how_to_read) > 20
            assert panel.how_to_read.endswith(".")


def test_sliders_have_every_step_and_single_choices_vanish(page):
    panels = embedded(page)
    controls = panels["Language by language"]["controls"]
    assert [control["name"] for control in controls] == ["Measure", "Step"]
    assert controls[1] == {"name": "Step", "options": [str(step) for step in STEPS], "steps": True}
    assert len(panels["Language by language"]["frames"]) == 4 * len(STEPS)
    assert panels["Which languages share"]["controls"] == []


def test_a_panel_holds_the_numbers_of_the_rows(run, page):
    panels = embedded(page)
    rows = read_rows(run / "results").to_pylist()
    (trace,) = panels["Accuracy of each layer over training"]["frames"]["0"]["traces"]
    for row in rows:
        if row["metric"] == "accuracy_mean":
            cell = trace["z"][row["layer"]][trace["meta"]["columns"].index(row["step"])]
            assert cell == pytest.approx(row["value"], rel=1e-4)


def test_two_runs_are_compared_in_the_same_panels(run, tmp_path):
    other = synthetic_run(tmp_path / "unmixed", steps=(0, 4, 512), last=512, mix=0.0)
    page = write_report([run, other], tmp_path / "out" / "both.html").read_text(encoding="utf-8")
    panels = embedded(page)
    (frame,) = panels["Experts that two languages have in common"]["frames"].values()
    names = {trace["name"] for trace in frame["traces"] if "name" in trace}
    assert {"same concept · mixed", "same concept · unmixed"} <= names
    controls = panels["Accuracy of each layer over training"]["controls"]
    assert controls[0]["options"] == ["mixed", "unmixed"]
    steps = panels["Recall of each language"]["controls"][-1]["options"]
    assert steps == [str(step) for step in sorted({*STEPS, 4})]
    assert "mixed against unmixed" in text_of(page)


def test_runs_of_the_same_name_are_told_apart(tmp_path):
    folders = [synthetic_run(tmp_path / parent / "run", steps=(0,), analyses=("validation",)) for parent in "ab"]
    assert [found.name for found in read_runs(folders)] == ["a/run", "b/run"]


@pytest.mark.parametrize(
    ("analyses", "steps"),
    [(("training",), (8,)), (("validation",), (0, 4)), (("probe",), (0,)), (("experts",), (512,)), (("training", "experts"), (0, 8))],
)  # fmt: skip
def test_partial_runs(tmp_path, analyses, steps):
    run = synthetic_run(tmp_path / "part", steps=steps, last=512, analyses=analyses)
    page = write_report([run]).read_text(encoding="utf-8")
    assert embedded(page)
    assert ("<h2>Shared experts</h2>" in page) == ("experts" in analyses)


def test_without_tokens_the_axis_of_tokens_is_off(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0, 8), analyses=("validation",), tokens_per_step=None)
    page = text_of(write_report([run]).read_text(encoding="utf-8"))
    assert 'disabled title="The runs did not record tokens"' in page


def test_an_unknown_analysis_gets_curves_and_maps(tmp_path):
    for step in (0, 8):
        rows = [{"metric": "share", "value": step / 10, "language": language} for language in ("aru", "bek")]
        rows += [{"metric": "norm", "value": float(layer), "layer": layer} for layer in range(3)]
        write_findings(Findings.from_rows("drift", step, rows), tmp_path / "run" / "results")
    panels = embedded(write_report([tmp_path / "run"]).read_text(encoding="utf-8"))
    assert set(panels) == {"Share", "Norm"}
    assert panels["Norm"]["controls"][0]["options"] == ["curves", "layers"]
    assert [trace["name"] for trace in panels["Share"]["frames"][""]["traces"]] == ["aru", "bek"]


HOSTILE = "</script><script>alert('x')</script>\"&<img src=x onerror=alert(1)>"


def test_nothing_from_a_run_becomes_markup(tmp_path):
    run = synthetic_run(
        tmp_path / "a<b>&'c\"", steps=(0, 8), last=512, languages=("aru", HOSTILE, "سواح"), concepts=(HOSTILE, "مرحبا"),
        warnings=(HOSTILE,), note=HOSTILE,
    )  # fmt: skip
    (run / "config.yaml").write_text(f"seed: 1\nlr: {json.dumps(HOSTILE)}\n# {HOSTILE}\n", encoding="utf-8")
    for analysis in ("<i>odd</i>",):
        write_findings(Findings.from_rows("odd", 1, [{"metric": analysis, "value": 1.0}]), run / "results")
    page = write_report([run]).read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 3 + len(embedded(page))
    seen = text_of(page)
    assert "<img" not in seen
    assert "onerror=alert(1)&gt;" in seen
    assert "<i>" not in seen
    assert "a&lt;b&gt;&amp;" in seen
    traces = embedded(page)["Validation loss of each language"]["frames"]["0"]["traces"]
    assert HOSTILE in [trace["meta"]["id"]["language"] for trace in traces]
    assert 'dir="auto"' in seen


def test_json_in_a_script_element():
    said = dump_json({"a": "</script>\u2028", "b": [1, 0.1234567891, float("nan"), float("inf"), True, None]})
    assert "<" not in said
    assert "\u2028" not in said
    assert json.loads(said) == {"a": "</script>\u2028", "b": [1, 0.12346, None, None, True, None]}


def test_key_figures_say_what_they_compare_with(run):
    rows = read_rows(run / "results")
    found = {figure.title: figure for figure in key_figures(rows)}
    assert list(found) == ["Shared experts", "Transfer", "Language identity", "Loss"]

    def last(metric):
        (value,) = [
            row["value"] for row in rows.to_pylist()
            if row["metric"] == metric and row["step"] == 512 and row["language"] is None
        ]  # fmt: skip
        return value

    assert found["Shared experts"].value == f"{100 * last('overlap_mean'):.0f} %"
    assert f"{100 * last('overlap_control_mean'):.1f} % for different concepts" in found["Shared experts"].sentence
    assert "0.3 % by chance" in found["Shared experts"].sentence
    assert found["Transfer"].value == f"{last('transfer_ap_overall'):.2f}"
    assert "least in layer 0, most in layer" in found["Language identity"].sentence
    assert "chance is 25 %" in found["Language identity"].sentence
    assert found["Loss"].value == f"{last('bits_per_byte'):.2f}"
    assert sparkline(found["Loss"].course, *common_scale([found["Loss"]])).count("<polyline") == 1


def test_a_flat_line_looks_flat():
    def line(values):
        course = Series(list(range(len(values))), [None] * len(values), values)
        return course, KeyFigure("", "", "", course)

    noise, figure = line([0.003, 0.008, 0.003])
    ys = [
        float(pair.split(",")[1])
        for pair in re.search(r'points="(.*?)"', sparkline(noise, *common_scale([figure])))[1].split()
    ]
    assert max(ys) - min(ys) < 5
    assert common_scale([figure, line([0.0, 0.5])[1]]) == (0.0, 0.5)


def test_warnings_of_many_steps_are_said_once(tmp_path):
    for step in (0, 1, 8):
        found = Findings.from_rows(
            "probe", step, [{"metric": "chance", "value": 0.5}], warnings=["te left out: 12 sentences"]
        )
        write_findings(found, tmp_path / "run" / "results")
    page = text_of(write_report([tmp_path / "run"]).read_text(encoding="utf-8"))
    assert page.count("te left out: 12 sentences") == 1
    assert "(probe, 3 steps, 0 to 8)" in page


def test_the_note_of_a_run_is_said_first(tmp_path):
    run = synthetic_run(tmp_path / "run", steps=(0,), analyses=("validation",), note="A note of its own.")
    page = text_of(write_report([run]).read_text(encoding="utf-8"))
    assert page.index("A note of its own.") < page.index("<h2>Loss</h2>")
    assert page.count("A note of its own.") == 2


def test_toy_data_is_called_toy_data(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "manifest.json").write_text(json.dumps({"sources": {"aa": {"toy": {"mix": 0.6, "seed": 0}}}}))
    said = toy_notice(yaml.safe_dump({"data": {"store": str(store)}}), tmp_path)
    assert "bilingual documents are built in (mix 0.6)" in said
    assert "no evidence about natural languages" in said
    assert "negative control" in toy_notice("data: {toy: {mix: 0}}", tmp_path)
    assert toy_notice("data: {sources: [{kind: toy}]}", tmp_path)
    small_model_on_real_text = "run: runs/toy\nmodel: {preset: toy}\ndata: {store: nowhere/toy}"
    for real in ("data: {sources: [{kind: text}], toy: null}", small_model_on_real_text, "", ": : not yaml ["):
        assert toy_notice(real, tmp_path) == ""


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder / "absent", r"run='.*absent' is not a folder: give the folder that holds `results/`"),
        (lambda folder: folder, r"run='.*' has no results below '.*results': let `babelscope pretrain` or"),
    ],
)
def test_mistakes_name_the_remedy(tmp_path, prepare, message):
    with pytest.raises(ValueError, match=message):
        write_report([prepare(tmp_path)])


def test_no_run_and_the_same_run_twice(run):
    with pytest.raises(ValueError, match="no run folder given: name at least one"):
        write_report([])
    with pytest.raises(ValueError, match="is given twice: give each run once"):
        write_report([run, run])


def test_layouts_are_stored_once(run):
    (section,) = [s for s in make_sections({"": read_rows(run / "results")}) if s.slug == "experts"]
    (panel,) = [p for p in section.panels if p.title == "Language by language"]
    data = panel_data(panel)
    assert len(data["layouts"]) < len(data["frames"])


def test_a_study_of_sixteen_languages_stays_light(tmp_path):
    run = synthetic_run(
        tmp_path / "big", languages=SIXTEEN, layers=25, concepts=("a", "b"), steps=(0, 1, 2, 4, 8, 16, 1000, 5000)
    )
    began = time.process_time()
    size = write_report([run]).stat().st_size
    assert size < 6_500_000
    assert time.process_time() - began < 60, "of the processor's time, whoever else wants it: some 5 s"


def test_the_store_is_found_from_the_run_as_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "data" / "world").mkdir(parents=True)
    (tmp_path / "data" / "world" / "manifest.json").write_text(json.dumps({"sources": [{"toy": {"mix": 0.6}}]}))
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    monkeypatch.chdir(run)
    assert "mix 0.6" in toy_notice("data: {store: data/world}", run)
