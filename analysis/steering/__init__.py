"""Steering: force a concept's experts, let the model write, and see which language it speaks and about what."""

from .analysis import SteeringAnalysis

__all__ = ["SteeringAnalysis"]
