"""Statistics of what the instruments measure: functions of arrays that know no model and no file."""

from .intervals import cluster_interval, wilson_interval

__all__ = ["cluster_interval", "wilson_interval"]
