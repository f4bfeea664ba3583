"""The page in a real browser: every figure drawn, nothing fetched, no complaint, data downloaded, controls that work."""

import csv
import io
from pathlib import Path

import pytest
from babelscope.analysis.findings import read_rows
from babelscope.analysis.report import write_report

from tests.browser import chromium, missing_browser, wait
from tests.synthetic_analyses import write_health
from tests.synthetic_run import EVERYTHING, synthetic_run

pytestmark = pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "there is a browser")

STEPS = (0, 1, 8, 512)
HOSTILE = '</script><b>"bek"</b>, &amp; <img src=x onerror=alert(1)>'
LANGUAGES = ("aru", HOSTILE, "سواح", *(f"l{index:02d}" for index in range(13)))
"""Sixteen names: one that tries to be markup, one from right to left."""

PANEL = "const panel = [...document.querySelectorAll('figure.panel')].find(one => one.querySelector('h3').textContent === arguments[0]);"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return synthetic_run(
        tmp_path_factory.mktemp("runs") / "mixed", steps=STEPS, last=512, languages=LANGUAGES,
        concepts=("animals", HOSTILE, "مرحبا"), warnings=(HOSTILE,), note="A note.", analyses=EVERYTHING, layers=5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser(run, tmp_path_factory):
    page = write_report([run])
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        browser.size(1400, 1000)
        browser.open(page.as_uri())
        browser.run("document.documentElement.style.scrollBehavior = 'auto'")
        yield browser
        # Whatever the tests did, the console stayed empty and nothing was asked for.
        assert browser.complaints() == []
        assert browser.requests() == []


def bring(browser, title):
    browser.run(PANEL + "panel.scrollIntoView({block: 'center'});", title)
    browser.until(PANEL + "return panel.querySelectorAll('svg.main-svg').length > 0;", title)


def drawn(browser, title):
    """x, y or z of the lines and maps as plotly has them."""
    return browser.run(
        PANEL
        + """return [...panel.querySelector('.canvas').data].map(trace => ({name: trace.name, visible: trace.visible,
        x: [...(trace.x || [])], y: [...(trace.y || [])], z: trace.z, meta: trace.meta, text: trace.text}));""",
        title,
    )


def line(browser, title, name):
    return next(trace for trace in drawn(browser, title) if trace["name"] == name)


def titles(browser):
    return browser.run("return [...document.querySelectorAll('figure.panel h3')].map(one => one.textContent);")


def downloaded(browser, title):
    before = set(browser.downloads.iterdir())
    browser.run(PANEL + "panel.querySelector('.download').click();", title)

    def arrived() -> list[Path]:
        return [path for path in set(browser.downloads.iterdir()) - before if path.suffix == ".csv"]

    (path,) = wait(arrived, "a download")
    return path.name, list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_figures_are_drawn_when_they_come_into_view(browser):
    count = "return document.querySelectorAll('.canvas.js-plotly-plot').length;"
    browser.until("return document.querySelectorAll('.canvas.js-plotly-plot').length > 0;")
    assert browser.run(count) < len(titles(browser))
    for title in titles(browser):
        bring(browser, title)
        shapes = browser.run(
            PANEL
            + "return panel.querySelectorAll('.scatterlayer .trace, .heatmaplayer image, .barlayer .trace').length;",
            title,
        )
        assert shapes > 0, title
    assert browser.run(count) == len(titles(browser)) == 36


def test_the_policy_stops_foreign_scripts_and_requests(browser):
    browser.run("""
        window.foreign = false;
        const script = document.createElement('script');
        script.textContent = 'window.foreign = true';
        document.body.append(script);
    """)
    assert browser.run("return window.foreign;") is False
    assert browser.run("return fetch('http://127.0.0.1:9/').then(() => 'fetched', () => 'refused');") == "refused"
    # Both were refused by the policy, and it said so: that is what the console holds now.
    refusals = browser.complaints()
    assert len(refusals) >= 2
    assert all("Content Security Policy" in refusal for refusal in refusals)
    assert browser.requests() == []


def test_a_download_is_exactly_the_data(browser, run):
    title = "Experts that two languages have in common"
    bring(browser, title)
    name, rows = downloaded(browser, title)
    assert name == "mixed-experts-1.csv"
    found = {(row["measure"], int(row["step"])): row for row in rows}
    assert len(found) == len(rows) == 4 * len(STEPS)
    for row in read_rows(run / "results").to_pylist():
        if row["metric"] == "overlap_mean" and row["language"] is None:
            said = found["same concept", row["step"]]
            assert float(said["overlap"]) == pytest.approx(row["value"], rel=1e-4)
            assert int(said["tokens"]) == row["tokens"]
            assert float(said["overlap_low"]) < float(said["overlap"]) < float(said["overlap_high"])


def test_a_download_of_a_map_has_all_its_steps_and_names_as_they_are(browser, run):
    title = "Language by language"
    bring(browser, title)
    _, rows = downloaded(browser, title)
    found = {(r["measure"], int(r["step"]), r["language"], r["other_language"]): r for r in rows}
    assert len(found) == len(rows) == 4 * len(STEPS) * 16 * 16
    seen = 0
    for row in read_rows(run / "results").to_pylist():
        if row["metric"] == "transfer_ap_mean":
            said = found["transfer", row["step"], row["language"], row["other_language"]]
            assert float(said["transfer_ap"]) == pytest.approx(row["value"], rel=1e-4)
            seen += 1
    assert seen == len(STEPS) * 16 * 15
    assert found["overlap", 512, HOSTILE, HOSTILE]["overlap"] == ""


def test_the_slider_moves_through_the_steps(browser, run):
    title = "Accuracy from layer to layer"
    bring(browser, title)
    before = line(browser, title, "this step")
    label = PANEL + "return panel.querySelector('output').textContent;"
    assert browser.run(label, title) == "step 512 · 1.05M tokens"
    browser.run(
        PANEL
        + """const slider = panel.querySelector('input'); slider.value = 2;
        slider.dispatchEvent(new Event('input', {bubbles: true}));""",
        title,
    )
    assert browser.run(label, title) == "step 8 · 16.4k tokens"
    after = line(browser, title, "this step")
    assert after["y"] != before["y"]
    expected = {
        row["layer"]: row["value"] for row in read_rows(run / "results").to_pylist()
        if row["metric"] == "accuracy_mean" and row["step"] == 8
    }  # fmt: skip
    assert after["y"] == pytest.approx([expected[layer] for layer in range(5)], rel=1e-4)
    assert browser.run(PANEL + "return panel.querySelector('input').getAttribute('aria-valuetext');", title).startswith(
        "step 8"
    )


def test_play_runs_to_the_last_step(browser):
    title = "Recall of each language"
    bring(browser, title)
    label = PANEL + "return panel.querySelector('output').textContent;"
    browser.run(PANEL + "panel.querySelector('.play').click();", title)
    assert browser.run(label, title).startswith("step 0")
    browser.until(PANEL + "return panel.querySelector('output').textContent.startsWith('step 512 ');", title)


def test_a_choice_shows_another_measure(browser):
    title = "Language by language"
    bring(browser, title)
    (before,) = drawn(browser, title)
    browser.run(
        PANEL + "[...panel.querySelectorAll('.controls button')].find(b => b.textContent === 'control').click();", title
    )
    (after,) = drawn(browser, title)
    assert after["z"] != before["z"]
    pressed = browser.run(
        PANEL + "return [...panel.querySelectorAll('.controls [aria-pressed=true]')].map(b => b.textContent);", title
    )
    assert pressed == ["control"]


def test_the_axis_toggles_between_steps_and_tokens_log_and_linear(browser):
    title = "Experts that two languages have in common"
    bring(browser, title)
    press = "document.querySelector(`.axes button[value=${arguments[0]}]`).click();"

    def state():
        axis = browser.run(PANEL + "const axis = panel.querySelector('.canvas')._fullLayout.xaxis;"
                           "return [axis.title.text, axis.ticktext];", title)  # fmt: skip
        return line(browser, title, "same concept")["x"], *axis

    log_steps = [
        0,
        1,
        pytest.approx(3.1699, abs=1e-3),
        pytest.approx(9.0028, abs=1e-3),
    ]
    x, name, labels = state()
    assert (x, name) == (log_steps, "optimizer step")
    assert labels[:2] == ["0", "1"]
    browser.run(press, "tokens")
    x, name, labels = state()
    assert (x, name) == (log_steps, "training tokens")
    assert labels[0] == "0"
    assert labels[-1] in ("500k", "1M")
    browser.run(press, "linear")
    assert state()[0] == [step * 2048 for step in STEPS]
    browser.run(press, "steps")
    assert state()[0] == list(STEPS)
    browser.run(press, "log")
    assert state()[0] == log_steps


def test_the_legend_hides_and_isolates_lines(browser):
    title = "Which languages share"
    bring(browser, title)
    chips = (
        PANEL + "const chip = [...panel.querySelectorAll('.legend button')].find(b => b.textContent === arguments[1]);"
    )
    assert browser.run(PANEL + "return panel.querySelectorAll('.legend button').length;", title) == 17
    browser.run(chips + "chip.click();", title, HOSTILE)
    hidden = [trace for trace in drawn(browser, title) if trace["visible"] is False]
    assert [trace["meta"]["id"]["language"] for trace in hidden] == [HOSTILE]
    browser.run(chips + "chip.click();", title, HOSTILE)
    browser.run(chips + "chip.dispatchEvent(new Event('dblclick'));", title, "aru")
    assert [trace["name"] for trace in drawn(browser, title) if trace["visible"]] == ["aru"]
    browser.run(chips + "chip.dispatchEvent(new Event('dblclick'));", title, "aru")
    assert all(trace["visible"] for trace in drawn(browser, title))


def test_the_table_says_what_the_figure_shows(browser):
    title = "Validation loss of each language"
    bring(browser, title)
    browser.run(PANEL + "panel.querySelector('details').open = true;", title)
    browser.until(PANEL + "return panel.querySelectorAll('tbody tr').length;", title)
    head, body = browser.run(
        PANEL + "const texts = part => [...part.children].map(cell => cell.textContent);"
        "return [texts(panel.querySelector('thead tr')), [...panel.querySelectorAll('tbody tr')].map(texts)];",
        title,
    )
    assert head[0] == "step"
    assert HOSTILE in head
    assert [row[0] for row in body] == [f"{step:,}" for step in STEPS]
    column = head.index("aru")
    expected = line(browser, title, "aru")["y"]
    assert [float(row[column]) for row in body] == pytest.approx(expected, rel=1e-3)
    browser.run(PANEL + "panel.querySelector('details').open = false;", title)


def test_names_from_the_run_stay_text(browser):
    assert browser.run("return document.querySelectorAll('img, figure b, .mind b, .js-plotly-plot a').length;") == 0
    bring(browser, "Concept by concept")
    shown = browser.run(
        "return [...document.querySelectorAll('figure.panel .ytick text')].map(one => one.textContent);"
    )
    assert any(text.startswith("</script><b>") for text in shown)
    assert "مرحبا" in shown


def test_dark_pages_have_their_own_colours(browser):
    title = "Experts that two languages have in common"
    bring(browser, title)
    colour = (
        PANEL + "return panel.querySelector('.canvas').data.find(trace => trace.name === 'same concept').line.color;"
    )
    light = browser.run(colour, title)
    browser.theme("dark")
    try:
        browser.until(
            PANEL
            + f"return panel.querySelector('.canvas').data.find(t => t.name === 'same concept').line.color !== '{light}';",
            title,
        )
        assert browser.run("return getComputedStyle(document.body).backgroundColor;") == "rgb(16, 21, 26)"
    finally:
        browser.theme("light")
    browser.until(
        PANEL
        + f"return panel.querySelector('.canvas').data.find(t => t.name === 'same concept').line.color === '{light}';",
        title,
    )


def test_every_control_has_a_name(browser):
    nameless = browser.run("""
        return [...document.querySelectorAll('button, input, select, summary')].filter(one =>
          !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length;
    """)
    assert nameless == 0


def test_paper_gets_every_figure_in_light(browser):
    browser.run("dispatchEvent(new Event('beforeprint'));")
    assert browser.run("return document.querySelectorAll('.canvas.js-plotly-plot').length;") == len(titles(browser))
    widths = browser.run(
        "return [...document.querySelectorAll('svg.main-svg')].map(one => one.getBoundingClientRect().right);"
    )
    assert max(widths) <= 680
    browser.run("dispatchEvent(new Event('afterprint'));")
    assert browser.run("return document.querySelector('svg.main-svg').getBoundingClientRect().right;") > 400


def test_a_phone_needs_no_sideways_scrolling(browser):
    for title in titles(browser):
        bring(browser, title)
    browser.size(390, 844, mobile=True)
    try:
        browser.until("""
            return [...document.querySelectorAll('.plot')].every(plot => {
              const svg = plot.querySelector('svg.main-svg');
              return Math.abs(svg.getBoundingClientRect().width - plot.clientWidth) <= 1;
            });
        """)
        assert browser.run("return document.documentElement.scrollWidth;") == 390
        too_wide = browser.run("""
            return [...document.querySelectorAll('header *, .bar *, main *')].filter(one =>
              one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('svg, .table-scroll, pre'))
              .map(one => one.outerHTML.slice(0, 80));
        """)
        assert too_wide == []
    finally:
        browser.size(1400, 1000)


def test_runs_without_a_step_show_the_one_before(tmp_path, browser):
    other = synthetic_run(tmp_path / "other", steps=(0, 8), last=512, mix=0.0, analyses=("probe",))
    first = synthetic_run(tmp_path / "mixed", steps=STEPS, last=512, analyses=("probe",))
    page = write_report([first, other], tmp_path / "both.html")
    browser.open(page.as_uri())
    title = "Accuracy from layer to layer"
    bring(browser, title)
    label = PANEL + "return panel.querySelector('output').textContent;"
    assert browser.run(label, title).startswith("step 512 ")
    browser.run(PANEL + "panel.querySelectorAll('.controls button')[1].click();", title)
    assert browser.run(label, title).startswith("step 8 ")
    _, rows = downloaded(browser, title)
    assert {row["run"] for row in rows} == {"mixed", "other"}


def test_hollow_points_stand_apart_with_their_reason_and_follow_the_legend(tmp_path, browser):
    run = synthetic_run(tmp_path / "doubtful", steps=(0, 1, 8, 16, 64, 512), last=512, analyses=("probe", "validation"))
    write_health(run, ("aru", "bek"), 2048, copies={64: 1}, broken=[8])
    browser.open(write_report([run]).as_uri())
    title = "Accuracy over training"
    bring(browser, title)

    def all_layers():
        return [
            trace for trace in drawn(browser, title) if trace["name"] == "all layers" and not trace["meta"].get("band")
        ]

    solid, hollow = all_layers()
    assert solid["meta"]["steps"] == [0, 1, 16, 512]
    assert hollow["meta"]["steps"] == [64]
    assert hollow["y"] == [solid["y"][1]]
    assert hollow["text"] == ["step 64 · 131k tokens<br>not sound: a copy of step 1"]
    chips = PANEL + "return [...panel.querySelectorAll('.legend button')].map(chip => chip.textContent);"
    (note,) = [chip for chip in browser.run(chips, title) if chip.startswith("not sound")]
    assert note == "not sound: step 8: non-finite weights in 2 tensors, no value (×); step 64: a copy of step 1"
    press = (
        PANEL
        + "[...panel.querySelectorAll('.legend button')].find(chip => chip.textContent.startsWith(arguments[1])).click();"
    )
    browser.run(press, title, "not sound")
    assert [trace["visible"] for trace in all_layers()] == [True, False]
    browser.run(press, title, "not sound")
    browser.run(press, title, "all layers")
    assert [trace["visible"] for trace in all_layers()] == [False, False]
    _, rows = downloaded(browser, title)
    said = {(row["layers"], row["step"]): row["not_sound"] for row in rows}
    assert said["all", "64"] == "a copy of step 1"
    assert said["all", "512"] == ""
    assert (
        browser.run("return document.querySelector('.verdicts h3').textContent;") == "2 of 6 checkpoints are not sound"
    )
