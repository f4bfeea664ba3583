"""`babelscope concepts mine | check | convert`: concept sets from a corpus, what is wrong with one, other forms of it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...analysis.atomic import write_text
from ...analysis.concepts.check import LENGTH_MARGIN, MIN_POSITIVES, check_concepts
from ...analysis.concepts.concept_set import ConceptSet
from ...analysis.concepts.files import Form
from ...analysis.concepts.languages import LANGUAGES
from ...analysis.concepts.lexicon import SHIPPED, Lexicon, read_lexicon
from ...analysis.concepts.lexicon_check import check_lexicon
from ...analysis.files.tables import TABLE_SUFFIXES
from ...analysis.mining.corpus import Limits, mine
from ..data.joined import joined
from ..data.sources import Source, resolve
from ..errors import raise_if, work_begun
from .parsing import parsed

USAGE = """usage: babelscope concepts COMMAND [--config FILE] [--setting value ...]

  mine    sentences that show a concept, and sentences that show none, from a corpus
  check   what is wrong with a concept set or a lexicon, and what to mend
  convert a concept set in another form

`babelscope concepts COMMAND --help` lists every setting.
"""


def run(arguments: list[str]) -> int:
    """Run a command; returns the exit status: 0 done, 1 problems found by `check`, 2 wrong use."""
    functions: dict[str, Callable[..., int]] = {"mine": mine_concepts, "check": check_path, "convert": convert}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command not in functions:
        print(f"babelscope concepts: no command {command!r}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    function = functions[command]
    return function(**parsed(f"concepts {command}", function, rest, positional=command != "mine"))


def mine_concepts(
    sources: list[Source],
    output: str,
    lexicon: str | None = None,
    concepts: list[str] | None = None,
    max_line_bytes: int = 1_000_000,
    num_proc: int = 1,
    form: Form | None = None,
    restart: bool = False,
    overwrite: bool = False,
    **limits: Any,
) -> int:
    """Mine a concept set from a corpus: positives by word forms, negatives matched in length.

    Args:
        sources: Where the text comes from, as for prepare; several of a language come one behind the other.
        output: Where to write the set. A report goes beside it, and while it works its state, so that the same call goes
            on after an interruption.
        lexicon: YAML file or folder with word forms; the one that ships if not given.
        concepts: Concepts to mine; all of the lexicon if not given.
        max_line_bytes: Longer documents are counted and left out.
        num_proc: Processes that share out the text.
        form: Form of the output; by default what the suffix says, or ml-selfcond's files in a new folder without one.
        restart: Begin again where an interrupted run with the same output had other settings.
        overwrite: Replace what is at `output`.
        limits: of `Limits`: how much to keep of what.
    """
    target = Path(output)
    state = target.with_name(f"{target.name}.unfinished")
    known, problems = read_lexicon(Path(lexicon or SHIPPED))
    read, unread = resolve(sources)
    problems += [*unread, *Limits.wrong(limits), *output_problems(output, form, overwrite or state.exists())]
    if not sources:
        problems.append(
            "sources is empty; give at least one, for example {path: text/{language}.txt, languages: [en]}."
        )
    problems += [f"{key} is {value}; give at least 1." for key, value in
                 (("max_line_bytes", max_line_bytes), ("num_proc", num_proc)) if value < 1]  # fmt: skip
    problems += [f"concepts: {wanted!r} is not in the lexicon." for wanted in concepts or () if wanted not in known]
    problems += [
        f"sources: {source.language!r} has no word forms; choose from {', '.join(LANGUAGES)}."
        for source in read
        if source.language not in LANGUAGES
    ]
    problems += [
        f"sources: {source.language} has max_tokens, but mining counts none; give max_documents in its place."
        for source in read
        if source.max_tokens is not None
    ]
    problems += [
        f"sources: {source.language} has a share, but mining takes all text; leave it out, or give max_documents."
        for source in read
        if source.share is not None
    ]
    raise_if(problems)

    kept = Limits(**limits)
    with work_begun():
        result = mine(
            joined(read),
            Lexicon({wanted: known[wanted] for wanted in sorted(concepts or known)}),
            **kept.as_arguments(),
            max_line_bytes=max_line_bytes,
            num_proc=num_proc,
            state=state,
            restart=restart,
            progress=sys.stderr.isatty(),
        )
    result.concept_set.save(target, form)
    report = target.with_name(f"{target.stem}.report.json")
    write_text(report, json.dumps(result.report.to_dict(), indent=1) + "\n")
    shutil.rmtree(state)
    print(result.report.to_text())
    print(f"\nWrote {result.concept_set} to {target}, the report to {report}")
    return 0


def convert(
    source: str, output: str, form: Form | None = None, language: str | None = None, overwrite: bool = False
) -> int:
    """Write a concept set in another form.

    Args:
        source: A concept set (.parquet, .csv, .jsonl, a folder of them, a datasets or ml-selfcond folder).
        output: Where to write.
        form: Form of the output; by default what the suffix says, or ml-selfcond's files in a new folder without one.
        language: Language of a single ml-selfcond folder; by default what the files say.
        overwrite: Replace a file at `output`.
    """
    raise_if(output_problems(output, form, overwrite))
    concept_set = ConceptSet.load(source, language)
    concept_set.save(output, form)
    print(f"Wrote {concept_set} to {output}")
    return 0


def output_problems(output: str, form: Form | None, overwrite: bool) -> list[str]:
    """What is wrong with the place that a set is to be written to."""
    target = Path(output)
    suffix = target.suffix if target.suffix in TABLE_SUFFIXES else ""
    if (form or suffix.removeprefix(".")) in (kind.removeprefix(".") for kind in TABLE_SUFFIXES):
        if form and suffix and suffix != f".{form}":
            return [f"form is {form}, but output is {output}; leave one of them to the other."]
        if target.is_dir():
            return [f"output: {output} is a folder; give a file name."]
        return (
            [f"output: {output} is there already; choose another name, or say overwrite: true."]
            if target.exists() and not overwrite
            else []
        )
    if form is None and target.suffix and not suffix:
        return [
            f"output: {output} must end in {', '.join(TABLE_SUFFIXES)} or be a folder that is not there yet; "
            "or set form."
        ]
    return [f"output: {output} is there already; give the name of a new folder."] if target.exists() else []


def check_path(
    path: str,
    lexicon: str | None = None,
    min_positives: int = MIN_POSITIVES,
    length_margin: float = LENGTH_MARGIN,
) -> int:
    """Check a concept set or a lexicon and say what to mend; the exit status is 1 if there are problems.

    Args:
        path: A concept set (.parquet, .csv, .jsonl, a folder of them, a datasets or ml-selfcond one), or a lexicon (.yaml or a folder).
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
