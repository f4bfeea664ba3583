"""The sentences that come with the package: whole in every language, told apart by their concept and by nothing else."""

from functools import cache

import pytest
from babelscope.analysis.concepts.check import check_concepts
from babelscope.analysis.concepts.concept_set import ConceptSet
from babelscope.analysis.concepts.lexicon import Lexicon
from babelscope.analysis.concepts.lexicon_check import REQUIRED
from babelscope.analysis.concepts.word_forms import Matcher, concepts_of

CONCEPTS, POSITIVES, NEUTRAL = 24, 20, 150


@cache
def shipped() -> ConceptSet:
    return ConceptSet.load("shipped")


@cache
def lexicon() -> Lexicon:
    return Lexicon.load()


def test_every_concept_has_its_sentences_in_every_language():
    sentences = shipped()
    assert len(sentences.concepts) == CONCEPTS
    assert set(sentences.languages) == set(REQUIRED)
    for language in sentences.languages:
        assert min(len(sentences.positives(concept, language)) for concept in sentences.concepts) >= POSITIVES, language
        assert len(sentences.shared_negatives(language)) >= NEUTRAL, language


@pytest.mark.parametrize("language", REQUIRED)
def test_the_checker_finds_nothing_to_mend(language):
    own = ConceptSet([row for row in shipped().rows() if row.language == language])
    assert check_concepts(own, lexicon()).problems == []


@pytest.mark.parametrize("language", REQUIRED)
def test_a_neutral_sentence_holds_no_word_of_a_concept_not_even_an_ambiguous_one(language):
    matcher = Matcher(lexicon(), language)
    for text in shipped().shared_negatives(language):
        shown, unsure = concepts_of(matcher.find(text))
        assert not (shown | unsure) & {*shipped().concepts}, text


@pytest.mark.parametrize("language", REQUIRED)
def test_the_word_of_a_concept_is_neither_always_first_nor_always_the_same(language):
    matcher = Matcher(lexicon(), language)
    words = set()
    for concept in shipped().concepts:
        texts = shipped().positives(concept, language)
        hits = [next(h for h in matcher.find(t) if (h.concept, h.role) == (concept, "form")) for t in texts]
        assert sum(hit.start < 3 for hit in hits) <= 0.6 * len(texts), concept
        words |= {(concept, matcher.language.fold(t)[h.start : h.end]) for t, h in zip(texts, hits, strict=True)}
    assert len(words) >= 1.5 * CONCEPTS
