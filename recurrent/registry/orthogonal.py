"""Networks whose recurrent matrix is orthogonal or unitary."""

from recurrent.cells.eunn import EUNN
from recurrent.cells.exprnn import ExpRNN
from recurrent.cells.full_capacity_urnn import FullCapacityURNN
from recurrent.cells.goru import GORU
from recurrent.cells.scornn import ScoRNN
from recurrent.cells.urnn import URNN
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("urnn", URNN, "Arjovsky et al. (2016)", "a product of simple unitary factors"),
    Entry("full_capacity_urnn", FullCapacityURNN, "Wisdom et al. (2016)", "every unitary matrix"),
    Entry("exprnn", ExpRNN, "Lezcano-Casado & Martínez-Rubio (2019)", "exponential of a skew matrix"),
    Entry("scornn", ScoRNN, "Helfrich et al. (2018)", "scaled Cayley transform"),
    Entry("eunn", EUNN, "Jing et al. (2017)", "rotations in pairs of coordinates"),
    Entry("goru", GORU, "Jing et al. (2019)", "rotations in pairs, with gates that forget"),
)
