"""The stages of `prepare`, each finished on its own: tokenizer, encoded parts, packed languages, manifest.

A stage leaves a note of what it was made from. Run again, it is passed over when the note agrees and redone when not.
"""

import json
import logging
import os
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from ...analysis.files.stamp import content_stamp
from ..errors import ConfigError, raise_if
from ..toy.world import ToyWorld
from . import tokenizer as tokenizers_
from .encoding import Encoders, Heldout, Part, encoders, write_json
from .packing import TooLittleText, by_shares, pack, write_heldout
from .sources import LanguageSource
from .store import FORMAT, MANIFEST
from .tokenizer import TokenizerConfig
from .tokenizer.sampling import no_text, training_texts

log = logging.getLogger(__name__)

LIBRARIES = ("tokenizers", "transformers", "datasets", "pyarrow")
SHARD_FOLDER = re.compile(r"(\d+)-of-(\d+)")
NOTE = "babelscope.json"
TOY_HELDOUT = 500
"""Documents in one language alone that a toy world gives each language for probes."""


@dataclass(frozen=True)
class Job:
    """A store to prepare: checked settings and resolved sources."""

    store: Path
    sources: tuple[LanguageSource, ...]
    toy: ToyWorld | None
    tokenizer: TokenizerConfig
    block_length: int
    validation_fraction: float
    heldout_documents: int
    max_line_bytes: int
    seed: int

    @cached_property
    def identities(self) -> list[dict[str, Any]]:
        """What decides the documents of each source."""
        world = {"toy": asdict(self.toy)} if self.toy else {}
        return [_plain(source.identity() | world) for source in self.sources]

    @cached_property
    def _names(self) -> list[str]:
        """What the parts of each source are called: its language, and from the second on a number."""
        before = [source.language for source in self.sources]
        numbers = [before[:position].count(language) + 1 for position, language in enumerate(before)]
        return [f"{name}@{number}" if number > 1 else name for name, number in zip(before, numbers, strict=True)]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that decides what the store holds."""
        keys = ("block_length", "validation_fraction", "heldout_documents", "max_line_bytes", "seed")
        return self._tokenizer_note | {"sources": self.identities} | {key: getattr(self, key) for key in keys}

    @property
    def _tokenizer_note(self) -> dict[str, Any]:
        if self.tokenizer.path is not None:
            return {"tokenizer": {"path": self.tokenizer.path, "stamp": _stamp(self.tokenizer.path)}}
        note = {"tokenizer": asdict(self.tokenizer), "sources": self.identities, "seed": self.seed}
        return note | {"max_line_bytes": self.max_line_bytes}

    @cached_property
    def _digest(self) -> str:
        return tokenizers_.digest(self.store / "tokenizer")

    @cached_property
    def _about_tokenizer(self) -> dict[str, Any]:
        return json.loads((self.store / "tokenizer" / NOTE).read_text(encoding="utf-8"))

    def is_finished(self, overwrite: bool) -> bool:
        """Whether the store is whole with these settings; with others it must be allowed to be replaced."""
        file = self.store / MANIFEST
        if not file.exists():
            return False
        there = json.loads(file.read_text(encoding="utf-8"))["settings"]
        if there == self.settings:
            return True
        differ = sorted(key for key in {*there, *self.settings} if there.get(key) != self.settings.get(key))
        if not overwrite:
            raise ConfigError(
                [
                    f"output: {self.store} holds a finished store with another {', '.join(differ)}; give another "
                    "output, or set overwrite to true to replace it"
                ]
            )
        file.unlink()
        return False

    def make_tokenizer(self, sharded: bool) -> None:
        """Train or copy the tokenizer into the store, unless it is there."""
        folder = self.store / "tokenizer"
        note = folder / NOTE
        if note.exists() and json.loads(note.read_text(encoding="utf-8"))["made_from"] == self._tokenizer_note:
            return
        if folder.exists() and not note.exists():
            raise ConfigError(
                [f"output: {folder} is there already and was not made here: give another output, or move it"]
            )
        if sharded and self.tokenizer.path is None:
            raise ConfigError(
                [
                    f"shard: {self.store} has no tokenizer trained on these sources, which all shards must share; "
                    "run once with tokenizer_only true, or set tokenizer.path"
                ]
            )
        made = self.store / f"tokenizer.{os.getpid()}.unfinished"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        repeats = None
        try:
            if self.tokenizer.path is not None:
                tokenizers_.copy(self.tokenizer.path, made)
            else:
                texts, repeats = training_texts(self.sources, self.tokenizer, self.max_line_bytes, self.seed)
                trained = tokenizers_.train(texts, self.tokenizer)
                if trained.get_vocab_size() < self.tokenizer.vocab_size:
                    log.warning(
                        "the text gives a tokenizer of %d words, fewer than vocab_size %d",
                        trained.get_vocab_size(), self.tokenizer.vocab_size,
                    )  # fmt: skip
                tokenizers_.save(trained, made)
            separator, vocab_size = tokenizers_.separator_and_size(made)
            about = {"separator": separator, "vocab_size": vocab_size, "repeats": repeats}
            write_json(made / NOTE, {"made_from": self._tokenizer_note} | about)
            _put(made, folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def encode(self, number: int, shards: int, num_proc: int, progress: bool | None) -> Path:
        """Encode the units of one shard, language by language; returns the shard's folder."""
        folder = self.store / "shards" / f"{number}-of-{shards}"
        sizes = [source.size for source in self.sources]
        known = [size for size in sizes if size is not None]
        bar = tqdm(
            total=sum(known) // shards if len(known) == len(sizes) else None,
            unit="B",
            unit_scale=True,
            desc="prepare",
            disable=not (sys.stderr.isatty() if progress is None else progress),
        )
        file = str(self.store / "tokenizer" / "tokenizer.json")
        with bar, encoders(file, self._about_tokenizer["separator"], num_proc) as pool:
            for position, source in enumerate(self.sources):
                bar.set_postfix_str(source.language)
                part = Part.at(folder, self._names[position])
                wanted = self._part_note(position, number, shards)
                if (part.described() or {}).get("made_from") == wanted:
                    log.info("%s: encoded already", source.language)
                    bar.update((source.size or 0) // shards)
                    continue
                self._encode_language(source, part, wanted, pool, bar)
        return folder

    def _encode_language(
        self, source: LanguageSource, part: Part, note: dict[str, Any], pool: Encoders, bar: tqdm
    ) -> None:
        number, shards = note["shard"]
        held = Heldout(self.heldout_documents)
        units = (unit for index, unit in enumerate(source.units(self.max_line_bytes)) if index % shards == number - 1)
        part.write(pool.run(units, held), held, source.max_tokens, {"made_from": note}, bar)

    def _part_note(self, position: int, number: int, shards: int) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "source": self.identities[position],
            "tokenizer": self._digest,
            "max_line_bytes": self.max_line_bytes,
            "heldout_documents": self.heldout_documents,
            "shard": [number, shards],
        }

    def finish(self, shards: int) -> None:
        """Pack the parts of all shards and write the manifest."""
        numbers = range(1, shards + 1)
        work: dict[str, list[tuple[LanguageSource, list[Part], list[dict[str, Any]]]]] = {}
        for position, source in enumerate(self.sources):
            parts = [Part.at(self.store / "shards" / f"{i}-of-{shards}", self._names[position]) for i in numbers]
            notes = [self._part_note(position, i, shards) for i in numbers]
            work.setdefault(source.language, []).append((source, parts, notes))
        raise_if(
            problem
            for several in work.values()
            for source, parts, notes in several
            for problem in _missing(source.language, parts, notes)
        )
        entries: dict[str, Any] = {}
        problems: list[str] = []
        for language, several in work.items():
            sources, parts_of, notes_of = (list(column) for column in zip(*several, strict=True))
            try:
                entries[language] = self._pack(sources, parts_of, [note for notes in notes_of for note in notes])
            except TooLittleText as error:
                problems.append(str(error))
        raise_if(problems)
        for folder in (self.store / "blocks").iterdir():
            if folder.name not in entries:
                shutil.rmtree(folder)
        if self.toy is not None:
            pq.write_table(self.toy.concept_table(), self.store / "concepts.parquet")
            pq.write_table(self.toy.parallel_table(), self.store / "parallel.parquet")
            for language, entry in entries.items():
                texts = self.toy.heldout(language, min(self.heldout_documents, TOY_HELDOUT))
                write_heldout(self.store, language, texts)
                entry["heldout_documents"] = len(texts)
        about = self._about_tokenizer
        tokenizer = {"sha256": self._digest} | {key: about[key] for key in ("vocab_size", "separator")}
        write_json(
            self.store / MANIFEST,
            {
                "format": FORMAT,
                "block_length": self.block_length,
                "validation_fraction": self.validation_fraction,
                "seed": self.seed,
                "tokenizer": tokenizer,
                "languages": entries,
                "settings": self.settings,
                "versions": {name: version(name) for name in LIBRARIES},
            },
        )
        shutil.rmtree(self.store / "shards")

    def _pack(
        self, sources: list[LanguageSource], parts: list[list[Part]], notes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Pack one language unless that is done, and give its entry of the manifest."""
        language = sources[0].language
        folder = self.store / "blocks" / language
        note = {"parts": notes, "block_length": self.block_length} | {"validation_fraction": self.validation_fraction}
        done = folder / NOTE
        if done.exists():
            there = json.loads(done.read_text(encoding="utf-8"))
            if there["made_from"] == note:
                return there["entry"]
        described = [part.described() or {} for several in parts for part in several]
        label = ", ".join(source.label for source in sources)
        if not sum(d["documents"] for d in described):
            left_out = {reason: sum(d["problems"][reason] for d in described) for reason in described[0]["problems"]}
            raise TooLittleText(no_text(language, label, left_out))
        taken = by_shares(parts, [source.share for source in sources])
        entry, made = pack(
            language, taken, self.store, self.block_length, self.validation_fraction, self.heldout_documents
        )
        entry = {"source": label} | entry
        write_json(made / NOTE, {"made_from": note, "entry": entry})
        _put(made, folder)
        return entry


def shards_there(store: Path) -> int:
    """Into how many shards the store's text was split.

    Raises:
        ConfigError: if there are no shards, or shards of different splits.
    """
    folders = [f.name for f in (store / "shards").glob("*-of-*") if SHARD_FOLDER.fullmatch(f.name)]
    splits = sorted({int(name.split("-of-")[1]) for name in folders})
    if not splits:
        raise ConfigError([f"merge: {store} has no shards; prepare them with shard 1/n to n/n first"])
    if len(splits) > 1:
        found = ", ".join(map(str, splits))
        raise ConfigError([f"merge: {store}/shards holds splits into {found}; remove those of the ones not meant"])
    return splits[0]


def _missing(language: str, parts: list[Part], notes: list[dict[str, Any]]) -> list[str]:
    found = []
    for part, note in zip(parts, notes, strict=True):
        number, shards = note["shard"]
        there = part.described()
        if there is None:
            found.append(
                f"merge: shard {number}/{shards} of {language} is missing; run it with shard {number}/{shards}"
            )
        elif there["made_from"] != note:
            differ = ", ".join(sorted(key for key in note if there["made_from"].get(key) != note[key]))
            found.append(f"merge: shard {number}/{shards} of {language} was made with another {differ}; run it again")
    return found


def _put(made: Path, folder: Path) -> None:
    """Move a finished folder to its place, over what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(made, folder)


def _stamp(path: str) -> list[Any] | None:
    """By what a local tokenizer is known again."""
    file = Path(os.path.expanduser(path)) / "tokenizer.json"
    return list(content_stamp(file)) if file.exists() else None


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))
