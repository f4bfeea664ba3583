"""Names of checkpoints as patterns: which part of a name is its step, its tokens, a counter, or merely varies."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_FIELD = re.compile(r"\{(\w+)(?::0(\d+)d)?\}|\*")
_NUMBER = r"\d+(?:\.\d+)?"
_SHAPES = {"step": rf"{_NUMBER}[kKmM]?", "tokens": rf"{_NUMBER}[kKmMbBgGtT]?", "index": r"\d+"}
_UNITS = {"k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
FIELDS = "{step}, {step:07d} (filled with zeros), {tokens}, {index} or *"


@dataclass(frozen=True)
class Named:
    """What a name says of a checkpoint; None for what it does not say."""

    step: int | None = None
    tokens: int | None = None
    index: int | None = None

    def joined(self, other: "Named") -> "Named":
        """What two parts of a path say together."""
        pairs = zip((self.step, self.tokens, self.index), (other.step, other.tokens, other.index), strict=True)
        return Named(*(one if one is not None else two for one, two in pairs))


class Pattern:
    """A name with `{step}`, `{step:07d}`, `{tokens}` (with a unit: 210B, 16.78B, 15T), `{index}` or `*` in it.

    Raises:
        ValueError: another word in braces, or a field twice.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        parts, self.fields, end = [], [], 0
        for found in _FIELD.finditer(template):
            parts.append(re.escape(template[end : found.start()]))
            end = found.end()
            name, width = found[1], found[2]
            if name is None:
                parts.append("[^/]*")
                self.fields.append("*")
                continue
            if name not in _SHAPES or name in self.fields:
                raise ValueError(f"{template}: {found[0]} cannot stand here; use {FIELDS}, each field once")
            self.fields.append(name)
            parts.append(f"(?P<{name}>{rf'[0-9]{{{width},}}' if width else _SHAPES[name]})")
        self._regex = re.compile("".join([*parts, re.escape(template[end:])]))

    def __bool__(self) -> bool:
        """Whether it has any field at all."""
        return bool(self.fields)

    def match(self, name: str) -> Named | None:
        """What a name says, or None where it is none of these."""
        found = self._regex.fullmatch(name)
        return None if found is None else Named(**{field: _number(text) for field, text in found.groupdict().items()})

    def fill(self, step: int) -> str | None:
        """The name of a step; None where the pattern has fields that a step does not decide."""
        if set(self.fields) - {"step"}:
            return None
        return _FIELD.sub(lambda found: f"{step:0{int(found[2] or 1)}d}", self.template)

    def nearest(self, names: Iterable[str], count: int = 4) -> list[str]:
        """Names that look most like the pattern."""
        return nearest(_FIELD.sub("0", self.template), names, count)


def step_of(named: Named, tokens_per_step: int | None) -> int:
    """The step that a name stands for: its own; else by tokens (in steps, or millions of tokens); else its counter.

    Raises:
        ValueError: it says none of them.
    """
    if named.step is not None:
        return named.step
    if named.tokens is not None:
        return round(named.tokens / (tokens_per_step or 10**6))
    if named.index is not None:
        return named.index
    raise ValueError(f"the pattern has neither step, tokens nor index: use {FIELDS}")


def nearest(name: str, names: Iterable[str], count: int = 4) -> list[str]:
    """Names that look most like one that is not among them: by their letters, then by their numbers."""
    numbers = [float(number) for number in re.findall(_NUMBER, name)]
    matcher = difflib.SequenceMatcher(None, b="".join(re.split(_NUMBER, name)), autojunk=False)

    def distance(other: str) -> tuple[float, list[float], str]:
        matcher.set_seq1("".join(re.split(_NUMBER, other)))
        apart = [abs(float(one) - two) for one, two in zip(re.findall(_NUMBER, other), numbers, strict=False)]
        return -round(matcher.ratio(), 1), apart, other

    return sorted(names, key=distance)[:count]


def _number(text: str) -> int:
    unit = _UNITS.get(text[-1].lower(), 1)
    digits = text.rstrip("kKmMbBgGtT")
    whole, _, part = digits.partition(".")
    # Exact: 16.78B is 16,780,000,000.
    return int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)
