"""Compressed text: whole files come out whole, and what is cut short or damaged is never taken for whole."""

import bz2
import gzip
import lzma

import pytest
import zstandard
from babelscope.analysis.files.compressed import unpacked
from babelscope.analysis.files.faults import DamagedFileError
from babelscope.training.data.sources import Source, resolve

TEXT = "".join(f"line {i} of a small corpus, the same words again and again\n" for i in range(8000)).encode()
PACK = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(level=19, write_checksum=True).compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def read(path):
    with unpacked(str(path)) as stream:
        return stream.read()


@pytest.fixture(params=PACK)
def packed(request, tmp_path):
    """A path with a compression's suffix, and how it packs."""
    return tmp_path / f"en.txt{request.param}", PACK[request.param]


def test_what_was_packed_comes_out_also_in_several_parts_and_empty(packed):
    path, pack = packed
    for text, whole in ((TEXT, pack(TEXT)), (TEXT * 2, pack(TEXT) + pack(TEXT)), (b"", pack(b""))):
        path.write_bytes(whole)
        assert read(path) == text


def test_a_file_cut_anywhere_is_no_file(packed):
    path, pack = packed
    whole = pack(TEXT)
    for share in (0.05, 0.3, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DamagedFileError, match=rf"{path.name} (is cut short|is no sound)"):
            read(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedFileError, match="is cut short"):
        read(path)
    path.write_bytes(whole + whole[: len(whole) // 2])
    with pytest.raises(DamagedFileError, match="is cut short"):
        read(path)


def test_flipped_bytes_are_seen(packed):
    path, pack = packed
    for place in (0.4, 0.6, 0.8):
        broken = bytearray(pack(TEXT))
        broken[int(len(broken) * place)] ^= 0x55
        path.write_bytes(broken)
        with pytest.raises(DamagedFileError, match=path.name):
            read(path)


def test_another_file_under_the_name_is_named(packed):
    path, _ = packed
    path.write_bytes(b"plain text\n" * 50)
    with pytest.raises(DamagedFileError, match=rf"{path.name} is no sound"):
        read(path)


def test_a_window_of_two_gigabytes_is_read(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    (tmp_path / "en.txt.zst").write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(TEXT))
    assert read(tmp_path / "en.txt.zst") == TEXT


def test_a_source_that_is_cut_short_ends_the_work_and_names_the_file(packed, run_cli, capsys, tmp_path):
    path, pack = packed
    whole = pack(TEXT)
    path.write_bytes(whole)
    (source,), problems = resolve([Source(str(path), language="en")])
    assert problems == []
    assert sum(len(unit.documents()[0]) for unit in source.units(10_000)) == 8000
    path.write_bytes(whole[: len(whole) // 2])
    config = {
        "output": str(tmp_path / "store"),
        "sources": [{"path": str(path), "language": "en"}],
        "tokenizer": {"vocab_size": 300},
        "block_length": 64,
    }
    assert run_cli("prepare", config) in (1, 2)  # 2 where the beginning shows it, before any work
    assert f"{path} is cut short" in capsys.readouterr().err
    assert not (tmp_path / "store" / "manifest.json").exists()
    words = [
        "concepts",
        None,
        "mine",
        f"--sources=[{{path: {path}, language: en}}]",
        f"--output={tmp_path / 'set.csv'}",
    ]
    assert run_cli(*words) in (1, 2)
    assert f"{path} is cut short" in capsys.readouterr().err
    assert not (tmp_path / "set.csv").exists()
