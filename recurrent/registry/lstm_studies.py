"""The forms of the LSTM and its mutants that two studies compare."""

from recurrent.cells import lstm_studies as studies
from recurrent.cells.mut import MUT1, MUT2, MUT3
from recurrent.registry.base import Entry

__all__ = ["ENTRIES"]

ENTRIES = (
    Entry(
        "lstm_v",
        studies.lstm_v,
        "Greff et al. (2017)",
        "vanilla: three gates, peepholes",
        learning_rate_factor=3.0,
    ),
    Entry("lstm_nig", studies.lstm_nig, "Greff et al. (2017)", "no input gate"),
    Entry("lstm_nfg", studies.lstm_nfg, "Greff et al. (2017)", "no forget gate"),
    Entry("lstm_nog", studies.lstm_nog, "Greff et al. (2017)", "no output gate"),
    Entry(
        "lstm_niaf", studies.lstm_niaf, "Greff et al. (2017)", "no input activation", learning_rate_factor=3.0
    ),
    Entry("lstm_noaf", studies.lstm_noaf, "Greff et al. (2017)", "no output activation"),
    Entry("lstm_cifg", studies.lstm_cifg, "Greff et al. (2017)", "coupled input and forget gate"),
    Entry("lstm_np", studies.lstm_np, "Greff et al. (2017)", "no peepholes", learning_rate_factor=3.0),
    Entry(
        "lstm_fgr",
        studies.lstm_fgr,
        "Greff et al. (2017)",
        "full gate recurrence",
        learning_options={"input_init": "glorot", "recurrent_init": "orthogonal"},
    ),
    Entry("lstm_f", studies.lstm_f, "Jozefowicz et al. (2015)", "no forget gate"),
    Entry("lstm_i", studies.lstm_i, "Jozefowicz et al. (2015)", "no input gate"),
    Entry("lstm_o", studies.lstm_o, "Jozefowicz et al. (2015)", "no output gate"),
    Entry("lstm_b", studies.lstm_b, "Jozefowicz et al. (2015)", "forget bias 1"),
    Entry("mut1", MUT1, "Jozefowicz et al. (2015)", "found by search over architectures"),
    Entry("mut2", MUT2, "Jozefowicz et al. (2015)", "found by search over architectures"),
    Entry("mut3", MUT3, "Jozefowicz et al. (2015)", "found by search over architectures"),
)
