"""Writes the page on the house: every folder's files with their own first lines, so that it cannot go stale."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = "<!-- the house -->"
FOLDERS = ("model", "analysis", "training", "configs", "slurm", "benchmarks", "docs", "tests")
HASH, BLOCK = (
    re.compile(r"(?:#(?:!|SBATCH).*\n|#?[ \t]*\n)*((?:#.*\n)+)"),
    re.compile(r"\s*/\*(.*?)\*/", re.DOTALL),
)
"""The comment that a file opens with; what is said to the shell or to a scheduler is passed over."""
COMMENTS = {".yaml": HASH, ".sh": HASH, ".js": BLOCK, ".css": BLOCK}
TEXT = {".py", ".md", ".csv", *COMMENTS}
WITHOUT_PACKAGE = {
    "analysis/report/assets": "The page's scripts and its style sheet.",
    "configs": "YAML files that all run as they are.",
    "configs/prepare": "Text to a tokenizer and token blocks.",
    "configs/pretrain": "Runs, with the callbacks that watch them.",
    "configs/analyze": "Series of checkpoints, with the callbacks that look at them.",
    "configs/concepts": "Concept sets: mining, word forms, and the sentences that ship.",
    "configs/concepts/lexicon": "Word forms of concepts in all languages, a file a domain.",
    "configs/concepts/sentences": "The sentences that come with Babelscope, a file a language.",
    "slurm": "Batch scripts.",
    "benchmarks": "One script for each claim of speed or memory; each prints a ratio measured side by side.",
    "docs": "These pages.",
    "docs/reference": "The Python reference, filled from docstrings.",
    "docs/hooks": "What the documentation is built with.",
    "docs/assets": "Pictures and the style sheet of these pages.",
    "tests": "Tests; the folders mirror those above.",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the folders where a page asks for them (called by mkdocs for every page)."""
    return markdown.replace(MARK, house()) if MARK in markdown else markdown


def files_of(folder: Path) -> list[Path]:
    """The text files of one folder, without those below it."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in TEXT)


def folders_of(top: Path) -> Iterator[Path]:
    """A folder and all below it that hold text files."""
    for folder in [top, *sorted(path for path in top.rglob("*") if path.is_dir())]:
        hidden = any(part.startswith(("_", ".")) for part in folder.relative_to(top).parts)
        if folder == top or (files_of(folder) and not hidden):
            yield folder


def first_line(path: Path) -> str:
    """What a file says that it is for; empty where it says nothing."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    if path.suffix == ".md":
        return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
    return first_comment(text, COMMENTS[path.suffix]) if path.suffix in COMMENTS else ""


def first_comment(text: str, comment: re.Pattern[str]) -> str:
    """The first sentence, or the first paragraph if that is shorter, of the comment that a file opens with."""
    found = comment.match(text)
    lines = [line.strip().lstrip("#").strip() for line in found[1].splitlines()] if found else []
    paragraph = " ".join(itertools.takewhile(bool, itertools.dropwhile(lambda line: not line, lines)))
    return re.sub(":$", ".", re.split(r"(?<=[.!?])\s+(?=[A-Z`(])", paragraph)[0])


def count_lines(paths: list[Path]) -> int:
    """Lines of text files together."""
    return sum(path.read_bytes().count(b"\n") for path in paths)


def house() -> str:
    """All folders in Markdown: a summary, then a table a folder."""
    below = {top: list(folders_of(ROOT / top)) for top in FOLDERS}
    rows = ["| folder | what it is | files | most in one folder | lines |", "|---|---|--:|--:|--:|"]
    parts: list[str] = []
    for top, folders in below.items():
        everything = [path for folder in folders for path in files_of(folder)]
        most = max(len(files_of(folder)) for folder in folders)
        name = f"[`{top}/`](#{top})"
        rows.append(
            f"| {name} | {plain(purpose(ROOT / top))} | {len(everything)} | {most} | {count_lines(everything):,} |"
        )
        for folder in folders:
            parts += _room(folder)
    return "\n".join([*rows, "", *parts])


def _room(folder: Path) -> list[str]:
    """One folder: its own first line, then a row a file that has one, and the others in a line."""
    name = folder.relative_to(ROOT).as_posix()
    files = files_of(folder)
    said = {path: first_line(path) for path in files if path.name != "__init__.py"}
    lead = purpose(folder)
    lines = [f"{'##' if '/' not in name else '###'} `{name}/` {{ #{name.replace('/', '-')} }}", ""]
    lines += [plain(lead), ""] if lead else []
    lines += [f"{len(files)} file{'s' * (len(files) != 1)}, {count_lines(files):,} lines.", ""] if files else []
    if any(said.values()):
        lines += ["| file | what it is for | lines |", "|---|---|--:|"]
        lines += [f"| `{path.name}` | {plain(line)} | {count_lines([path]):,} |" for path, line in said.items() if line]
    rest = [path.name for path, line in said.items() if not line]
    if rest:
        lines += [""] if any(said.values()) else []
        lines += [f"{'Also ' if any(said.values()) else ''}{', '.join(f'`{name}`' for name in rest)}."]
    return [*lines, ""]


def purpose(folder: Path) -> str:
    """What a folder says that it is: its package's first line, or that of the list of folders without a package."""
    package = folder / "__init__.py"
    return first_line(package) if package.exists() else WITHOUT_PACKAGE.get(folder.relative_to(ROOT).as_posix(), "")


def plain(text: str) -> str:
    """Text as it stands: outside of code nothing in it is markup, and no bar ends a table's cell."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([*<_\[\]|])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)
