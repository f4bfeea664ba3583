"""The house: what is installed, and what loads without what."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = ("model", "training", "analysis")


def tracked(*patterns):
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: the files that belong to the project are unknown")
    return {line for line in done.stdout.splitlines() if (ROOT / line).exists()}


def test_every_folder_with_python_files_is_listed_as_a_package():
    packages = {
        ".".join(["babelscope", *Path(name).parent.parts]) for name in tracked("*.py") if name.split("/")[0] in FOLDERS
    }
    assert packages | {"babelscope"} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_the_root_holds_no_other_module():
    assert {name for name in tracked("*.py") if "/" not in name} == {"__init__.py"}


def test_the_wheel_holds_exactly_the_tracked_files(tmp_path):
    source = tmp_path / "source"  # a copy: a build in the checkout would leave folders that later wheels pick up
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, source]
    subprocess.run(words, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {name for name in tracked("*.py") if name == "__init__.py" or name.split("/")[0] in FOLDERS}
    data = tracked(
        "configs/*/*.yaml", "configs/*/*/*.yaml", "configs/*/*/*.csv", "analysis/report/assets/*", "py.typed"
    )
    assert held == {f"babelscope/{name}" for name in code | data}


def test_analysis_and_model_load_without_lightning():
    code = (
        "import sys, babelscope.model, babelscope.analysis.experts.selection, babelscope.analysis.experts.overlap; "
        + ("sys.exit(any(name.split('.')[0] in ('lightning', 'wandb') for name in sys.modules))")
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reports_are_made_without_torch():
    code = "import sys, babelscope.analysis.report.write; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_versions_are_pinned_for_every_dependency():
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    extras = PROJECT["project"]["optional-dependencies"]["dev"]
    for requirement in PROJECT["project"]["dependencies"] + extras:
        name = requirement.split("[")[0].split(">")[0].split("<")[0].split("=")[0].strip().lower()
        assert name in pinned, f"{name} has no version in constraints.txt"
