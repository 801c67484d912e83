"""Networks that discretise a differential equation."""

from recurrent.cells.antisymmetric import AntisymmetricRNN
from recurrent.cells.cfc import CfC
from recurrent.cells.cornn import CoRNN
from recurrent.cells.gru_d import GRUD
from recurrent.cells.lem import LEM
from recurrent.cells.linoss import LinOSS
from recurrent.cells.lipschitz import LipschitzRNN
from recurrent.cells.ltc import LTC
from recurrent.cells.unicornn import UnICORNN
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("cornn", CoRNN, "Rusch & Mishra (2021)", "coupled, damped oscillators", learning_rate_factor=10.0),
    Entry(
        "unicornn",
        UnICORNN,
        "Rusch & Mishra (2021)",
        "undamped oscillators, each by itself",
        learning_options={"alpha": 0.0},
    ),
    Entry("lem", LEM, "Rusch et al. (2022)", "two states with learned time steps"),
    Entry("antisymmetric_rnn", AntisymmetricRNN, "Chang et al. (2019)", "neither grows nor decays"),
    Entry("lipschitz_rnn", LipschitzRNN, "Erichson et al. (2021)", "a linear and a nonlinear part"),
    Entry("linoss", LinOSS, "Rusch & Rus (2025)", "linear forced oscillators"),
    Entry("cfc", CfC, "Hasani et al. (2022)", "continuous time in closed form"),
    Entry(
        "ltc",
        LTC,
        "Hasani et al. (2021)",
        "neurons whose time constants move",
        learning_options={"synapses": "pairs", "dt": 0.1, "unfolds": 1},
        learning_rate_factor=3.0,
    ),
    Entry("gru_d", GRUD, "Che et al. (2018)", "irregular times and missing entries"),
)
