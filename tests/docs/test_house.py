"""The page on the house shows every file of the project, and every file says what it is for."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

HOOK = ROOT / "docs" / "hooks" / "house.py"


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("house", HOOK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def belonging(hook) -> list[str]:
    """Files of the folders on the page that belong to the project."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *hook.FOLDERS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: the files that belong to the project are unknown")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def rooms(page: str) -> dict[str, str]:
    """Text of the page by folder."""
    parts = re.split(r"^#+ `(.+)/` \{.*\}$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_file_has_its_place(hook, belonging):
    found = rooms(hook.house())
    for name in belonging:
        path = Path(name)
        if path.suffix in hook.TEXT and path.name != "__init__.py":
            assert f"`{path.name}`" in found[path.parent.as_posix()], name
    assert set(found) <= {folder.as_posix() for name in belonging for folder in Path(name).parents}, "only its own"


def test_every_file_says_what_it_is_for(hook, belonging):
    data = ("configs/concepts/lexicon/", "configs/concepts/sentences/")
    silent = [
        name
        for name in belonging
        if Path(name).suffix in {".py", *hook.COMMENTS}
        and not name.startswith(data)
        and not hook.first_line(ROOT / name)
    ]
    assert not silent, "begin each with a docstring or a comment"
    for name in belonging:
        folder = (ROOT / name).parent
        assert hook.purpose(folder) or (folder / "__init__.py").exists() or name.startswith(("tests/", "docs/")), (
            f"{folder} has no line"
        )


def test_the_page_on_the_house_asks_for_it(hook):
    text = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    assert hook.on_page_markdown(text) != text


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", '"""What it is. And more.\n\nDetails.\n"""\n', "What it is. And more."),
        ("a.py", "x = 1\n", ""),
        ("a.yaml", "# One thing, in\n# two lines. Another.\nkey: 1\n", "One thing, in two lines."),
        ("a.yaml", "key: 1  # no\n", ""),
        ("a.sh", "#!/bin/sh\n#SBATCH --nodes=1\n#\n# Run it:\n#\n# more\n", "Run it."),
        ("a.js", "/* Draws. */\n/* More. */\nlet x;\n", "Draws."),
        ("a.css", "/* The look. */\na {}\n", "The look."),
        ("a.css", "/* The look,\n   in two lines. */\n", "The look, in two lines."),
        ("a.md", "# Title\n\nText\n", "Title"),
    ],
)
def test_first_lines(hook, tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert hook.first_line(path) == said


def test_nothing_in_a_line_is_taken_for_markup(hook):
    assert hook.plain("a | b_c <d> `e | f_g`") == r"a \| b\_c \<d> `e | f_g`"
