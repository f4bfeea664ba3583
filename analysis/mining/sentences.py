"""Documents to sentences, many documents at once: where each script ends a sentence, and where a full stop does not."""

import re
from collections.abc import Sequence

from ..concepts.languages import Language

DOCUMENT, SENTENCE = "\x1e", "\x1f"
"""What separates documents, and sentences of one document, while a chunk of text is one string."""
LINE_ENDS = "\n\v\f\r\x85\u2028\u2029"
ODD_SPACES = "\t\x1c\x1d\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
CLOSERS = "\"'”’»›)\\]」』）】"
OPENERS = "\"'“‘«‹([„¿¡-–— "
# Marks that end a sentence wherever they stand, and marks that do so before a space only.
FULL = "।॥።፧"
MARKS = ".!?…؟۔‼⁇⁈⁉"
NOT_LAST = f"(?=[^{DOCUMENT}{SENTENCE}])"
# Few characters in front of the first failure: most marks end a document, and these searches read all of the text.
END = re.compile(f"[{MARKS}][{CLOSERS}]*+ ")
END_FULL = re.compile(f"[{FULL}]{NOT_LAST}[{FULL}{CLOSERS}]*+ ?+{NOT_LAST}")
END_UNSPACED = re.compile(f"[。！？｡!?]{NOT_LAST}[！？!?]*+(?:(?<=。)[{CLOSERS}]*+|(?![{CLOSERS}]))…*+{NOT_LAST}")
STOPS = ".۔"
# Written before names and numbers. A gap here costs a cut sentence; an entry too many costs none.
ABBREVIATIONS = """
    mr mrs ms dr prof sr sra srta jr st sta ste sto no nr núm num vol pp ed eds fig figs art cf vs etc e.g i.e approx ca
    gen col capt lt sgt rev hon pres gov sen rep dept inc ltd co corp bros mt jan feb mar apr jun jul aug sep sept oct
    nov dec mme mlle mgr pág págs pàg ex av avda bzw usw z.b d.h bspw hl hr str tel abs evtl ggf vgl geb gest b.c a.d
    k.a k.o ee.uu ud uds vd drs ir dra tn jl hlm tgl dll dsb yth kab prov bpk gs tp dkt mhe doç yrd vb mah cad sok ns
    """
KNOWN = frozenset(ABBREVIATIONS.split())
LONGEST = max(map(len, KNOWN)) + 1


def split(documents: Sequence[str], facts: Language) -> tuple[list[str], list[int] | None]:
    """The sentences of documents, with one space between words, and the number of the document that each is from.

    A sentence ends at a line's end and at the marks of its script, with the quotes and brackets that close
    there. A full stop, question or exclamation mark ends one only before a space, and not before a small
    letter; a full stop not after an initial, an abbreviation or a number of one or two figures, either. What
    is doubtful stays one sentence.

    Returns:
        the sentences and their documents' numbers, in order; None for the latter where each document is one
        sentence.
    """
    text = DOCUMENT.join(documents)
    if SENTENCE in text or text.count(DOCUMENT) >= len(documents):
        text = DOCUMENT.join(document.replace(DOCUMENT, " ").replace(SENTENCE, " ") for document in documents)
    text = _even(text)
    if facts.spaced:
        text = END.sub(_ended, text)
        if any(mark in text for mark in FULL):
            text = END_FULL.sub(rf"\g<0>{SENTENCE}", text).replace(f" {SENTENCE}", SENTENCE)
    else:
        text = END_UNSPACED.sub(rf"\g<0>{SENTENCE}", text)
    lines = text.split(DOCUMENT)
    if SENTENCE not in text:
        return lines, None
    sentences: list[str] = []
    owners: list[int] = []
    for number, line in enumerate(lines):
        if SENTENCE not in line:
            sentences.append(line)
            owners.append(number)
            continue
        parts = [part for part in line.split(SENTENCE) if part]
        sentences += parts
        owners += [number] * len(parts)
    return sentences, owners


def _even(text: str) -> str:
    """Line ends become ends of sentences, every other white space one space, and none stands at an end."""
    for char in LINE_ENDS:
        text = text.replace(char, SENTENCE)
    for char in ODD_SPACES:
        text = text.replace(char, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    for mark in (SENTENCE, DOCUMENT):
        text = text.replace(f" {mark}", mark).replace(f"{mark} ", mark)
    return text.strip(" ")


def _ended(match: re.Match[str]) -> str:
    """What a mark and the space after it become: themselves, or the mark and the end of a sentence."""
    found, text, start = match[0], match.string, match.start()
    following = match.end()
    while text[following] in OPENERS and following + 1 < len(text):
        following += 1
    if text[following].islower() or text[following] in "»›)]":
        return found
    if found[0] in STOPS and len(found) == 2 and text[start - 1] not in MARKS:
        before = text[max(0, start - LONGEST) : start]
        if _abbreviates(before, shortest=3 if found[0] == "." else 1):
            return found
    return found[:-1] + SENTENCE


def _abbreviates(before: str, shortest: int) -> bool:
    """Whether a full stop after this belongs to the word: an initial, an abbreviation, or an ordinal's figure.

    In scripts without capitals, where no list is kept, words of up to `shortest` characters count as such.
    """
    word = before[max(map(before.rfind, (" ", SENTENCE, DOCUMENT))) + 1 :].lstrip(OPENERS).lower()
    if word.isdigit():
        return len(word) <= 2
    return len(word) <= (1 if word.upper() != word else shortest) or word in KNOWN
