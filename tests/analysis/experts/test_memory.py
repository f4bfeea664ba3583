"""The memory setting of an expert analysis against the bytes that it asks for, and how it is divided."""

import numpy as np
import pytest
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts.analysis import ExpertAnalysis
from babelscope.analysis.experts.memory import divide, forward_bytes, units_at_a_time
from babelscope.analysis.token_batches import tokenise
from babelscope.model.families import FAMILIES

from ...model.families import tiny_model
from ...tokenizers_for_tests import WORDS, sentences, word_tokenizer
from .allocations import most_held

TIGHT = 14_000_000
"""Bytes; all responses at once are 16.6 million."""


def test_the_setting_holds_and_does_not_show():
    """Counted, not read from the system. With a loose setting the same analysis takes more: the check could fail."""
    random = np.random.default_rng(0)
    texts = sorted({" ".join(random.choice(WORDS, 6)) for _ in range(900)})
    concepts = ConceptSet([Row(f"c{i % 5}", "xx", text, 1) for i, text in enumerate(texts)])
    model, tokenizer = tiny_model("bloom", hidden_size=128, n_layer=4, n_head=4), word_tokenizer()
    tight, loose = (ExpertAnalysis(concepts, memory_gb=gb, k=50, batch_tokens=256, seed=0) for gb in (TIGHT / 1e9, 2.0))
    batches: list[int] = []
    counting = model.get_input_embeddings().register_forward_hook(lambda *_: batches.append(1))
    found, tight_batches = tight(model, tokenizer, 0), len(batches)
    expected, loose_batches = loose(model, tokenizer, 0), len(batches) - tight_batches
    counting.remove()
    assert tight_batches >= 3 * loose_batches, "the text is read pass by pass"
    assert found.table.equals(expected.table)
    assert np.array_equal(found.arrays["indices"], expected.arrays["indices"])
    assert 0.5 * TIGHT < most_held(lambda: tight(model, tokenizer, 0)) <= TIGHT
    assert most_held(lambda: loose(model, tokenizer, 0)) > 1.5 * TIGHT


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
