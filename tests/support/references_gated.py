"""Equations of the gated and minimal cells, as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, h])`.
It shares no code with the library: it reads hyperparameters and named parameters, and slices gates by explicit index.
"""

import numpy as np


def _array(x):
    return np.asarray(x, np.float64)


def _sigmoid(x):
    """The logistic function by way of its logarithm: relatively accurate on both sides."""
    return np.exp(-np.logaddexp(0.0, -x))


def _activate(name, z):
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.where(z > 0, z, 0.0)
    raise ValueError(f"no reference for the activation {name!r}")


def mgu(cell, params, xs, state):
    """h' = (1 - f) h + f tanh(x W_xn + (f h) W_hn + b_n), f = σ(x W_xf + h W_hf + b_f), blocks f, n.

    Source: Zhou, Wu, Zhang & Zhou (2016).
    """
    del cell
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        f = _sigmoid(x @ w_x[:, 0:k] + h @ w_h[:, 0:k] + b[0:k])
        n = np.tanh(x @ w_x[:, k : 2 * k] + (f * h) @ w_h[:, k : 2 * k] + b[k : 2 * k])
        h = (1.0 - f) * h + f * n
        ys.append(h)
    return (h,), np.stack(ys)


def minimal_rnn(cell, params, xs, state):
    """h' = u h + (1 - u) z, z = tanh(x W_x + b_x), u = σ(h U_h + z U_z + b) (Chen, 2017)."""
    del cell
    h, ys = _array(state.h), []
    for x in _array(xs):
        z = np.tanh(x @ _array(params.w_x) + _array(params.b_x))
        u = _sigmoid(h @ _array(params.w_h) + z @ _array(params.w_z) + _array(params.b))
        h = u * h + (1.0 - u) * z
        ys.append(h)
    return (h,), np.stack(ys)


def _bistable(params, xs, h, recur):
    """h' = c h + (1 - c) tanh(x U + a h), a = 1 + tanh(x U_a + r_a + b_a), c = σ(x U_c + r_c + b_c), blocks a, c, n."""
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    k, ys = h.shape[-1], []
    for x in _array(xs):
        a = 1.0 + np.tanh(x @ w_x[:, 0:k] + recur(h, w_h[..., 0:k]) + b[0:k])
        c = _sigmoid(x @ w_x[:, k : 2 * k] + recur(h, w_h[..., k : 2 * k]) + b[k : 2 * k])
        h = c * h + (1.0 - c) * np.tanh(x @ w_x[:, 2 * k : 3 * k] + a * h)
        ys.append(h)
    return (h,), np.stack(ys)


def brc(cell, params, xs, state):
    """The bistable cell, r = w ⊙ h (Vecoven, Ernst & Drion, 2021), with the biases of the authors' code."""
    del cell
    return _bistable(params, xs, _array(state.h), lambda h, w: w * h)


def nbrc(cell, params, xs, state):
    """The neuromodulated cell, r = h W (Vecoven, Ernst & Drion, 2021), with the biases of the authors' code."""
    del cell
    return _bistable(params, xs, _array(state.h), lambda h, w: h @ w)


def rhn(cell, params, xs, state):
    """s <- n t + s c layer by layer: t = σ, n = tanh, c = 1 - t or σ, of z = s W_h[l] + b[l] (+ x W_x at l = 0).

    Blocks t, n (coupled) or t, c, n. Source: Zilly, Srivastava, Koutník & Schmidhuber (2017).
    """
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    s, ys = _array(state.h), []
    k = s.shape[-1]
    for x in _array(xs):
        for layer in range(cell.depth):
            z = s @ w_h[layer] + b[layer]
            if layer == 0:
                z = z + x @ w_x
            t = _sigmoid(z[..., 0:k])
            if cell.coupled:
                c, n = 1.0 - t, np.tanh(z[..., k : 2 * k])
            else:
                c, n = _sigmoid(z[..., k : 2 * k]), np.tanh(z[..., 2 * k : 3 * k])
            s = n * t + s * c
        ys.append(s)
    return (s,), np.stack(ys)


def qrnn(cell, params, xs, state):
    """c' = f c + i tanh(n), i = 1 - f (f, fo) or a gate (ifo), y = c' (f) or o c', gates of x_t W_0 + x_{t-1} W_1 + b.

    Blocks f, n / f, n, o / i, f, n, o. Source: Bradbury, Merity, Xiong & Socher (2017).
    """
    w_x, b = _array(params.w_x), _array(params.b)
    xs, c, y, ys = _array(xs), _array(state.c), None, []
    d, k = xs.shape[-1], c.shape[-1]
    names = {"f": "fn", "fo": "fno", "ifo": "ifno"}[cell.pooling]
    last = _array(state.x) if cell.window == 2 else None
    for x in xs:
        z = {}
        for j, name in enumerate(names):
            block = slice(j * k, (j + 1) * k)
            z[name] = x @ w_x[0:d, block] + b[block]
            if last is not None:
                z[name] = z[name] + last @ w_x[d : 2 * d, block]
        f = _sigmoid(z["f"])
        i = _sigmoid(z["i"]) if "i" in z else 1.0 - f
        c = f * c + i * np.tanh(z["n"])
        y = _sigmoid(z["o"]) * c if "o" in z else c
        ys.append(y)
        if last is not None:
            last = x
    return ((c,) if last is None else (y, c, last)), np.stack(ys)


def sru(cell, params, xs, state):
    """c' = f c + (1 - f) x W_n, y = r c' + (1 - r) s, f and r = σ(x W + v c + b) of the old c, blocks f, n, r (, s).

    s = x W_s, or √(1 + 2 exp(highway bias)) x where the sizes agree. Source: Lei, Zhang, Wang, Dai & Artzi (2018).
    """
    w_x, b = _array(params.w_x), _array(params.b)
    xs, c, y, ys = _array(xs), _array(state.c), None, []
    d, k = xs.shape[-1], c.shape[-1]
    v = _array(params.v) if cell.peepholes else np.zeros(2 * k)
    for x in xs:
        f = _sigmoid(x @ w_x[:, 0:k] + v[0:k] * c + b[0:k])
        r = _sigmoid(x @ w_x[:, 2 * k : 3 * k] + v[k : 2 * k] * c + b[k : 2 * k])
        skip = np.sqrt(1.0 + 2.0 * np.exp(cell.highway_bias)) * x if d == k else x @ w_x[:, 3 * k : 4 * k]
        c = f * c + (1.0 - f) * (x @ w_x[:, k : 2 * k])
        y = r * c + (1.0 - r) * skip
        ys.append(y)
    return ((y, c) if cell.peepholes else (c,)), np.stack(ys)


def fast_rnn(cell, params, xs, state):
    """h' = σ(α) φ(x W_x + h W_h + b) + σ(β) h (Kusupati et al., 2018)."""
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    alpha, beta = _sigmoid(_array(params.alpha)), _sigmoid(_array(params.beta))
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = alpha * _activate(cell.activation, x @ w_x + h @ w_h + b) + beta * h
        ys.append(h)
    return (h,), np.stack(ys)


def fast_grnn(cell, params, xs, state):
    """h' = (σ(ζ) (1 - z) + σ(ν)) tanh(p + b_n) + z h, z = σ(p + b_z), p = x W_x + h W_h (Kusupati et al., 2018)."""
    del cell
    zeta, nu = _sigmoid(_array(params.zeta)), _sigmoid(_array(params.nu))
    h, ys = _array(state.h), []
    for x in _array(xs):
        p = x @ _array(params.w_x) + h @ _array(params.w_h)
        z = _sigmoid(p + _array(params.b_z))
        h = (zeta * (1.0 - z) + nu) * np.tanh(p + _array(params.b_n)) + z * h
        ys.append(h)
    return (h,), np.stack(ys)


def _row_scaled(v):
    return v / (np.sum(np.abs(v) ** 5) + 1e-15) ** 0.2


def nru(cell, params, xs, state):
    """h' = relu(x W_x + [h, m] W_h + b), m' = m + Σ_i (α_i A_i / |A_i| - β_i B_i / |B_i|) / k, norms of order 5.

    α, β, p, q, e, g are the columns of [h', m] W_m + b_m; A and B are p qᵀ and e gᵀ read row by row as k vectors.
    Source: Chandar et al. (2019) and their code.
    """
    xs = _array(xs)
    h, m = _array(state.h).copy(), _array(state.m).copy()
    n, size, heads = h.shape[-1], m.shape[-1], cell.num_heads
    root = round(np.sqrt(heads * size))
    w_h, w_m, ys = _array(params.w_h), _array(params.w_m), np.empty((*xs.shape[:-1], n))
    for t, *rest in np.ndindex(*xs.shape[:-1]):
        e = tuple(rest)
        new_h = (
            xs[(t, *e)] @ _array(params.w_x) + h[e] @ w_h[0:n] + m[e] @ w_h[n : n + size] + _array(params.b)
        )
        h[e] = np.where(new_h > 0, new_h, 0.0)
        z = h[e] @ w_m[0:n] + m[e] @ w_m[n : n + size] + _array(params.b_m)
        pieces, start = [], 0
        for width in (heads, heads, root, root, root, root):
            pieces.append(z[start : start + width])
            start += width
        alpha, beta = pieces[0], pieces[1]
        add, erase = np.empty(heads * size), np.empty(heads * size)
        for i in range(root):
            for j in range(root):
                add[i * root + j] = pieces[2][i] * pieces[3][j]
                erase[i * root + j] = pieces[4][i] * pieces[5][j]
        if cell.relu:
            alpha, beta, add, erase = (np.where(v > 0, v, 0.0) for v in (alpha, beta, add, erase))
        change = np.zeros(size)
        for i in range(heads):
            row = slice(i * size, (i + 1) * size)
            change += alpha[i] * _row_scaled(add[row]) - beta[i] * _row_scaled(erase[row])
        m[e] = m[e] + change / heads
        ys[(t, *e)] = h[e]
    return (h, m), ys


def np_rnn(cell, params, xs, state):
    """h' = relu(x W_x + h W_h + b); the start of W_h is no part of the step (Talathi & Vartak, 2015)."""
    if cell.activation != "relu":
        raise ValueError(f"no reference for the activation {cell.activation!r}")
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = _activate("relu", x @ _array(params.w_x) + h @ _array(params.w_h) + _array(params.b))
        ys.append(h)
    return (h,), np.stack(ys)


def indrnn(cell, params, xs, state):
    """h' = φ(x W_x + w ⊙ h + b), w held to [-bound, bound] where the cell has a bound (Li et al., 2018)."""
    w = _array(params.w_h)
    if cell.bound is not None:
        w = np.minimum(np.maximum(w, -cell.bound), cell.bound)
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = _activate(cell.activation, x @ _array(params.w_x) + w * h + _array(params.b))
        ys.append(h)
    return (h,), np.stack(ys)


def clockwork(cell, params, xs, state):
    """h'_v = tanh(x W_x + h W_h + b)_v at the steps that T(v) divides, else h_v; u reaches v only where T(u) >= T(v).

    Source: Koutník, Greff, Gomez & Schmidhuber (2014).
    """
    xs = _array(xs)
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    h, step = _array(state.h).copy(), _array(state.step).copy()
    n, modules = h.shape[-1], len(cell.periods)
    periods = [cell.periods[u * modules // n] for u in range(n)]
    ys = np.empty((*xs.shape[:-1], n))
    for t, *rest in np.ndindex(*xs.shape[:-1]):
        e = tuple(rest)
        old, x = h[e].copy(), xs[(t, *e)]
        for v in range(n):
            if round(float(step[e])) % periods[v] == 0:
                slower = [u for u in range(n) if periods[u] >= periods[v]]
                h[(*e, v)] = np.tanh(x @ w_x[:, v] + sum(old[u] * w_h[u, v] for u in slower) + b[v])
        step[e] += 1.0
        ys[(t, *e)] = h[e]
    return (h, step), ys


REFERENCES_GATED = {
    "mgu": mgu,
    "minimal_rnn": minimal_rnn,
    "brc": brc,
    "nbrc": nbrc,
    "rhn": rhn,
    "qrnn": qrnn,
    "sru": sru,
    "fast_rnn": fast_rnn,
    "fast_grnn": fast_grnn,
    "nru": nru,
    "np_rnn": np_rnn,
    "indrnn": indrnn,
    "clockwork": clockwork,
}
