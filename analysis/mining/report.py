"""What a mining run found, kept and threw away, as numbers and as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

READ = ("documents", "sentences", "negatives")
REASONS = {
    "invalid_utf8": "documents that are not UTF-8",
    "empty": "documents of nothing but white space",
    "malformed": "records without the text's column",
    "long_record": "documents longer than max_line_bytes",
    "too_short": "sentences shorter than min_chars",
    "too_long": "sentences longer than max_chars",
    "other_script": "sentences mostly in another script",
    "unsure": "sentences with words that are too ambiguous, and no others of a concept",
    "same_document": "sentences of a concept from a document that gave another one",
    "near_duplicates": "sentences of a concept nearly the same as one that was kept",
}


@dataclass(frozen=True)
class MiningReport:
    """Counts of a mining run.

    Attributes:
        concepts: all that were looked for.
        languages: all that were read.
        wanted: positives wanted per concept and language.
        found: sentences that show a concept, by (concept, language), before any is left out as surplus or
            duplicate.
        kept: positives in the set.
        counts: per language, `documents` and `sentences` read, `negatives` kept and, by the keys of `REASONS`, what
            was thrown away. `near_duplicates` counts only sentences that were about to be kept.
    """

    concepts: tuple[str, ...]
    languages: tuple[str, ...]
    wanted: int
    found: Mapping[tuple[str, str], int]
    kept: Mapping[tuple[str, str], int]
    counts: Mapping[str, Mapping[str, int]]

    def reaching(self, positives: int) -> dict[str, int]:
        """How many concepts have at least so many positives, per language."""
        return {
            language: sum(self.kept.get((concept, language), 0) >= positives for concept in self.concepts)
            for language in self.languages
        }

    def short(self) -> list[tuple[str, str, int]]:
        """(concept, language, positives) of those below the wanted number, fewest first."""
        cells = ((c, language, self.kept.get((c, language), 0)) for language in self.languages for c in self.concepts)
        return sorted((cell for cell in cells if cell[2] < self.wanted), key=lambda cell: (cell[2], *cell))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON."""
        return {
            "wanted": self.wanted,
            "concepts": {
                concept: {
                    language: {
                        "found": self.found.get((concept, language), 0),
                        "kept": self.kept.get((concept, language), 0),
                    }
                    for language in self.languages
                }
                for concept in self.concepts
            },
            "languages": {language: dict(counts) for language, counts in self.counts.items()},
        }

    def to_text(self) -> str:
        """A table of positives by concept and language, then what was thrown away."""
        width = max(map(len, ("concept", *self.concepts)))
        head = f"{'concept':{width}} " + " ".join(f"{language:>5}" for language in self.languages)
        lines = ["positives kept", head]
        for concept in self.concepts:
            numbers = (self.kept.get((concept, language), 0) for language in self.languages)
            lines.append(f"{concept:{width}} " + " ".join(f"{number or '-':>5}" for number in numbers))
        for floor in (self.wanted, self.wanted // 2):
            reached = self.reaching(floor)
            lines.append(f"{f'>= {floor}':{width}} " + " ".join(f"{reached[code]:>5}" for code in self.languages))
        lines += ["", "what was read and kept, and what was thrown away"]
        lines.append(f"{'':15} " + " ".join(f"{language:>8}" for language in self.languages))
        for key in (*READ, *REASONS):
            numbers = (self.counts[language].get(key, 0) for language in self.languages)
            lines.append(f"{key:15} " + " ".join(f"{number:>8}" for number in numbers))
        lines += ["", *(f"{key}: {reason}" for key, reason in REASONS.items())]
        short = self.short()
        missing = sum(not number for _, _, number in short)
        total = len(self.concepts) * len(self.languages)
        lines += ["", f"{len(short)} of {total} below the wanted {self.wanted}, {missing} of them without any"]
        return "\n".join(lines)
