"""Endings that depend on the form they follow: vowel harmony, stems that change, vowels fused into a syllable.

Each function takes a folded form and gives its stems, each with the endings that make it a word (`""` among
them where it may stand alone). Conservative, as in `languages.py`: derivations (Turkish -li, Hebrew -ה,
Finnish -sto) make other words and are missing, and changes inside a stem are spelled out in the lexicon.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import product

Stems = Iterator[tuple[str, frozenset[str]]]
Declension = Callable[[str], Stems]


def _words(text: str) -> list[str]:
    return text.split()


def _joined(*parts: Iterable[str]) -> list[str]:
    return ["".join(choice) for choice in product(*parts)]


# Turkish: plural, possessive, case. A = a e, I = ı i u ü, D = d t; (I) after consonants, (s) (y) (n) after vowels.
_TR_OWNERS = ("", "(I)m", "(I)n", "(s)I", "(I)mIz", "(I)nIz")
_TR_CASES = ("", "(y)I", "(y)A", "DA", "DAn", "(n)In", "(y)lA", "DAki", "DAkiler", "DIr")
_TR_CASES_OF_THIRD = ("", "nI", "nA", "ndA", "ndAn", "nIn", "ylA", "ndAki", "ndAkiler", "dIr")
_TR_PIECES = re.compile(r"\(.\)|.")
_TR_HIGH = {
    "a": "ı",
    "â": "ı",
    "ı": "ı",
    "e": "i",
    "i": "i",
    "î": "i",
    "o": "u",
    "u": "u",
    "û": "u",
    "ö": "ü",
    "ü": "ü",
}


def _turkish_ending(last_vowel: str, last: str, template: str) -> str:
    ending = ""
    for piece in _TR_PIECES.findall(template):
        ends_in_vowel = last in _TR_HIGH
        if piece.startswith("("):
            if ends_in_vowel == (piece[1] == "I"):
                continue
            piece = piece[1]
        high = _TR_HIGH[last_vowel]
        letter = {"A": "a" if high in "ıu" else "e", "I": high, "D": "t" if last in "çfhkpsşt" else "d"}.get(
            piece, piece
        )
        ending, last = ending + letter, letter
        last_vowel = letter if letter in _TR_HIGH else last_vowel
    return ending


@lru_cache
def _turkish_endings(last_vowel: str, last: str) -> frozenset[str]:
    templates = [
        number + owner + case
        for number, owner in product(("", "lAr"), _TR_OWNERS)
        for case in (_TR_CASES_OF_THIRD if owner == "(s)I" else _TR_CASES)
    ]
    return frozenset(_turkish_ending(last_vowel, last, template) for template in templates)


def turkish(form: str) -> Stems:
    """Plural, possessive and case by vowel harmony; softened stems (`kitab`, `köpeğ`) are forms of their own."""
    vowels = [char for char in form if char in _TR_HIGH]
    yield form, _turkish_endings(vowels[-1] if vowels else "e", form[-1])


# Finnish: A = a ä, O = o ö, V = the vowel before it. After two vowels and after a single one some endings differ.
_FI_CASES = ("", "n", "t", "A", "ttA", "ssA", "stA", "llA", "ltA", "lle", "nA", "ksi", "Vn")
_FI_OWNED = ("", "A", "ttA", "ssA", "stA", "llA", "ltA", "lle", "nA", "kse", "V")
_FI_OWNERS = ("ni", "si", "nsA", "mme", "nne")
_FI_CLITICS = ("", "kin", "kAAn", "kO", "hAn", "pA")
_FI_VOWELS = "aeiouyäö"


@lru_cache
def _finnish_endings(back: bool, last: str, after_vowel: bool) -> frozenset[str]:
    if last == "j":
        cases, owned = ["", "A", "en"], ["A", "e"]
    elif last not in _FI_VOWELS:
        cases, owned = ["", "tA", "ten"], ["tA", "te"]
    else:
        cases, owned = [*_FI_CASES], [*_FI_OWNED]
        if last == "i":
            cases, owned = [*cases, "en"], [*owned, "e"]
        if after_vowel:
            cases, owned = [*cases, "tA", "hVn"], [*owned, "tA", "hV"]
            cases += ["den", "tten", "siin"] if last == "i" else ["seen"]
            owned += ["de", "sii"] if last == "i" else ["see"]
    own = _joined(owned, _FI_OWNERS)
    own += [f"{case}{case[-1]}n" for case in owned if case == "A" or (len(case) > 2 and case[-1] in "Ae")]
    vowels = {"A": "a" if back else "ä", "O": "o" if back else "ö", "V": last}
    endings = _joined([*cases, *own], _FI_CLITICS)
    return frozenset(re.sub("[AOV]", lambda found: vowels[found[0]], ending) for ending in endings)


def finnish(form: str) -> Stems:
    """Case, possessive and clitic by vowel harmony; every stem (`vesi`, `vede`, `vete`) is a form of its own."""
    harmony = [char for char in form if char in "aouäöy"]
    back = bool(harmony) and harmony[-1] in "aou"
    after_vowel = form[-2:-1] in {*_FI_VOWELS}
    yield form, _finnish_endings(back, form[-1], after_vowel)
    if back and form[-1] in "ei":  # a last part with neither kind of vowel may take front endings (maantiellä)
        yield form, _finnish_endings(False, form[-1], after_vowel)


# Hebrew, final letters folded. His, my, our; plural, its construct and its possessives. Her (-ה), their (-ם, -ן)
# and your (-ך) make other words too often.
_HE_ENDINGS = frozenset(["", *_words("י ו נו ימ יימ יו יה יהמ יהנ ינו יכ יכמ")])
_HE_AFTER_PLURAL = frozenset(["", *_words("י יו יה יהמ יהנ ינו יכ יכמ")])


def hebrew_prefixes() -> frozenset[str]:
    """Conjunction, relative particle, then preposition or article (ב, כ, ל swallow the article; מ does not)."""
    return frozenset(_joined(("", "ו"), ("", "ש", "כש"), ("", "ה", "ב", "כ", "ל", "מ", "מה")))


def hebrew(form: str) -> Stems:
    """Plural, construct and possessive; a noun in -ה has them after -ת and -ות."""
    yield form, _HE_ENDINGS
    if form.endswith("ה"):
        yield form[:-1] + "ת", _HE_ENDINGS
        yield form[:-1] + "ות", _HE_AFTER_PLURAL


def _ethiopic_letters() -> dict[int, str]:
    """Syllable -> consonant (the letter of the sixth order) and Latin vowel, homophonous letters made one."""
    same = {0x1210: 0x1200, 0x1280: 0x1200, 0x1220: 0x1230, 0x12D0: 0x12A0, 0x1340: 0x1338}
    labial = {0x1248: 0x1240, 0x1288: 0x1200, 0x12B0: 0x12A8, 0x12C0: 0x12B8, 0x1310: 0x1308}
    letters = {}
    for code in range(0x1200, 0x1358):
        row, order = code & ~7, code & 7
        base = labial.get(row, same.get(row, row))
        vowel = ("ä", "u", "i", "a", "e", "", "o", "wa")[order]
        if base in (0x1200, 0x12A0) and order == 0:
            vowel = "a"
        letters[code] = chr(base + 5) + ("w" if row in labial else "") + vowel
    return letters


_ETHIOPIC = _ethiopic_letters()


def ethiopic_respell(text: str) -> str:
    """Amharic taken apart, so that an ending fused into the last syllable is one: ቤቱ -> ብeትu (Latin vowels)."""
    return text.translate(_ETHIOPIC)


def amharic_prefixes() -> frozenset[str]:
    """Prepositions and the genitive."""
    written = "የ በ ለ ከ ስለ እንደ ወደ እስከ ያለ በየ ከየ ለየ እነ የነ እንደየ ስለየ"
    return frozenset(["", *map(ethiopic_respell, written.split())])


def _amharic_endings(owners: str, plural: str) -> tuple[frozenset[str], frozenset[str]]:
    single = ["", *ethiopic_respell(owners).split()]
    several = _joined([ethiopic_respell(plural)], ["", *ethiopic_respell(_AM_OWNERS).split()])
    tails = ethiopic_respell("|ን|ም|ና|ስ|ንም|ንና|ንስ").split("|")
    return frozenset(_joined(single + several, tails)), frozenset(_joined(several, tails))


# The article and his, my, her, your, our, your (plural), their; then the plural; object, and, even.
_AM_OWNERS = "u e wa ዋ ህ ሽ aችን aችሁ aቸው"
_AM_AFTER_CONSONANT, _AM_FUSED_PLURAL = _amharic_endings(_AM_OWNERS, "oች")
_AM_AFTER_VOWEL, _ = _amharic_endings("ው ዋ ዬ ህ ሽ ችን ችሁ ቸው", "ዎች")


def amharic(form: str) -> Stems:
    """Article, possessive, plural, object and conjunction; a final -a may give way to the plural (ውሻ, ውሾች)."""
    if form[-1].isascii() or form[-1] == "ä":
        yield form, _AM_AFTER_VOWEL
        yield form[:-1], _AM_FUSED_PLURAL
    else:
        yield form, _AM_AFTER_CONSONANT


_KN_PLURAL = tuple(
    "ಗಳ" + ending for ending in ["", "ು", "ನ್ನು", "ನ್ನೂ", "ಿಗೆ", "ಿಗೂ", "ಿಗಾಗಿ", "ಲ್ಲಿ", "ಲ್ಲಿನ", "ಲ್ಲೂ", "ಿಂದ", "ೂ", "ೇ", "ೊಂದಿಗೆ"]
)
_KN_AFTER_A = frozenset(_words("ವು ವನ್ನು ವನ್ನೂ ವೂ ವೇ ವೊಂದು ದ ದಲ್ಲಿ ದಲ್ಲಿನ ದಲ್ಲೂ ದಲ್ಲೇ ದಿಂದ ದಿಂದಾಗಿ ದೊಂದಿಗೆ ಕ್ಕೆ ಕ್ಕೂ ಕ್ಕಾಗಿ")).union(
    _KN_PLURAL, {""}
)
_KN_AFTER_I_E = frozenset(_words("ಯ ಯು ಯನ್ನು ಯನ್ನೂ ಯೂ ಯೇ ಯೊಂದು ಗೆ ಗೂ ಗಾಗಿ ಯಲ್ಲಿ ಯಲ್ಲಿನ ಯಲ್ಲೂ ಯಲ್ಲೇ ಯಿಂದ ಯಿಂದಾಗಿ ಯೊಂದಿಗೆ")).union(
    _KN_PLURAL, {""}
)
_KN_AFTER_U = frozenset(_words("ವನ್ನು ವನ್ನೂ ವಿನ ವಿನಲ್ಲಿ ವಿನಿಂದ ವಿನೊಂದಿಗೆ ವಿಗೆ ವಿಗೂ ವಿಗಾಗಿ ವೂ ವೇ")).union(_KN_PLURAL, {""})
# In place of a final -u, or on a consonant.
_KN_FOR_U = frozenset(_words("ನ್ನು ನ್ನೂ ಿನ ಿನಲ್ಲಿ ಿನಲ್ಲೂ ಿನಲ್ಲೇ ಿನಿಂದ ಿನಿಂದಾಗಿ ಿನೊಂದಿಗೆ ಿಗೆ ಿಗೂ ಿಗಾಗಿ ಲ್ಲಿ ಲ್ಲಿನ ಲ್ಲೂ ಿಂದ ೂ ೇ ೊಂದು ೊಂದಿಗೆ"))
_KN_ON_CONSONANT = frozenset(_words("ನ ನಲ್ಲಿ ನಲ್ಲಿನ ನಲ್ಲೂ ನಿಂದ ನೊಂದಿಗೆ ಗೆ ಗೂ ಗಾಗಿ")).union(_KN_PLURAL, {""})


def kannada(form: str) -> Stems:
    """Case and number by the final sound; a final -u gives way to the ending, and loans may add -i-."""
    last = form[-1]
    if last == "ು":
        yield form, _KN_AFTER_U
        yield form[:-1], _KN_FOR_U
    elif last in "್ಂ":
        yield form, _KN_ON_CONSONANT
        yield form[:-1], _KN_FOR_U
    else:
        yield form, _KN_AFTER_I_E if last in "ಿೀೆೇೈ" else _KN_AFTER_A


_MR_CASES = frozenset(
    _words(
        "ला ना ने नी नं शी चा ची चे च्या चं त तून तील तला तली तले तल्या हून साठी वर वरील वरून कडे "
        "कडून मध्ये मधील मधून खाली पासून पर्यंत सह समोर जवळ मागे पुढे प्रमाणे मुळे बद्दल विषयी बरोबर सोबत"
    )
)
_MR_ENDINGS = frozenset(_joined(["", *_MR_CASES], ("", "च", "ही")))
_MR_AFTER_OBLIQUE = frozenset(_joined(_MR_CASES, ("", "च", "ही")))


def marathi(form: str) -> Stems:
    """Case endings and postpositions; a noun in a consonant has them after the oblique -ा and -ां."""
    yield form, _MR_ENDINGS
    if "क" <= form[-1] <= "ह":
        yield form + "ा", _MR_AFTER_OBLIQUE
        yield form + "ां", _MR_AFTER_OBLIQUE


# Tamil. Cases and particles begin with a vowel (its sign, on the last consonant); k, c, t, p may double before the
# next word. Particles stand on the bare form, cases on the oblique.
_TA_DOUBLED = frozenset(["", *_words("க் ச் த் ப்")])
_TA_PARTICLES = _words("ும் ே ாக")
_TA_CASES_ON_GLIDE = (
    *_joined(("ை",), _TA_DOUBLED),
    *_words("ையும் ையே ில் ிலும் ிலே ிலிருந்து ிலுள்ள ின் ினை ினால் ால் ாலும் ுடன் ோடு ிடம் ிடமிருந்து ினுடைய ுடைய"),
)
_TA_DATIVE = (*_joined(("க்கு",), _TA_DOUBLED), *_words("க்கும் க்குள் க்காக"))
_TA_CASES = (*_TA_CASES_ON_GLIDE, *_joined(("ு",), _TA_DATIVE), *_joined(("ிற்கு",), _TA_DOUBLED), "ிற்கும்")
_TA_PLURAL = ("கள்", *_joined(("கள",), (*_TA_PARTICLES, *_TA_CASES)))
_TA_OF_M = frozenset(_joined(("ம",), _TA_PARTICLES) + _joined(("த்த",), _TA_CASES) + _joined(("ங்",), _TA_PLURAL))
_TA_ON_CONSONANT = frozenset([*_TA_PARTICLES, *_TA_CASES])
_TA_BARE = _TA_DOUBLED.union(_TA_PLURAL)
_TA_AFTER_Y = _TA_BARE.union(_TA_DATIVE)
_TA_AFTER_FRONT = _TA_AFTER_Y.union(_joined(("ய",), (*_TA_PARTICLES, *_TA_CASES_ON_GLIDE)))
_TA_AFTER_BACK = _TA_DOUBLED.union(
    _joined(("வ",), (*_TA_PARTICLES, *_TA_CASES_ON_GLIDE)), _joined(("வு",), _TA_DATIVE), _joined(("க்",), _TA_PLURAL)
)
_TA_SHORT = re.compile(r"(.* )?([அஇஉஎஒ]|[க-ஹ][ிுெொ]?)[ணனலளய]்")


def tamil(form: str) -> Stems:
    """Number, case and particles; -am has -att- and -angal, a final -u gives way, -du and -ru double in the oblique."""
    last, before = form[-1], form[-2:-1]
    if last == "்" and before == "ம" and "க" <= form[-3:-2] <= "ஹ":
        yield form, _TA_DOUBLED
        yield form[:-2], _TA_OF_M
    elif last == "்":
        yield form, _TA_AFTER_Y if before == "ய" else _TA_BARE
        yield form + before if _TA_SHORT.fullmatch(form) else form[:-1], _TA_ON_CONSONANT
    elif last == "ு" and before in "டற" and form[-3:-2] != "்":
        yield form, _TA_BARE
        yield form[:-1], frozenset(_TA_PARTICLES)
        yield f"{form[:-1]}்{before}", frozenset(_TA_CASES)
    elif last == "ு":
        yield form, _TA_BARE
        yield form[:-1], _TA_ON_CONSONANT
    elif last in "ிீைே":
        yield form, _TA_AFTER_FRONT
    else:
        yield form, _TA_AFTER_BACK if last in "ூா" else _TA_DOUBLED


_TE_ENDINGS = frozenset(
    _words(
        "ను ని కు కి కే తో లో లోని లోనే లోకి లోంచి నుండి నుంచి పై న గా దే నే లు లును లను ల లకు లతో లలో లలోని లపై లూ లే "
        "నూ కూ కీ తోనే తోనూ లోనూ లోపల పైన పైకి మీద మీది లా లాంటి లకి లకే లకూ లనూ లతోనే లలోనే లలోకి లలోనూ లలా లపైన లుగా "
        "ల్లో ల్లోని ల్లోనే ల్లోకి ల్లోనూ ల్లోంచి ల్ని ్లో ్లోని ్లోనే ్లోకి ్లోనూ ్లోంచి ్ని"
    )
) | {""}
_TE_FOR_M = frozenset([*_words("ాన్ని ాన్నీ ానికి ానికీ ానికే ాలు ాలూ ాలను ాలనూ ాలన్నీ"), *_joined(("ాల",), _TE_ENDINGS)])


def telugu(form: str) -> Stems:
    """Case, plural, particles and postpositions written together; a final -am gives way to -āni- and -āl-."""
    yield form, _TE_ENDINGS
    if form[-1] == "ం" and "క" <= form[-2:-1] <= "హ":
        yield form[:-1], _TE_FOR_M
