"""Language probes: can one token's hidden state tell which language it belongs to?"""

from .analysis import ProbeAnalysis
from .fit import fit_probes

__all__ = ["ProbeAnalysis", "fit_probes"]
