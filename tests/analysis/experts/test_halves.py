"""Halves of sentences, and average precision from a shared base against each concept's own negatives."""

import numpy as np
import pytest
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.experts.halves import halve, hash_order, sentences_of
from babelscope.analysis.experts.scoring import precision_in_halves
from babelscope.analysis.experts.selection import average_precision


def _texts(prefix: str, count: int) -> list[str]:
    return [f"{prefix} {number}" for number in range(count)]


def _toy(concepts: int = 6, sentences: int = 40) -> list[Row]:
    return [Row(f"c{c}", "aa", text, 1) for c in range(concepts) for text in _texts(f"about {c}", sentences)]


def _mixed() -> list[Row]:
    """Shared negatives, one concept with its own besides, and sentences that show two concepts."""
    rows = [Row(f"c{c}", "aa", text, 1) for c in range(5) for text in _texts(f"about {c}", 24 + c)]
    rows += [Row(f"c{c}", "aa", text, 1) for c in range(2) for text in _texts("both", 9)]
    rows += [Row(None, "aa", text, 0) for text in _texts("nothing", 71)]
    rows += [Row("c4", "aa", text, 0) for text in _texts("near", 200)]
    return rows


def _own() -> list[Row]:
    rows = [Row(f"c{c}", "aa", text, 1) for c in range(3) for text in _texts(f"about {c}", 61)]
    return rows + [Row(f"c{c}", "aa", text, 0) for c in range(3) for text in _texts(f"not {c}", 103)]


SETS = {"other concepts' positives": _toy, "shared and own negatives": _mixed, "own negatives": _own}


def test_halves_differ_by_one_at_most_and_depend_on_the_seed_and_the_texts_alone():
    texts = _texts("sentence", 101)
    halves = {}
    for seed in (0, 1):
        ordered = hash_order(texts, seed)
        assert hash_order(reversed(texts), seed) == ordered
        assert sorted(ordered) == sorted(texts)
        choosing, scoring = halve(range(101))
        assert (len(choosing), len(scoring)) == (51, 50)
        halves[seed] = {ordered[place] for place in choosing}
    assert 15 < len(halves[0] - halves[1]) < 36
    assert halve([7, 3, 5, 1], most=3) == ([1, 3], [5])


@pytest.mark.parametrize("kind", SETS)
def test_every_concept_is_halved_evenly(kind):
    concepts = ConceptSet(SETS[kind]())
    plan = sentences_of(concepts, "aa")
    choosing, scoring = plan.halves
    assert [part.concept for part in choosing.concepts] == list(range(len(concepts.concepts)))
    for one, two in zip(choosing.concepts, scoring.concepts, strict=True):
        name = concepts.concepts[one.concept]
        for side, expected in (("positive_P", concepts.positives), ("negative_N", concepts.negatives)):
            first = {plan.sentences[column] for column in getattr(one, side)}
            second = {plan.sentences[column] for column in getattr(two, side)}
            assert not first & second
            assert first | second == set(expected(name, "aa"))
            assert len(first) - len(second) in (0, 1)


def test_no_half_is_the_first_in_the_alphabet():
    plan = sentences_of(ConceptSet(_toy()), "aa")
    texts = [plan.sentences[column] for column in plan.halves[0].concepts[0].positive_P]
    assert 4 <= sum(int(text.split()[-1]) < 20 for text in texts) <= 16


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("ties", [False, True])
def test_shared_base_equals_ranking_each_concept_alone(kind, ties):
    plan = sentences_of(ConceptSet(SETS[kind]()), "aa", max_negatives=150)
    responses_SU = np.random.default_rng(0).standard_normal((len(plan.sentences), 60)).astype(np.float32)
    if ties:
        responses_SU = np.maximum(responses_SU.round(1), 0.3)
    for half, ap_CU in zip(plan.halves, precision_in_halves(responses_SU, plan), strict=True):
        for part, ap_U in zip(half.concepts, ap_CU, strict=True):
            expected_U = average_precision(responses_SU[part.positive_P], responses_SU[part.negative_N])
            assert np.array_equal(ap_U, expected_U)


def test_both_ways_are_taken():
    toy, mixed, own = (
        [part for half in sentences_of(ConceptSet(rows()), "aa").halves for part in half.concepts]
        for rows in (_toy, _mixed, _own)
    )
    assert all(part.less_positives and not part.alone for part in toy)
    assert any(len(part.plus_M) for part in toy)
    assert any(len(part.minus_M) for part in toy)
    assert not all(part.alone for part in mixed)
    assert any(len(part.plus_M) and not part.less_positives for part in mixed)
    assert all(part.alone for part in own)


def test_concepts_with_too_few_sentences_are_left_out():
    rows = [Row("many", "aa", text, 1) for text in _texts("m", 20)]
    rows += [Row("few", "aa", text, 1) for text in _texts("f", 19)]
    rows += [Row(None, "aa", text, 0) for text in _texts("n", 20)]
    concepts = ConceptSet(rows)
    assert [part.concept for part in sentences_of(concepts, "aa").halves[1].concepts] == [1]
    assert [part.concept for part in sentences_of(concepts, "aa", min_sentences=9).halves[1].concepts] == [0, 1]
    nothing = sentences_of(concepts, "aa", min_sentences=11)
    assert nothing.sentences == ()
    assert nothing.halves[0].concepts == ()


def test_caps():
    plan = sentences_of(ConceptSet(_mixed()), "aa", max_positives=21, max_negatives=60)
    sizes = [(len(part.positive_P), len(part.negative_N)) for half in plan.halves for part in half.concepts]
    assert sizes == [(11, 30)] * 5 + [(10, 30)] * 5


def test_a_response_without_a_rank_is_refused():
    plan = sentences_of(ConceptSet(_toy()), "aa")
    responses_SU = np.zeros((len(plan.sentences), 3), np.float32)
    responses_SU[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"a response is NaN or infinite .* use bfloat16 or float32"):
        precision_in_halves(responses_SU, plan)
