"""Statistics of what the instruments measure: functions of arrays that know no model and no file."""

from .clusters import cluster_interval, control_interval
from .intervals import mean_interval, wilson_interval
from .lattice import Clusters, cell_test, cluster_mass_test, false_discovery, lattice_test
from .onset import Onset, OnsetDifference, onset, onset_difference
from .seeds import outlying_seeds, seeds_interval

__all__ = [
    "Clusters",
    "Onset",
    "OnsetDifference",
    "cell_test",
    "cluster_interval",
    "cluster_mass_test",
    "control_interval",
    "false_discovery",
    "lattice_test",
    "mean_interval",
    "onset",
    "onset_difference",
    "outlying_seeds",
    "seeds_interval",
    "wilson_interval",
]
