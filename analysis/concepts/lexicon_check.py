"""Checks a lexicon: coverage, script, spelling, duplicates, and words that stand under two concepts."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from .languages import LANGUAGES, REQUIRED, Language
from .lexicon import EXCLUSION, FORM, SHIPPED, Concept, Lexicon, read_lexicon
from .word_forms import Matcher, split_marker

# Characters of any script that a form may hold besides its letters.
NEUTRAL = frozenset(" -'’·0123456789")


def check_lexicon(path: str | Path = SHIPPED, required: tuple[str, ...] = REQUIRED, further: int = 0) -> list[str]:
    """What is wrong with a lexicon file or folder, each problem with its place and remedy; empty if nothing.

    Args:
        path: a YAML file or a folder of them.
        required: the languages in which every concept must have a form.
        further: how many concepts every other language that appears must cover, the same ones in all of them, so
            that they compare; 0 asks nothing of them.
    """
    concepts, problems = read_lexicon(Path(path))
    for concept in concepts.values():
        problems += _coverage(concept, required)
        for code, role, forms in _lists(concept):
            if code in LANGUAGES:
                problems += _spelling(f"{concept.name}: {role}.{code}", forms, LANGUAGES[code])
    if further:
        problems += _further_coverage(concepts, required, further)
    if concepts:
        lexicon = Lexicon(concepts)
        codes = {code for concept in concepts.values() for code, _, _ in _lists(concept)} & LANGUAGES.keys()
        for code in sorted(codes):
            problems += _clashes(lexicon, code)
    return problems


def _lists(concept: Concept) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for role, lists in concept.lists():
        for code, forms in lists.items():
            yield code, role, forms


def _coverage(concept: Concept, required: tuple[str, ...]) -> Iterator[str]:
    missing = [code for code in required if not concept.forms.get(code)]
    if missing:
        yield f"{concept.name}: no form in {', '.join(missing)}; add at least one each."
    unknown = sorted({code for code, _, _ in _lists(concept)} - LANGUAGES.keys())
    if unknown:
        yield f"{concept.name}: {', '.join(unknown)} has no entry in analysis/languages.py; add its script there."


def _further_coverage(concepts: Mapping[str, Concept], required: tuple[str, ...], least: int) -> Iterator[str]:
    codes = {code for concept in concepts.values() for code, _, _ in _lists(concept)} - set(required)
    covered = {code: {name for name, concept in concepts.items() if concept.forms.get(code)} for code in codes}
    everywhere = set().union(*covered.values())
    for code in sorted(codes):
        if len(covered[code]) < least:
            yield f"{code}: forms of {len(covered[code])} concepts, fewer than {least}; add more or take the language out."
        missing = sorted(everywhere - covered[code])
        if missing:
            yield f"{code}: no form of {', '.join(missing)}, which other further languages have; cover the same concepts."


def _spelling(where: str, forms: tuple[str, ...], facts: Language) -> Iterator[str]:
    for written in forms:
        form, marker = split_marker(written)
        if not form or form != " ".join(form.split()):
            yield f"{where}: {written!r} is empty or has stray spaces."
            continue
        if any(char in "=*" for char in form):
            yield f"{where}: {written!r} has a marker in the wrong place; `=word` or `word*`."
        if form != unicodedata.normalize("NFC", form):
            yield f"{where}: {written!r} is not in NFC; write {unicodedata.normalize('NFC', form)!r}."
        if form != form.lower():
            yield f"{where}: {written!r} has capitals; write {form.lower()!r}, matching ignores case."
        foreign = sorted({char for char in form if char not in NEUTRAL and not facts.writes(char)})
        if foreign:
            yield f"{where}: {written!r} has {' '.join(foreign)}, which is not {facts.script.title()} script."
        if marker and not facts.spaced:
            yield f"{where}: {written!r} has the marker {marker!r}, but words are not separated in this language."


def _clashes(lexicon: Lexicon, code: str) -> Iterator[str]:
    """Forms that match each other: twice in a list, under two concepts, and exclusions that exclude nothing."""
    facts, matcher = LANGUAGES[code], Matcher(lexicon, code)
    for concept in lexicon.concepts.values():
        for role, lists in concept.lists():
            for written in lists.get(code, ()):
                yield from _clash(matcher, facts, concept, role, written, lists[code].count(written), code)


def _clash(
    matcher: Matcher, facts: Language, concept: Concept, role: str, written: str, copies: int, code: str
) -> Iterator[str]:
    where = f"{concept.name}: {role}.{code}: {written!r}"
    folded = facts.fold(split_marker(written)[0])
    hits = list(matcher.hits(folded))
    if role == EXCLUSION:
        if not any(hit.concept == concept.name and hit.role != EXCLUSION for hit in hits) and not any(
            _chained(folded, facts.fold(split_marker(form)[0]), facts)
            for form in (*concept.forms.get(code, ()), *concept.unsure.get(code, ()))
        ):
            yield f"{where} excludes nothing, no form of this concept overlaps it; strike it."
        return
    if copies > 1:
        yield f"{where} stands twice; keep one."
    length = len(folded)
    detail = 2 * length + (split_marker(written)[1] == "=" or not facts.spaced)
    for hit in hits:
        same = (hit.concept, hit.role, hit.written) == (concept.name, role, written)
        if hit.role == EXCLUSION:
            if hit.concept == concept.name and role == FORM:
                yield f"{where} is excluded by not.{code}: {hit.written!r}; strike one of the two."
        elif (hit.start, hit.end) != (0, length) or same or (hit.written, written) == (f"={folded}", folded):
            # `=word` of another role beside `word` is an exception: the bare word is out, its inflections are in.
            continue
        elif hit.concept == concept.name and (hit.role == role or hit.detail >= detail):
            yield f"{where} is found by {hit.role}.{code}: {hit.written!r} already; keep one."
        elif hit.concept > concept.name and hit.role == role == FORM:
            yield f"{where} also stands under {hit.concept!r} ({hit.written!r}); a word signals one concept only."


def _chained(one: str, other: str, facts: Language) -> bool:
    """Whether the end of one string can be the beginning of the other (in words, or in characters without spaces)."""
    first, second = (one.split(), other.split()) if facts.spaced else (list(one), list(other))
    return any(
        left[-size:] == right[:size]
        for left, right in ((first, second), (second, first))
        for size in range(1, min(len(left), len(right)) + 1)
    )
