"""Checks a concept set before a model sees it: what would make its expert neurons say something else than it seems."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sklearn.metrics import average_precision_score

from ..reservoirs import NearDuplicates, tokens
from .concept_set import ConceptSet
from .languages import LANGUAGES
from .lexicon import Lexicon
from .word_forms import Matcher, concepts_of

# Below this a half of the positives (one chooses experts, one scores them) is too small for an average precision.
MIN_POSITIVES = 20
# Average precision of a detector by length alone, above chance, that begins to matter; with few sentences luck alone
# reaches it, so labels are shuffled to tell.
LENGTH_MARGIN = 0.1
SHUFFLES = 200
SHOWN = 5


@dataclass(frozen=True)
class ConceptCheck:
    """What `check_concepts` found.

    Attributes:
        problems: what to mend, each with concept, language, figures and remedy.
        sizes: (positives, negatives) per concept and language.
        length_ap: the average precision that length alone reaches, and chance, per concept and language.
    """

    problems: list[str] = field(default_factory=list)
    sizes: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    length_ap: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def to_text(self) -> str:
        """Sizes and length bias by language, then the problems."""
        lines = ["language  concepts  positives (least, median)  negatives  AP by length alone - chance (mean, most)"]
        for language in sorted({language for _, language in self.sizes}):
            positives = sorted(p for (_, code), (p, _) in self.sizes.items() if code == language and p)
            negatives = max(n for (_, code), (_, n) in self.sizes.items() if code == language)
            gains = [ap - chance for (_, code), (ap, chance) in self.length_ap.items() if code == language]
            middle = positives[len(positives) // 2] if positives else 0
            mean, most = (sum(gains) / len(gains), max(gains)) if gains else (float("nan"), float("nan"))
            lines.append(
                f"{language:8}  {len(positives):8}  {min(positives, default=0):16}, {middle:6}  {negatives:9}  "
                f"{mean:+26.3f}, {most:+.3f}"
            )
        lines += ["", f"{len(self.problems)} problems" if self.problems else "no problems", *self.problems]
        return "\n".join(lines)


def check_concepts(
    concepts: ConceptSet,
    lexicon: Lexicon | None = None,
    *,
    min_positives: int = MIN_POSITIVES,
    length_margin: float = LENGTH_MARGIN,
) -> ConceptCheck:
    """Check coverage, class balance, word forms, leaks between halves and length bias.

    Args:
        concepts: the set.
        lexicon: word forms that positives must hold and negatives must not; concepts and languages that it does not
            know are not checked against it.
        min_positives: fewer in a concept and language are a problem.
        length_margin: how far above chance length alone may tell positives from negatives, in average precision.
    """
    check = ConceptCheck()
    for language in concepts.languages:
        sentences = {c: (concepts.positives(c, language), concepts.negatives(c, language)) for c in concepts.concepts}
        check.sizes.update({(c, language): (len(pos), len(neg)) for c, (pos, neg) in sentences.items()})
        check.problems.extend(_balance(check.sizes, language, min_positives))
        check.problems.extend(_leaks(concepts, language))
        if lexicon is not None and language in lexicon.languages:
            check.problems.extend(_forms(sentences, language, lexicon))
        for concept, (positives, negatives) in sentences.items():
            if positives and negatives:
                ap, chance = check.length_ap[concept, language] = length_bias(positives, negatives)
                if ap > chance + length_margin and _beyond_luck(ap, positives, negatives):
                    check.problems.append(
                        f"{concept}/{language}: length alone reaches an average precision of {ap:.2f} "
                        f"(chance {chance:.2f}); draw negatives of the positives' lengths."
                    )
    return check


def length_bias(positives: list[str], negatives: list[str]) -> tuple[float, float]:
    """Average precision of telling positives by length alone, long or short whichever is better, and chance."""
    labels = [1] * len(positives) + [0] * len(negatives)
    return _length_ap(labels, [len(text) for text in positives + negatives]), len(positives) / len(labels)


def _length_ap(labels: list[int], lengths: list[int]) -> float:
    return float(max(average_precision_score(labels, [sign * length for length in lengths]) for sign in (1, -1)))


def _beyond_luck(ap: float, positives: list[str], negatives: list[str]) -> bool:
    """Whether fewer than one in a hundred shuffles of the labels give such an average precision."""
    rng = random.Random(0)
    labels = [1] * len(positives) + [0] * len(negatives)
    lengths = [len(text) for text in positives + negatives]
    return sum(_length_ap(rng.sample(labels, len(labels)), lengths) >= ap for _ in range(SHUFFLES)) < SHUFFLES / 100


def _balance(sizes: dict[tuple[str, str], tuple[int, int]], language: str, min_positives: int) -> Iterator[str]:
    counts = {concept: size for (concept, code), size in sizes.items() if code == language}
    missing = [concept for concept, (positives, _) in counts.items() if not positives]
    few = [f"{concept} ({positives})" for concept, (positives, _) in counts.items() if 0 < positives < min_positives]
    uneven = [f"{concept} ({n} for {p})" for concept, (p, n) in counts.items() if p and n < p]
    if missing:
        yield f"{language}: no positives for {', '.join(missing)}; add sentences, or leave these out here."
    if few:
        yield f"{language}: fewer than {min_positives} positives for {', '.join(few)}; add sentences."
    if uneven:
        yield f"{language}: fewer negatives than positives for {', '.join(uneven)}; add negatives."


class _Shown(dict[str, frozenset[str]]):
    """The concepts that a text shows, looked up once however many concepts share it."""

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self._matcher = matcher

    def __missing__(self, text: str) -> frozenset[str]:
        self[text] = concepts_of(self._matcher.find(text))[0]
        return self[text]


def _forms(sentences: dict[str, tuple[list[str], list[str]]], language: str, lexicon: Lexicon) -> Iterator[str]:
    shown = _Shown(Matcher(lexicon, language))
    for concept in sorted(sentences.keys() & lexicon.concepts.keys()):
        positives, negatives = sentences[concept]
        bare = [text for text in positives if concept not in shown[text]]
        if bare:
            yield (
                f"{concept}/{language}: {len(bare)} of {len(positives)} positives hold no form of the concept, "
                f"for example {bare[0]!r}; check them, or add their form to the lexicon."
            )
        dirty = [text for text in negatives if concept in shown[text]]
        if dirty:
            yield (
                f"{concept}/{language}: {len(dirty)} of {len(negatives)} negatives hold a form of the concept, "
                f"for example {dirty[0]!r}; move or remove them."
            )


def _leaks(concepts: ConceptSet, language: str) -> Iterator[str]:
    """Near-duplicates, which can stand on both sides when sentences are split into halves."""
    facts = LANGUAGES.get(language, LANGUAGES["en"])
    repeated: Counter[str] = Counter()
    lists = {concept: concepts.positives(concept, language) for concept in concepts.concepts}
    lists["shared negatives"] = concepts.shared_negatives(language)
    for name, texts in lists.items():
        known = NearDuplicates()
        repeated[name] += sum(not known.add(tokens(facts.fold(text), facts.spaced)) for text in texts)
    for name, count in repeated.most_common(SHOWN):
        # Invented languages and drill sentences repeat themselves by design; a twentieth is no leak to speak of.
        if count > 0.05 * len(lists[name]):
            yield (
                f"{name}/{language}: {count} of {len(lists[name])} sentences nearly repeat another one and can stand in "
                f"both halves; keep one of each."
            )
