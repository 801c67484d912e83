"""Networks whose readout alone learns."""

from recurrent.cells.esn import ESN
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (Entry("esn", ESN, "Jaeger (2001)", "a fixed random network: its readout learns"),)
