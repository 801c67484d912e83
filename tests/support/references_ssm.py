"""Equations of the state spaces, the gated linear recurrence and linear attention, as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, h])`.
It shares no code with the library: it reads hyperparameters and named parameters, and slices heads by explicit index.
"""

import numpy as np


def _array(x):
    return np.asarray(x, np.float64)


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)


def _sigmoid(x):
    """The logistic function by way of its logarithm: relatively accurate on both sides."""
    return np.exp(_log_sigmoid(x))


def s4d(cell, params, xs, state):
    """s' = exp(Δ A) s + (exp(Δ A) - 1) / A u, y = 2 Re Σ_k C s' + d u, A = -exp(α) + iω, u = x W_x, n modes a channel.

    `eigenvalues` and the range of Δ are no part of the step. Source: Gu, Gupta, Goel & Ré (2022).
    """
    del cell
    dt = np.exp(_array(params.log_dt))
    a = -np.exp(_array(params.log_a_re)) + 1j * _array(params.a_im)
    c = _array(params.c_re) + 1j * _array(params.c_im)
    s, d = np.array(state.s, np.complex128), _array(params.d)
    channels, modes = a.shape
    ys = []
    for x in _array(xs):
        u = x @ _array(params.w_x)
        y = d * u
        for j in range(channels):
            for k in range(modes):
                drive = np.expm1(dt[j] * a[j, k]) / a[j, k]
                s[..., j, k] = np.exp(dt[j] * a[j, k]) * s[..., j, k] + drive * u[..., j]
                y[..., j] += 2.0 * (c[j, k] * s[..., j, k]).real
        ys.append(y)
    return (s,), np.stack(ys)


def s5(cell, params, xs, state):
    """h' = exp(Δ Λ) h + (exp(Δ Λ) - 1) / Λ (x B), y = 2 Re(h' C) + x D, Re Λ <= -1e-4 where the cell says so.

    Source: Smith, Warrington & Linderman (2023); their D is diagonal, this one is a matrix.
    """
    re = _array(params.lambda_re)
    if cell.clip_eigenvalues:
        re = np.where(re < -1e-4, re, -1e-4)
    eigenvalues, dt = re + 1j * _array(params.lambda_im), np.exp(_array(params.log_dt))
    decay, gain = np.exp(dt * eigenvalues), np.expm1(dt * eigenvalues) / eigenvalues
    b = _array(params.b_re) + 1j * _array(params.b_im)
    h, ys = np.asarray(state.h, np.complex128), []
    for x in _array(xs):
        h = decay * h + gain * (x @ b)
        y = h.real @ _array(params.c_re) - h.imag @ _array(params.c_im)
        ys.append(2.0 * y + x @ _array(params.d))
    return (h,), np.stack(ys)


def s6(cell, params, xs, state):
    """s' = a s + Δ v B, y = Σ_k s' C + d v, a = exp(-Δ exp(α)) (or 2 a - 1), Δ = softplus(v W W' + b), v = x W_x.

    B and C are v W_b and v W_c, the same for each channel. Source: Gu & Dao (2023); 2 a - 1: Grazzi et al. (2025).
    """
    rate, d = np.exp(_array(params.a_log)), _array(params.d)
    s, ys = np.array(state.s, np.float64), []
    channels, modes = rate.shape
    for x in _array(xs):
        v = x @ _array(params.w_x)
        dt = np.logaddexp(0.0, v @ _array(params.w_down) @ _array(params.w_up) + _array(params.b_dt))
        b, c = v @ _array(params.w_b), v @ _array(params.w_c)
        y = d * v
        for j in range(channels):
            for k in range(modes):
                a = np.exp(-dt[..., j] * rate[j, k])
                if cell.negative_eigenvalues:
                    a = 2.0 * a - 1.0
                s[..., j, k] = a * s[..., j, k] + dt[..., j] * v[..., j] * b[..., k]
                y[..., j] += s[..., j, k] * c[..., k]
        ys.append(y)
    return (s,), np.stack(ys)


def rg_lru(cell, params, xs, state):
    """h' = a h + √(1 - a²) i v, a = σ(Λ)^(8 r), r and i = σ(v W + b) with block-diagonal W, v = x W_x + b_x.

    Source: De et al. (2024), "Griffin"; the root is taken at every step, the first one included; with
    ``starts`` nothing is kept and the root is 1 where a segment starts, as in the authors' code.
    """
    w_r, w_i = _array(params.w_r), _array(params.w_i)
    h, ys = _array(state.h), []
    p = h.shape[-1] // cell.blocks
    given = (
        zip(_array(xs.x), _array(xs.start), strict=True) if cell.starts else ((x, None) for x in _array(xs))
    )
    for x, start in given:
        v = x @ _array(params.w_x) + _array(params.b_x)
        z_r, z_i = np.empty(v.shape), np.empty(v.shape)
        for j in range(cell.blocks):
            block = slice(j * p, (j + 1) * p)
            z_r[..., block] = v[..., block] @ w_r[j]
            z_i[..., block] = v[..., block] @ w_i[j]
        r, i = _sigmoid(z_r + _array(params.b_r)), _sigmoid(z_i + _array(params.b_i))
        log_a = 8.0 * r * _log_sigmoid(_array(params.decay))
        room = -np.expm1(2.0 * log_a)
        new = np.exp(log_a) * h + np.sqrt(np.where(room > 1e-12, room, 1e-12)) * i * v
        h = new if start is None else np.where(start[..., None] > 0, i * v, new)
        ys.append(h)
    return (h,), np.stack(ys)


def _feature(cell, z):
    """The identity, or elu(z) + 1."""
    if cell.feature_map == "identity":
        return z
    return np.where(z > 0, z + 1.0, np.exp(np.where(z > 0, 0.0, z)))


def _attention_decay(cell, params, x, size):
    """a[..., head j, key index k], one number a head unless the gate is diagonal."""
    a = np.ones((*x.shape[:-1], cell.num_heads, size))
    for j in range(cell.num_heads):
        if cell.decay == "fixed":
            a[..., j, :] = 1.0 - 2.0 ** (-5 - j)
        elif cell.decay == "scalar":
            z = x @ _array(params.w_a)[:, j] + _array(params.b_a)[j]
            a[..., j, :] = np.exp(_log_sigmoid(z) / 16.0)[..., None]
        elif cell.decay == "diagonal":
            columns = slice(j * size, (j + 1) * size)
            z = x @ _array(params.w_down) @ _array(params.w_up)[:, columns] + _array(params.b_a)[columns]
            a[..., j, :] = np.exp(_log_sigmoid(z) / 16.0)
    return a


def linear_attention(cell, params, xs, state):
    """S' = S diag(a) + v kᵀ, y = S' q / (n'·q + 1e-6) with n' = a n + k, or S' q / √p, head by head.

    Source: Katharopoulos et al. (2020); a fixed: Sun et al. (2023), retention; a of the input: Yang et al. (2024).
    """
    xs, s = _array(xs), np.array(state.s, np.float64)
    p = s.shape[-1]
    n = np.array(state.n, np.float64) if cell.normalize else None
    ys = []
    for x in xs:
        q = _feature(cell, x @ _array(params.w_q))
        k = _feature(cell, x @ _array(params.w_k))
        v, y = x @ _array(params.w_v), np.empty(q.shape)
        a = _attention_decay(cell, params, x, p)
        for j in range(cell.num_heads):
            start, total = j * p, 0.0
            if n is not None:
                for col in range(p):
                    n[..., j, col] = a[..., j, col] * n[..., j, col] + k[..., start + col]
                    total = total + n[..., j, col] * q[..., start + col]
            for row in range(p):
                read = 0.0
                for col in range(p):
                    write = v[..., start + row] * k[..., start + col]
                    s[..., j, row, col] = a[..., j, col] * s[..., j, row, col] + write
                    read = read + s[..., j, row, col] * q[..., start + col]
                y[..., start + row] = read / np.sqrt(p) if n is None else read / (total + 1e-6)
        ys.append(y)
    return ((s,) if n is None else (s, n)), np.stack(ys)


REFERENCES_SSM = {
    "s4d": s4d,
    "s5": s5,
    "s6": s6,
    "rg_lru": rg_lru,
    "linear_attention": linear_attention,
    "retention": linear_attention,
    "gla": linear_attention,
}
