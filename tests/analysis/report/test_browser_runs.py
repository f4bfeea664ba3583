"""Reports of several runs and of checkpoints that are not sound, in a real browser, and what is left after printing."""

from babelscope.analysis.report.write import write_report

from tests.analysis.report.browser import needs_browser
from tests.analysis.report.report_in_browser import LABEL, PANEL, STEPS, bring, downloaded, drawn, opened
from tests.synthetic_analyses import write_health
from tests.synthetic_run import synthetic_run

pytestmark = needs_browser


def test_runs_without_a_step_show_the_one_before(tmp_path, window):
    other = synthetic_run(tmp_path / "other", steps=(0, 8), last=512, mix=0.0, analyses=("probe",))
    first = synthetic_run(tmp_path / "mixed", steps=STEPS, last=512, analyses=("probe",))
    page = write_report([first, other], tmp_path / "both.html")
    with opened(window, page) as browser:
        title = "Accuracy from layer to layer"
        bring(browser, title)
        assert browser.run(LABEL, title).startswith("step 512 ")
        browser.run(PANEL + "panel.querySelectorAll('.controls button')[1].click();", title)
        assert browser.run(LABEL, title).startswith("step 8 ")
        _, rows = downloaded(browser, title)
        assert {row["run"] for row in rows} == {"mixed", "other"}
        width = PANEL + "return panel.querySelector('svg.main-svg').getBoundingClientRect().width;"
        on_screen = browser.run(width, title)
        browser.run("dispatchEvent(new Event('beforeprint'));")
        assert browser.run(width, title) != on_screen
        browser.run("dispatchEvent(new Event('afterprint'));")
        assert browser.run(width, title) == on_screen


def test_hollow_points_stand_apart_with_their_reason_and_follow_the_legend(tmp_path, window):
    run = synthetic_run(tmp_path / "doubtful", steps=(0, 1, 8, 16, 64, 512), last=512, analyses=("probe", "validation"))
    write_health(run, ("aru", "bek"), 2048, copies={64: 1}, broken=[8])
    with opened(window, write_report([run])) as browser:
        title = "Accuracy over training"
        bring(browser, title)

        def all_layers():
            return [
                trace
                for trace in drawn(browser, title)
                if trace["name"] == "all layers" and not trace["meta"].get("band")
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
            browser.run("return document.querySelector('.verdicts h3').textContent;")
            == "2 of 6 checkpoints are not sound"
        )
