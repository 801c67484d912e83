"""Equations of the cells with a memory, an image, a stack or a fixed reservoir, as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, ...], state) -> (final state as a tuple in field order, ys[t, *b, ...])`.
It shares no code with the library: it reads hyperparameters and named parameters, and slices gates by explicit index.
"""

import numpy as np
import scipy.linalg


def _array(x):
    return np.asarray(x, np.float64)


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def _sigmoid(x):
    """The logistic function by way of its logarithm: relatively accurate on both sides."""
    return np.exp(_log_sigmoid(x))


def _activate(name, z):
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.where(z > 0, z, 0.0)
    raise ValueError(f"no reference for the activation {name!r}")


def _legendre(order, theta):
    """(Ā, B̄) of θ ṁ = A m + B u over a step of 1 with u held, from one exponential of A and B side by side."""
    joint = np.zeros((order + 1, order + 1))
    for i in range(order):
        for j in range(order):
            sign = -1.0 if i < j else (-1.0) ** (i - j + 1)
            joint[i, j] = (2 * i + 1) * sign / theta
        joint[i, order] = (2 * i + 1) * (-1.0) ** i / theta
    step = scipy.linalg.expm(joint)
    return step[0:order, 0:order], step[0:order, order]


def lmu(cell, params, xs, state):
    """m' = Ā m + B̄ u, u = x·e_x + h·e_h + m·e_m of the old h and m, h' = tanh(x W_x + h W_h + m' W_m + b).

    Source: Voelker, Kajić & Eliasmith (2019).
    """
    h, m, ys = _array(state.h), _array(state.m), []
    a, b = _legendre(m.shape[-1], cell.theta)
    for x in _array(xs):
        u = x @ _array(params.e_x) + h @ _array(params.e_h) + m @ _array(params.e_m)
        m = m @ a.T + u[..., None] * b
        z = x @ _array(params.w_x) + h @ _array(params.w_h) + m @ _array(params.w_m)
        h = np.tanh(z + _array(params.b) if cell.bias else z)
        ys.append(h)
    return (h, m), np.stack(ys)


def fast_weights(cell, params, xs, state):
    """A' = λ A + η h hᵀ, h' the last of h_s = φ(LN(z + A' h_{s-1})), h_0 = φ(z), z = x W_x + h W_h.

    b and the gain belong to the layer norm; without one, b is in z. Source: Ba, Hinton, Mnih, Leibo & Ionescu (2016).
    """
    h, a, ys = _array(state.h), _array(state.a), []
    for x in _array(xs):
        a = cell.decay * a + cell.rate * h[..., :, None] * h[..., None, :]
        z = x @ _array(params.w_x) + h @ _array(params.w_h)
        if not cell.layer_norm:
            z = z + _array(params.b)
        h = _activate(cell.activation, z)
        for _ in range(cell.inner_steps):
            r = z + np.sum(a * h[..., None, :], axis=-1)
            if cell.layer_norm:
                mean = np.mean(r, axis=-1, keepdims=True)
                var = np.mean((r - mean) ** 2, axis=-1, keepdims=True)
                r = _array(params.gain) * (r - mean) / np.sqrt(var + 1e-5) + _array(params.b)
            h = _activate(cell.activation, r)
        ys.append(h)
    return (h, a), np.stack(ys)


def slstm(cell, params, xs, state):
    """c' = f c + i tanh(z), n' = f n + i, h' = σ(o) c' / n', i and f exponential and over exp(m'), W_h within heads.

    Blocks i, f, z, o; m' = max(log f + m, log i), log f = log σ(f) or f. Source: Beck et al. (2024), "xLSTM".
    """
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, c, n, m = (_array(leaf) for leaf in (state.h, state.c, state.n, state.m))
    size = h.shape[-1]
    p, ys = size // cell.num_heads, []
    for x in _array(xs):
        gates = []
        for g in range(4):
            z = x @ w_x[:, g * size : (g + 1) * size] + b[g * size : (g + 1) * size]
            for unit in range(size):
                first = unit // p * p
                z[..., unit] += h[..., first : first + p] @ w_h[:, g * size + unit]
            gates.append(z)
        log_i, z_f, z, o = gates
        log_f = z_f if cell.forget_gate == "exp" else _log_sigmoid(z_f)
        greater = np.where(log_f + m > log_i, log_f + m, log_i)
        f, i = np.exp(log_f + m - greater), np.exp(log_i - greater)
        c, n, m = f * c + i * np.tanh(z), f * n + i, greater
        h = _sigmoid(o) * c / np.where(n > 1e-12, n, 1e-12)
        ys.append(h)
    return (h, c, n, m), np.stack(ys)


def _convolve(x, w):
    """Σ_{a, b} x[r + a - K // 2, q + b - K // 2] w[a, b], zeros outside the image, the kernel not flipped."""
    height, width = x.shape[-3:-1]
    size = w.shape[0]
    y = np.zeros((*x.shape[:-1], w.shape[-1]))
    for r, q in np.ndindex(height, width):
        for a, b in np.ndindex(size, size):
            row, col = r + a - size // 2, q + b - size // 2
            if 0 <= row < height and 0 <= col < width:
                y[..., r, q, :] += x[..., row, col, :] @ w[a, b]
    return y


def conv_lstm(cell, params, xs, state):
    """The LSTM with * for matrix products, i, f, g, o of x * W_x + h * W_h + b, peepholes p ⊙ c (Shi et al., 2015)."""
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, c, ys = _array(state.h), _array(state.c), []
    k = h.shape[-1]
    p = _array(params.p) if cell.peepholes else np.zeros((3, *h.shape[-3:]))
    for x in _array(xs):
        z = _convolve(x, w_x) + _convolve(h, w_h) + b
        i = _sigmoid(z[..., 0:k] + p[0] * c)
        f = _sigmoid(z[..., k : 2 * k] + p[1] * c)
        c = f * c + i * np.tanh(z[..., 2 * k : 3 * k])
        h = _sigmoid(z[..., 3 * k : 4 * k] + p[2] * c) * np.tanh(c)
        ys.append(h)
    return (h, c), np.stack(ys)


def conv_gru(cell, params, xs, state):
    """h' = (1 - z) h + z n, n = tanh(x * W_xn + (r h) * W_hn + b_n), blocks r, z, n (Ballas et al., 2016)."""
    del cell
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        r = _sigmoid(_convolve(x, w_x[..., 0:k]) + _convolve(h, w_h[..., 0:k]) + b[0:k])
        z = _sigmoid(_convolve(x, w_x[..., k : 2 * k]) + _convolve(h, w_h[..., k : 2 * k]) + b[k : 2 * k])
        n = _convolve(x, w_x[..., 2 * k : 3 * k]) + _convolve(r * h, w_h[..., 2 * k : 3 * k])
        h = (1.0 - z) * h + z * np.tanh(n + b[2 * k : 3 * k])
        ys.append(h)
    return (h,), np.stack(ys)


def stack_rnn(cell, params, xs, state):
    """h' = σ(x W_x + h W_h + top W_s + b); a stack moves down, up or stays by softmax(h' W_a), and takes in σ(h' W_d).

    Actions push, pop (, noop); -1 stands below the last place. Source: Joulin & Mikolov (2015).
    """
    h, s, ys = _array(state.h), _array(state.s), []
    stacks, capacity = s.shape[-2:]
    num_actions = 3 if cell.noop else 2
    for x in _array(xs):
        top = [s[..., j, k] for j in range(stacks) for k in range(cell.depth)]
        z = x @ _array(params.w_x) + h @ _array(params.w_h) + _array(params.b)
        h = _sigmoid(z + np.stack(top, axis=-1) @ _array(params.w_s))
        scores, pushed = h @ _array(params.w_a), _sigmoid(h @ _array(params.w_d))
        new = np.empty(s.shape)
        for j in range(stacks):
            scored = scores[..., j * num_actions : (j + 1) * num_actions]
            action = np.exp(scored - np.max(scored, axis=-1, keepdims=True))
            action = action / np.sum(action, axis=-1, keepdims=True)
            for k in range(capacity):
                above = pushed[..., j] if k == 0 else s[..., j, k - 1]
                below = -1.0 if k == capacity - 1 else s[..., j, k + 1]
                new[..., j, k] = action[..., 0] * above + action[..., 1] * below
                if cell.noop:
                    new[..., j, k] += action[..., 2] * s[..., j, k]
        s = new
        ys.append(h)
    return (h, s), np.stack(ys)


def _reservoir(cell):
    """The bias, the input weights and the sparse recurrent weights of a fixed spectral radius, as the seed says."""
    rng = np.random.default_rng(cell.seed)
    d, n = cell.input_size, cell.hidden_size
    w_in = rng.uniform(-1.0, 1.0, (1 + d, n))
    w = rng.uniform(-1.0, 1.0, (n, n))
    order = np.argsort(rng.random((n, n)), axis=0)
    kept = max(1, round((1.0 - cell.sparsity) * n))
    for i, j in np.ndindex(n, n):
        if order[i, j] >= kept:
            w[i, j] = 0.0
    return w_in[0], w_in[1:], w * (cell.spectral_radius / np.max(np.abs(np.linalg.eigvals(w))))


def esn(cell, params, xs, state):
    """h' = (1 - a) h + a tanh(s (x W_in + b) + h W), W_in, b, W fixed, s trained.

    Source: Jaeger (2001), the leak: Jaeger, Lukoševičius, Popovici & Siewert (2007).
    """
    b, w_in, w = _reservoir(cell)
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = (1.0 - cell.leak) * h + cell.leak * np.tanh(_array(params.scale) * (x @ w_in + b) + h @ w)
        ys.append(h)
    return (h,), np.stack(ys)


REFERENCES_MEMORY = {
    "lmu": lmu,
    "fast_weights": fast_weights,
    "slstm": slstm,
    "conv_lstm": conv_lstm,
    "conv_gru": conv_gru,
    "stack_rnn": stack_rnn,
    "esn": esn,
}
