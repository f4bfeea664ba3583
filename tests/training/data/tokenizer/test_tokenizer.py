"""The tokenizer loses nothing, keeps its special tokens apart, and is a function of its texts."""

import json
import unicodedata
from random import Random

import pytest
from babelscope.training.data import tokenizer as subject
from babelscope.training.data.documents import Reading, clean
from babelscope.training.data.sources import LanguageSource
from babelscope.training.data.tokenizer import ALGORITHMS, SMALLEST_VOCABULARY, SPECIAL_TOKENS, TokenizerConfig
from babelscope.training.data.tokenizer.sampling import repeats, training_texts
from transformers import AutoTokenizer

TEXTS = [
    *("the cat sat on the mat", "the dog sat on the cat", "a cat and a dog and a mat", "dogs, cats & mats"),
    *("кошка сидит на ковре", "собака сидит на кошке", "猫坐在垫子上", "狗坐在猫上", "القط على السجادة"),
    *("बिल्ली चटाई पर बैठी", "कुत्ता बिल्ली पर बैठा", "l'été, où ça? là-bas!", "1, 22, 333 and 4444"),
] * 3

STRINGS = {
    "leading space": " a",
    "leading spaces": "   a",
    "trailing spaces": "a  ",
    "inner spaces": "a  b   c",
    "only a space": " ",
    "only spaces": "    ",
    "newlines": "\n\na\n \nb\n",
    "carriage returns": "a\r\nb\rc",
    "tabs": "\t\ta\tb",
    "NUL": "\x00a\x00\x00b\x00",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\x9f",
    "special tokens": "</s>a<s><pad> <unk></s>",
    "byte pieces": "<0x41><0xC3><0xA9> <0xFF>",
    "meta symbols": "▁a▁▁ b Ġc Ċ",
    "emoji": "🙂 a🙂🙂b",
    "joined emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷",
    "joiners": "क्‍ष می‌خواهم \u200d\u200c \u200d",
    "zero-width": "a\u200bb\ufeffc\u2060",
    "right to left": "שלום עולם مرحبا\u202eabc\u202c \u200f!",
    "mixed scripts": "abcабв漢字かなกขค𓀀𐍈ꙮ",
    "combining marks": "\u0301a\u0301\u0323 \u0308\u0301",
    "Hangul": "한국어 \u1112\u1161\u11ab",
    "unassigned": "\U000e1000 \u0378\U0003fffe",
    "private use": "\ue000\U000f0000\U0010ffff",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "replacement character": "\ufffd a\ufffd",
    "other white space": "a\u00a0b\u2003c\u3000d\u2028e\u1680",
    "long word": "a" * 5000,
    "long unknown word": "𓀀" * 1000,
}


@pytest.fixture(scope="module", params=ALGORITHMS)
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    subject.save(subject.train(TEXTS, TokenizerConfig(algorithm=request.param, vocab_size=400)), folder)
    return AutoTokenizer.from_pretrained(folder)


def round_trip(tokenizer, text):
    return tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids)


@pytest.mark.parametrize("name", STRINGS)
def test_every_nfc_string_comes_back(tokenizer, name):
    text = unicodedata.normalize("NFC", STRINGS[name])
    assert round_trip(tokenizer, text) == text
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


@pytest.mark.parametrize(("between", "every"), [("", 1), (" ", 13), ("a", 17)])
def test_every_code_point_comes_back_and_none_is_unknown(tokenizer, between, every):
    points = [chr(c) for c in range(0, 0x110000, every) if not 0xD800 <= c < 0xE000]
    texts = [unicodedata.normalize("NFC", between.join(points[i : i + 1024])) for i in range(0, len(points), 1024)]
    backend = tokenizer.backend_tokenizer
    ids = [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
    assert backend.decode_batch(ids, skip_special_tokens=False) == texts
    assert not any(tokenizer.unk_token_id in row for row in ids)


@pytest.mark.parametrize("seed", range(3))
def test_random_mixtures_come_back(tokenizer, seed):
    random = Random(seed)
    pools = (range(1, 0x300), range(0x300, 0x370), range(0x590, 0xE80), range(0x1100, 0x1200), range(0x2000, 0x2070))
    for _ in range(300):
        characters = [chr(random.choice(random.choice([*pools, (10, 32), (0x1F469, 0x200D)]))) for _ in range(20)]
        text = unicodedata.normalize("NFC", "".join(characters))
        assert round_trip(tokenizer, text) == text


def test_text_is_normalised(tokenizer):
    assert tokenizer("e\u0301te\u0301").input_ids == tokenizer("été").input_ids


def test_special_tokens_have_the_ids_of_xglm(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == [0, 1, 2, 3]
    ids = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    assert ids == (0, 1, 2, 3)


def test_prompt_begins_with_a_single_separator(tokenizer):
    plain = tokenizer("the cat", add_special_tokens=False).input_ids
    other = tokenizer("a dog", add_special_tokens=False).input_ids
    assert 2 not in plain
    assert tokenizer("the cat").input_ids == [2, *plain]
    assert tokenizer("the cat", "a dog").input_ids == [2, *plain, 2, 2, *other]


def test_special_tokens_within_a_text_are_text(tokenizer):
    assert not {0, 1, 2, 3} & set(tokenizer("a</s><s><pad><unk>", add_special_tokens=False).input_ids)


def test_batches_are_padded_on_the_right(tokenizer):
    batch = tokenizer(["the cat sat", "a"], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch.input_ids[1][-1] == 1
    assert batch.attention_mask[1][0] == 1
    assert batch.attention_mask[1][-1] == 0
    assert tokenizer.padding_side == "right"
    assert tokenizer.clean_up_tokenization_spaces is False


def test_punctuation_keeps_its_spaces(tokenizer):
    assert round_trip(tokenizer, "do n't , no . yes ?") == "do n't , no . yes ?"


def test_words_that_were_seen_are_not_spelled_in_bytes(tokenizer):
    assert len(tokenizer("the cat sat", add_special_tokens=False).input_ids) <= 6


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_order_and_repetition_of_training_do_not_matter(algorithm):
    config = TokenizerConfig(algorithm=algorithm, vocab_size=400)
    shuffled = TEXTS.copy()
    Random(0).shuffle(shuffled)
    first, *others = (subject.train(texts, config).to_str() for texts in (TEXTS, TEXTS, shuffled))
    assert all(other == first for other in others)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_vocabulary_has_the_size_asked_for(algorithm):
    texts = _words(Random(0), "abcdefgh", 500)
    for size in (SMALLEST_VOCABULARY, 400, 601):
        assert subject.train(texts, TokenizerConfig(algorithm=algorithm, vocab_size=size)).get_vocab_size() == size


def test_too_many_characters_for_the_vocabulary_is_an_error():
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 200)))] * 3
    with pytest.raises(
        ValueError, match=r"vocab_size is 300, but the text alone has 20\d characters.*raise vocab_size"
    ):
        subject.train(texts, TokenizerConfig(vocab_size=300, character_coverage=1.0))


def test_rare_characters_are_spelled_in_bytes():
    texts = ["the cat sat on the mat"] * 500 + ["猫"]
    vocabulary = {
        coverage: subject.train(texts, TokenizerConfig(vocab_size=310, character_coverage=coverage)).get_vocab()
        for coverage in (1.0, 0.999)
    }
    assert "猫" in vocabulary[1.0]
    assert "猫" not in vocabulary[0.999]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("algorithm", "wordpiece", "tokenizer.algorithm is 'wordpiece'; choose unigram or bpe"),
        ("vocab_size", 100, "tokenizer.vocab_size is 100; give at least 300"),
        ("alpha", 1.5, "tokenizer.alpha is 1.5; give a number from 0 (equal shares) to 1"),
        ("alpha", -0.1, "tokenizer.alpha is -0.1"),
        ("max_training_bytes", 0, "tokenizer.max_training_bytes is 0; give at least 1"),
        ("max_repeats", 0.5, "tokenizer.max_repeats is 0.5; give at least 1"),
        ("character_coverage", 0.0, "tokenizer.character_coverage is 0.0"),
    ],
)
def test_settings_out_of_range_are_named(field, value, message):
    problems = TokenizerConfig(**{field: value}).problems()
    assert len(problems) == 1
    assert message in problems[0]


def test_copy_adds_what_is_missing(tmp_path, caplog, tokenizer):
    tokenizer.save_pretrained(tmp_path / "from")
    config = json.loads((tmp_path / "from/tokenizer_config.json").read_text())
    config["padding_side"] = "left"
    del config["pad_token"]
    (tmp_path / "from/tokenizer_config.json").write_text(json.dumps(config))
    subject.copy(str(tmp_path / "from"), tmp_path / "to")
    copied = AutoTokenizer.from_pretrained(tmp_path / "to")
    assert copied.pad_token == "</s>"
    assert copied.padding_side == "right"
    assert "has no padding token" in caplog.text
    assert subject.separator_and_size(tmp_path / "to") == (2, len(tokenizer))


def test_copy_of_nothing_names_the_folder(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"tokenizer.path is .*nothing, from which no tokenizer can be loaded"):
        subject.copy(str(tmp_path / "nothing"), tmp_path / "to")


def test_repeats_follow_alpha():
    sizes = {"big": 1_000_000, "small": 10_000}

    def share(alpha, **more):
        config = TokenizerConfig(alpha=alpha, max_training_bytes=100_000, **more)
        rates = repeats(sizes, config)
        taken = {language: rate * sizes[language] for language, rate in rates.items()}
        assert sum(taken.values()) == pytest.approx(100_000)
        return taken["small"] / 100_000

    assert share(1.0) == pytest.approx(1 / 101)
    assert share(0.5) == pytest.approx(100 / 1100)
    assert share(0.0, max_repeats=5.0) == pytest.approx(0.5)
    assert share(0.0, max_repeats=2.0) == pytest.approx(0.2)
    assert share(0.0, max_repeats=1.0) == pytest.approx(0.1)


def test_a_language_drawn_more_often_gets_more_of_the_vocabulary():
    sources = [
        LanguageSource("big", "memory", texts=tuple(_words(Random(1), "abcdefghijklm", 4000))),
        LanguageSource("small", "memory", texts=tuple(_words(Random(2), "nopqrstuvwxyz", 200))),
    ]
    pieces = {}
    for alpha in (0.0, 1.0):
        config = TokenizerConfig(algorithm="bpe", vocab_size=700, alpha=alpha, max_training_bytes=30_000)
        texts, rates = training_texts(sources, config, 10_000, seed=0)
        assert rates["small"] > rates["big"] or alpha == 1.0
        vocabulary = subject.train(texts, config).get_vocab()
        pieces[alpha] = sum(len(p) > 2 and set(p) <= set("Ġnopqrstuvwxyz") for p in vocabulary)
    assert pieces[0.0] > 2 * pieces[1.0]


def _words(random, letters, count):
    lexicon = ["".join(random.choices(letters, k=random.randint(3, 7))) for _ in range(200)]
    return [" ".join(random.choices(lexicon, k=8)) for _ in range(count)]


def test_draw_does_not_depend_on_order_and_does_on_the_seed():
    texts = tuple(_words(Random(0), "abcdefgh", 2000))
    config = TokenizerConfig(max_training_bytes=10_000)

    def drawn(texts, seed):
        return training_texts([LanguageSource("a", "memory", texts=texts)], config, 10_000, seed)[0]

    assert drawn(texts, 0) == drawn(texts[::-1], 0)
    assert drawn(texts, 0) != drawn(texts, 1)
    assert sum(len(text.encode()) for text in drawn(texts, 0)) == pytest.approx(10_000, rel=0.15)


def test_clean_counts_each_reason():
    records = [b"good", b"", b"  \t", b"\xff\xfe", None, b"x" * 30, "e\u0301".encode(), b" kept "]
    texts, problems = clean(records, Reading(max_line_bytes=20))
    assert texts == ["good", "é", " kept "]
    assert problems == {"empty": 2, "invalid_utf8": 1, "too_long": 2}


def test_clean_json_counts_each_reason():
    records = [b'{"text": "good"}', b'{"text": null}', b'{"text": " "}', b'{"text": 3}', b"[1]", b"{broken", b""]
    records += [b'{"other": "x"}', b'{"text": "\\ud800"}', b'{"text": "\xff"}', b'{"text": "\\ud83d\\ude42"}']
    texts, problems = clean(records, Reading(column="text"))
    assert texts == ["good", "🙂"]
    assert problems == {"empty": 3, "malformed": 4, "invalid_utf8": 2}
