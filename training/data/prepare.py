"""`babelscope prepare`: text to a tokenizer and a store of token blocks, whole or in shards."""

import logging
import os
import re
from pathlib import Path

from ..errors import raise_if, work_begun
from ..toy.world import ToyWorld
from .sources import LanguageSource, Source, resolve
from .stages import Job, shards_there
from .tokenizer import TokenizerConfig

log = logging.getLogger(__name__)

SHARD = re.compile(r"(\d+)/(\d+)")


def prepare(
    output: str,
    sources: list[Source] | None = None,
    toy: ToyWorld | None = None,
    tokenizer: TokenizerConfig | None = None,
    block_length: int = 2048,
    validation_fraction: float = 0.01,
    heldout_documents: int = 2000,
    max_line_bytes: int = 1_000_000,
    seed: int = 0,
    num_proc: int = 1,
    tokenizer_only: bool = False,
    shard: str | None = None,
    merge: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Turn text into a tokenizer and a store of token blocks.

    The store loads once it is whole. After an interruption the same call goes on from the parts that are finished.

    Args:
        output: Folder of the store.
        sources: Where the text comes from; several sources of a language come one behind the other, or by their shares.
        toy: A built-in world of invented languages in place of sources.
        tokenizer: A tokenizer by name or folder, or how to train one.
        block_length: Tokens of a block.
        validation_fraction: Share of the documents that validate, chosen by the hash of their text; a small language
            gives as many as fill one block. 0 for no validation.
        heldout_documents: So many validation documents of each language are kept as text, for probes.
        max_line_bytes: Longer records are counted and left out.
        seed: Draws the text that the tokenizer is trained on.
        num_proc: Processes that encode; 1 uses the tokenizer's own threads.
        tokenizer_only: Stop when the tokenizer is there, for shards to share it.
        shard: "i/n" encodes the i-th of n parts of the text, 1/n to n/n, and stops. It needs a tokenizer by name or
            folder, or one trained before with tokenizer_only.
        merge: Put the shards together.
        overwrite: Replace a finished store that was prepared with other settings.
        progress: Show a progress bar; by default where standard error is a terminal.

    Returns:
        The folder of the store, or of the shard.

    Raises:
        ConfigError: naming everything that is wrong with the settings, the sources or their text.
        StoppedRun: a file turned out to be damaged while it was read, or the disk is full.
    """
    store = Path(os.path.expanduser(output))
    config = tokenizer or TokenizerConfig()
    resolved, problems = resolve(sources or [])
    if toy is not None:
        resolved = _toy_sources(toy)
    if bool(sources) == (toy is not None):
        problems.append("sources: give either sources or toy")
    problems += config.problems()
    if store.exists() and not store.is_dir():
        problems.append(f"output is {output}, which is a file; name a folder")
    if block_length < 8:
        problems.append(f"block_length is {block_length}; give at least 8")
    if not 0 <= validation_fraction <= 0.5:
        problems.append(f"validation_fraction is {validation_fraction}; give a share from 0 to 0.5")
    if heldout_documents < 0:
        problems.append(f"heldout_documents is {heldout_documents}; give 0 or more")
    for field, value in (("max_line_bytes", max_line_bytes), ("num_proc", num_proc)):
        if value < 1:
            problems.append(f"{field} is {value}; give at least 1")
    number, shards, wrong = _shard(shard, merge, tokenizer_only, resolved)
    raise_if(problems + wrong)

    job = Job(
        store=store,
        sources=tuple(resolved),
        toy=toy,
        tokenizer=config,
        block_length=block_length,
        validation_fraction=validation_fraction,
        heldout_documents=heldout_documents,
        max_line_bytes=max_line_bytes,
        seed=seed,
    )
    with work_begun():
        if job.is_finished(overwrite):
            log.info("%s is prepared already", store)
            return store
        if merge:
            shards = shards_there(store)
        job.make_tokenizer(sharded=shards > 1 or merge)
        if tokenizer_only:
            return store
        if not merge:
            folder = job.encode(number, shards, num_proc, progress)
            if shards > 1:
                return folder
        job.finish(shards)
        return store


def _toy_sources(toy: ToyWorld) -> list[LanguageSource]:
    texts: dict[str, list[str]] = {language: [] for language in toy.language_names}
    for language, text in toy.documents():
        texts[language].append(text)
    return [LanguageSource(language, "toy", texts=tuple(found)) for language, found in texts.items()]


def _shard(
    shard: str | None, merge: bool, tokenizer_only: bool, sources: list[LanguageSource]
) -> tuple[int, int, list[str]]:
    """Which shard of how many this run encodes, and what is wrong with asking for it."""
    problems = []
    if sum((shard is not None, merge, tokenizer_only)) > 1:
        problems.append("shard, merge and tokenizer_only are runs of their own; give one of them")
    if shard is None:
        return 1, 1, problems
    match = SHARD.fullmatch(shard)
    number, shards = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= shards:
        problems.append(f"shard is {shard!r}; give i/n from 1/n to n/n, for example 1/4")
    elif shards > 1:
        problems += [
            f"shard is {shard}, but {source.language} has max_tokens, which depends on all documents before; give "
            "max_documents in its place"
            for source in sources
            if source.max_tokens is not None
        ]
    return number, shards, problems
