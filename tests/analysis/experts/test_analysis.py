"""The expert analysis: rows by hand, a planted signal and a planted null, and what the numbers may not depend on."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts import search
from babelscope.analysis.experts.activations import Units
from babelscope.analysis.experts.analysis import ExpertAnalysis
from babelscope.analysis.experts.rows import ExpertTable, expert_rows
from babelscope.analysis.experts.search import BestUnits, Scores
from babelscope.analysis.experts.selection import average_precision, top_experts
from babelscope.analysis.findings import ROW_SCHEMA, Findings
from babelscope.model import build_model, preset
from babelscope.model.sites import unit_sites
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ...model.families import tiny_model
from ...tokenizers_for_tests import sentences, word_tokenizer

LANGUAGES = ("aa", "bb", "cc")
VOCABULARY = 2 + 3 * 40


def _tokenizer() -> PreTrainedTokenizerFast:
    words = ["<pad>", "<unk>", *(f"{language}{i}" for language in LANGUAGES for i in range(40))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")


def _model(translated: bool):
    """With `translated`, word i is the same vector in all languages; without, nothing is shared."""
    config = preset("toy", vocab_size=VOCABULARY, num_layers=2, d_model=32, ffn_dim=64, attention_heads=2)
    model = build_model(config, seed=3)
    if translated:
        with torch.no_grad():
            weight = model.get_input_embeddings().weight
            weight[42:82] = weight[2:42]
            weight[82:] = weight[2:42]
    return model


def _rows(concepts: int = 5, sentences: int = 30) -> list[Row]:
    """Concept c is told by words 3c, 3c + 1 and 3c + 2 among others, in every language."""
    random = np.random.default_rng(0)
    rows = []
    for language in LANGUAGES:
        for concept in range(concepts):
            for _ in range(sentences):
                words = [*random.integers(3 * concept, 3 * concept + 3, 2), *random.integers(15, 40, 5)]
                text = " ".join(f"{language}{word}" for word in random.permutation(words))
                rows.append(Row(f"c{concept}", language, text, 1))
    return rows


def _value(findings: Findings, metric: str, **columns: object) -> float:
    rows = [
        row
        for row in findings.table.to_pylist()
        if row["metric"] == metric
        and all(row[name] == columns.get(name) for name in ("language", "other_language", "concept", "layer", "site"))
    ]
    assert len(rows) == 1, (metric, columns, len(rows))
    return rows[0]["value"]


def _metrics(findings: Findings) -> set[str]:
    return set(findings.table["metric"].to_pylist())


# Rows by hand: 2 blocks of 2 sites of 2 units; concept x in all three languages, y in the first two.
UNITS = Units((0, 0, 1, 1), ("in", "out", "in", "out"), (0, 2, 4, 6), 8)
INDICES = np.array([[[0, 4], [4, 1], [4, 0]], [[6, 1], [6, 7], [-1, -1]]])
NAN = float("nan")
SCORES = np.array(
    [
        [[0.9, 0.5, 0.4], [0.6, 0.8, 0.3], [0.2, 0.1, 0.7]],
        [[0.5, 0.3, NAN], [0.4, 0.6, NAN], [NAN, NAN, NAN]],
    ]
)
TABLE = ExpertTable(
    ("x", "y"),
    LANGUAGES,
    UNITS,
    INDICES,
    np.array([[[1.0, 0.9], [0.9, 0.8], [0.8, 0.7]], [[0.7, 0.6], [0.6, 0.5], [NAN, NAN]]]),
    SCORES,
    np.array([[0.3, 0.2, 0.1], [0.2, 0.4, NAN]]),
    0,
)


def test_overlap_rows_by_hand():
    table, notes = expert_rows(TABLE, "experts", 7)
    assert table.schema == ROW_SCHEMA
    assert notes == []
    found = Findings("experts", 7, table)
    assert set(table["step"].to_pylist()) == {7}
    pair = {"language": "aa", "other_language": "bb"}
    assert _value(found, "overlap_chance") == 2 / 8
    assert _value(found, "overlap", concept="x", **pair) == 0.5
    assert _value(found, "overlap", concept="x", language="aa", other_language="cc") == 1
    assert _value(found, "overlap", concept="x", language="bb", other_language="cc") == 0.5
    assert _value(found, "overlap", concept="y", **pair) == 0.5
    assert _value(found, "overlap_mean", **pair) == 0.5
    assert _value(found, "overlap_mean") == pytest.approx((0.5 + 1 + 0.5 + 0.5) / 4)
    assert _value(found, "overlap_corrected", concept="x", **pair) == pytest.approx((0.5 - 0.25) / 0.75)
    # x: one expert a block in either language, of 4 units: (1/4 + 1/4) / 2. y: aa one a block, bb both in block 1.
    assert _value(found, "overlap_chance_layers", concept="x", **pair) == pytest.approx(0.25)
    assert _value(found, "overlap_chance_layers", concept="y", **pair) == pytest.approx(2 / 4 / 2)
    # x in aa {0, 4} with y in bb {6, 7}: 0; x in bb {4, 1} with y in aa {6, 1}: 1/2.
    assert _value(found, "overlap_control", concept="x", **pair) == 0.25
    assert _value(found, "overlap_control", concept="y", **pair) == 0.25
    # cc has no other concept, so there is no control with it.
    controls = [row for row in table.to_pylist() if row["metric"] == "overlap_control"]
    assert {(row["language"], row["other_language"]) for row in controls} == {("aa", "bb")}
    assert _value(found, "overlap_control_mean") == 0.25
    assert _value(found, "overlap_low") <= _value(found, "overlap_mean") <= _value(found, "overlap_high")
    # Two concepts are one pair of them, which has no interval.
    assert not any(row["metric"] in ("overlap_control_low", "overlap_control_high") for row in table.to_pylist())
    assert sum(row["metric"] == "overlap" for row in table.to_pylist()) == 4


def test_depth_rows_by_hand():
    found = Findings("experts", 0, expert_rows(TABLE, "experts", 0)[0])
    # aa: x {0, 4}, y {6, 1}; a mean over two concepts.
    for layer, site, mean in ((0, "in", 1.0), (0, "out", 0.0), (1, "in", 0.5), (1, "out", 0.5)):
        assert _value(found, "expert_layer", layer=layer, site=site, language="aa") == mean
    # cc: x alone.
    assert _value(found, "expert_layer", layer=1, site="in", language="cc") == 1
    assert _value(found, "expert_layer", layer=1, site="out", language="cc") == 0
    # x: unit 4 in three languages (3 pairs), unit 0 in two; y: unit 6 in two; 3 + 1 pairs in all.
    assert _value(found, "shared_layer", layer=0, site="in") == 1 / 4
    assert _value(found, "shared_layer", layer=0, site="out") == 0
    assert _value(found, "shared_layer", layer=1, site="in") == 3 / 4
    assert _value(found, "shared_layer", layer=1, site="out") == 1 / 4
    # Exactly one language: x unit 1, y units 1 and 7.
    assert _value(found, "shared_by_01") == 3 / 2
    assert _value(found, "shared_by_02") == 2 / 2
    assert _value(found, "shared_by_03") == 1 / 2


@pytest.mark.parametrize("kind", ["olmoe", "qwen2_moe"])
def test_depth_rows_of_a_mixture_are_of_all_its_experts(kind):
    """One row a layer and site, however many routed experts have a site of that name."""
    labelled = [
        Row(f"c{i % 2}", language, text, 1) for language in ("xx", "yy") for i, text in enumerate(sentences(60))
    ]
    model = tiny_model(kind)
    found = ExpertAnalysis(ConceptSet(labelled), k=20, min_sentences=4)(model, word_tokenizer("</s> $A"), 0)
    rows = [row for row in found.table.to_pylist() if row["metric"] == "expert_layer" and row["language"] == "xx"]
    places = [(row["layer"], row["site"]) for row in rows]
    assert places == list(dict.fromkeys((site.layer, site.site) for site in unit_sites(model)))
    assert sum(row["value"] for row in rows) == pytest.approx(20)
    units, routed = Units.of(model), {"expert_gate", "expert_in", "expert_out"}
    # Counted by hand, of both concepts.
    of_experts = np.isin(units.site_of(found.arrays["indices"][:, 0]), list(routed)).sum() / 2
    assert of_experts > 0
    assert sum(row["value"] for row in rows if row["site"] in routed) == pytest.approx(of_experts)


def test_transfer_rows_by_hand():
    found = Findings("experts", 0, expert_rows(TABLE, "experts", 0)[0])
    assert _value(found, "transfer_ap", concept="x", language="aa", other_language="cc") == 0.4
    assert _value(found, "transfer_ap", concept="y", language="bb", other_language="bb") == 0.6
    assert _value(found, "transfer_ap_mean", language="bb", other_language="aa") == pytest.approx(0.5)
    assert _value(found, "transfer_ap_mean", language="cc", other_language="cc") == 0.7
    assert _value(found, "own_ap_mean") == pytest.approx((0.9 + 0.8 + 0.7 + 0.5 + 0.6) / 5)
    others = (0.5, 0.4, 0.6, 0.3, 0.2, 0.1, 0.3, 0.4)
    assert _value(found, "transfer_ap_overall") == pytest.approx(np.mean(others))
    assert _value(found, "all_units_ap", concept="y", other_language="bb") == 0.4
    assert _value(found, "all_units_ap_mean") == pytest.approx(np.mean([0.3, 0.2, 0.1, 0.2, 0.4]))
    assert _value(found, "selection_ap_mean") == pytest.approx(
        np.mean([1, 0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.6, 0.5])
    )
    assert not any(np.isnan(row["value"]) for row in found.table.to_pylist())


def _with_responses(monkeypatch, respond: Callable[[str], np.ndarray]) -> None:
    """Put planted responses in the place of the model's."""

    def planted(model, tokenizer, sentences, *_args, **_kwargs):
        yield (
            slice(0, Units.of(model).n),
            torch.from_numpy(np.stack([respond(s) for s in sentences]).astype(np.float32)),
        )

    monkeypatch.setattr(search, "iter_unit_responses", planted)


def test_planted_experts_are_found_in_all_languages(monkeypatch):
    """Expected before measuring: units 10c to 10c + 9 separate concept c perfectly everywhere, so all is shared."""
    concept_of = {row.text: int(row.concept[1:]) for row in _rows()}
    random = np.random.default_rng(1)
    n = Units.of(_model(False)).n

    def respond(text: str) -> np.ndarray:
        response_U = random.standard_normal(n)
        start = 10 * concept_of[text]
        response_U[start : start + 10] += 20
        return response_U

    _with_responses(monkeypatch, respond)
    found = ExpertAnalysis(ConceptSet(_rows()), k=10)(_model(False), _tokenizer(), 0)
    assert found.arrays["indices"].dtype == np.int32
    assert [sorted(found.arrays["indices"][c, 1].tolist()) for c in range(5)] == [
        list(range(10 * c, 10 * c + 10)) for c in range(5)
    ]
    for metric in ("overlap_mean", "overlap_low", "own_ap_mean", "transfer_ap_overall", "selection_ap_mean"):
        assert _value(found, metric) == 1
    assert _value(found, "overlap_control_mean") == 0
    assert _value(found, "shared_by_03") == 10
    assert _value(found, "shared_by_01") == 0
    assert _value(found, "all_units_ap_mean") < 0.35
    assert np.abs(found.arrays["median"] - 20).max() < 2


def test_planted_null_shares_what_chance_shares(monkeypatch):
    """Expected before measuring, for k = 50 of 448 units: overlap 0.112, with a standard error of 0.012 over 15 pairs
    of sets; AP of experts equal to all units' on the scoring half, and well above it on the half that chose them."""
    random = np.random.default_rng(2)
    n = Units.of(_model(False)).n
    _with_responses(monkeypatch, lambda _text: random.standard_normal(n))
    found = ExpertAnalysis(ConceptSet(_rows()), k=50)(_model(False), _tokenizer(), 0)
    chance = _value(found, "overlap_chance")
    assert chance == 50 / n
    error = np.sqrt(chance * (1 - chance) / 50 / 15)
    assert abs(_value(found, "overlap_mean") - chance) < 4 * error
    assert abs(_value(found, "overlap_control_mean") - chance) < 4 * error
    everything = _value(found, "all_units_ap_mean")
    assert everything == pytest.approx(0.23, abs=0.02)
    assert _value(found, "own_ap_mean") == pytest.approx(everything, abs=0.01)
    assert _value(found, "transfer_ap_overall") == pytest.approx(everything, abs=0.01)
    assert _value(found, "selection_ap_mean") > everything + 0.12


def test_signal_and_null_in_a_real_model():
    """Words that are the same vectors in all languages make shared experts; unrelated vectors do not."""
    concepts = ConceptSet(_rows())
    shared = ExpertAnalysis(concepts, k=20)(_model(True), _tokenizer(), 0)
    apart = ExpertAnalysis(concepts, k=20)(_model(False), _tokenizer(), 0)
    chance = _value(shared, "overlap_chance")
    assert _value(shared, "overlap_mean") > 0.3
    assert _value(shared, "overlap_control_mean") < 2 * chance
    assert _value(shared, "transfer_ap_overall") == pytest.approx(_value(shared, "own_ap_mean"), abs=0.03)
    assert _value(apart, "overlap_mean") < 0.08
    assert _value(apart, "own_ap_mean") > _value(apart, "all_units_ap_mean") + 0.1
    assert _value(apart, "transfer_ap_overall") == pytest.approx(_value(apart, "all_units_ap_mean"), abs=0.03)


def _assert_equal(one: Findings, two: Findings) -> None:
    assert one.table.equals(two.table)
    assert one.settings == two.settings
    assert one.warnings == two.warnings
    assert one.arrays.keys() == two.arrays.keys()
    for name, array in one.arrays.items():
        assert np.array_equal(array, two.arrays[name], equal_nan=array.dtype.kind == "f")


def test_rows_languages_and_memory_do_not_show(monkeypatch):
    """Concepts, languages and sentences in any order; many passes and a temporary file instead of memory."""
    model, tokenizer = _model(True), _tokenizer()
    settings = {"k": 0.03, "batch_tokens": 64}
    expected = ExpertAnalysis(ConceptSet(_rows()), **settings)(model, tokenizer, 0)
    rows = _rows()
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    _assert_equal(ExpertAnalysis(ConceptSet(shuffled), **settings)(model, tokenizer, 0), expected)
    groups = []
    real = search.iter_unit_responses

    def counted(*args: object, **given: object) -> Iterator:
        for group, responses in real(*args, **given):
            groups.append(group)
            yield group, responses

    monkeypatch.setattr(search, "iter_unit_responses", counted)
    for memory_gb, passes in ((6e-4, 2), (4.5e-4, 6)):
        analysis = ExpertAnalysis(ConceptSet(_rows()), memory_gb=memory_gb, languages=LANGUAGES[::-1], **settings)
        _assert_equal(analysis(model, tokenizer, 0), expected)
        assert len(groups) == 3 * passes
        groups.clear()
    with pytest.raises(ValueError, match=r"are needed beside the responses .* give \S+, or lower batch_tokens"):
        ExpertAnalysis(ConceptSet(_rows()), memory_gb=3e-4, **settings)(model, tokenizer, 0)
    with pytest.raises(ValueError, match=r"comparing 13 experts of 5 concepts in 3 languages takes .* or lower k"):
        ExpertAnalysis(ConceptSet(_rows()), memory_gb=1e-5, **settings)(model, tokenizer, 0)
    _assert_equal(analysis(model.train(), tokenizer, 0), expected)


def test_batch_size_does_not_show():
    model, tokenizer = _model(True), _tokenizer()
    one, two = (
        ExpertAnalysis(ConceptSet(_rows()), k=20, batch_tokens=tokens)(model, tokenizer, 0) for tokens in (37, 4096)
    )
    assert np.mean(one.arrays["indices"] == two.arrays["indices"]) > 0.98
    for a, b in zip(one.table.to_pylist(), two.table.to_pylist(), strict=True):
        assert a["metric"] == b["metric"]
    for metric in ("overlap_mean", "own_ap_mean", "transfer_ap_overall", "all_units_ap_mean"):
        assert _value(one, metric) == pytest.approx(_value(two, metric), abs=2e-3)


def test_seed_moves_the_halves():
    model, tokenizer = _model(True), _tokenizer()
    one, two = (ExpertAnalysis(ConceptSet(_rows()), k=20, seed=seed)(model, tokenizer, 0) for seed in (0, 1))
    assert not np.array_equal(one.arrays["ap"], two.arrays["ap"])


def test_numbers_agree_with_the_pieces():
    """The whole path once more with unit_responses, average_precision, top_experts and np.median."""
    model, tokenizer = _model(True), _tokenizer()
    analysis = ExpertAnalysis(ConceptSet(_rows()), k=15)
    found = analysis(model, tokenizer, 0)
    own, other = analysis.plans[1], analysis.plans[2]
    responses_SU = torch.cat([part for _, part in search.iter_unit_responses(model, tokenizer, own.sentences)], dim=1)
    part = own.halves[0].concepts[3]
    ap_U = average_precision(responses_SU[part.positive_P], responses_SU[part.negative_N])
    best = top_experts(ap_U, 15)
    assert found.arrays["indices"][3, 1].tolist() == best.tolist()
    np.testing.assert_array_equal(found.arrays["ap"][3, 1], ap_U[best].float())
    median_k = np.median(responses_SU[part.positive_P][:, best].numpy(), axis=0)
    np.testing.assert_array_equal(found.arrays["median"][3, 1], median_k)
    responses_SU = torch.cat([part for _, part in search.iter_unit_responses(model, tokenizer, other.sentences)], dim=1)
    part = other.halves[1].concepts[3]
    ap_U = average_precision(responses_SU[part.positive_P], responses_SU[part.negative_N])
    value = _value(found, "transfer_ap", concept="c3", language="bb", other_language="cc")
    assert value == pytest.approx(ap_U[best].mean().item(), abs=1e-7)
    assert _value(found, "all_units_ap", concept="c3", other_language="cc") == pytest.approx(
        ap_U.mean().item(), abs=1e-7
    )


def test_missing_concepts_are_left_out_and_listed_in_one_line():
    rows = [row for row in _rows() if (row.concept, row.language) != ("c1", "bb") and row.language != "cc"]
    rows += [row for row in _rows() if row.language == "cc"][:12]
    analysis = ExpertAnalysis(ConceptSet(rows), k=5)
    assert analysis.warnings == [
        "concepts left out for having fewer than 10 positives or 10 negatives in a half — bb: c1; cc: all 5"
    ]
    found = analysis(_model(False), _tokenizer(), 0)
    assert found.warnings == tuple(analysis.warnings)
    assert (found.arrays["indices"][1, 1] == -1).all()
    assert np.isnan(found.arrays["median"][1, 1]).all()
    assert (found.arrays["indices"][:, 2] == -1).all()
    assert found.settings["concepts"] == [f"c{c}" for c in range(5)]
    named = [(row["concept"], row["language"], row["other_language"]) for row in found.table.to_pylist()]
    assert ("c1", "aa", "aa") in named
    assert ("c1", "aa", "bb") not in named
    assert not any("cc" in (language, other) for _, language, other in named)


def test_one_language_or_one_concept_is_said_and_not_hidden():
    model, tokenizer = _model(False), _tokenizer()
    alone = ExpertAnalysis(ConceptSet(_rows()), k=5, languages=["aa"])(model, tokenizer, 0)
    assert alone.warnings == ("no concept has enough sentences in two languages: there is no overlap to report",)
    assert not {"overlap", "overlap_mean", "overlap_low", "transfer_ap_overall"} & _metrics(alone)
    assert {"own_ap_mean", "all_units_ap_mean", "overlap_chance"} <= _metrics(alone)
    single = ExpertAnalysis(ConceptSet(_rows()), k=5, only=["c2"])(model, tokenizer, 0)
    assert single.warnings == ("only one concept has enough sentences: there is no different concept as a control",)
    assert "overlap_mean" in _metrics(single)
    assert not any("control" in metric for metric in _metrics(single))


def test_mistakes_are_named():
    concepts = ConceptSet(_rows())
    with pytest.raises(ValueError, match="pooling='sum': choose one of max, mean, last"):
        ExpertAnalysis(concepts, pooling="sum")
    with pytest.raises(ValueError, match="min_sentences=0"):
        ExpertAnalysis(concepts, min_sentences=0)
    with pytest.raises(ValueError, match="memory_gb=0: give a positive number"):
        ExpertAnalysis(concepts, memory_gb=0)
    with pytest.raises(ValueError, match="language 'xx' is not in this concept set"):
        ExpertAnalysis(concepts, languages=["xx"])
    with pytest.raises(ValueError, match="none of 5 concepts has 16 positives and 16 negatives in each half"):
        ExpertAnalysis(concepts, min_sentences=16)
    with pytest.raises(ValueError, match="k=5000: the model has only 448 units"):
        ExpertAnalysis(concepts, k=5000)(_model(False), _tokenizer(), 0)


@pytest.mark.parametrize("width", [1, 3, 7, 100])
def test_best_units_do_not_depend_on_the_groups(width):
    random = np.random.default_rng(0)
    ap_U = random.integers(0, 9, 100) / 8
    responses_SU = random.standard_normal((6, 100)).astype(np.float32)
    best = BestUnits.none(17)
    for start in range(0, 100, width):
        group = slice(start, start + width)
        best.see(start, ap_U[group], responses_SU[:, group], np.array([0, 2, 5]))
    assert best.index.tolist() == top_experts(ap_U, 17).tolist()
    assert best.ap.tolist() == ap_U[best.index].tolist()
    assert best.median.tolist() == np.median(responses_SU[[0, 2, 5]][:, best.index], axis=0).tolist()


def test_scores_are_the_same_in_memory_and_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    random = np.random.default_rng(0)
    score_LCU = random.random((2, 3, 50))
    for in_memory in (True, False):
        with Scores((2, 3, 50), in_memory) as scores:
            for language, concept, first in random.permutation(
                [(a, c, u) for a in range(2) for c in range(3) for u in range(0, 50, 7)]
            ):
                scores.put(language, concept, first, score_LCU[language, concept, first : first + 7])
            for language, concept in np.ndindex(2, 3):
                found = scores.get(language, concept)
                assert found.dtype == np.float64
                assert np.array_equal(found, score_LCU[language, concept].astype(np.float32))
        assert not list(tmp_path.iterdir()), "nothing is left"


def test_scores_on_disk_are_gone_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scores = Scores((1, 1, 4), in_memory=False)

    def fail() -> None:
        with scores:
            scores.put(0, 0, 0, np.ones(4))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="closed file"):
        scores.get(0, 0)
