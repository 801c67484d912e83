"""Online learning: rules whose gradient travels forward in time, as values, and the exact gradient beside them."""

from recurrent.online.compare import compare
from recurrent.online.driver import Rule, gradient
from recurrent.online.local import EProp, SnAp1
from recurrent.online.rtrl import RTRL
from recurrent.online.truncated import BPTT, Truncated
from recurrent.online.uoro import UORO

__all__ = ["BPTT", "RTRL", "UORO", "EProp", "Rule", "SnAp1", "Truncated", "compare", "gradient"]
