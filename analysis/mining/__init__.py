"""Concept sentences from a corpus: sentences that show a concept and, matched in length, sentences that show none."""
