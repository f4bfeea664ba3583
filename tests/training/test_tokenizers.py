"""A tokenizer is the one on disk: made up, rebuilt by a class, re-saved or missing, it is told or put right."""

import json
import logging

import pytest
from babelscope.training.data import tokenizer as stored
from babelscope.training.tokenizers import PROBES, load_tokenizer, same_ids
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

from tests.tokenizers_for_tests import word_tokenizer

CLASSES = ("GPT2TokenizerFast", "Qwen2TokenizerFast", "PreTrainedTokenizerFast")


@pytest.fixture(scope="module")
def definition():
    """A byte-level BPE whose own pre-tokenizer keeps letters and vowel signs together."""
    made = Tokenizer(models.BPE())
    made.decoder = decoders.ByteLevel()
    words = Regex(r" ?[\p{L}\p{M}]+| ?\p{N}+|\s+|[^\s\p{L}\p{M}\p{N}]+")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<e>"], show_progress=False, initial_alphabet=alphabet
    )
    made.train_from_iterator(list(PROBES) * 40, trainer)
    return made


def written(folder, definition, kind):
    folder.mkdir()
    definition.save(str(folder / "tokenizer.json"))
    names = dict.fromkeys(("eos_token", "bos_token", "unk_token"), "<e>")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, **names}))
    return folder


@pytest.mark.parametrize("kind", CLASSES)
def test_ids_are_those_of_the_file_whatever_class_it_names(kind, definition, tmp_path, caplog):
    folder = written(tmp_path / "tok", definition, kind)
    rebuilt = not same_ids(AutoTokenizer.from_pretrained(folder), definition)
    with caplog.at_level(logging.WARNING):
        loaded = load_tokenizer(folder)
    assert same_ids(loaded, definition)
    assert (loaded.eos_token, loaded.bos_token) == ("<e>", "<e>")
    assert ("cuts text otherwise than tokenizer.json, which is followed" in caplog.text) == rebuilt
    assert rebuilt or kind != "GPT2TokenizerFast"  # else this proves nothing
    stored.copy(str(folder), tmp_path / "copy")
    assert same_ids(load_tokenizer(tmp_path / "copy"), definition)
    # Whoever opens a checkpoint of ours with the library alone gets these ids as well.
    assert same_ids(AutoTokenizer.from_pretrained(tmp_path / "copy"), definition)


@pytest.mark.parametrize("kind", ["xglm", "gemma", "gpt2", "gpt_neox", "qwen2", "cohere", "bloom", "llama"])
def test_no_tokenizer_is_made_up(kind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(
        ValueError, match=r"tokenizer: none can be loaded from .*: name one with tokenizer=NAME_OR_FOLDER"
    ):
        load_tokenizer(tmp_path)


def test_a_store_is_not_prepared_with_a_tokenizer_that_is_not_there(run_cli, capsys, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xglm"}))
    (tmp_path / "en.txt").write_text("one two three\n" * 50)
    config = {
        "output": str(tmp_path / "store"),
        "sources": [{"path": str(tmp_path / "en.txt"), "language": "en"}],
        "tokenizer": {"path": str(tmp_path)},
    }
    assert run_cli("prepare", config) == 2
    assert "from which no tokenizer can be loaded" in capsys.readouterr().err


def test_words_of_a_toy_are_its_own_words_although_it_knows_no_probe(tmp_path):
    word_tokenizer().save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path)("w3 w4")["input_ids"] == word_tokenizer()("w3 w4")["input_ids"]


def test_a_run_without_a_store_is_told_of_a_tokenizer_that_is_not_there(tmp_path):
    from babelscope.training.callbacks import LanguageProbe

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xglm"}))
    with pytest.raises(ValueError, match="tokenizer: none can be loaded"):
        LanguageProbe(tokenizer=str(tmp_path)).find_tokenizer(None)
