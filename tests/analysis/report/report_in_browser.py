"""A report open in a browser, for tests: its panels brought into view, what plotly drew, what is downloaded."""

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.patience import wait_until

from .browser import Browser

STEPS = (0, 1, 8, 512)
HOSTILE = '</script><b>"bek"</b>, &amp; <img src=x onerror=alert(1)>'
LANGUAGES = ("aru", HOSTILE, "سواح", *(f"l{index:02d}" for index in range(13)))
"""Sixteen names: one that tries to be markup, one from right to left."""
CONCEPTS = ("animals", HOSTILE, "مرحبا")
FIGURES = 36
"""On the page of a run with all of that."""
SCREEN = (1400, 1000)

PANEL = "const panel = [...document.querySelectorAll('figure.panel')].find(one => one.querySelector('h3').textContent === arguments[0]);"
LABEL = PANEL + "return panel.querySelector('output').textContent;"


@contextlib.contextmanager
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The page, loaded unless it is there. Whatever is done with it, the console stays empty and nothing is asked for.

    Loading costs seconds: who changes a page that others look at changes it back.
    """
    browser.complaints()
    browser.requests()
    if browser.address != page.as_uri():
        browser.size(*SCREEN)
        browser.open(page.as_uri())
        browser.run("document.documentElement.style.scrollBehavior = 'auto'")
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == []


def bring(browser: Browser, title: str) -> None:
    """Scroll to a panel and wait for its figure."""
    browser.run(PANEL + "panel.scrollIntoView({block: 'center'});", title)
    browser.until(PANEL + "return panel.querySelectorAll('svg.main-svg').length > 0;", title)


def drawn(browser: Browser, title: str) -> list[dict[str, Any]]:
    """x, y or z of the lines and maps as plotly has them."""
    return browser.run(
        PANEL
        + """return [...panel.querySelector('.canvas').data].map(trace => ({name: trace.name, visible: trace.visible,
        x: [...(trace.x || [])], y: [...(trace.y || [])], z: trace.z, meta: trace.meta, text: trace.text}));""",
        title,
    )


def line(browser: Browser, title: str, name: str) -> dict[str, Any]:
    """One of them."""
    return next(trace for trace in drawn(browser, title) if trace["name"] == name)


def titles(browser: Browser) -> list[str]:
    """Of all panels."""
    return browser.run("return [...document.querySelectorAll('figure.panel h3')].map(one => one.textContent);")


def count(browser: Browser) -> int:
    """How many figures are drawn."""
    return browser.run("return document.querySelectorAll('.canvas.js-plotly-plot').length;")


def empty(browser: Browser) -> list[str]:
    """Titles of panels in which nothing is drawn."""
    return browser.run("""
        return [...document.querySelectorAll('figure.panel')].filter(panel =>
          !panel.querySelectorAll('.scatterlayer .trace, .heatmaplayer image, .barlayer .trace').length)
          .map(panel => panel.querySelector('h3').textContent);
    """)


def downloaded(browser: Browser, title: str) -> tuple[str, list[dict[str, str]]]:
    """Name and rows of the file that a panel's button gives."""
    before = set(browser.downloads.iterdir())
    browser.run(PANEL + "panel.querySelector('.download').click();", title)

    def arrived() -> list[Path]:
        return [path for path in set(browser.downloads.iterdir()) - before if path.suffix == ".csv"]

    (path,) = wait_until(arrived, "a download")
    return path.name, list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
