"""Callbacks that watch a Hugging Face causal LM, in anybody's `lightning.Trainer`, `transformers.Trainer` or plain loop."""

from .alignment import ParallelAlignment
from .base import AnalysisCallback, StepCallback
from .experts import ExpertNeurons
from .health import CheckpointHealth
from .language_loss import PerLanguageLoss
from .observing import observe
from .probe import LanguageProbe
from .schedule import StepSchedule
from .steering import Steering
from .transformers_trainer import TransformersCallback

__all__ = [
    "AnalysisCallback",
    "CheckpointHealth",
    "ExpertNeurons",
    "LanguageProbe",
    "ParallelAlignment",
    "PerLanguageLoss",
    "Steering",
    "StepCallback",
    "StepSchedule",
    "TransformersCallback",
    "observe",
]
