"""Statistics of what the instruments measure: functions of arrays that know no model and no file."""

from .clusters import cluster_interval
from .intervals import mean_interval, wilson_interval

__all__ = ["cluster_interval", "mean_interval", "wilson_interval"]
