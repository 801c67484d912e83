"""Gradients that travel forward in time, and what they are compared with: rules as values, one function over them."""

from recurrent.online.compare import compare
from recurrent.online.driver import Rule, gradient
from recurrent.online.local import EProp, SnAp1
from recurrent.online.rtrl import RTRL
from recurrent.online.truncated import BPTT, Truncated
from recurrent.online.uoro import UORO

__all__ = ["BPTT", "RTRL", "UORO", "EProp", "Rule", "SnAp1", "Truncated", "compare", "gradient"]
