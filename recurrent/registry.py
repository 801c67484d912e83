"""What the command line may name: cells with their sources, and initialisers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from recurrent import recipes
from recurrent.cell import Cell, Layer
from recurrent.cells import lstm_studies as studies
from recurrent.cells.antisymmetric import AntisymmetricRNN
from recurrent.cells.brc import BRC, NBRC
from recurrent.cells.cfc import CfC
from recurrent.cells.clockwork import Clockwork
from recurrent.cells.conv import ConvGRU, ConvLSTM
from recurrent.cells.cornn import CoRNN
from recurrent.cells.delta_net import DeltaNet
from recurrent.cells.elman import Elman, irnn, np_rnn
from recurrent.cells.esn import ESN
from recurrent.cells.eunn import EUNN
from recurrent.cells.exprnn import ExpRNN
from recurrent.cells.fast_rnn import FastGRNN, FastRNN
from recurrent.cells.fast_weights import FastWeights
from recurrent.cells.full_capacity_urnn import FullCapacityURNN
from recurrent.cells.gers2000 import GersBlock
from recurrent.cells.goru import GORU
from recurrent.cells.gru import GRU
from recurrent.cells.gru_d import GRUD
from recurrent.cells.hs97 import HS97
from recurrent.cells.hs97_long_lag import HS97LongLag
from recurrent.cells.hyper_lstm import HyperLSTM
from recurrent.cells.indrnn import IndRNN
from recurrent.cells.janet import JANET
from recurrent.cells.layer_norm_lstm import LayerNormLSTM
from recurrent.cells.lem import LEM
from recurrent.cells.linear_attention import LinearAttention, gated_linear_attention, retention
from recurrent.cells.linear_lmu import LinearLMU
from recurrent.cells.linoss import LinOSS
from recurrent.cells.lipschitz import LipschitzRNN
from recurrent.cells.lmu import LMU
from recurrent.cells.lru import LRU
from recurrent.cells.lstm import LSTM
from recurrent.cells.lstmp import LSTMP
from recurrent.cells.ltc import LTC
from recurrent.cells.mgu import MGU
from recurrent.cells.min_gated import MinGRU, MinLSTM
from recurrent.cells.minimal_rnn import MinimalRNN
from recurrent.cells.mlstm import MLSTM
from recurrent.cells.mogrifier import MogrifierLSTM
from recurrent.cells.multiplicative_lstm import MultiplicativeLSTM
from recurrent.cells.mut import MUT1, MUT2, MUT3
from recurrent.cells.nru import NRU
from recurrent.cells.phased_lstm import PhasedLSTM
from recurrent.cells.qrnn import QRNN
from recurrent.cells.rg_lru import RGLRU
from recurrent.cells.rhn import RHN
from recurrent.cells.s4d import S4D
from recurrent.cells.s5 import S5
from recurrent.cells.s6 import S6
from recurrent.cells.scornn import ScoRNN
from recurrent.cells.slstm import SLSTM
from recurrent.cells.sru import SRU
from recurrent.cells.stack_rnn import StackRNN
from recurrent.cells.unicornn import UnICORNN
from recurrent.cells.ur_lstm import URLSTM
from recurrent.cells.urnn import URNN
from recurrent.initializers import INITIALIZERS

__all__ = ["CELLS", "ENTRIES", "INITIALIZERS", "Entry"]


class Entry(NamedTuple):
    """A cell of the library: its name, its builder, the paper that it follows, and what sets it apart."""

    name: str
    build: Callable[..., Cell | Layer]
    source: str
    about: str

    @property
    def year(self) -> int:
        """Of the source."""
        return int(self.source[-5:-1])


ENTRIES: dict[str, tuple[Entry, ...]] = {
    "Simple": (
        Entry("elman", Elman, "Elman (1990)", "the baseline: its gradient vanishes"),
        Entry("irnn", irnn, "Le et al. (2015)", "relu, starts at the identity"),
        Entry("np_rnn", np_rnn, "Talathi & Vartak (2015)", "relu, starts positive definite"),
        Entry("indrnn", IndRNN, "Li et al. (2018)", "no unit sees another; deep stacks"),
        Entry("clockwork", Clockwork, "Koutník et al. (2014)", "modules with periods of their own"),
        Entry("fast_rnn", FastRNN, "Kusupati et al. (2018)", "a leaky Elman network, leak learned"),
    ),
    "Long short-term memory": (
        Entry("lstm", LSTM, "Gers et al. (2000)", "the default: input, forget and output gates"),
        Entry("hs97", HS97, "Hochreiter & Schmidhuber (1997)", "the first: no forget gate, gates feed gates"),
        Entry("hs97_cut", recipes.hs97_cut, "Hochreiter & Schmidhuber (1997)", "with its truncated gradient"),
        Entry(
            "hs97_long_lag", HS97LongLag, "Hochreiter & Schmidhuber (1997)", "one gate, no recurrent weights"
        ),
        Entry("gers2000", GersBlock, "Gers et al. (2000)", "memory blocks with the first forget gate"),
        Entry("lstmp", LSTMP, "Sak et al. (2014)", "recurs through a projection; large memories"),
        Entry("layer_norm_lstm", LayerNormLSTM, "Ba et al. (2016)", "normalised products and memory"),
        Entry("multiplicative_lstm", MultiplicativeLSTM, "Krause et al. (2016)", "a matrix for each input"),
        Entry("mogrifier_lstm", MogrifierLSTM, "Melis et al. (2020)", "input and state gate each other"),
        Entry("ur_lstm", URLSTM, "Gu et al. (2020)", "refined gate, time scales spread at the start"),
        Entry("janet", JANET, "van der Westhuizen & Lasenby (2018)", "the forget gate alone"),
        Entry("hyper_lstm", HyperLSTM, "Ha et al. (2017)", "a small LSTM scales the weights of a large one"),
        Entry("slstm", SLSTM, "Beck et al. (2024)", "exponential gates and a normaliser; heads"),
        Entry("phased_lstm", PhasedLSTM, "Neil et al. (2016)", "opens to a rhythm; time stamps are inputs"),
    ),
    "Forms compared in print": (
        Entry("lstm_v", studies.lstm_v, "Greff et al. (2017)", "their vanilla form"),
        Entry("lstm_nig", studies.lstm_nig, "Greff et al. (2017)", "no input gate"),
        Entry("lstm_nfg", studies.lstm_nfg, "Greff et al. (2017)", "no forget gate"),
        Entry("lstm_nog", studies.lstm_nog, "Greff et al. (2017)", "no output gate"),
        Entry("lstm_niaf", studies.lstm_niaf, "Greff et al. (2017)", "no input activation"),
        Entry("lstm_noaf", studies.lstm_noaf, "Greff et al. (2017)", "no output activation"),
        Entry("lstm_cifg", studies.lstm_cifg, "Greff et al. (2017)", "coupled input and forget gate"),
        Entry("lstm_np", studies.lstm_np, "Greff et al. (2017)", "no peepholes"),
        Entry("lstm_fgr", studies.lstm_fgr, "Greff et al. (2017)", "full gate recurrence"),
        Entry("lstm_f", studies.lstm_f, "Jozefowicz et al. (2015)", "no forget gate"),
        Entry("lstm_i", studies.lstm_i, "Jozefowicz et al. (2015)", "no input gate"),
        Entry("lstm_o", studies.lstm_o, "Jozefowicz et al. (2015)", "no output gate"),
        Entry("lstm_b", studies.lstm_b, "Jozefowicz et al. (2015)", "forget bias 1"),
        Entry("mut1", MUT1, "Jozefowicz et al. (2015)", "found by search over architectures"),
        Entry("mut2", MUT2, "Jozefowicz et al. (2015)", "found by search over architectures"),
        Entry("mut3", MUT3, "Jozefowicz et al. (2015)", "found by search over architectures"),
    ),
    "Gated": (
        Entry("gru", GRU, "Cho et al. (2014)", "two gates, one state"),
        Entry("mgu", MGU, "Zhou et al. (2016)", "one gate resets and updates"),
        Entry("minimal_rnn", MinimalRNN, "Chen (2017)", "one gate, inputs encoded apart"),
        Entry("brc", BRC, "Vecoven et al. (2021)", "bistable units that can latch"),
        Entry("nbrc", NBRC, "Vecoven et al. (2021)", "the same, told when by all units"),
        Entry("rhn", RHN, "Zilly et al. (2017)", "several highway layers a step"),
        Entry("qrnn", QRNN, "Bradbury et al. (2017)", "gates from a convolution over inputs"),
        Entry("sru", SRU, "Lei et al. (2018)", "elementwise recurrence and a highway"),
        Entry("fast_grnn", FastGRNN, "Kusupati et al. (2018)", "a gate that shares the matrices"),
        Entry("nru", NRU, "Chandar et al. (2019)", "a memory without saturating gates"),
    ),
    "Orthogonal and unitary": (
        Entry("urnn", URNN, "Arjovsky et al. (2016)", "a product of simple unitary factors"),
        Entry("full_capacity_urnn", FullCapacityURNN, "Wisdom et al. (2016)", "every unitary matrix"),
        Entry("exprnn", ExpRNN, "Lezcano-Casado & Martínez-Rubio (2019)", "exponential of a skew matrix"),
        Entry("scornn", ScoRNN, "Helfrich et al. (2018)", "scaled Cayley transform"),
        Entry("eunn", EUNN, "Jing et al. (2017)", "rotations in pairs of coordinates"),
        Entry("goru", GORU, "Jing et al. (2019)", "the same with gates that forget"),
    ),
    "Dynamical systems": (
        Entry("cornn", CoRNN, "Rusch & Mishra (2021)", "coupled, damped oscillators"),
        Entry("unicornn", UnICORNN, "Rusch & Mishra (2021)", "undamped oscillators, each by itself"),
        Entry("lem", LEM, "Rusch et al. (2022)", "two states with learned time steps"),
        Entry("antisymmetric_rnn", AntisymmetricRNN, "Chang et al. (2019)", "neither grows nor decays"),
        Entry("lipschitz_rnn", LipschitzRNN, "Erichson et al. (2021)", "a linear and a nonlinear part"),
        Entry("linoss", LinOSS, "Rusch & Rus (2025)", "linear forced oscillators"),
        Entry("cfc", CfC, "Hasani et al. (2022)", "continuous time in closed form"),
        Entry("ltc", LTC, "Hasani et al. (2021)", "neurons whose time constants move"),
        Entry("gru_d", GRUD, "Che et al. (2018)", "irregular times and missing entries"),
    ),
    "Linear recurrences": (
        Entry("lru", LRU, "Orvieto et al. (2023)", "complex diagonal, on a ring of eigenvalues"),
        Entry("s4d", S4D, "Gu et al. (2022)", "one diagonal system a channel"),
        Entry("s5", S5, "Smith et al. (2023)", "one diagonal system for all channels"),
        Entry("s6", S6, "Gu & Dao (2023)", "Mamba's: step size follows the input"),
        Entry("rg_lru", RGLRU, "De et al. (2024)", "Griffin's: decay gated by the input"),
        Entry("min_gru", MinGRU, "Feng et al. (2024)", "a GRU whose gates see the input alone"),
        Entry("min_lstm", MinLSTM, "Feng et al. (2024)", "an LSTM whose gates see the input alone"),
        Entry("linear_lmu", LinearLMU, "Chilkuri & Eliasmith (2021)", "the last θ steps as polynomials"),
    ),
    "Matrix memories": (
        Entry(
            "linear_attention", LinearAttention, "Katharopoulos et al. (2020)", "adds an association a step"
        ),
        Entry("retention", retention, "Sun et al. (2023)", "the same with a fixed decay a head"),
        Entry("gla", gated_linear_attention, "Yang et al. (2023)", "the same with a decay from the input"),
        Entry("delta_net", DeltaNet, "Schlag et al. (2021)", "replaces what is stored under a key"),
        Entry("gated_delta_net", recipes.gated_delta_net, "Yang et al. (2024)", "the same with decay"),
        Entry("mlstm", MLSTM, "Beck et al. (2024)", "xLSTM's matrix memory"),
    ),
    "Other memories": (
        Entry("lmu", LMU, "Voelker et al. (2019)", "a linear memory and a nonlinear state"),
        Entry("fast_weights", FastWeights, "Ba et al. (2016)", "asks its recent states; not linear"),
        Entry("stack_rnn", StackRNN, "Joulin & Mikolov (2015)", "pushes to and pops from stacks"),
    ),
    "Images": (
        Entry("conv_lstm", ConvLSTM, "Shi et al. (2015)", "an LSTM whose products are convolutions"),
        Entry("conv_gru", ConvGRU, "Ballas et al. (2016)", "a GRU whose products are convolutions"),
    ),
    "Reservoirs": (Entry("esn", ESN, "Jaeger (2001)", "a fixed random network: its readout learns"),),
    "Regularised and layered": (
        Entry(
            "zoneout_lstm", recipes.zoneout_lstm, "Krueger et al. (2017)", "units keep their state at random"
        ),
        Entry(
            "variational_lstm",
            recipes.variational_lstm,
            "Gal & Ghahramani (2016)",
            "one dropout mask a sequence",
        ),
        Entry(
            "recurrent_dropout_lstm",
            recipes.recurrent_dropout_lstm,
            "Semeniuta et al. (2016)",
            "dropout of what enters the memory",
        ),
        Entry(
            "weight_drop_lstm",
            recipes.weight_drop_lstm,
            "Merity et al. (2018)",
            "recurrent weights dropped, one draw a call",
        ),
        Entry(
            "dilated_rnn", recipes.dilated_rnn, "Chang et al. (2017)", "layers that skip 1, 2, 4, ... steps"
        ),
        Entry("dilated_gru", recipes.dilated_gru, "Chang et al. (2017)", "the same of GRUs"),
        Entry("dilated_lstm", recipes.dilated_lstm, "Chang et al. (2017)", "the same of LSTMs"),
    ),
}
"""All cells, family by family."""

CELLS: dict[str, Callable[..., Any]] = {
    entry.name: entry.build for family in ENTRIES.values() for entry in family
}
"""Builders ``(input_size, hidden_size, **options) -> Cell`` by command-line name."""
