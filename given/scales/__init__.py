"""How is a number laid on a line? Lines, quantile curves with safe tails, and the codec that all measured values share.

A scale maps reals r to entries z, rising, and knows its slope: a density in raw units is p(r) = p(z) dz/dr. It knows no raw
data: how a number or a date is read and written is the codec's.
"""

from given.scales.bins import Bins
from given.scales.curve import Curve
from given.scales.line import Line, LogLine, changes_by_shares, varies_by_shares
from given.scales.measured import Measured
from given.scales.tail import Tail

__all__ = ["Bins", "Curve", "Line", "LogLine", "Measured", "Tail", "changes_by_shares", "varies_by_shares"]
