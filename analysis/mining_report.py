"""What a mining run found, kept and threw away, as numbers and as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REASONS = {
    "too_short": "shorter than min_chars",
    "too_long": "longer than max_chars",
    "other_script": "mostly in another script, or not UTF-8",
    "unsure": "only words that are too ambiguous",
    "near_duplicates": "nearly the same as one that was kept",
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
        counts: per language, `texts` read, `negatives` kept and, by the keys of `REASONS`, what was thrown
            away. `other_script` and `near_duplicates` count only sentences that were about to be kept.
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
        lines += ["", "texts read, negatives kept, and what was thrown away"]
        for key in ("texts", "negatives", *REASONS):
            numbers = (self.counts[language].get(key, 0) for language in self.languages)
            lines.append(f"{key:15} " + " ".join(f"{number:>7}" for number in numbers))
        lines += ["", *(f"{key}: {reason}" for key, reason in REASONS.items())]
        return "\n".join(lines)
