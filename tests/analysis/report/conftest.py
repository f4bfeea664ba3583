"""A browser and a report with everything in it, made once for all tests that look at reports in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from babelscope.analysis.report.write import write_report

from tests.analysis.report.browser import Browser, chromium
from tests.analysis.report.report_in_browser import CONCEPTS, HOSTILE, LANGUAGES, STEPS
from tests.synthetic_run import EVERYTHING, synthetic_run


@pytest.fixture(scope="session")
def window(tmp_path_factory) -> Iterator[Browser]:
    """A browser."""
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def mixed_run(tmp_path_factory) -> Path:
    """A run's folder with results of all analyses."""
    return synthetic_run(
        tmp_path_factory.mktemp("runs") / "mixed", steps=STEPS, last=512, languages=LANGUAGES, concepts=CONCEPTS,
        warnings=(HOSTILE,), note="A note.", analyses=EVERYTHING, layers=5,
    )  # fmt: skip


@pytest.fixture(scope="session")
def mixed_page(mixed_run) -> Path:
    """Its report."""
    return write_report([mixed_run])
