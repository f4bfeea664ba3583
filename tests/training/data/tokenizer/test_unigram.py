"""The Unigram trainer against enumeration of all segmentations, and on text with planted words."""

import math
from collections import Counter
from random import Random

import numpy as np
import pytest
from babelscope.training.data.tokenizer.unigram import Lattice, TooManyCharacters, learn


def segmentations(word, pieces):
    if not word:
        yield ()
    for n in range(1, len(word) + 1):
        if word[:n] in pieces:
            yield from ((word[:n], *rest) for rest in segmentations(word[n:], pieces))


def lattice_of(words, pieces):
    """A lattice by dictionary look-up, its first and last nodes, and the depth of its nodes."""
    edges, depth, last = [], [], []
    for word in words:
        first = len(depth)
        depth += range(len(word) + 1)
        last.append(len(depth) - 1)
        edges += [
            (first + i, first + j, pieces[word[i:j]])
            for i in range(len(word))
            for j in range(i + 1, len(word) + 1)
            if word[i:j] in pieces
        ]
    start_E, end_E, piece_E = np.array(edges).T
    return Lattice.of(start_E, end_E, piece_E, np.array(depth)), np.array(last), np.array(depth)


@pytest.fixture(params=range(3))
def example(request):
    random = Random(request.param)
    words = ["".join(random.choices("abc", k=random.randint(1, 7))) for _ in range(12)]
    longer = {w[i : i + n] for w in words for n in (2, 3, 4) for i in range(len(w) - n + 1) if random.random() < 0.5}
    pieces = {piece: number for number, piece in enumerate(sorted({"a", "b", "c"} | longer))}
    score = np.array([math.log(random.uniform(0.01, 1)) for _ in pieces])
    return words, pieces, score


def test_forward_and_expected_counts_equal_enumeration(example):
    words, pieces, score = example
    lattice, last, depth = lattice_of(words, pieces)
    weights = np.arange(1.0, len(words) + 1)
    expected = np.zeros(len(pieces))
    total = lattice.forward(score)
    best = lattice.forward(score, best=True)
    for word, weight, node in zip(words, weights, last, strict=True):
        ways = list(segmentations(word, pieces))
        logs = np.array([sum(score[pieces[piece]] for piece in way) for way in ways])
        assert total[node] == pytest.approx(np.logaddexp.reduce(logs))
        assert best[node] == pytest.approx(logs.max())
        for way, share in zip(ways, np.exp(logs - np.logaddexp.reduce(logs)), strict=True):
            for piece in way:
                expected[pieces[piece]] += weight * share
    weight_N = np.zeros(len(depth))
    weight_N[last] = weights
    np.testing.assert_allclose(lattice.expected(score, weight_N), expected, rtol=1e-10)


def test_keep_equals_a_lattice_of_the_kept_pieces(example):
    words, pieces, score = example
    kept = [piece for piece in pieces if len(piece) == 1 or piece < "bb"]
    new = np.array([kept.index(piece) if piece in kept else -1 for piece in pieces])
    whole, last, depth = lattice_of(words, pieces)
    small, _, _ = lattice_of(words, {piece: number for number, piece in enumerate(kept)})
    scores = score[new >= 0]
    np.testing.assert_array_equal(whole.keep(new, depth).forward(scores)[last], small.forward(scores)[last])


def test_frequent_words_get_pieces_and_their_likelihood():
    random = Random(0)
    lexicon = {"".join(random.choices("abcdefghijklmnop", k=6)): 1000 - 8 * rank for rank in range(100)}
    learned = dict(learn({f" {word}": count for word, count in lexicon.items()}, 117))
    assert len(learned) == 117
    assert {f" {word}" for word in lexicon} <= set(learned)
    ordered = sorted(lexicon, key=lambda word: -learned[f" {word}"])
    assert ordered == sorted(lexicon, key=lambda word: -lexicon[word])
    assert sum(math.exp(score) for score in learned.values()) == pytest.approx(1, abs=1e-3)


def test_a_part_that_only_occurs_within_a_word_gets_no_piece():
    learned = dict(learn({" telescope": 50, " table": 40, " tea": 30}, 40))
    assert " telescope" in learned
    assert "telescop" not in learned


def test_pieces_do_not_depend_on_the_order_of_the_words():
    random = Random(1)
    words = Counter("".join(random.choices("abcd", k=random.randint(2, 9))) for _ in range(3000))
    shuffled = list(words.items())
    random.shuffle(shuffled)
    assert learn(words, 150) == learn(dict(shuffled), 150)


def test_every_character_stays_and_long_words_are_no_trouble():
    learned = dict(learn({"x" * 1000 + "y": 1, "z": 1, "ab": 5}, 8))
    assert {"x", "y", "z", "a", "b"} <= set(learned)
    assert len(learned) <= 8


def test_too_little_text_gives_fewer_pieces():
    assert dict(learn({"abc": 1}, 50)).keys() == {"a", "b", "c"}


def test_more_characters_than_pieces_is_an_error():
    with pytest.raises(TooManyCharacters, match="26 characters do not fit into 20 pieces"):
        learn({"abcdefghijklmnopqrstuvwxyz": 3}, 20)
