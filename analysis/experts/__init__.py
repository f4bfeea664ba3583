"""Concept experts: responses of units, average precision, the top of the list, and what languages share of it."""
