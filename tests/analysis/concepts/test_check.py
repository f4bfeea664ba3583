"""The check of a concept set: a clean set has no problems, and each planted fault is named with its remedy."""

import random

import pytest
from babelscope.analysis.concepts.check import check_concepts, length_bias
from babelscope.analysis.concepts.concept_set import ConceptSet, Row
from babelscope.analysis.concepts.lexicon import Lexicon
from sklearn.metrics import average_precision_score

LEXICON = Lexicon.load(concepts=["water", "dog"])
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def make(start, count, seed, shortest=6, longest=12):
    """Sentences of invented words, so that none nearly repeats another."""
    rng = random.Random(seed)
    return [
        " ".join(
            [
                start,
                *("".join(rng.choices(SYLLABLES, k=rng.randint(2, 5))) for _ in range(rng.randint(shortest, longest))),
            ]
        )
        for _ in range(count)
    ]


def clean_rows():
    return [
        *(Row("water", "en", text, 1) for text in make("the water", 40, 1)),
        *(Row("dog", "en", text, 1) for text in make("the dogs", 40, 2)),
        *(Row(None, "en", text, 0) for text in make("the table", 200, 3)),
    ]


def problems(rows, **settings):
    return check_concepts(ConceptSet(rows), LEXICON, **settings).problems


def test_a_clean_set_has_no_problems():
    check = check_concepts(ConceptSet(clean_rows()), LEXICON)
    assert check.problems == []
    assert check.sizes["water", "en"] == (40, 200)
    assert "no problems" in check.to_text()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([Row("dog", "fr", "le chien dort", 1)], "fr: no positives for water; add sentences"),
        ([Row("dog", "fr", "le chien dort", 1)], "fr: fewer than 20 positives for dog (1); add sentences."),
        (
            [Row("water", "xx", text, 1) for text in make("w", 30, 4)] + [Row("dog", "xx", "d", 1)],
            "xx: fewer negatives than positives for water (1 for 30); add negatives.",
        ),
        (
            [Row("water", "en", "nothing of the kind in this one here", 1)],
            "water/en: 1 of 41 positives hold no form of the concept, for example 'nothing of the kind",
        ),
        (
            [Row(None, "en", "some water stood on the old table there", 0)],
            "water/en: 1 of 201 negatives hold a form of the concept, for example 'some water stood",
        ),
        (
            [Row("dog", "en", f"The same dog sat by the same red door again, {n}.", 1) for n in range(9)],
            "dog/en: 8 of 49 sentences nearly repeat another one and can stand in both halves; keep one of each.",
        ),
    ],
)
def test_each_fault_is_named_with_its_remedy(rows, problem):
    found = problems([*clean_rows(), *rows])
    assert any(problem in line for line in found), found


@pytest.mark.parametrize(("shortest", "longest"), [(20, 30), (1, 2)])
def test_length_bias_is_seen_in_either_direction(shortest, longest):
    biased = [
        *(Row("water", "en", text, 1) for text in make("the water", 40, 1, shortest, longest)),
        *(Row(None, "en", text, 0) for text in make("the table", 200, 3)),
    ]
    (line,) = problems(biased)
    assert "water/en: length alone reaches an average precision of 1.00 (chance 0.17)" in line
    assert problems(biased, length_margin=0.9) == []


def test_length_bias_agrees_with_a_detector_by_length():
    positives, negatives = make("p", 30, 5), make("n", 90, 6)
    labels = [1] * 30 + [0] * 90
    upward = average_precision_score(labels, [len(text) for text in positives + negatives])
    downward = average_precision_score(labels, [-len(text) for text in positives + negatives])
    assert length_bias(positives, negatives) == (pytest.approx(max(upward, downward)), 0.25)


def test_a_language_without_word_forms_is_checked_for_the_rest():
    toy = [Row(concept, "lang0", text, 1) for concept in ("c0", "c1") for text in make(concept, 30, concept)]
    assert problems(toy) == []
