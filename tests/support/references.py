"""Every cell's equations once more, as NumPy loops in float64: the oracle that the contract compares against.

A reference is `(cell, params, xs[t, *b, ...], state) -> (final state as a tuple in field order, ys[t, *b, ...])`.
It shares no code with the library: it reads hyperparameters and named parameters, and slices gates by explicit index.
"""

import numpy as np
import scipy.linalg


def _array(x):
    return np.asarray(x, np.float64)


def _sigmoid(x):
    """The logistic function as a shifted tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def elman(cell, params, xs, state):
    """h' = φ(x W_x + h W_h + b) with φ = tanh or relu; y = h' (Elman, 1990)."""
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, ys = _array(state.h), []
    for x in _array(xs):
        z = x @ w_x + h @ w_h + b
        if cell.activation == "tanh":
            h = np.tanh(z)
        elif cell.activation == "relu":
            h = np.where(z > 0, z, 0.0)
        else:
            raise ValueError(f"no reference for the activation {cell.activation!r}")
        ys.append(h)
    return (h,), np.stack(ys)


def learned_start(cell, params, xs, state):
    """h' = tanh(x W_x + h W_h + b); the learned start arrives as `state`."""
    del cell
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = np.tanh(x @ w_x + h @ w_h + b)
        ys.append(h)
    return (h,), np.stack(ys)


def _lstm_step(cell, params, x, h, c):
    """One step of the LSTM (Gers, Schmidhuber & Cummins, 2000), with peepholes or coupled gates if the cell says so."""
    n = h.shape[-1]
    z = x @ _array(params.w_x) + h @ _array(params.w_h) + _array(params.b)
    if cell.coupled:
        z_i, z_g, z_o = z[..., 0:n], z[..., n : 2 * n], z[..., 2 * n : 3 * n]
        z_f = None
    else:
        z_i, z_f, z_g, z_o = z[..., 0:n], z[..., n : 2 * n], z[..., 2 * n : 3 * n], z[..., 3 * n : 4 * n]
    p = _array(params.p) if cell.peepholes else None
    if p is not None:
        z_i = z_i + p[0] * c
        if z_f is not None:
            z_f = z_f + p[1] * c
    i = _sigmoid(z_i)
    f = 1.0 - i if z_f is None else _sigmoid(z_f)
    c = f * c + i * np.tanh(z_g)
    if p is not None:
        z_o = z_o + p[-1] * c
    return _sigmoid(z_o) * np.tanh(c), c


def lstm(cell, params, xs, state):
    """c' = f c + i tanh(g), h' = o tanh(c'), blocks i, f, g, o (coupled: i, g, o with f = 1 - i); y = h'."""
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        h, c = _lstm_step(cell, params, x, h, c)
        ys.append(h)
    return (h, c), np.stack(ys)


def zoneout_lstm(cell, params, xs, state):
    """The LSTM whose fields are the expectation rate * old + (1 - rate) * new (Krueger et al., 2017, evaluation)."""
    rates = dict(cell.rates)
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        new_h, new_c = _lstm_step(cell.cell, params, x, h, c)
        h = rates.get("h", 0.0) * h + (1.0 - rates.get("h", 0.0)) * new_h
        c = rates.get("c", 0.0) * c + (1.0 - rates.get("c", 0.0)) * new_c
        ys.append(h)
    return (h, c), np.stack(ys)


def gru(cell, params, xs, state):
    """h' = (1 - z) n + z h, blocks r, z, n; r acts after (cuDNN) or before (Cho et al., 2014) the product with W_hn."""
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        r = _sigmoid(x @ w_x[:, 0:k] + h @ w_h[:, 0:k] + b[0:k])
        z = _sigmoid(x @ w_x[:, k : 2 * k] + h @ w_h[:, k : 2 * k] + b[k : 2 * k])
        a = x @ w_x[:, 2 * k : 3 * k] + b[2 * k : 3 * k]
        if cell.reset == "after":
            n = np.tanh(a + r * (h @ w_h[:, 2 * k : 3 * k] + _array(params.b_h)))
        elif cell.reset == "before":
            n = np.tanh(a + (r * h) @ w_h[:, 2 * k : 3 * k])
        else:
            raise ValueError(f"no reference for reset {cell.reset!r}")
        h = (1.0 - z) * n + z * h
        ys.append(h)
    return (h,), np.stack(ys)


def hs97(cell, params, xs, state):
    """The block cell of Hochreiter & Schmidhuber (1997): c' = c + i g(z_c), h' = o (2 σ(c') - 1), g = 4 σ - 2.

    Gates and cells of the previous step feed all net inputs; the cells b S .. (b + 1) S - 1 share the gates of block b.
    """
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    cells, size = cell.hidden_size, cell.block_size
    blocks = cells // size
    c, h, i, o = (_array(field) for field in (state.c, state.h, state.i, state.o))
    ys = []
    for x in _array(xs):
        z = x @ w_x + b + h @ w_h[0:cells]
        z = z + i @ w_h[cells : cells + blocks] + o @ w_h[cells + blocks : cells + 2 * blocks]
        i = _sigmoid(z[..., cells : cells + blocks])
        o = _sigmoid(z[..., cells + blocks : cells + 2 * blocks])
        new_c, new_h = np.empty_like(c), np.empty_like(h)
        for j in range(cells):
            block = j // size
            new_c[..., j] = c[..., j] + i[..., block] * (4.0 * _sigmoid(z[..., j]) - 2.0)
            new_h[..., j] = o[..., block] * (2.0 * _sigmoid(new_c[..., j]) - 1.0)
        c, h = new_c, new_h
        ys.append(h)
    return (c, h, i, o), np.stack(ys)


def lru(cell, params, xs, state):
    """s' = λ s + exp(γ) x B, y = Re(s' C) + x D, λ = exp(-exp(ν) + i exp(θ)) (Orvieto et al., 2023)."""
    del cell
    decay = np.exp(-np.exp(_array(params.nu_log)) + 1j * np.exp(_array(params.theta_log)))
    b = _array(params.b_re) + 1j * _array(params.b_im)
    c = _array(params.c_re) + 1j * _array(params.c_im)
    s, ys = np.asarray(state.h, np.complex128), []
    for x in _array(xs):
        s = decay * s + np.exp(_array(params.gamma_log)) * (x @ b)
        ys.append((s @ c).real + x @ _array(params.d))
    return (s,), np.stack(ys)


def exprnn(cell, params, xs, state):
    """h' = sign(z) relu(|z| + b), z = x W_x + h expm(U - Uᵀ), U strictly upper.

    Source: Lezcano-Casado & Martínez-Rubio (2019).
    """
    del cell
    w_x, b = _array(params.w_x), _array(params.b)
    upper = np.triu(_array(params.a), 1)
    w_h = scipy.linalg.expm(upper - upper.T)
    h, ys = _array(state.h), []
    for x in _array(xs):
        z = x @ w_x + h @ w_h
        h = np.sign(z) * np.maximum(np.abs(z) + b, 0.0)
        ys.append(h)
    return (h,), np.stack(ys)


def _correlate(x, w):
    """Cross-correlation of x[*b, height, width, d] with w[odd, odd, d, k] under zero padding to the same size."""
    rows, columns = x.shape[-3:-1]
    out = np.zeros((*x.shape[:-1], w.shape[-1]))
    for r in range(rows):
        for s in range(columns):
            for a in range(w.shape[0]):
                for b in range(w.shape[1]):
                    i, j = r + a - w.shape[0] // 2, s + b - w.shape[1] // 2
                    if 0 <= i < rows and 0 <= j < columns:
                        out[..., r, s, :] += x[..., i, j, :] @ w[a, b]
    return out


def convlstm(cell, params, xs, state):
    """The LSTM whose products are convolutions, blocks i, f, g, o, without peepholes (Shi et al., 2015)."""
    del cell
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, c, ys = _array(state.h), _array(state.c), []
    n = h.shape[-1]
    for x in _array(xs):
        z = _correlate(x, w_x) + _correlate(h, w_h) + b
        i, f = _sigmoid(z[..., 0:n]), _sigmoid(z[..., n : 2 * n])
        g, o = np.tanh(z[..., 2 * n : 3 * n]), _sigmoid(z[..., 3 * n : 4 * n])
        c = f * c + i * g
        h = o * np.tanh(c)
        ys.append(h)
    return (h, c), np.stack(ys)


def matrix_memory(cell, params, xs, state):
    """C' = f C + i v kᵀ, n' = f n + i k, y = C' q / max(|n'·q|, exp(-m')), f and i relative to exp(m').

    log f = log σ(x w_f + b_f), log i = x w_i + b_i, m' = max(log f + m, log i), k divided by √size.
    Source: the mLSTM of Beck et al. (2024).
    """
    del cell
    xs = _array(xs)
    c, n, m = _array(state.c), _array(state.n), _array(state.m)
    size, batch_shape, ys = n.shape[-1], xs.shape[1:-1], []
    for x in xs:
        q, v = x @ _array(params.w_q), x @ _array(params.w_v)
        k = x @ _array(params.w_k) / np.sqrt(size)
        log_i = x @ _array(params.w_i) + _array(params.b_i)
        log_f = _log_sigmoid(x @ _array(params.w_f) + _array(params.b_f))
        new_c, new_n, new_m = np.empty_like(c), np.empty_like(n), np.empty_like(m)
        y = np.empty((*batch_shape, size))
        for e in np.ndindex(*batch_shape):
            new_m[e] = max(log_f[e] + m[e], log_i[e])
            keep, write = np.exp(log_f[e] + m[e] - new_m[e]), np.exp(log_i[e] - new_m[e])
            new_c[e] = keep * c[e] + write * np.outer(v[e], k[e])
            new_n[e] = keep * n[e] + write * k[e]
            y[e] = new_c[e] @ q[e] / max(abs(new_n[e] @ q[e]), np.exp(-new_m[e]))
        c, n, m = new_c, new_n, new_m
        ys.append(y)
    return (c, n, m), np.stack(ys)


REFERENCES = {
    "elman": elman,
    "lstm": lstm,
    "gru": gru,
    "hs97": hs97,
    "lru": lru,
    "exprnn": exprnn,
    "convlstm": convlstm,
    "matrix_memory": matrix_memory,
    "learned_start": learned_start,
    "zoneout_lstm": zoneout_lstm,
}
