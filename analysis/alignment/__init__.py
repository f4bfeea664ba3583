"""Whether translations are represented alike."""

from .analysis import AlignmentAnalysis, load_parallel

__all__ = ["AlignmentAnalysis", "load_parallel"]
