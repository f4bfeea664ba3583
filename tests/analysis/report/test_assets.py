"""The page's scripts and style sheet as files: each is whole by itself, and a browser reads all of it."""

import re

import pytest
from babelscope.analysis.report.script import SCRIPTS, STYLES, script, style

from tests.analysis.report.browser import needs_browser
from tests.places import ROOT

ASSETS = ROOT / "analysis" / "report" / "assets"


def blocks(text: str) -> int:
    """Blocks of a style sheet that lie in no other one."""
    depth = found = 0
    for char in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL):
        depth += {"{": 1, "}": -1}.get(char, 0)
        found += char == "}" and depth == 0
    assert depth == 0
    return found


def test_every_file_is_used_and_says_what_it_is_for():
    assert {path.name for path in ASSETS.iterdir()} == {*SCRIPTS, *STYLES}
    for name in (*SCRIPTS, *STYLES):
        text = (ASSETS / name).read_text(encoding="utf-8")
        assert text.startswith("/* ")
        assert text in (script() if name in SCRIPTS else style())
        assert "</script" not in text
        assert "</style" not in text


@needs_browser
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_valid_by_itself(window, name):
    window.open("about:blank")
    text = (ASSETS / name).read_text(encoding="utf-8")
    window.run("new Function(arguments[0]);", text)
    with pytest.raises(RuntimeError, match="Unexpected token"):
        window.run("new Function(arguments[0]);", text + "{")


@needs_browser
@pytest.mark.parametrize("name", STYLES)
def test_a_browser_takes_every_block_of_a_style_sheet(window, name):
    window.open("about:blank")
    text = (ASSETS / name).read_text(encoding="utf-8")
    count = "const sheet = new CSSStyleSheet(); sheet.replaceSync(arguments[0]); return sheet.cssRules.length;"
    assert window.run(count, text) == blocks(text) > 50
    assert window.run(count, text + "p { color: red } }\nq { color: red }") < blocks(text) + 2
