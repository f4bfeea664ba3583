"""Every format gives the same documents, whatever its lines, ends and faults; mistakes are all named at once."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from random import Random

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from babelscope.training.data import documents, sources
from babelscope.training.data.documents import Reading
from babelscope.training.data.sources import LanguageSource, Source, resolve


def read(source, max_line_bytes=1000):
    texts, problems = [], Counter()
    for unit in source.units(max_line_bytes):
        found, left_out = unit.documents()
        texts += found
        problems += left_out
    return texts, problems


def source_of(path, **more):
    resolved, problems = resolve([Source(path=str(path), language="xx", **more)])
    assert not problems
    return resolved[0]


TEXTS = [f"document {number} – ünïcode 漢字" for number in range(60)]


def write_all(folder):
    """The same documents in every format."""
    lines = "\n".join(TEXTS).encode()
    rows = b"\n".join(json.dumps({"id": 1, "text": text}).encode() for text in TEXTS)
    for name, data in (("a.txt", lines), ("a.jsonl", rows)):
        (folder / name).write_bytes(data)
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        frames = zstandard.compress(data[:500]) + zstandard.compress(data[500:])
        (folder / f"{name}.zst").write_bytes(frames)
    pq.write_table(pa.table({"text": TEXTS, "id": range(60)}), folder / "a.parquet", row_group_size=7)


@pytest.mark.parametrize(
    "name", ["a.txt", "a.txt.gz", "a.txt.zst", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"]
)
@pytest.mark.parametrize("budget", [None, 1, 13])
def test_every_format_gives_the_same_documents(tmp_path, monkeypatch, name, budget):
    monkeypatch.setattr(sources, "UNIT_BYTES", 200)
    monkeypatch.setattr(sources, "UNIT_ROWS", 11)
    write_all(tmp_path)
    assert read(source_of(tmp_path / name, max_documents=budget)) == (TEXTS[:budget], Counter())


def test_a_pattern_takes_files_in_order_of_their_names(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"from {name}")
    (tmp_path / "d.pdf").write_text("no text")
    assert read(source_of(tmp_path / "*"))[0] == ["from a", "from b", "from c"]


FAULTY = b"\xef\xbb\xbffirst\r\n\n  \nbad \xff\xfe\n" + b"x" * 150 + b"\nok\n" + b"y" * 120 + b"\n\n\xe6\xbc\xa2\nlast"
CLEAN = (["first", "ok", "漢", "last"], Counter(empty=3, invalid_utf8=1, too_long=2))


@pytest.mark.parametrize("unit", [1, 2, 3, 7, 16, 64, 1 << 20])
@pytest.mark.parametrize("end", ["", ".gz", ".zst"])
def test_faults_are_counted_wherever_units_are_cut(tmp_path, monkeypatch, unit, end):
    monkeypatch.setattr(sources, "UNIT_BYTES", unit)
    file = tmp_path / f"a.txt{end}"
    file.write_bytes({"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[end](FAULTY))
    assert read(source_of(file), max_line_bytes=100) == CLEAN


@pytest.mark.parametrize("seed", range(5))
def test_random_files_give_their_lines_wherever_units_are_cut(tmp_path, monkeypatch, seed):
    random = Random(seed)
    lines = [bytes(random.choices(b"ab \xc3\xa9\r", k=random.randint(0, 12))) for _ in range(50)]
    data = b"\n".join(lines) + b"\n" * random.randint(0, 1)
    (tmp_path / "a.txt").write_bytes(data)
    whole = data.removesuffix(b"\n").split(b"\n")
    expected = documents.clean([line.removesuffix(b"\r") for line in whole], Reading(max_line_bytes=9))
    for unit in (1, 5, 13, 100):
        monkeypatch.setattr(sources, "UNIT_BYTES", unit)
        texts, problems = read(source_of(tmp_path / "a.txt"), max_line_bytes=9)
        assert texts == expected[0]
        assert problems["invalid_utf8"] == expected[1]["invalid_utf8"]


def test_invalid_utf8_in_a_table_is_counted(tmp_path):
    column = pa.array([b"good", b"\xff", None, b""]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(column), column.buffers())
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet")
    assert read(source_of(tmp_path / "a.parquet")) == (["good"], Counter(invalid_utf8=1, empty=2))


@pytest.mark.parametrize("streaming", [True, False])
def test_hub_datasets_are_read_by_configuration(monkeypatch, streaming):
    asked = []

    def load_dataset(path, name, split, revision, streaming):
        asked.append((path, name, split, revision, streaming))
        data = datasets.Dataset.from_dict({"content": TEXTS, "id": list(range(60))})
        return data.to_iterable_dataset() if streaming else data

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    shared = Source(
        path="someone/wiki", name="2023.{language}", languages=["aa", "bb"], column="content", streaming=streaming,
        max_documents=25, revision="main",
    )  # fmt: skip
    resolved, problems = resolve([shared])
    assert not problems
    assert [source.label for source in resolved] == ["someone/wiki (2023.aa)", "someone/wiki (2023.bb)"]
    assert read(resolved[1]) == (TEXTS[:25], Counter())
    assert asked == [("someone/wiki", "2023.bb", "train", "main", streaming)]
    with pytest.raises(ValueError, match=r"2023.aa\) has no column 'text'; set column to one of content, id"):
        read(replace(resolved[0], column="text"))


def test_all_mistakes_are_named_at_once(tmp_path):
    pq.write_table(pa.table({"body": ["a"]}), tmp_path / "a.parquet")
    (tmp_path / "a.pdf").write_text("x")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.parquet").write_text("x")
    _, problems = resolve(
        [
            Source(path="nowhere/fr.txt", language="fr"),
            Source(path=str(tmp_path / "a.pdf"), language="de"),
            Source(path=str(tmp_path / "a.parquet"), language="en"),
            Source(path=str(tmp_path / "b.parquet"), language="nl"),
            Source(path=str(tmp_path), language="es"),
            Source(path=str(tmp_path / "*.gz"), language="it"),
            Source(path=str(tmp_path / "a.txt"), languages=["fr", "../pt"]),
            Source(path=str(tmp_path / "a.txt")),
            Source(path=str(tmp_path / "a.txt"), language="sw", max_documents=0, max_tokens=-1),
        ]
    )
    text = "\n".join(problems)
    for expected in (
        "sources[0].path: there is no file nowhere/fr.txt; correct the path (relative paths start at /",
        "a.pdf is of no known format; the name must end in .txt, .jsonl, .json, .csv, .tsv (also .gz, .zst, .bz2, .xz) or .parquet",
        "sources[2].column: ",
        "a.parquet has no column 'text'; choose one of body",
        "b.parquet cannot be read (Parquet file size is 1 bytes",
        "is a folder; name the files in it, for example",
        "*.gz and ends in .txt",
        "sources[6]: language '../pt' cannot name a folder",
        "2 languages would all read",
        "give either language or languages",
        "sources[8].max_documents is 0; give at least 1",
        "sources[8].max_tokens is -1",
        "sources[8].max_documents",
    ):
        assert expected in text
    assert len(problems) == 11


def test_identity_changes_with_the_file_and_the_budget(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    before = source_of(tmp_path / "a.txt")
    assert before.identity() == source_of(tmp_path / "a.txt").identity()
    assert before.identity() != source_of(tmp_path / "a.txt", max_documents=3).identity()
    first = before.identity()
    (tmp_path / "a.txt").write_text("xy")
    assert before.identity() != first


def test_size_is_known_for_plain_files_alone(tmp_path):
    write_all(tmp_path)
    assert source_of(tmp_path / "a.txt").size == (tmp_path / "a.txt").stat().st_size
    assert source_of(tmp_path / "a.txt.gz").size is None
    assert source_of(tmp_path / "a.txt", max_documents=3).size is None
    assert LanguageSource("xx", "memory", texts=("aé", "b")).size == 4
