"""Learning online with memory blocks, as it is printed: loops over blocks, cells and traces, for tests.

Source: Gers, Schmidhuber & Cummins (2000): the forward pass, the derivatives of the cell states by the weights of cell
inputs, input gates and forget gates, which go on from step to step, and one update after every symbol.
"""

import numpy as np


def _sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


class GersLearner:
    """Weights, state and traces in NumPy, from the parameters of a `GersBlock` with a readout that sees inputs too.

    ``forgets`` False: the standard LSTM of the paper, whose forget gates are 1.
    """

    def __init__(self, params, block_size, rate, decay=1.0, forgets=True):
        w_x, w_h, b = (np.array(leaf, float) for leaf in params.cell)
        self.size, self.rate, self.decay, self.forgets = block_size, rate, decay, forgets
        cells = w_h.shape[0]
        blocks = cells // block_size
        # a row for each unit: weights from the inputs, from the cells, and a bias (gates alone have one)
        columns = np.concatenate([w_x, w_h])
        i, f, g, o = np.split(columns, np.cumsum([blocks, blocks, cells]), axis=1)
        b_i, b_f, b_o = np.split(b, 3)
        self.w_in = np.concatenate([i, b_i[None]]).T
        self.w_forget = np.concatenate([f, b_f[None]]).T
        self.w_out = np.concatenate([o, b_o[None]]).T
        self.w_cell = g.T.copy()
        readout = params.readout
        self.w_unit = np.concatenate(
            [np.array(readout.skip, float), np.array(readout.w, float), np.array(readout.b, float)[None]]
        ).T
        self.y, self.s, self.t = np.zeros(cells), np.zeros(cells), 0
        self.of_in = np.zeros((cells, self.w_in.shape[1]))
        self.of_forget = np.zeros((cells, self.w_in.shape[1]))
        self.of_cell = np.zeros((cells, self.w_cell.shape[1]))

    def learn(self, x, target):
        """Read one symbol, change the weights; the outputs before that."""
        sources = np.concatenate([x, self.y])
        biased = np.concatenate([sources, [1.0]])
        y_in, y_out = _sigmoid(self.w_in @ biased), _sigmoid(self.w_out @ biased)
        y_forget = _sigmoid(self.w_forget @ biased) if self.forgets else np.ones(len(y_in))
        y, s = np.empty_like(self.y), np.empty_like(self.s)
        for j in range(len(self.s)):
            k = j // self.size
            squashed = _sigmoid(self.w_cell[j] @ sources)
            g, g_slope = 4.0 * squashed - 2.0, 4.0 * squashed * (1.0 - squashed)
            s[j] = y_forget[k] * self.s[j] + y_in[k] * g
            y[j] = y_out[k] * (2.0 * _sigmoid(s[j]) - 1.0)
            self.of_cell[j] = y_forget[k] * self.of_cell[j] + y_in[k] * g_slope * sources
            self.of_in[j] = y_forget[k] * self.of_in[j] + g * y_in[k] * (1.0 - y_in[k]) * biased
            slope = y_forget[k] * (1.0 - y_forget[k])
            self.of_forget[j] = y_forget[k] * self.of_forget[j] + self.s[j] * slope * biased
        seen = np.concatenate([x, y, [1.0]])
        units = _sigmoid(self.w_unit @ seen)
        deltas = units * (1.0 - units) * (target - units)
        rate = self.rate * self.decay**self.t
        changes = rate * np.outer(deltas, seen)
        for j in range(len(s)):
            k = j // self.size
            arriving = sum(self.w_unit[m, len(x) + j] * deltas[m] for m in range(len(units)))
            h = 2.0 * _sigmoid(s[j]) - 1.0
            # the output gate of a block is told by the sum over its cells
            self.w_out[k] += rate * y_out[k] * (1.0 - y_out[k]) * h * arriving * biased
            error = y_out[k] * 2.0 * _sigmoid(s[j]) * (1.0 - _sigmoid(s[j])) * arriving
            self.w_cell[j] += rate * error * self.of_cell[j]
            self.w_in[k] += rate * error * self.of_in[j]
            self.w_forget[k] += rate * error * self.of_forget[j]
        self.w_unit += changes
        self.y, self.s, self.t = y, s, self.t + 1
        return units

    def weights(self):
        """``(w_x, w_h, b, w, b of the readout, skip)`` as the library keeps them."""
        d = self.w_unit.shape[1] - 1 - len(self.y)
        columns = np.concatenate(
            [self.w_in[:, :-1], self.w_forget[:, :-1], self.w_cell, self.w_out[:, :-1]]
        ).T
        b = np.concatenate([self.w_in[:, -1], self.w_forget[:, -1], self.w_out[:, -1]])
        skip, w, bias = np.split(self.w_unit.T, [d, d + len(self.y)])
        return columns[:d], columns[d:], b, w, bias[0], skip
