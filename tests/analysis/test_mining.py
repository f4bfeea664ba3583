"""Mining: what is planted is found, what is not there is not, and nothing but text, lexicon and seed decides."""

import random
from pathlib import Path

import pytest
from babelscope.analysis.lexicon import Lexicon
from babelscope.analysis.mining import mine
from babelscope.analysis.reservoirs import NearDuplicates, Reservoir, tokens
from babelscope.analysis.word_forms import Matcher, concepts_of
from sklearn.metrics import average_precision_score

LEXICON = Lexicon.load(concepts=["water", "dog", "road"])
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
WORDS = [
    "table",
    "window",
    "green",
    "walk",
    "letter",
    "small",
    "winter",
    "paper",
    "quiet",
    "stone",
    "garden",
    "chair",
    "yellow",
    "carry",
    "morning",
]


def sentences(count, seed, extra=()):
    """Random neutral English of 4 to 14 words, each with the extra words somewhere."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        words = [rng.choice(WORDS) + rng.choice(["", "s", "ed"]) for _ in range(rng.randint(4, 14))]
        words.insert(rng.randrange(len(words)), f"item{chr(97 + number % 26)}{chr(97 + number // 26 % 26)}")
        for word in extra:
            words.insert(rng.randrange(len(words)), word)
        made.append(" ".join(words).capitalize() + ".")
    return made


def planted(seed=0):
    texts = [
        *sentences(900, seed),
        *sentences(80, seed + 1, ["water"]),
        *sentences(60, seed + 2, ["dogs"]),
        *sentences(30, seed + 3, ["dog", "waters"]),
        *sentences(40, seed + 4, ["street"]),
    ]
    random.Random(seed).shuffle(texts)
    return texts


def test_what_is_planted_is_found_and_the_rest_is_not():
    result = mine({"en": planted()}, LEXICON, negatives=200)
    found = result.concept_set
    assert found.concepts == ("dog", "water")
    assert result.report.found == {("water", "en"): 110, ("dog", "en"): 90}
    assert len(found.positives("water", "en")) == 100
    assert all("water" in text.lower() for text in found.positives("water", "en"))
    assert all("dog" in text.lower() for text in found.positives("dog", "en"))
    both = set(found.positives("dog", "en")) & set(found.positives("water", "en"))
    assert both
    assert all("dog" in text.lower() and "water" in text.lower() for text in both)


def test_negatives_hold_no_form_and_no_ambiguous_word_of_any_concept():
    negatives = mine({"en": planted()}, LEXICON, negatives=500).concept_set.shared_negatives("en")
    matcher = Matcher(LEXICON, "en")
    assert len(negatives) > 400
    assert not any(matcher.find(text) for text in negatives)
    assert any("street" in text for text in planted())


def test_length_alone_does_not_tell_positives_from_negatives():
    long_positives = [text for text in sentences(900, 5, ["water"]) if len(text) > 70][:100]
    texts = [*sentences(2000, 1), *long_positives]
    result = mine({"en": texts}, LEXICON, negatives=400).concept_set
    positives, negatives = result.positives("water", "en"), result.negatives("water", "en")
    labels = [1] * len(positives) + [0] * len(negatives)
    chance = len(positives) / len(labels)
    matched = average_precision_score(labels, [len(text) for text in positives + negatives])
    unmatched = texts[:2000][: len(negatives)]
    biased = average_precision_score(labels, [len(text) for text in positives + unmatched])
    assert biased > chance + 0.15
    assert abs(matched - chance) < 0.08


def test_order_of_texts_and_repetition_change_nothing():
    texts = planted()
    first = mine({"en": texts}, LEXICON, per_concept=20, negatives=50)
    shuffled = random.Random(1).sample(texts, len(texts)) + texts[:100]
    assert mine({"en": shuffled}, LEXICON, per_concept=20, negatives=50).concept_set == first.concept_set


def test_the_seed_decides_what_is_drawn():
    drawn = {mine({"en": planted()}, LEXICON, per_concept=20, seed=seed).concept_set.fingerprint() for seed in range(3)}
    assert len(drawn) == 3


def test_files_in_parts_and_processes_give_the_same(tmp_path, monkeypatch):
    texts = planted()
    (tmp_path / "en.txt").write_text("\n".join(texts) + "\n\n", encoding="utf-8")
    (tmp_path / "fr.txt").write_text("\n".join(sentences(300, 9, ["eau"])), encoding="utf-8")
    corpus = {language: tmp_path / f"{language}.txt" for language in ("en", "fr")}
    whole = mine(corpus, LEXICON, per_concept=30, negatives=80)
    assert mine(corpus, LEXICON, per_concept=30, negatives=80, num_proc=2).concept_set == whole.concept_set
    monkeypatch.setattr("babelscope.analysis.text_parts.PART_BYTES", 1000)
    monkeypatch.setattr("babelscope.analysis.text_parts.CHUNK_BYTES", 150)
    parts = mine(corpus, LEXICON, per_concept=30, negatives=80)
    assert parts.concept_set == whole.concept_set
    assert parts.report.counts["en"]["texts"] == len(texts)
    assert mine({"en": texts}, LEXICON, per_concept=30, negatives=80).concept_set == whole.concept_set.subset(
        languages=["en"]
    )


def test_near_duplicates_and_lengths_are_thrown_away_and_counted():
    texts = [
        "The water of the lake was very cold that year.",
        "the WATER of the lake was very cold that year!!",
        "The water of the lake was very cold in that year.",
        "A quite different sentence about water and stones.",
        "Water.",
        "Water " * 60,
        "We walked down the street to the station again.",
        *sentences(20, 0),
    ]
    report = mine({"en": texts}, LEXICON).report
    assert report.found["water", "en"] == 4
    assert report.kept["water", "en"] == 2
    assert report.counts["en"] == {
        "texts": 27,
        "too_short": 1,
        "too_long": 1,
        "unsure": 1,
        "near_duplicates": 1,
        "negatives": report.counts["en"]["negatives"],
    }
    assert ("dog", "en", 0) in report.short()
    assert report.reaching(2) == {"en": 1}
    assert "water" in report.to_text()
    assert report.to_dict()["concepts"]["water"]["en"] == {"found": 4, "kept": 2}


def test_other_scripts_and_broken_bytes_are_left_out(tmp_path):
    (tmp_path / "en.txt").write_bytes(
        b"The water was cold \xff\xfe today.\nwater \xd0\xb2\xd0\xbe\xd0\xb4\xd0\xb0 " * 9
    )
    with pytest.raises(ValueError, match="no concept has 1 sentences of 20 to 200 characters in any language"):
        mine({"en": tmp_path / "en.txt"}, LEXICON)


def test_chinese_is_mined_without_word_boundaries():
    texts = [f"他们第{number}天喝水以后就走了很远" for number in "一二三四五六七八九"] + [
        "今天天气很好我们出去走走看看"
    ]
    result = mine({"zh": texts}, LEXICON)
    assert result.report.found == {("water", "zh"): 9}
    assert result.concept_set.shared_negatives("zh") == texts[-1:]


def test_mistakes_are_all_told_at_once(tmp_path):
    with pytest.raises(
        ValueError, match=r"(?s)per_concept is 0.*max_chars is 5, below min_chars.*fr: .* does not exist"
    ):
        mine({"fr": tmp_path / "fr.txt"}, LEXICON, per_concept=0, max_chars=5)


@pytest.mark.parametrize("seed", range(5))
def test_reservoir_keeps_the_lowest_whatever_the_split(seed):
    rng = random.Random(seed)
    ranks = [(rng.randrange(10**6), f"t{number}") for number in range(2000)]
    signatures = [rng.randrange(700) for _ in ranks]
    best = {}
    for signature, rank in zip(signatures, ranks, strict=True):
        best[signature] = min(rank, best.get(signature, rank))
    expected = [text for _, text in sorted(best.values())[:25]]
    halves = Reservoir(25), Reservoir(25)
    for place, (signature, rank) in enumerate(zip(signatures, ranks, strict=True)):
        halves[place % 3 == 0].add(signature, rank)
    halves[0].merge(halves[1])
    assert halves[0].texts() == expected


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_agree_with_all_pairs(seed):
    rng = random.Random(seed)
    words = [chr(97 + number) * rng.randint(1, 6) for number in range(12)]
    sets = [frozenset(rng.sample(words, rng.randint(1, 9))) for _ in range(200)]
    known, kept = NearDuplicates(0.75), []
    for new in sets:
        fresh = all(len(new & old) / len(new | old) < 0.75 for old in kept)
        assert known.add(new) is fresh
        kept += [new] * fresh


def test_tokens_ignore_case_digits_and_punctuation():
    assert tokens("in 1984, he went…") == tokens("in 2001 he went") == {"in", "0", "he", "went"}
    assert tokens("नमस्ते, दुनिया।") == {"नमस्ते", "दुनिया"}
    assert tokens("我爱你。", spaced=False) == {"我爱", "爱你"}


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not at {CORPUS}")
def test_real_text_gives_the_same_set_twice():
    corpus = {language: CORPUS / f"{language}.txt" for language in ("es", "sw", "ur")}
    first, second = (mine(corpus, Lexicon.load()) for _ in range(2))
    assert first.concept_set == second.concept_set
    assert first.report == second.report
    assert first.report.reaching(50)["sw"] >= 10
    for language in corpus:
        matcher = Matcher(Lexicon.load(), language)
        for text in first.concept_set.shared_negatives(language):
            assert not matcher.find(text)
        for text in first.concept_set.positives("water", language):
            assert "water" in concepts_of(matcher.find(text))[0]
