"""What word matching must know of each language: its script, how its spellings fold, and which affixes a noun may carry.

Affix lists are conservative on purpose: an ending that often makes another word is missing, and the lexicon
spells out the form instead. Matching is on folded text (`fold`), so affixes stand here as they are after
folding.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from . import declension
from .declension import Declension

NO_AFFIX = frozenset({""})
SCRIPTS = {
    "LATIN": "A-Za-zªºÀ-ÖØ-öø-ʯḀ-ỿ",
    "ARABIC": "\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "BENGALI": "\u0980-\u09ff",
    "DEVANAGARI": "\u0900-\u0963\u0970-\u097f",
    "ETHIOPIC": "\u1200-\u135a\u1380-\u138f",
    "CJK": "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af",
    "HEBREW": "\u05d0-\u05f4\ufb1d-\ufb4f",
    "KANNADA": "\u0c80-\u0cff",
    "TAMIL": "\u0b80-\u0bff",
    "TELUGU": "\u0c00-\u0c7f",
}
"""Letters and marks of each script, as the inside of a regular expression's brackets."""
JOINERS = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"
MARKS = re.compile("[\u0300-\u036f]")
ARABIC_MARKS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]+")

HEBREW_MARKS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]+")


@dataclass(frozen=True)
class Language:
    """Facts about one language.

    Attributes:
        script: a key of `SCRIPTS`.
        prefixes: what may stand before a form within a word.
        suffixes: what may stand after it.
        spaced: whether words are separated; where they are not, a form matches anywhere.
        respell: spelling variants to make equal, after NFC and case folding.
        before_suffix: a final letter and what it becomes before a suffix (Arabic ta marbuta).
        capitals: capitals and their small letters, where Unicode's default is not the language's (Turkish İ, I).
        declension: the stems of a form with their endings, where they depend on the form; instead of `suffixes`.
    """

    script: str
    prefixes: frozenset[str] = NO_AFFIX
    suffixes: frozenset[str] = NO_AFFIX
    spaced: bool = True
    respell: Callable[[str], str] | None = None
    before_suffix: tuple[str, str] | None = None
    capitals: tuple[tuple[str, str], ...] = ()
    declension: Declension | None = None

    def fold(self, text: str) -> str:
        """Text as it is compared: NFC, case-folded, without joiners, with the language's spelling variants made one.

        Line breaks stay where they are, so that a text of many lines can be folded at once.
        """
        for joiner in JOINERS:
            text = text.replace(joiner, "")
        for capital, small in self.capitals:
            text = text.replace(capital, small)
        text = text.replace("’", "'").casefold()
        # NFC on Latin text is slow, and only a combining mark can make it necessary there.
        if self.script != "LATIN" or MARKS.search(text):
            text = unicodedata.normalize("NFC", text)
        return text if self.respell is None else self.respell(text)

    def stems(self, form: str) -> Iterator[tuple[str, frozenset[str]]]:
        """The stems of a folded form, each with the endings it may carry (`""` among them if it stands alone)."""
        if self.declension is not None:
            yield from self.declension(form)
            return
        yield form, self.suffixes
        if self.before_suffix and form.endswith(self.before_suffix[0]):
            yield form.removesuffix(self.before_suffix[0]) + self.before_suffix[1], self.suffixes - NO_AFFIX

    def writes(self, text: str, share: float = 0.6) -> bool:
        """Whether at least `share` of the letters in a text belong to the language's script."""
        if self.script == "LATIN" and text.isascii():
            return any(map(str.isalpha, text))
        rest = self._letters.sub("", text)
        own = len(text) - len(rest)
        return own > 0 and own >= share * (own + sum(map(str.isalpha, rest)))

    @cached_property
    def _letters(self) -> re.Pattern[str]:
        return re.compile(f"[{SCRIPTS[self.script]}]+")


def _words(text: str) -> list[str]:
    return text.split()


def _replacing(pairs: dict[str, str], strip: re.Pattern[str] | None = None) -> Callable[[str], str]:
    def respell(text: str) -> str:
        if strip is not None:
            text = strip.sub("", text)
        for old, new in pairs.items():
            text = text.replace(old, new)
        return text

    return respell


def _basque_endings() -> frozenset[str]:
    """Case endings of nouns (indefinite, singular, plural; vowel and consonant stems), genitives declined once more."""
    genitive = _words(
        "aren en ren ko eko ako tako etako eetako rako erako tarako etarako eetarako zko ezko arentzako rentzako "
        "entzako arekiko rekiko ekiko arenganako renganako enganako"
    )
    case = _words(
        "a ak ek k ok ei ari ri arik atzat arekin rekin ekin arentzat rentzat entzat arengatik rengatik engatik "
        "gatik agatik arengan rengan engan gan agan arengana rengana engana gana agana arengandik rengandik "
        "engandik gandik agandik z az ez rik ik tzat n an ean tan atan etan eetan tik atik etik tatik etatik "
        "eetatik ra ara era tara etara eetara raino araino eraino etaraino eetaraino arako arantz rantz "
        "erantz etarantz eetarantz"
    )
    declined = _words("a ak ek ei ari arekin ekin arentzat entzat aren en an z az ez rik ik etan etako etara etatik")
    return frozenset({"", *genitive, *case, *(first + second for first, second in product(genitive, declined))})


def _arabic_prefixes() -> frozenset[str]:
    """Conjunction, preposition and article before a noun; the article melts with the preposition in `لل`."""
    inner = ("", "ال", "ب", "ك", "ل", "بال", "كال", "لل")
    return frozenset(conjunction + rest for conjunction, rest in product(("", "و", "ف"), inner))


# Accusative alef, dual, possessive pronouns.
ARABIC_SUFFIXES = frozenset(_words("ا ان ين ه ها هما هم هن ك كما كم ي نا")) | NO_AFFIX
# Classifiers, case endings and emphatic particles of nouns.
BENGALI_SUFFIXES = frozenset(
    unicodedata.normalize("NFC", ending)
    for ending in _words(
        "টা টাকে টার টায় টাই টাও টি টিকে টির টিতে টিই টিও খানা খানি খানার গুলো গুলোর গুলোকে গুলোতে "
        "গুলি গুলির গুলিকে গুলিতে র রও রই ের েরও েরই কে কেও কেই তে তেও তেই য় য়ে য়ের য়ও য়ই ে েও "
        "েই ও ই রা েরা দের দেরও েদের দেরকে টাতে টারও টাকেও টিরও টিকেও টিতেও খানাকে খানায় খানিকে গুলোও গুলোই "
        "গুলোরও গুলোকেও গুলোতেও গুলিও গুলিরও সমূহ সমূহের সমূহে সমূহকে গণ গণের টুকু টুকুর য়েরও য়েরই য়েরা য়েদের "
        "রাও রাই েরাও েরাই দেরই েদেরও েদেরকে গুলোয় খানির টিকেই টাকেই টিরই টারই "
        "দুটো দুটোর দুটোকে দুটোয় দুটি দুটির দুটিকে দুটিতে জোড়া"
    )
) | {""}
INDONESIAN_SUFFIXES = frozenset({"", "nya", "ku", "mu", "lah", "kah", "pun", "nyalah", "nyapun"})

_ARABIC = Language(
    "ARABIC",
    prefixes=_arabic_prefixes(),
    suffixes=ARABIC_SUFFIXES,
    # آ stays: it is a sound of its own, and folding it would make `آلام` (pains) into `الأم` (the mother).
    respell=_replacing({"أ": "ا", "إ": "ا", "ٱ": "ا", "ى": "ي"}, strip=ARABIC_MARKS),
    before_suffix=("ة", "ت"),
)
_URDU = Language(
    "ARABIC", respell=_replacing({"ي": "ی", "ى": "ی", "ك": "ک", "ه": "ہ", "ۂ": "ہ", "ة": "ہ"}, strip=ARABIC_MARKS)
)
# The nukta of letters borrowed from Persian and the candrabindu are often left out in print.
_DEVANAGARI_VARIANTS = {f"{letter}\u093c": letter for letter in "कखगजफ"} | {"ँ": "ं"}
_MARATHI_VARIANTS = _DEVANAGARI_VARIANTS | {"ऱ": "र", "अॅ": "ॲ"}  # both ways to write the eyelash r, and the a of loans
# The hyphen of Hebrew stands where others write a space; final letters are made plain.
_HEBREW_VARIANTS = {"־": " ", "ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ"}
_LATIN = Language("LATIN")

LANGUAGES: dict[str, Language] = {
    "ar": _ARABIC,
    "bn": Language("BENGALI", suffixes=BENGALI_SUFFIXES),
    "ca": _LATIN,
    "en": _LATIN,
    "es": _LATIN,
    "eu": Language("LATIN", suffixes=_basque_endings()),
    "fr": Language("LATIN", respell=_replacing({"œ": "oe", "æ": "ae"})),
    "hi": Language("DEVANAGARI", respell=_replacing(_DEVANAGARI_VARIANTS)),
    "id": Language("LATIN", suffixes=INDONESIAN_SUFFIXES),
    "pt": _LATIN,
    "sw": Language("LATIN", suffixes=frozenset({"", "ni"})),
    "ta": Language("TAMIL", declension=declension.tamil),
    "te": Language("TELUGU", declension=declension.telugu),
    "ur": _URDU,
    "vi": _LATIN,
    "zh": Language("CJK", spaced=False),
    # ß is ss after case folding; umlauts and endings are spelled out.
    "de": _LATIN,
    "fi": Language("LATIN", declension=declension.finnish),
    "tr": Language(
        "LATIN",
        respell=_replacing({"i\u0307": "i"}),
        capitals=(("I\u0307", "i"), ("İ", "i"), ("I", "ı")),
        declension=declension.turkish,
    ),
    "am": Language(
        "ETHIOPIC",
        prefixes=declension.amharic_prefixes(),
        respell=declension.ethiopic_respell,
        declension=declension.amharic,
    ),
    "he": Language(
        "HEBREW",
        prefixes=declension.hebrew_prefixes(),
        respell=_replacing(_HEBREW_VARIANTS, strip=HEBREW_MARKS),
        declension=declension.hebrew,
    ),
    "kn": Language("KANNADA", declension=declension.kannada),
    "mr": Language("DEVANAGARI", respell=_replacing(_MARATHI_VARIANTS), declension=declension.marathi),
}
"""The languages that word forms can be given for; the first 16 are the ones that every concept must cover."""

REQUIRED = tuple(list(LANGUAGES)[:16])


def language(code: str) -> Language:
    """Facts about a language.

    Raises:
        ValueError: none are known, with the ones that are.
    """
    if code not in LANGUAGES:
        raise ValueError(f"language {code!r} has no entry in analysis/languages.py; known are {', '.join(LANGUAGES)}.")
    return LANGUAGES[code]
