"""Concept sets, their files and checks; the lexicon of word forms and what it must know of each language."""

from .concept_set import ConceptSet
from .lexicon import Lexicon
from .text import load_text

__all__ = ["ConceptSet", "Lexicon", "load_text"]
