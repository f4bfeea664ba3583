"""What `prepare` leaves out is told at its end, by language and reason, and kept in the manifest."""

import json

from babelscope.training.commands.cli import main
from babelscope.training.commands.prepare import REASONS, left_out
from babelscope.training.data.documents import PROBLEMS


def prepare(folder, capsys):
    words = [f"--output={folder}/store", "--tokenizer.algorithm=bpe", "--tokenizer.vocab_size=310", "--block_length=8"]
    words += ["--validation_fraction=0", "--max_line_bytes=200"]
    assert (
        main(["prepare", f"--sources=[{{path: '{folder}/{{language}}.jsonl', languages: [en, fr, sw]}}]", *words]) == 0
    )
    return capsys.readouterr().out


def test_what_was_left_out_is_told_by_language_and_reason(tmp_path, capsys):
    good = json.dumps({"text": "a good sentence of words"}).encode() + b"\n"
    (tmp_path / "en.jsonl").write_bytes(good * 30)
    (tmp_path / "fr.jsonl").write_bytes(good * 30 + b'{"text": ""}\n' * 12 + b"no json\n" + b'{"text": "\xff"}\n')
    (tmp_path / "sw.jsonl").write_bytes(good * 30 + json.dumps({"text": "x" * 201}).encode())
    assert prepare(tmp_path, capsys).splitlines()[1:] == [
        "left out  not UTF-8  empty  longer than max_line_bytes  no text in column",
        "fr                1     12                           0                  1",
        "sw                0      0                           1                  0",
    ]
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert manifest["languages"]["fr"]["problems"] == {"invalid_utf8": 1, "empty": 12, "too_long": 0, "malformed": 1}


def test_nothing_left_out_is_said_too():
    assert left_out({"en": dict.fromkeys(PROBLEMS, 0)}) == ["Nothing was left out"]
    assert set(REASONS) == set(PROBLEMS)
