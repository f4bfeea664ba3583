"""The scanner says of every sentence what the matcher says of it alone, whatever stands in it."""

import random

import pytest
from babelscope.analysis.concepts.languages import LANGUAGES
from babelscope.analysis.concepts.lexicon import Concept, Lexicon
from babelscope.analysis.concepts.word_forms import Matcher, concepts_of, split_marker
from babelscope.analysis.mining import word_scan
from babelscope.analysis.mining.word_scan import NOTHING, Scanner

SHIPPED = Lexicon.load()


def reference(matcher, text):
    return concepts_of(matcher.find(text))


def strange(lexicon, language, count, seed):
    """Sentences of forms, parts of forms, affixed forms, capitals, punctuation and foreign words, in any order."""
    rng = random.Random(seed)
    facts = LANGUAGES[language]
    forms = [
        split_marker(written)[0]
        for concept in lexicon.concepts.values()
        for _, lists in concept.lists()
        for written in lists.get(language, ())
    ]
    affixes = sorted(facts.prefixes | facts.suffixes)
    glue = "" if not facts.spaced else " "

    def word():
        form = rng.choice(forms)
        change = rng.randrange(9)
        if change == 0:
            return form.upper()
        if change == 1:
            return rng.choice(affixes) + form + rng.choice(affixes)
        if change == 2:
            return rng.choice("([«\"'“") + form + rng.choice(".,;!?)।。’\u200c")
        if change == 3:
            return rng.choice(form.split(" "))
        if change == 4:
            return form[: rng.randrange(1, len(form) + 1)]
        if change == 5:
            return rng.choice(["xyz", "вода", "123", "-", "l'", "ab\u0301c", "\ufffd"])
        return form

    made = []
    for _ in range(count):
        text = glue.join(word() for _ in range(rng.randint(1, 7)))
        made.append(" ".join(text.split()))
    return made


@pytest.mark.parametrize("language", ["ar", "en", "eu", "fr", "hi", "tr", "vi", "zh"])
def test_the_scanner_agrees_with_the_matcher(language):
    matcher = Matcher(SHIPPED, language)
    scanner = Scanner(matcher)
    texts = strange(SHIPPED, language, 500, seed=1)
    for repeat in (texts, texts[::-1]):  # the second time all words are known
        said = scanner.scan(repeat)
        for index, text in enumerate(repeat):
            seen = said.get(index, NOTHING)
            assert (seen.shown, seen.unsure) == reference(matcher, text), text
    assert sum(bool(seen.shown) for seen in said.values()) > 250


def test_forms_of_several_words_and_exclusions_across_words():
    forms = {"en": ("cat", "=guinea pig", "polar bear*", "sea lion", "new-born calf")}
    cat = Concept("animal", "g", "d", "concrete", forms, {"en": ("big cat",)}, {"en": ("cat flap", "guinea pig skin")})
    lexicon = Lexicon({"animal": cat})
    matcher = Matcher(lexicon, "en")
    texts = [
        "the cat flap", "a cat and a cat flap", "Big cat!", "guinea pig", "guinea pigs", "a guinea pig skin",
        "polar bears", "polar, bears", "the polar bearskin.", "bipolar bear", "“Sea lion”", "sea-lion", "a sea lions",
        "new-born calf", "newborn calf", "pig guinea", "guinea", "cat’s",
    ]  # fmt: skip
    said = Scanner(matcher).scan(texts)
    for index, text in enumerate(texts):
        seen = said.get(index, NOTHING)
        assert (seen.shown, seen.unsure) == reference(matcher, text), text
    assert [text for index, text in enumerate(texts) if index in said and said[index].shown] == [
        "a cat and a cat flap", "guinea pig", "polar bears", "the polar bearskin.", "“Sea lion”", "new-born calf", "cat’s",
    ]  # fmt: skip


def test_forgetting_words_changes_nothing(monkeypatch):
    matcher = Matcher(SHIPPED, "fr")
    texts = strange(SHIPPED, "fr", 300, seed=2)
    whole = Scanner(matcher).scan(texts)
    monkeypatch.setattr(word_scan, "MEMORY", 40)
    small = Scanner(matcher)
    for start in range(0, 300, 10):
        for index, seen in small.scan(texts[start : start + 10]).items():
            assert (seen.shown, seen.unsure, seen.foreign) == (
                whole[start + index].shown, whole[start + index].unsure, whole[start + index].foreign
            )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "foreign"), [("вода water", True), ("water", False), ("wa\ufffdter", True), ("12", False)]
)
def test_letters_of_another_script_are_told(text, foreign):
    assert Scanner(Matcher(SHIPPED, "en")).scan([text]).get(0, NOTHING).foreign is foreign
