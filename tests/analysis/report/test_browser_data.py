"""Data of a report's figures in a real browser: downloads are the rows, and tables show what is drawn."""

import pytest
from babelscope.analysis.findings import read_rows

from tests.analysis.report.browser import needs_browser
from tests.analysis.report.report_in_browser import HOSTILE, PANEL, STEPS, bring, downloaded, line, opened

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(window, mixed_page):
    with opened(window, mixed_page) as browser:
        yield browser


def test_a_download_is_exactly_the_data(browser, mixed_run):
    title = "Experts that two languages have in common"
    bring(browser, title)
    name, rows = downloaded(browser, title)
    assert name == "mixed-experts-1.csv"
    found = {(row["measure"], int(row["step"])): row for row in rows}
    assert len(found) == len(rows) == 4 * len(STEPS)
    for row in read_rows(mixed_run / "results").to_pylist():
        if row["metric"] == "overlap_mean" and row["language"] is None:
            said = found["same concept", row["step"]]
            assert float(said["overlap"]) == pytest.approx(row["value"], rel=1e-4)
            assert int(said["tokens"]) == row["tokens"]
            assert float(said["overlap_low"]) < float(said["overlap"]) < float(said["overlap_high"])


def test_a_download_of_a_map_has_all_its_steps_and_names_as_they_are(browser, mixed_run):
    title = "Language by language"
    bring(browser, title)
    _, rows = downloaded(browser, title)
    found = {(r["measure"], int(r["step"]), r["language"], r["other_language"]): r for r in rows}
    assert len(found) == len(rows) == 4 * len(STEPS) * 16 * 16
    seen = 0
    for row in read_rows(mixed_run / "results").to_pylist():
        if row["metric"] == "transfer_ap_mean":
            said = found["transfer", row["step"], row["language"], row["other_language"]]
            assert float(said["transfer_ap"]) == pytest.approx(row["value"], rel=1e-4)
            seen += 1
    assert seen == len(STEPS) * 16 * 15
    assert found["overlap", 512, HOSTILE, HOSTILE]["overlap"] == ""


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
