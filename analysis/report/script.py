"""The page's own script and style sheet, joined from the files in `assets/`.

All aggregation was done before: what a figure shows is read from its traces.
"""

from functools import cache
from importlib.resources import files

SCRIPTS = ("figures.js", "data.js", "controls.js", "page.js")
"""In the order in which they use each other; they share one scope."""
STYLES = ("page.css",)


@cache
def script() -> str:
    """The script: strict, and with no name of its own outside."""
    return f'"use strict";\n(() => {{\n{_joined(SCRIPTS)}}})();\n'


@cache
def style() -> str:
    """The style sheet."""
    return _joined(STYLES)


def _joined(names: tuple[str, ...]) -> str:
    folder = files(__package__) / "assets"
    return "".join((folder / name).read_text(encoding="utf-8") for name in names)
