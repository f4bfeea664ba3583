"""The whole page in a real browser, on paper and on a phone: every figure drawn, within its width, names still text."""

import pytest

from tests.analysis.report.browser import needs_browser
from tests.analysis.report.report_in_browser import FIGURES, count, empty, opened, titles

pytestmark = needs_browser


@pytest.fixture(scope="module")
def paper(window, mixed_page):
    """The page as it is laid out for a printer."""
    with opened(window, mixed_page) as browser:
        browser.run("dispatchEvent(new Event('beforeprint'));")
        yield browser
        # Others load the page again, at their size.
        browser.address = ""


def test_paper_gets_every_figure(paper):
    assert count(paper) == len(titles(paper)) == FIGURES
    assert empty(paper) == []
    widths = paper.run(
        "return [...document.querySelectorAll('svg.main-svg')].map(one => one.getBoundingClientRect().width);"
    )
    assert max(widths) <= 680


def test_paper_is_laid_out_in_pages(paper):
    paper.command("Emulation.setEmulatedMedia", media="print")
    main = paper.run("""
        const box = document.querySelector('main').getBoundingClientRect();
        return [box.left, document.documentElement.clientWidth - box.right, box.width];
    """)
    assert main[0] == pytest.approx(main[1], abs=1)
    assert main[2] == 680
    # Two figures, their captions and a heading have room on a sheet of A4 or Letter.
    curves = paper.run("""
        return [...document.querySelectorAll('figure.panel')].filter(panel => !panel.querySelector('.heatmaplayer image'))
          .map(panel => panel.getBoundingClientRect().height);
    """)
    assert sorted(curves)[len(curves) // 2] < 430
    paper.command("Emulation.setEmulatedMedia", media="")


def test_names_from_the_run_stay_text(paper):
    assert paper.run("return document.querySelectorAll('img, figure b, .mind b, .js-plotly-plot a').length;") == 0
    shown = paper.run("return [...document.querySelectorAll('figure.panel .ytick text')].map(one => one.textContent);")
    assert any(text.startswith("</script><b>") for text in shown)
    assert "مرحبا" in shown


def test_every_control_has_a_name(paper):
    nameless = paper.run("""
        return [...document.querySelectorAll('button, input, select, summary')].filter(one =>
          !one.textContent.trim() && !one.getAttribute('aria-label') && !(one.labels && one.labels.length)).length;
    """)
    assert nameless == 0


def test_a_phone_needs_no_sideways_scrolling(paper):
    paper.size(390, 844, mobile=True)
    paper.run("dispatchEvent(new Event('afterprint'));")
    paper.until("""
        return [...document.querySelectorAll('.plot')].every(plot => {
          const svg = plot.querySelector('svg.main-svg');
          return Math.abs(svg.getBoundingClientRect().width - plot.clientWidth) <= 1;
        });
    """)
    assert paper.run("return document.documentElement.scrollWidth;") == 390
    too_wide = paper.run("""
        return [...document.querySelectorAll('header *, .bar *, main *')].filter(one =>
          one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('svg, .table-scroll, pre'))
          .map(one => one.outerHTML.slice(0, 80));
    """)
    assert too_wide == []
