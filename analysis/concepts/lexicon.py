"""Word lists that signal a concept, per language: YAML files by domain, and the checker that they must pass.

A file holds one domain; files of a folder are read together, so that domains can be written side by side:

    domain: nature
    concepts:
      water:
        gloss: the clear liquid of rivers, seas and rain     # fixes the sense
        abstractness: concrete                               # or abstract
        forms:                                               # each of these makes a sentence a positive
          en: [water, waters, =h2o]
        unsure:                                              # too ambiguous for that, but kept out of
          negatives too en: [watery, pool]
        not:                                                 # longer strings in which a form does not count
          en: [water polo]

A form is matched as a whole word, ignoring case. `word` may carry the affixes that `languages.py` allows
for its language, `=word` none, and `word*` any ending. Where words are not separated (Chinese) a form
matches anywhere.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

SHIPPED = Path(__file__).resolve().parents[2] / "configs" / "concepts" / "lexicon"
"""The lexicon that comes with the package."""

FORM, UNSURE, EXCLUSION = "form", "unsure", "not"
SENSE_KEY = re.compile(r"[\w.'/-]+%[1-5]:\d\d:\d\d:[\w.'-]*:\d*")
"""How WordNet, and OneSec with it, names a sense."""
ABSTRACTNESS = ("concrete", "abstract")
Forms = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Concept:
    """One concept and the words that signal it, per language.

    Attributes:
        name: its identifier in tables and results.
        gloss: a short definition that fixes the sense.
        domain: the field it belongs to.
        abstractness: `concrete` or `abstract`.
        forms: words that make a sentence a positive.
        unsure: words that make it neither a positive nor a negative.
        exclusions: longer strings in which no form counts (`not` in the file).
    """

    name: str
    gloss: str
    domain: str
    abstractness: str
    forms: Forms
    unsure: Forms = field(default_factory=dict)
    exclusions: Forms = field(default_factory=dict)

    def lists(self) -> tuple[tuple[str, Forms], ...]:
        """The three kinds of word lists with their roles."""
        return (FORM, self.forms), (UNSURE, self.unsure), (EXCLUSION, self.exclusions)


@dataclass(frozen=True)
class Lexicon:
    """Concepts by name, in alphabetical order."""

    concepts: Mapping[str, Concept]

    @classmethod
    def load(cls, path: str | Path = SHIPPED, concepts: Iterable[str] | None = None) -> Self:
        """Read one YAML file or all `*.yaml` of a folder.

        Args:
            path: the file or folder.
            concepts: the names to keep; all if None.

        Raises:
            ValueError: everything that is wrong with the structure, at once, or an unknown concept name.
        """
        found, problems = read_lexicon(Path(path))
        if problems:
            raise ValueError("\n".join(problems))
        wanted = sorted(found) if concepts is None else sorted(set(concepts))
        unknown = [name for name in wanted if name not in found]
        if unknown:
            raise ValueError(f"concepts: {', '.join(unknown)} not in {path}; it has {', '.join(sorted(found))}.")
        return cls({name: found[name] for name in wanted})

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that at least one concept has forms in, sorted."""
        return tuple(sorted({language for concept in self.concepts.values() for language in concept.forms}))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses a key that stands twice, which YAML would let override the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_lexicon(path: Path) -> tuple[dict[str, Concept], list[str]]:
    """The concepts of a file or folder, and what is wrong with its structure (a concept with a problem is left out)."""
    if not path.exists():
        return {}, [f"lexicon: {path} does not exist; give a YAML file or a folder of them."]
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        return {}, [f"lexicon: {path} holds no .yaml file."]
    concepts: dict[str, Concept] = {}
    homes: dict[str, str] = {}
    problems: list[str] = []
    for file in files:
        for item in _read_file(file):
            if isinstance(item, str):
                problems.append(item)
            elif item.name in homes:
                problems.append(f"{file.name}: {item.name}: stands in {homes[item.name]} already; keep one.")
            else:
                homes[item.name] = file.name
                concepts[item.name] = item
    return concepts, problems


def _read_file(file: Path) -> Iterator[Concept | str]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        yield f"{file.name}: not YAML: {error}"
        return
    if not isinstance(content, dict) or not isinstance(content.get("concepts"), dict):
        yield f"{file.name}: it needs `domain: …` and `concepts:` with one block per concept."
        return
    unknown = content.keys() - {"domain", "concepts"}
    yield from (f"{file.name}: unknown field {key!r}; known: domain, concepts." for key in sorted(unknown, key=str))
    domain = content.get("domain")
    if not isinstance(domain, str) or not domain:
        yield f"{file.name}: domain is {domain!r}; name the field these concepts belong to."
        return
    for name, block in content["concepts"].items():
        problems = list(_block_problems(name, block))
        yield from (f"{file.name}: {name}: {problem}" for problem in problems)
        if not problems:
            yield _concept(name, block, domain)


def _concept(name: str, block: dict[str, Any], domain: str) -> Concept:
    forms, unsure, exclusions = (
        {code: tuple(words) for code, words in (block.get(key) or {}).items()} for key in ("forms", "unsure", "not")
    )
    return Concept(name, block["gloss"], domain, block["abstractness"], forms, unsure, exclusions)


def _block_problems(name: Any, block: Any) -> Iterator[str]:
    if not isinstance(name, str) or name != name.lower() or not (name.isidentifier() or SENSE_KEY.fullmatch(name)):
        yield "a concept's name is lower-case letters, digits and underscores, or a sense key such as house%1:06:00::."
    if not isinstance(block, dict):
        yield "it needs gloss, abstractness and forms."
        return
    known = ("gloss", "abstractness", "forms", "unsure", "not")
    yield from (f"unknown field {key!r}; known: {', '.join(known)}." for key in block if key not in known)
    if not isinstance(block.get("gloss"), str) or not block["gloss"].strip():
        yield "gloss is missing; say in a few words which sense is meant."
    if block.get("abstractness") not in ABSTRACTNESS:
        yield f"abstractness is {block.get('abstractness')!r}; choose one of {', '.join(ABSTRACTNESS)}."
    if not block.get("forms"):
        yield "forms is missing; give at least one form per language."
    for key in ("forms", "unsure", "not"):
        lists = block.get(key) or {}
        if not isinstance(lists, dict):
            yield f"{key} is {lists!r}; give lists by language code."
            continue
        for code, words in lists.items():
            if not isinstance(code, str):
                yield f"{key}: the language code {code!r} is not text; put it in quotes."
            if not isinstance(words, list) or not words:
                yield f"{key}.{code} is {words!r}; give a list of words."
                continue
            yield from (
                f"{key}.{code}: {word!r} is not text; put it in quotes." for word in words if not isinstance(word, str)
            )
