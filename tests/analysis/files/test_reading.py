"""Users' files: every form gives the same rows, and whatever is wrong is one line with the file, the place and a remedy."""

import bz2
import csv
import errno
import gzip
import json
import lzma
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from babelscope.analysis.concepts import ConceptSet, load_text
from babelscope.analysis.files import FileFaultError, kind_of, lines_of, read_table, rows_of
from babelscope.analysis.files.stamp import content_stamp
from babelscope.training.data.sources import Source, resolve

PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
TEXTS = ["first, with a comma", 'a "quoted" word', "ünïcode 漢字", "two\nlines", "x" * 200_000]


def contents():
    """The same rows in each form that can be packed."""
    yield "jsonl", "".join(json.dumps({"language": "en", "text": text}) + "\n" for text in TEXTS)
    for form, delimiter in (("csv", ","), ("tsv", "\t")):

        class Lines(list):
            write = list.append

        lines = Lines()
        csv.writer(lines, delimiter=delimiter).writerows([["language", "text"], *(["en", text] for text in TEXTS)])
        yield form, "".join(lines)


def documents(path, **more):
    sources, problems = resolve([Source(str(path), language="en", **more)])
    assert problems == []
    return [text for unit in sources[0].units(1_000_000) for text in unit.documents()[0]]


@pytest.mark.parametrize("end", PACK)
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_every_form_and_packing_gives_the_same_rows_in_any_case(tmp_path, end, bom):
    for form, text in contents():
        for name in (f"a.{form}{end}", f"A.{form.upper()}{end.upper()}"):
            (tmp_path / name).write_bytes(PACK[end]((bom + text).encode()))
            assert [row["text"] for row in read_table(tmp_path / name, ["language", "text"])] == TEXTS
            assert documents(tmp_path / name) == TEXTS
            assert load_text(tmp_path / name) == {"en": TEXTS}


def test_json_gz_is_json_lines_and_other_names_are_none(tmp_path):
    (tmp_path / "c4.json.gz").write_bytes(gzip.compress(b'{"text": "one"}\n{"text": "two"}\n'))
    assert documents(tmp_path / "c4.json.gz") == ["one", "two"]
    assert [kind_of(name) for name in ("a.pdf", "a.parquet.gz", "txt", "a.gz")] == [None] * 4


BAD = {
    "utf16.txt": ("one\ntwo\n".encode("utf-16"), "is UTF-16; convert with iconv -f UTF-16 -t UTF-8"),
    "utf16le.csv": ("language,text\nen,one\n".encode("utf-16-le"), "is UTF-16; convert with iconv"),
    "utf32.jsonl": ('{"text": "a"}'.encode("utf-32"), "is UTF-32; convert with iconv -f UTF-32"),
    "nul.txt": (b"one\ntwo\nth\0ree\n", "nul.txt, line 3: a NUL byte, which no text has; remove them with tr -d"),
    "nul.jsonl.gz": (gzip.compress(b'{"text": "a"}\n\0\n'), "line 2: a NUL byte"),
    "cut.csv.zst": (zstandard.compress(b"language,text\nen,one\n" * 9)[:-3], "cut.csv.zst is cut short"),
    "open.csv": (b'language,text\nen,"never closed\nen,two\n', "open.csv, line 2: not as CSV has it"),
    "wide.tsv": (b"language\ttext\nen\tone\ttwo\n", "line 2: 3 fields, but the first line names 2"),
    "twice.csv": (b"language,text,text\nen,one,two\n", "column 'text' stands twice"),
    "list.jsonl": (
        b'{"language": "en", "text": "a"}\n["a"]\n',
        "line 2: '[\"a\"]' is no JSON object; write one object",
    ),
    "broken.jsonl": (b'{"language": "en", "text": "a"}\n{"text": \n', "line 2: not JSON (Expecting value at column"),
    "deep.jsonl": (b"[" * 100_000 + b"\n", "line 1: nested too deeply"),
    "latin.csv": ("language,text\nen,caf\xe9\n".encode("latin-1"), "is not UTF-8"),
    "foot.parquet": (b"PAR1" + b"\1" * 40 + b"PAR1", "foot.parquet cannot be read"),
    "empty.parquet": (b"", "empty.parquet cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_file_is_one_line_with_the_remedy(tmp_path, name):
    data, message = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileFaultError) as error:
        list(lines_of(tmp_path / name) if ".txt" in name else rows_of(tmp_path / name))
    assert message in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["nul.txt", "utf16.txt", "nul.jsonl.gz", "twice.csv", "foot.parquet"])
@pytest.mark.parametrize("read", [ConceptSet.load, load_text, lambda path: documents(path)])
def test_all_readers_of_users_files_refuse_by_name(tmp_path, name, read):
    (tmp_path / name).write_bytes(BAD[name][0])
    with pytest.raises((ValueError, AssertionError), match=name):
        read(tmp_path / name)


def test_parquet_with_lists_or_numbers_for_text_is_told_before_work(tmp_path):
    table = pa.table({"text": [["a"], ["b"]], "id": [1, 2], "body": ["one", "two"]})
    pq.write_table(table, tmp_path / "a.parquet")
    path = tmp_path / "a.parquet"
    for column, kind in (("text", "list<element: string>"), ("id", "int64")):
        _, (problem,) = resolve([Source(str(path), language="en", column=column)])
        assert f"in column {column!r}, which is no text; choose one of body" in problem
        assert kind in problem
    assert documents(path, column="body") == ["one", "two"]
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()}), path)
    assert documents(path) == ["a", "b", "a"]


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("text\na\n")
    (tmp_path / "a.csv").chmod(0)
    if os.geteuid() == 0:  # root may read everything: the system's answer to anybody else

        def refuse(path, *_, **__):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FileFaultError, match=r"a\.csv may not be read"):
        list(rows_of(tmp_path / "a.csv"))


def test_a_folder_and_a_lost_file_are_named(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileFaultError, match=r"a\.csv is a folder; name the files in it"):
        list(rows_of(tmp_path / "a.csv"))
    with pytest.raises(FileFaultError, match=r"b\.parquet is not there; correct the path"):
        list(rows_of(tmp_path / "b.parquet"))


def test_a_stamp_knows_content_and_not_time(tmp_path):
    data = bytearray(os.urandom(3_000_000))
    (tmp_path / "a").write_bytes(data)
    stamp = content_stamp(tmp_path / "a")
    os.utime(tmp_path / "a", (1, 1))
    assert content_stamp(tmp_path / "a") == stamp
    for place in (0, len(data) - 1, len(data) * 3 // 7):
        changed = bytearray(data)
        changed[place] ^= 1
        (tmp_path / "a").write_bytes(changed)
        assert content_stamp(tmp_path / "a") != stamp
    (tmp_path / "a").write_bytes(data[:-1])
    assert content_stamp(tmp_path / "a") != stamp


def test_a_line_that_cannot_be_seen_is_no_text(tmp_path):
    (tmp_path / "en.txt").write_text("one\n\u200b\u00ad\n\ufeff\ntwo\n", encoding="utf-8")
    assert load_text(tmp_path) == {"en": ["one", "two"]}
