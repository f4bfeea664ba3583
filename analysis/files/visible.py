"""Whether there is anything to see in a text."""

import re
import sys
import unicodedata


def _visible() -> re.Pattern[str]:
    """A character that a reader can see: no white space, no control or format character (a soft hyphen, a joiner)."""
    kinds = ("Cc", "Cf", "Zs", "Zl", "Zp")
    unseen = (chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in kinds)
    return re.compile(f"[^{re.escape(''.join(unseen))}]")


_VISIBLE = _visible()


def has_text(text: str) -> bool:
    """Whether a reader sees anything; white space and invisible characters alone are no text."""
    return bool(text) and (text[0].isalnum() or _VISIBLE.search(text) is not None)
