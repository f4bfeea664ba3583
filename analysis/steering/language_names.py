"""What a run's names of languages stand for: BCP 47 tags and ISO 639-3 codes as corpora use them, down to two letters."""

import langcodes

_MEMBERS = {"no": ("nb", "nn")}
"""Macrolanguages whose members an identifier knows by their own codes."""


def base_language(name: str) -> str:
    """The shortest code of a language: `pt` for pt-br, `zh` for zho_Hans and cmn, `ar` for arb, `he` for iw.

    A name that is no language tag is given back as it is, in lower case.
    """
    try:
        tag = langcodes.Language.get(name, normalize=True)
    except langcodes.LanguageTagError:
        return name.lower()
    return tag.prefer_macrolanguage().language or name.lower()


def codes_of(name: str) -> tuple[str, ...]:
    """The codes that a name may be known by: its own, or those of a macrolanguage's members (`nb`, `nn` for no)."""
    base = base_language(name)
    return _MEMBERS.get(base, (base,))
