"""The memory setting of an expert analysis against the peak of a process of its own, and how it is divided."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from babelscope.analysis.experts.memory import divide, forward_bytes, units_at_a_time
from babelscope.analysis.token_batches import tokenise
from babelscope.model.families import FAMILIES

from tests.places import ROOT

from ...model.families import tiny_model
from ...tokenizers_for_tests import sentences, word_tokenizer
from .peak_memory import TIGHT_GB


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_the_setting_holds_and_does_not_show():
    """With a loose setting the same analysis takes more than twice as much: the check could have failed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.analysis.experts.peak_memory"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["before"] <= found["loaded"] + 2e6, "the peak before is not in the way"
    tight, loose = (found[name] - found["loaded"] for name in ("tight", "loose"))
    assert 0.5 * TIGHT_GB * 1e9 < tight < TIGHT_GB * 1e9 + 5e6
    assert loose > 2 * TIGHT_GB * 1e9
    assert found["tight_passes"] >= 3
    assert found["loose_passes"] == 1
    assert found["same"]


def test_a_group_is_as_wide_as_memory_allows():
    assert units_at_a_time(1.0, 0, 1000, 3_000_000) == 1_000_000
    assert units_at_a_time(1.0, 500_000_000, 1000, 3_000_000) == 500_000
    assert units_at_a_time(1.0, 0, 1000, 2_100_000) == 700_000, "all passes of one width"
    assert units_at_a_time(1.0, 0, 1000, 10) == 10
    assert units_at_a_time(float("inf"), 10**12, 1000, 10) == 10
    with pytest.raises(
        ValueError, match=r"memory_gb=1: 2 GB are needed .* thousandth of 1000000 units takes 0\.001 .* give 5,"
    ):
        units_at_a_time(1.0, 2_000_000_000, 1000, 1_000_000)


@pytest.mark.parametrize("memory_gb", [0.05, 0.5, 5.0])
def test_a_division_leaves_more_than_half_for_responses(memory_gb):
    found = divide(memory_gb, sentences=12_000, positives=60, concepts=20, languages=4, units=50_000, k=100)
    assert found.fixed < 0.5 * memory_gb * 1e9
    assert 1 <= found.chunk <= found.block <= 50_000
    assert found.scores_in_memory == (memory_gb * 1e9 / 4 >= 4 * 20 * 4 * 50_000)


def test_a_forward_pass_is_priced_by_its_largest_batch():
    model, tokens = tiny_model("bloom"), tokenise(tiny_model("bloom"), word_tokenizer(), sentences(40))
    small, large = (forward_bytes(model, tokens.batches(size)) for size in (20, 80))
    assert 2 * small < large < 8 * small
    assert 2 * forward_bytes(model.bfloat16(), tokens.batches(80)) == large
    assert all(forward_bytes(tiny_model(kind), tokens.batches(80)) > 0 for kind in FAMILIES if kind != "bloom")
