"""What wrappers and layers make of the cells of other families."""

from recurrent import recipes
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry("zoneout_lstm", recipes.zoneout_lstm, "Krueger et al. (2017)", "units keep their state at random"),
    Entry(
        "variational_lstm",
        recipes.variational_lstm,
        "Gal & Ghahramani (2016)",
        "one dropout mask a sequence",
        learning_options={"inputs": 0.0, "state": 0.05},
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
        learning_options={"rate": 0.1},
    ),
    Entry(
        "dilated_rnn",
        recipes.dilated_rnn,
        "Chang et al. (2017)",
        "Elman layers that skip 1, 2, 4, ... steps",
        learning_rate_factor=0.3,
    ),
    Entry(
        "dilated_gru", recipes.dilated_gru, "Chang et al. (2017)", "GRU layers that skip 1, 2, 4, ... steps"
    ),
    Entry(
        "dilated_lstm",
        recipes.dilated_lstm,
        "Chang et al. (2017)",
        "LSTM layers that skip 1, 2, 4, ... steps",
    ),
)
