"""A long analysis says now and then how far it is; a short one says nothing."""

import itertools
import logging

import pytest
from babelscope.analysis import progress
from babelscope.analysis.health.analysis import HealthAnalysis
from babelscope.analysis.language_loss import LanguageLoss
from babelscope.analysis.numbers import duration

from ..model.families import tiny_model
from ..tokenizers_for_tests import sentences, word_tokenizer


def lines(caplog, seconds_an_item):
    clock = itertools.count(0, seconds_an_item)
    with caplog.at_level(logging.INFO):
        assert list(progress.telling("abcdef", "experts", "language", str, clock.__next__)) == list("abcdef")
    return [record.getMessage() for record in caplog.records]


def test_a_line_comes_no_oftener_than_every_half_minute(caplog):
    assert lines(caplog, 20) == [
        "experts: language 2 of 6 (b), about 3 min left",
        "experts: language 4 of 6 (d), about 80 s left",
        "experts: language 6 of 6 (f), about 24 s left",
    ]


def test_what_is_done_soon_is_not_talked_about(caplog):
    assert lines(caplog, 4) == []


@pytest.mark.parametrize(("seconds", "said"), [(4.2, "4 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_times_are_said_as_people_do(seconds, said):
    assert duration(seconds) == said


def test_an_analysis_tells_of_its_languages(monkeypatch, caplog):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    texts = {name: sentences(3, seed=seed) for seed, name in enumerate(("xx", "yy", "zz"))}
    with caplog.at_level(logging.INFO):
        LanguageLoss(texts, context=8)(tiny_model("bloom"), word_tokenizer(), 0)
    assert [line.split(", about")[0] for line in caplog.messages] == [
        "validation: language 2 of 3 (yy)",
        "validation: language 3 of 3 (zz)",
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        HealthAnalysis(texts, context=8)(tiny_model("bloom"), word_tokenizer(), 0)
    assert caplog.messages[0].startswith("health: language 2 of 3 (yy)")
