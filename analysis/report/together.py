"""What a reader must know before looking at one run or comparing several."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

MOST_NAMED = 6
"""Languages that a sentence names."""


def different_languages(runs: Mapping[str, pa.Table]) -> str:
    """That runs were measured in different languages, analysis by analysis; empty where they were not.

    Their means are over each run's own languages: a difference between them may be one between languages.
    """
    said = []
    for analysis in sorted({name for rows in runs.values() for name in pc.unique(rows["analysis"]).to_pylist()}):
        spoken = {run: _languages(rows, analysis) for run, rows in runs.items()}
        spoken = {run: languages for run, languages in spoken.items() if languages}
        if len({frozenset(languages) for languages in spoken.values()}) < 2:
            continue
        common = set.intersection(*spoken.values())
        alone = "; ".join(
            f"{run} alone {_named(languages - common)}" for run, languages in spoken.items() if languages - common
        )
        said.append(f"{analysis}: {_named(common) if common else 'no language'} in all, {alone}")
    if not said:
        return ""
    return (
        "The runs are not of the same languages, and means over languages are over each run's own: compare them language by "
        f"language. ({'. '.join(said)}.)"
    )


def _languages(rows: pa.Table, analysis: str) -> set[str]:
    table = rows.filter(pc.equal(rows["analysis"], analysis))
    return {language for language in pc.unique(table["language"]).to_pylist() if language is not None}


def _named(languages: Sequence[str] | set[str]) -> str:
    names = sorted(languages)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
