"""Mining: what is planted is found, what is not there is not, and nothing but text, lexicon and seed decides."""

import random
from functools import partial

import pytest
from babelscope.analysis.concepts.lexicon import Lexicon
from babelscope.analysis.concepts.word_forms import Matcher, concepts_of
from babelscope.analysis.mining import corpus as mining
from babelscope.analysis.reservoirs import Candidate, NearDuplicates, Reservoir, tokens
from babelscope.training.data.sources import Source, resolve
from sklearn.metrics import average_precision_score

from tests.places import CORPUS, needs_corpus

SHIPPED = Lexicon.load()
mine = partial(mining.mine, min_positives=1)  # small corpora
LEXICON = Lexicon({name: SHIPPED.concepts[name] for name in ("dog", "road", "water")})
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


def read(path, *languages):
    """Sources of files as the command line gives them."""
    found, problems = resolve([Source(str(path), languages=list(languages))])
    assert not problems
    return {source.language: source for source in found}


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
    corpus = read(tmp_path / "{language}.txt", "en", "fr")
    whole = mine(corpus, LEXICON, per_concept=30, negatives=80)
    assert mine({"en": texts}, LEXICON, per_concept=30, negatives=80).concept_set == whole.concept_set.subset(
        languages=["en"]
    )
    monkeypatch.setattr("babelscope.training.data.sources.UNIT_BYTES", 1000)
    monkeypatch.setattr("babelscope.analysis.mining.parts.PART_UNITS", 3)
    for processes in (1, 2):
        parts = mine(corpus, LEXICON, per_concept=30, negatives=80, num_proc=processes)
        assert parts == whole


def documents(count, seed):
    """Documents of one to nine sentences, most of them with several of a concept."""
    rng = random.Random(seed)
    supply = iter([*sentences(4 * count, seed), *sentences(3 * count, seed + 1, ["water"]),
                   *sentences(2 * count, seed + 2, ["dog"])])  # fmt: skip
    pool = list(supply)
    rng.shuffle(pool)
    return [" ".join(pool.pop() for _ in range(rng.choice([1, 2, 5, 9])) if pool) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_a_document_gives_one_sentence(seed):
    texts = documents(150, seed)
    result = mine({"en": texts}, LEXICON, negatives=60)
    rows = result.concept_set.rows()
    taken = {row.text for row in rows}
    assert {row.label for row in rows} == {0, 1}
    for text in texts:
        assert sum(sentence in text for sentence in taken) <= 1
    assert result.report.counts["en"]["documents"] == 150
    assert result.report.counts["en"]["sentences"] == sum(text.count(".") for text in texts)
    assert result.report.counts["en"]["same_document"] > 100
    assert mine({"en": texts[::-1]}, LEXICON, negatives=60) == result


def test_the_rare_concept_gets_its_sentence_first():
    both = [f"{water} {dog}" for water, dog in zip(sentences(60, 1, ["water"]), sentences(60, 2, ["dog"]), strict=True)]
    texts = [*both[:20], *sentences(40, 3, ["water"])]
    kept = mine({"en": texts}, LEXICON).report.kept
    assert kept["dog", "en"] == 20
    assert kept["water", "en"] == 40


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
        "documents": 27,
        "sentences": 27,
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
    lines = [
        b"The water was cold \xff\xfe today.",
        "water вода вода вода и еще вода".encode(),
        b"",
        b"12345 678 90123 45678",
    ]
    (tmp_path / "en.txt").write_bytes(b"\n".join(lines))
    corpus = read(tmp_path / "{language}.txt", "en")
    with pytest.raises(ValueError, match="no concept has 1 sentences of 20 to 200 characters in any language"):
        mine(corpus, LEXICON)
    sound = sentences(40, 1, ["water"])
    (tmp_path / "en.txt").write_bytes(b"\n".join([*lines, *(text.encode() for text in sound)]))
    result = mine(corpus, LEXICON, max_line_bytes=1000)
    counts = result.report.counts["en"]
    assert {key: counts[key] for key in ("invalid_utf8", "empty", "other_script", "documents")} == {
        "invalid_utf8": 1, "empty": 1, "other_script": 1, "documents": 42,
    }  # fmt: skip
    assert result.concept_set.shared_negatives("en") == []
    assert mine(corpus, LEXICON, max_line_bytes=50).report.counts["en"]["long_record"] > 5


def test_chinese_is_mined_without_word_boundaries():
    texts = [f"他们第{number}天喝水以后就走了很远" for number in "一二三四五六七八九"] + [
        "今天天气很好我们出去走走看看"
    ]
    result = mine({"zh": texts}, LEXICON)
    assert result.report.found == {("water", "zh"): 9}
    assert result.concept_set.shared_negatives("zh") == texts[-1:]


def test_mistakes_are_all_told_at_once(tmp_path):
    with pytest.raises(
        ValueError, match=r"(?s)per_concept=0.*max_chars=5 is below min_chars.*fr: a run can only be resumed over"
    ):
        mine({"fr": ["De l'eau."]}, LEXICON, per_concept=0, max_chars=5, state=tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_reservoir_keeps_the_lowest_whatever_the_split(seed):
    rng = random.Random(seed)
    candidates = [Candidate(rng.randrange(10**6), f"t{number}") for number in range(2000)]
    signatures = {candidate.text: rng.randrange(700) for candidate in candidates}
    best = {}
    for candidate in candidates:
        best[signatures[candidate.text]] = min(candidate, best.get(signatures[candidate.text], candidate))
    expected = sorted(best.values())[:25]
    halves = Reservoir(25), Reservoir(25)
    for place, candidate in enumerate(candidates):
        halves[place % 3 == 0].add(candidate, signatures.get)
    again = Reservoir(25, halves[1].kept())
    bounded = halves[0].emptied()
    for candidate in again.kept():
        bounded.add(candidate, signatures.get)
    halves[0].merge(bounded, signatures.get)
    assert halves[0].candidates(signatures.get) == expected
    assert len(halves[0].kept()) < 120


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


@needs_corpus
def test_real_text_gives_the_same_set_twice():
    corpus = read(CORPUS / "{language}.txt", "es", "sw")
    first, second = (mine(corpus, SHIPPED) for _ in range(2))
    assert first.concept_set == second.concept_set
    assert first.report == second.report
    assert first.report.reaching(50)["sw"] >= 10
    for language in corpus:
        matcher = Matcher(SHIPPED, language)
        for text in first.concept_set.shared_negatives(language):
            assert not matcher.find(text)
        for text in first.concept_set.positives("water", language):
            assert "water" in concepts_of(matcher.find(text))[0]
