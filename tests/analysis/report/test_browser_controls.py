"""Controls of a report in a real browser: slider, choices, axis, legend, theme and the width of the window."""

import pytest
from babelscope.analysis.findings import read_rows

from tests.analysis.report.browser import needs_browser
from tests.analysis.report.report_in_browser import HOSTILE, LABEL, PANEL, SCREEN, STEPS, bring, drawn, line, opened

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(window, mixed_page):
    with opened(window, mixed_page) as browser:
        yield browser


def test_the_slider_moves_through_the_steps(browser, mixed_run):
    title = "Accuracy from layer to layer"
    bring(browser, title)
    before = line(browser, title, "this step")
    assert browser.run(LABEL, title) == "step 512 · 1.05M tokens"
    browser.run(
        PANEL
        + """const slider = panel.querySelector('input'); slider.value = 2;
        slider.dispatchEvent(new Event('input', {bubbles: true}));""",
        title,
    )
    assert browser.run(LABEL, title) == "step 8 · 16.4k tokens"
    after = line(browser, title, "this step")
    assert after["y"] != before["y"]
    expected = {
        row["layer"]: row["value"] for row in read_rows(mixed_run / "results").to_pylist()
        if row["metric"] == "accuracy_mean" and row["step"] == 8
    }  # fmt: skip
    assert after["y"] == pytest.approx([expected[layer] for layer in range(5)], rel=1e-4)
    assert browser.run(PANEL + "return panel.querySelector('input').getAttribute('aria-valuetext');", title).startswith(
        "step 8"
    )


def test_play_runs_to_the_last_step(browser):
    title = "Recall of each language"
    bring(browser, title)
    browser.run(PANEL + "panel.querySelector('.play').click();", title)
    assert browser.run(LABEL, title).startswith("step 0")
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


def test_figures_follow_the_width_of_the_window(browser):
    title = "Accuracy from layer to layer"
    bring(browser, title)
    fits = (
        PANEL
        + """const plot = panel.querySelector('.plot'), svg = panel.querySelector('svg.main-svg');
        return innerWidth === arguments[1] && Math.abs(svg.getBoundingClientRect().width - plot.clientWidth) <= 1;"""
    )
    for width in (700, SCREEN[0]):
        browser.size(width, SCREEN[1])
        browser.until(fits, title, width)
