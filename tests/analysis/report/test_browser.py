"""The page in a real browser, as it opens: figures drawn when they come into view, nothing fetched, nothing foreign run."""

import pytest

from tests.analysis.report.browser import needs_browser
from tests.analysis.report.report_in_browser import FIGURES, bring, count, opened, titles

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser(window, mixed_page):
    with opened(window, mixed_page) as browser:
        yield browser


def test_figures_are_drawn_when_they_come_into_view(browser):
    browser.until("return document.querySelectorAll('.canvas.js-plotly-plot').length > 0;")
    before = count(browser)
    assert before < len(titles(browser)) == FIGURES
    bring(browser, titles(browser)[-1])
    assert before < count(browser) < FIGURES


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
