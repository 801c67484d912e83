"""Linear forms: maps of the state, one for each step, and how all the states along a sequence follow from them.

Three compose (`Diagonal`, `ScalarDecay`, `Dense`): all prefixes in O(log T) depth by one associative scan. Two have a
better way than composing (`Constant`, `Delta`); as `Dense` maps they have an oracle.
"""

from recurrent.forms.base import Composable, Form
from recurrent.forms.constant import Constant
from recurrent.forms.delta import Delta
from recurrent.forms.dense import Dense
from recurrent.forms.diagonal import Diagonal
from recurrent.forms.scalar_decay import ScalarDecay

__all__ = ["Composable", "Constant", "Delta", "Dense", "Diagonal", "Form", "ScalarDecay"]
