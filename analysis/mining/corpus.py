"""Mines a corpus for sentences that show a concept and, matched in length, sentences that show none."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..concepts.concept_set import ConceptSet, Row
from ..concepts.lexicon import Lexicon
from .choice import Choice
from .parts import Part, TextSource, in_order, parts, workers
from .report import MiningReport
from .state import MiningState
from .tally import Limits, Miner, Tally


@dataclass(frozen=True)
class MiningResult:
    """What `mine` gives back."""

    concept_set: ConceptSet
    report: MiningReport


def mine(
    corpus: Mapping[str, TextSource | Iterable[str]],
    lexicon: Lexicon,
    *,
    max_line_bytes: int = 1_000_000,
    num_proc: int = 1,
    state: str | Path | None = None,
    restart: bool = False,
    progress: bool = False,
    **limits: Any,
) -> MiningResult:
    """Find positives per concept and language by word forms, and negatives that hold no form of any concept.

    One pass over the text, in memory that depends on the numbers below and not on the corpus. The result is
    a function of text, lexicon and seed: neither the order of the documents nor `num_proc`, nor an
    interruption, changes it. A document gives at most one sentence, be it a positive of one or several
    concepts or a negative.

    Args:
        corpus: per language, a source of documents or any iterable of them.
        lexicon: the concepts and their forms.
        max_line_bytes: longer documents are counted and left out.
        num_proc: processes that share out the text.
        state: folder in which to note how far the work is; called again with the same settings, it goes on
            there. To be removed when the result is safe.
        restart: forget what lies in `state`.
        progress: show a bar.
        limits: of `Limits`: how much to keep of what.

    Raises:
        ValueError: a number out of range, an unknown language, a state of other settings, or nothing found.
    """
    sources = dict(sorted(corpus.items()))
    problems = [*Limits.wrong(limits)]
    if state is not None:
        problems += [
            f"{code}: a run can only be resumed over sources, not over an iterable; leave state out."
            for code, source in sources.items()
            if not isinstance(source, TextSource)
        ]
    if problems:
        raise ValueError("\n".join(problems))
    wanted = Limits(**limits)
    miners = {language: Miner(lexicon, language, wanted) for language in sources}
    kept = None
    if state is not None:
        identities = {code: source.identity() for code, source in sources.items() if isinstance(source, TextSource)}
        settings = {"sources": identities, "lexicon": fingerprint(lexicon), "max_line_bytes": max_line_bytes}
        settings |= asdict(wanted)
        # It only says which concepts are left out at the end.
        del settings["min_positives"]
        kept = MiningState(Path(state), settings, restart)
    done, tallies = dict.fromkeys(sources, 0), {language: Tally() for language in sources}
    if kept is not None:
        for language in sources:
            done[language], tallies[language] = kept.load(language, wanted)
    with (
        tqdm(total=_size(sources.values()), unit="B", unit_scale=True, disable=not progress, desc="mining") as bar,
        workers(lexicon, wanted, num_proc) as (work, depth),
    ):
        waiting = _rest(parts(sources, max_line_bytes), done, bar)
        for part, tally in in_order(waiting, lambda language: tallies[language].bounds(), work, depth):
            tallies[part.language].merge(tally, miners[part.language])
            if kept is not None:
                kept.save(part.language, part.number, tallies[part.language])
            bar.set_postfix_str(part.language, refresh=False)
            bar.update(part.size)
    return _chosen(miners, tallies, lexicon, wanted)


def _size(sources: Iterable[TextSource | Iterable[str]]) -> int | None:
    """Bytes to read, if all sources know theirs."""
    sizes = [source.size if isinstance(source, TextSource) else None for source in sources]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _rest(all_parts: Iterable[Part], done: Mapping[str, int], bar: tqdm) -> Iterator[Part]:
    """The parts that an earlier run has not done."""
    for part in all_parts:
        if part.number > done[part.language]:
            yield part
        else:
            bar.update(part.size)


def fingerprint(lexicon: Lexicon) -> str:
    """Hash (32 hex digits) of the word lists."""
    lists = [(name, sorted((role, code, words) for role, forms in concept.lists() for code, words in forms.items()))
             for name, concept in sorted(lexicon.concepts.items())]  # fmt: skip
    return hashlib.blake2b(repr(lists).encode(), digest_size=16).hexdigest()


def _chosen(
    miners: Mapping[str, Miner], tallies: Mapping[str, Tally], lexicon: Lexicon, limits: Limits
) -> MiningResult:
    rows: list[Row] = []
    kept: dict[tuple[str, str], int] = {}
    for language, tally in tallies.items():
        choice = Choice(miners[language], tally, limits)
        rows += [
            Row(concept, language, text, 1, "mined") for concept, texts in choice.positives.items() for text in texts
        ]
        rows += [Row(None, language, text, 0, "mined") for text in choice.negatives]
        kept |= {(concept, language): len(texts) for concept, texts in choice.positives.items()}
        tally.counts["negatives"] = len(choice.negatives)
    if not kept:
        raise ValueError(
            f"no concept has {limits.min_positives} sentences of {limits.min_chars} to {limits.max_chars} "
            f"characters in any language ({', '.join(tallies)}); check the corpus, or lower min_positives."
        )
    report = MiningReport(
        concepts=tuple(lexicon.concepts),
        languages=tuple(tallies),
        wanted=limits.per_concept,
        found={
            (concept, language): count for language, tally in tallies.items() for concept, count in tally.found.items()
        },
        kept=kept,
        counts={
            language: {key: count for key, count in tally.counts.items() if count}
            for language, tally in tallies.items()
        },
    )
    return MiningResult(ConceptSet(rows, where="mined sentences"), report)
