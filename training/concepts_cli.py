"""`babelscope concepts mine | check`: concept sets from a corpus, and what is wrong with one."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..analysis.atomic import write_text
from ..analysis.concept_check import LENGTH_MARGIN, MIN_POSITIVES, check_concepts
from ..analysis.concept_files import TABLE_SUFFIXES
from ..analysis.concepts import ConceptSet
from ..analysis.languages import LANGUAGES
from ..analysis.lexicon import SHIPPED, Lexicon, read_lexicon
from ..analysis.lexicon_check import check_lexicon
from ..analysis.mining import Limits, mine
from .errors import raise_if
from .sources import LanguageSource, Source, resolve

MAX_LINE_BYTES = 1_000_000

USAGE = """usage: babelscope concepts COMMAND [--config FILE] [--setting value ...]

  mine    sentences that show a concept, and sentences that show none, from a corpus
  check   what is wrong with a concept set or a lexicon, and what to mend

`babelscope concepts COMMAND --help` lists every setting.
"""


def concepts(arguments: list[str]) -> int:
    """Run a command; returns the exit status: 0 done, 1 problems found by `check`, 2 wrong use."""
    from jsonargparse import ArgumentParser

    functions: dict[str, Callable[..., int]] = {"mine": mine_concepts, "check": check_path}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command not in functions:
        print(f"babelscope concepts: no command {command!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    function = functions[command]
    parser = ArgumentParser(prog=f"babelscope concepts {command}", description=(function.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", action="config", help="a YAML file with any of the settings below")
    parser.add_function_arguments(function, as_positional=command == "check")
    settings: dict[str, Any] = parser.parse_args(rest).as_dict()
    settings.pop("config", None)
    return function(**settings)


def mine_concepts(
    corpus: str,
    languages: list[str],
    output: str,
    lexicon: str | None = None,
    concepts: list[str] | None = None,
    name: str | None = None,
    column: str = "text",
    per_concept: int = 100,
    negatives: int = 1000,
    min_chars: int = 20,
    max_chars: int = 200,
    min_positives: int = 20,
    seed: int = 0,
    num_proc: int = 1,
) -> int:
    """Mine a concept set from a corpus: positives by word forms, negatives matched in length.

    Args:
        corpus: Files (.txt, .jsonl, also .gz or .zst, or .parquet) with {language} in the path, or a hub dataset.
        languages: Languages to mine, each with forms in the lexicon.
        output: Where to write: .parquet, .csv, .jsonl, or a new folder for ml-selfcond's files. A report goes beside it.
        lexicon: YAML file or folder with word forms; the one that ships if not given.
        concepts: Concepts to mine; all of the lexicon if not given.
        name: Configuration of a hub dataset, for example "{language}".
        column: Field that holds the text, in .jsonl, Parquet and hub datasets.
        per_concept: Positives wanted per concept and language.
        negatives: Sentences wanted per language that show no concept.
        min_chars: Shortest sentence in characters; a Chinese character counts as three.
        max_chars: Longest sentence.
        min_positives: A concept with fewer in a language is left out there.
        seed: Which sentences are drawn where there are more than wanted.
        num_proc: Processes that share out the files.
    """
    limits = Limits(per_concept, negatives, min_chars, max_chars, min_positives, seed)
    known, problems = read_lexicon(Path(lexicon or SHIPPED))
    sources, unread = resolve([Source(corpus, languages=languages, name=name, column=column)])
    problems += [*unread, *limits.problems()]
    problems += [f"concepts: {wanted!r} is not in the lexicon." for wanted in concepts or () if wanted not in known]
    problems += [
        f"languages: {code!r} has no word forms; choose from {', '.join(LANGUAGES)}."
        for code in languages
        if code not in LANGUAGES
    ]
    target = Path(output)
    if target.suffix not in ("", *TABLE_SUFFIXES) or (not target.suffix and target.exists()):
        problems.append(
            f"output: {output} must end in {', '.join(TABLE_SUFFIXES)} or be a folder that is not there yet."
        )
    raise_if(problems)

    result = mine(
        {source.language: _texts(source) for source in sources},
        Lexicon({wanted: known[wanted] for wanted in sorted(concepts or known)}),
        per_concept=per_concept,
        negatives=negatives,
        min_chars=min_chars,
        max_chars=max_chars,
        min_positives=min_positives,
        seed=seed,
        num_proc=num_proc,
        progress=sys.stderr.isatty(),
    )
    result.concept_set.save(target)
    report = target.with_suffix(".report.json")
    write_text(report, json.dumps(result.report.to_dict(), indent=1) + "\n")
    print(result.report.to_text())
    print(f"\nWrote {result.concept_set} to {target}, the report to {report}")
    return 0


def _texts(source: LanguageSource) -> Path | Iterable[str]:
    """A plain text file as its path, so that processes can share it; anything else as a stream of documents."""
    if len(source.files) == 1 and source.files[0].endswith(".txt"):
        return Path(source.files[0])
    return _documents(source)


def _documents(source: LanguageSource) -> Iterator[str]:
    for unit in source.units(MAX_LINE_BYTES):
        yield from unit.documents()[0]


def check_path(
    path: str,
    lexicon: str | None = None,
    min_positives: int = MIN_POSITIVES,
    length_margin: float = LENGTH_MARGIN,
) -> int:
    """Check a concept set or a lexicon and say what to mend; the exit status is 1 if there are problems.

    Args:
        path: A concept set (.parquet, .csv, .jsonl, a datasets or ml-selfcond folder), or a lexicon (.yaml or a folder).
        lexicon: Word forms to check sentences against; the lexicon that ships if not given.
        min_positives: Fewer in a concept and language are a problem.
        length_margin: How far above chance, in average precision, length alone may tell positives from negatives.
    """
    place = Path(path)
    if place.suffix == ".yaml" or (place.is_dir() and any(place.glob("*.yaml"))):
        problems = check_lexicon(place)
        print("\n".join([*problems, f"{len(problems)} problems" if problems else "no problems"]))
        return 1 if problems else 0
    check = check_concepts(
        ConceptSet.load(place),
        Lexicon.load(lexicon or SHIPPED),
        min_positives=min_positives,
        length_margin=length_margin,
    )
    print(check.to_text())
    return 1 if check.problems else 0
