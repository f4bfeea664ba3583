"""Alignment of translations: measures against their definitions, planted signals and nulls, and models."""

from itertools import permutations

import numpy as np
import pytest
import torch
from babelscope.analysis.alignment.analysis import AlignmentAnalysis, load_parallel, mean_states
from babelscope.analysis.alignment.measures import align, debiased_cka
from babelscope.analysis.token_batches import tokenise
from babelscope.training.callbacks.alignment import ParallelAlignment

from ...model.families import tiny_model
from ...tokenizers_for_tests import sentences, word_tokenizer

ORDERS = np.array([np.random.default_rng(i).permutation(40) for i in range(99)])
ORDERS_20 = np.array([np.random.default_rng(i).permutation(20) for i in range(99)])


def states(seed, count=40, width=120):
    return np.random.default_rng(seed).normal(size=(count, width))


def hsic_by_definition(k, m):
    """Song et al. 2012: the mean of K_ij (L_ij + L_qr - 2 L_iq) over all ordered quadruples of different sentences."""
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(k)), 4)]
    return np.mean(terms)


@pytest.mark.parametrize("seed", range(3))
def test_cka_is_its_definition(seed):
    x, y = states(seed, 7, 5), states(seed, 7, 5) + states(seed + 50, 7, 5)
    k, m = x @ x.T, y @ y.T
    expected = hsic_by_definition(k, m) / np.sqrt(hsic_by_definition(k, k) * hsic_by_definition(m, m))
    orders = np.array([np.random.default_rng(i).permutation(7) for i in range(3)])
    found, null = debiased_cka(x, y, orders)
    assert found == pytest.approx(expected, abs=1e-12)
    for order, value in zip(orders, null, strict=True):
        assert value == pytest.approx(debiased_cka(x, y[order], orders[:0])[0], abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_alignment_is_found(seed):
    """Another basis, another place and other lengths of the same meanings, with some noise."""
    x = states(seed)
    rotation = np.linalg.qr(states(seed + 100, 120, 120))[0]
    same = align(x, 3 * x + 100 + 0.1 * states(seed + 200), ORDERS)
    assert (same.forward, same.backward) == (1, 1)
    assert same.margin > 0.9
    rotated = align(x, x @ rotation, ORDERS)
    assert rotated.cka == pytest.approx(1)
    assert rotated.cka_p == 0.01
    assert rotated.forward < 0.3, "retrieval needs one and the same space"


def test_unrelated_languages_are_at_chance():
    found = [align(states(seed), states(seed + 1000), ORDERS) for seed in range(30)]
    assert np.mean([f.forward for f in found]) == pytest.approx(1 / 40, abs=0.02)
    assert np.mean([f.cka for f in found]) == pytest.approx(0, abs=0.02), "the biased one would be 0.75"
    assert np.mean([f.cka_null for f in found]) == pytest.approx(0, abs=0.01)
    assert np.mean([f.margin for f in found]) == pytest.approx(0, abs=0.01)
    assert np.mean([f.cka_p for f in found]) == pytest.approx(0.5, abs=0.15)


def null_by_loop(x, y, orders):
    """CKA of each permutation, sorted."""
    return sorted(debiased_cka(x, y[order], orders[:0])[0] for order in orders)


@pytest.mark.parametrize("count", [1, 7, 19, 50, 99])
def test_the_high_end_of_the_null_is_a_loops(count):
    x, y = states(3), states(3) + states(4)
    found = align(x, y, ORDERS[:count])
    null = null_by_loop(x, y, ORDERS[:count])
    below, part = divmod(0.95 * (count + 1), 1)
    ranks = [min(int(below) + more, count) - 1 for more in (0, 1)]
    assert found.cka_null_high == pytest.approx((1 - part) * null[ranks[0]] + part * null[ranks[1]], abs=1e-12)
    assert found.cka_null == pytest.approx(np.mean(null), abs=1e-12)
    assert found.cka_p == pytest.approx((1 + sum(value >= found.cka for value in null)) / (1 + count))


def test_one_in_twenty_unrelated_pairs_is_above_the_null_and_related_ones_are():
    found = [align(states(seed, 20, 30), states(seed + 5000, 20, 30), ORDERS_20) for seed in range(600)]
    above = [f.cka > f.cka_null_high for f in found]
    assert above == [f.cka_p <= 0.05 for f in found]
    # 30 are expected, with a standard deviation of 5.3.
    assert 14 <= sum(above) <= 46
    for seed in range(20):
        x = states(seed, 20, 30)
        assert (related := align(x, x + states(seed + 5000, 20, 30), ORDERS_20)).cka > related.cka_null_high


def test_without_permutations_there_is_no_null():
    found = align(states(0), states(0), ORDERS[:0])
    assert np.isnan(found.cka_null)
    assert np.isnan(found.cka_null_high)
    assert found.cka_p == 1


def test_retrieval_is_a_loop():
    x, y = states(0, 12, 5), states(0, 12, 5) + states(1, 12, 5)
    a, b = x - x.mean(0), y - y.mean(0)

    def nearest(u, others):
        return max(range(12), key=lambda j: u @ others[j] / np.linalg.norm(others[j]))

    found = align(x, y, ORDERS[:0, :12])
    assert found.forward == np.mean([nearest(a[i], b) == i for i in range(12)])
    assert found.backward == np.mean([nearest(b[i], a) == i for i in range(12)])
    assert 0 < found.forward < 1
    assert found.forward != found.backward


def test_states_that_do_not_vary():
    found = align(np.ones((6, 3)), states(0, 6, 3), ORDERS[:2, :6])
    assert np.isnan(found.cka)
    assert np.isnan(found.cka_p)
    assert np.isnan(found.cka_null_high)
    assert found.forward == pytest.approx(1 / 6), "all tie"
    with pytest.raises(ValueError, match="give the same sentences of both, at least 4"):
        align(np.ones((3, 3)), np.ones((3, 3)), ORDERS)


@pytest.mark.parametrize("kind", ["bloom", "gpt_neox", "llama"])
def test_states_are_means_over_a_plain_pass(kind):
    model, tokenizer, texts = tiny_model(kind), word_tokenizer("</s> $A"), sentences(7)
    tokens = tokenise(model, tokenizer, texts, 128, special_tokens=False)
    found_GSD = torch.cat([mean_states(model, tokens, group, batch_tokens=30) for group in (range(2), range(2, 3))])
    for number, text in enumerate(texts):
        with torch.no_grad():
            plain = model(torch.tensor([tokenizer(text)["input_ids"]]), output_hidden_states=True).hidden_states
        for layer in range(2):  # the library's last one has the final norm behind it
            torch.testing.assert_close(found_GSD[layer, number], plain[layer][0, 1:].mean(0), rtol=1e-4, atol=1e-5)
    assert found_GSD.shape == (3, 7, 16)


def world(count=30):
    texts = sentences(count, longest=9)
    return {
        "xx": {str(i): text for i, text in enumerate(texts)},
        "yy": {str(i): f"w1 {text}" for i, text in enumerate(texts)},
        "zz": {str(i): text for i, text in enumerate(sentences(count, seed=9, longest=9))},
    }


def value(findings, metric, layer, one, two):
    (row,) = [r for r in findings.table.to_pylist() if (r["metric"], r["layer"], r["language"], r["other_language"]) == (metric, layer, one, two)]  # fmt: skip
    return row["value"]


def test_a_model_aligns_what_is_alike_and_nothing_else():
    found = AlignmentAnalysis(world())(tiny_model("bloom"), word_tokenizer(), 3)
    for layer in range(3):
        assert value(found, "retrieval_accuracy", layer, "xx", "yy") > 0.8
        assert value(found, "retrieval_accuracy", layer, "xx", "zz") < 0.3
        assert value(found, "cka_p", layer, "xx", "yy") == 0.01
    means = [value(found, "cka", 1, *pair) for pair in (("xx", "yy"), ("xx", "zz"), ("yy", "zz"))]
    assert value(found, "cka", 1, None, None) == pytest.approx(np.mean(means))


def test_the_null_of_the_mean_is_of_the_mean_over_pairs_permutation_by_permutation():
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    analysis = AlignmentAnalysis(world(), permutations=39)
    found = analysis(model, tokenizer, 0)
    for layer, pooled in analysis._layers(model, tokenizer):
        nulls = []
        for (one, two), shared in analysis.pairs.items():
            x, y = (np.stack([pooled[name, key] for key in shared]).astype(np.float64) for name in (one, two))
            x, y, orders = x - x.mean(0), y - y.mean(0), analysis._orders(one, two, len(shared))
            nulls.append([debiased_cka(x, y[order], orders[:0])[0] for order in orders])
            assert value(found, "cka_null_high", layer, one, two) == pytest.approx(sorted(nulls[-1])[37], abs=1e-9)
        means = sorted(sum(values) / len(values) for values in zip(*nulls, strict=True))
        whole = value(found, "cka_null_high", layer, None, None)
        assert whole == pytest.approx(means[37], abs=1e-9)
        assert whole < np.mean([sorted(null)[37] for null in nulls])
        assert value(found, "cka", layer, None, None) > whole


def test_numbers_depend_on_neither_batches_nor_memory_nor_other_languages():
    model, tokenizer = tiny_model("bloom"), word_tokenizer()
    expected = AlignmentAnalysis(world())(model, tokenizer, 0)
    assert AlignmentAnalysis(world(), memory_gb=1e-6)(model, tokenizer, 0).table.equals(expected.table)
    two = {language: dict(reversed(world()[language].items())) for language in ("yy", "xx")}
    for arguments in ({"batch_tokens": 20}, {}):
        found = AlignmentAnalysis(two, **arguments)(model, tokenizer, 0)
        for metric in ("retrieval_accuracy", "cka", "cka_null", "cosine_margin"):
            a, b = (value(f, metric, 1, "xx", "yy") for f in (found, expected))
            assert a == pytest.approx(b, abs=1e-5)


def test_repeated_sentences_are_no_question():
    texts = {"xx": {"1": "w1", "2": "w2", "3": "w3", "4": "w4", "5": "w1"}, "yy": dict.fromkeys("12345", "")}
    texts["yy"] = {key: f"w{key} w9" for key in "12345"}
    analysis = AlignmentAnalysis(texts)
    assert analysis.pairs == {("xx", "yy"): ["1", "2", "3", "4"]}


def test_wrong_data_is_named(tmp_path):
    with pytest.raises(ValueError, match="no two of the languages xx share 4 different sentences"):
        AlignmentAnalysis({"xx": {"1": "w1"}})
    with pytest.raises(ValueError, match="max_sentences=3"):
        AlignmentAnalysis(world(), max_sentences=3)
    (tmp_path / "p.csv").write_text("id,language,text\n1,xx,w1\n1,xx,w2\n")
    with pytest.raises(ValueError, match="id 1 is there twice in xx"):
        load_parallel(tmp_path / "p.csv")
    (tmp_path / "q.csv").write_text("id,language,text\n1,xx,w1\n")
    with pytest.raises(ValueError, match=r"languages: yy is not in .*; it has xx"):
        load_parallel(tmp_path / "q.csv", ["yy"])
    with pytest.raises(ValueError, match="ParallelAlignment has no sentences, and there is no token store: pass"):
        ParallelAlignment().parallel_path()


def test_the_toy_world_has_its_sentences(toy_store, tmp_path):
    from babelscope.model import build_model, preset
    from transformers import AutoTokenizer

    callback = ParallelAlignment(max_sentences=20, permutations=9)
    callback.store = str(toy_store)
    model = build_model(preset("toy", vocab_size=320, d_model=16, ffn_dim=32, num_layers=2, attention_heads=2), seed=0)
    found = callback.run(model, AutoTokenizer.from_pretrained(toy_store / "tokenizer"), 0, 0, tmp_path)
    assert {row["layer"] for row in found.table.to_pylist()} == {0, 1, 2}
    assert found.settings["permutations"] == 9
