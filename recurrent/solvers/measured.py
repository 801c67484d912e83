"""What `AUTO` decides by: training steps by `Fused` over those by `Sequential`, as `benchmarks.fused` measured them.

The tables are written by `python -m experiments report` from docs/fused.cpu.json.
"""

__all__ = ["FUSED", "POINTS"]

# <!-- table: fused_points -->
POINTS = ((16, 16), (64, 64), (32, 128))
# <!-- end -->
"""Sequences and units of each point."""
# <!-- table: fused_ratios -->
FUSED: dict[str, tuple[float, ...]] = {
    "AntisymmetricRNN": (0.66, 0.99, 0.82),
    "BRC": (0.97, 0.71, 0.89),
    "CfC": (1.59, 0.90, 0.80),
    "Clockwork": (0.65, 1.11, 0.91),
    "CoRNN": (0.87, 0.97, 0.84),
    "DeltaNet": (1.05, 1.01, 1.04),
    "ESN": (0.95, 1.42, 1.07),
    "EUNN": (0.84, 1.02, 0.91),
    "Elman": (0.56, 1.06, 0.86),
    "ExpRNN": (0.64, 1.11, 0.99),
    "FastGRNN": (0.75, 0.93, 0.83),
    "FastRNN": (0.78, 1.18, 1.14),
    "FastWeights": (1.24, 1.55, 1.43),
    "FullCapacityURNN": (0.85, 1.11, 1.02),
    "GORU": (0.88, 0.76, 0.65),
    "GRU": (0.81, 0.93, 0.77),
    "GersBlock": (0.70, 0.84, 0.66),
    "HS97": (0.99, 0.82, 0.75),
    "HS97LongLag": (0.94, 0.91, 0.81),
    "HyperLSTM": (0.90, 0.93, 1.13),
    "IndRNN": (0.73, 1.02, 1.26),
    "JANET": (0.54, 0.84, 0.92),
    "LEM": (0.72, 0.89, 0.68),
    "LMU": (0.93, 1.10, 0.77),
    "LRU": (0.66, 1.06, 0.89),
    "LSTM": (0.91, 0.89, 0.61),
    "LSTMP": (0.79, 0.88, 0.73),
    "LSTMVariant": (0.95, 0.88, 0.70),
    "LTC": (0.63, 0.73, 0.79),
    "LayerNormLSTM": (0.84, 0.66, 0.74),
    "LinOSS": (0.79, 1.07, 0.95),
    "LinearAttention": (1.29, 1.31, 1.41),
    "LinearLMU": (0.81, 1.32, 1.13),
    "LipschitzRNN": (0.72, 1.02, 1.02),
    "MGU": (0.74, 0.98, 0.89),
    "MLSTM": (0.91, 0.87, 0.76),
    "MUT1": (0.83, 0.97, 0.82),
    "MUT2": (0.72, 0.93, 0.76),
    "MUT3": (0.74, 0.91, 0.80),
    "MinGRU": (1.18, 0.92, 0.89),
    "MinLSTM": (1.29, 0.98, 0.94),
    "MinimalRNN": (0.71, 1.00, 0.90),
    "MogrifierLSTM": (0.70, 0.72, 0.89),
    "MultiplicativeLSTM": (0.94, 0.81, 0.65),
    "NBRC": (1.03, 1.03, 0.90),
    "NRU": (0.65, 0.53, 0.59),
    "QRNN": (0.92, 1.00, 1.01),
    "RGLRU": (0.82, 0.94, 0.91),
    "RHN": (0.73, 0.79, 0.67),
    "S4D": (0.78, 0.97, 0.86),
    "S5": (0.60, 0.95, 0.97),
    "S6": (1.04, 0.92, 0.95),
    "SLSTM": (0.72, 0.98, 0.86),
    "SRU": (1.07, 0.95, 0.81),
    "ScoRNN": (0.63, 1.22, 0.97),
    "StackRNN": (0.81, 1.08, 0.95),
    "URLSTM": (0.81, 0.64, 0.57),
    "URNN": (0.87, 0.99, 0.92),
    "UnICORNN": (0.79, 0.88, 0.98),
}
# <!-- end -->
"""By the class of the cell, at each point: the geometric mean of one update in a call of its own and one of several in
a compiled loop, on a CPU.
"""
