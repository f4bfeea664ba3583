"""Concept experts: responses of units, average precision, the top of the list, and what languages share of it."""

from .activations import Units, unit_responses
from .analysis import ExpertAnalysis
from .overlap import chance_overlap, overlap
from .selection import average_precision, top_experts

__all__ = [
    "ExpertAnalysis",
    "Units",
    "average_precision",
    "chance_overlap",
    "overlap",
    "top_experts",
    "unit_responses",
]
