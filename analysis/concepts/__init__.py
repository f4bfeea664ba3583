"""Concept sets, their files and checks; the lexicon of word forms and what it must know of each language."""
