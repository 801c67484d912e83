"""Equations of the cells from dynamical systems, as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, h])`; xs is a
named tuple where the inputs are: `gru_d`, and `cfc` and `ltc` with a dt of None.
It shares no code with the library: it reads hyperparameters and named parameters, and slices gates by explicit index.
"""

import math

import numpy as np


def _array(x):
    return np.asarray(x, np.float64)


def _sigmoid(x):
    """The logistic function by way of its logarithm: relatively accurate on both sides."""
    return np.exp(-np.logaddexp(0.0, -x))


def _softplus(x):
    return np.logaddexp(0.0, x)


def _activate(name, v):
    if name == "tanh":
        return np.tanh(v)
    if name == "lecun_tanh":
        return 1.7159 * np.tanh(0.666 * v)
    if name == "relu":
        return np.where(v > 0, v, 0.0)
    if name == "silu":
        return v * _sigmoid(v)
    if name == "gelu":
        return 0.5 * v * np.vectorize(math.erfc, otypes=[float])(-v / math.sqrt(2.0))
    raise ValueError(f"no reference for the activation {name!r}")


def _timed(cell, xs):
    """The features and times of each step; the times have a last axis of size 1 and are never below 0."""
    if cell.dt is not None:
        return [(x, cell.dt) for x in _array(xs)]
    return [
        (x, np.where(dt > 0, dt, 0.0)[..., None]) for x, dt in zip(_array(xs.x), _array(xs.dt), strict=True)
    ]


def cornn(cell, params, xs, state):
    """z' = z + dt (tanh(y W_y + z W_z + x W_x + b) - γ y - ε z), y' = y + dt z' (Rusch & Mishra, 2021)."""
    w_x, w_y, w_z, b = map(_array, (params.w_x, params.w_y, params.w_z, params.b))
    y, z, ys = _array(state.y), _array(state.z), []
    for x in _array(xs):
        force = np.tanh(y @ w_y + z @ w_z + x @ w_x + b)
        z = z + cell.dt * (force - cell.gamma * y - cell.epsilon * z)
        y = y + cell.dt * z
        ys.append(y)
    return (y, z), np.stack(ys)


def unicornn(cell, params, xs, state):
    """z' = z - s (tanh(w y + x W_x + b) + α y), y' = y + s z', s = dt σ(c) (Rusch & Mishra, 2021)."""
    w_x, w, b = _array(params.w_x), _array(params.w), _array(params.b)
    s = cell.dt * _sigmoid(_array(params.c))
    y, z, ys = _array(state.y), _array(state.z), []
    for x in _array(xs):
        z = z - s * (np.tanh(w * y + x @ w_x + b) + cell.alpha * y)
        y = y + s * z
        ys.append(y)
    return (y, z), np.stack(ys)


def lem(cell, params, xs, state):
    """z' = (1 - Δ₁) z + Δ₁ tanh(x W_xz + y W_hz + b_z), y' = (1 - Δ₂) y + Δ₂ tanh(x W_xy + z' W_y + b_y).

    Δ₁, Δ₂ = dt σ(x W_x + y W_h + b), blocks 1, 2, z, y and 1, 2, z. Source: Rusch, Mishra, Erichson & Mahoney (2022).
    """
    w_x, w_h, w_y, b = map(_array, (params.w_x, params.w_h, params.w_y, params.b))
    y, z, ys = _array(state.y), _array(state.z), []
    k = y.shape[-1]
    for x in _array(xs):
        step_z = cell.dt * _sigmoid(x @ w_x[:, 0:k] + y @ w_h[:, 0:k] + b[0:k])
        step_y = cell.dt * _sigmoid(x @ w_x[:, k : 2 * k] + y @ w_h[:, k : 2 * k] + b[k : 2 * k])
        candidate = np.tanh(
            x @ w_x[:, 2 * k : 3 * k] + y @ w_h[:, 2 * k : 3 * k] + b[2 * k : 3 * k],
        )
        z = (1.0 - step_z) * z + step_z * candidate
        y = (1.0 - step_y) * y + step_y * np.tanh(x @ w_x[:, 3 * k : 4 * k] + z @ w_y + b[3 * k : 4 * k])
        ys.append(y)
    return (y, z), np.stack(ys)


def antisymmetric_rnn(cell, params, xs, state):
    """h' = h + ε tanh(x W_x + h M + b), M = A - γ 1, A = -Aᵀ; gated: h' = h + ε z n, blocks z, n, one h M for both.

    Source: Chang, Chen, Haber & Chi (2019).
    """
    w_x, skew, b = _array(params.w_x), _array(params.skew), _array(params.b)
    h, ys = _array(state.h), []
    n = h.shape[-1]
    m, entry = np.zeros((n, n)), 0
    for i in range(n):
        m[i, i] = -cell.gamma
        for j in range(i + 1, n):
            m[i, j], m[j, i] = skew[entry], -skew[entry]
            entry += 1
    for x in _array(xs):
        a = h @ m
        if cell.gated:
            gate = _sigmoid(x @ w_x[:, 0:n] + a + b[0:n])
            h = h + cell.epsilon * gate * np.tanh(x @ w_x[:, n : 2 * n] + a + b[n : 2 * n])
        else:
            h = h + cell.epsilon * np.tanh(x @ w_x + a + b)
        ys.append(h)
    return (h,), np.stack(ys)


def _lipschitz_matrix(m, beta, gamma):
    """(1 - β) (M + Mᵀ) + β (M - Mᵀ) - γ 1, entry by entry."""
    s = np.empty_like(m)
    for i, j in np.ndindex(*m.shape):
        s[i, j] = (1.0 - beta) * (m[i, j] + m[j, i]) + beta * (m[i, j] - m[j, i])
        if i == j:
            s[i, j] -= gamma
    return s


def lipschitz_rnn(cell, params, xs, state):
    """h' = h + ε (h A + tanh(h W + x W_x + b)) (Erichson, Azencot, Queiruga, Hodgkinson & Mahoney, 2021)."""
    a = _lipschitz_matrix(_array(params.m_a), cell.beta_a, cell.gamma_a)
    w = _lipschitz_matrix(_array(params.m_w), cell.beta_w, cell.gamma_w)
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = h + cell.epsilon * (h @ a + np.tanh(h @ w + x @ _array(params.w_x) + _array(params.b)))
        ys.append(h)
    return (h,), np.stack(ys)


def linoss(cell, params, xs, state):
    """y'' = -α y + f, f = x B, α = relu(a), by steps Δ = σ(steps); emits y C + x D (Rusch & Rus, 2025).

    im solves z' = z + Δ (f - α y'), y' = y + Δ z' for z' and y' together; imex takes the old y in the first equation.
    """
    a, b, c, d = map(_array, (params.a, params.b, params.c, params.d))
    step, zy, ys = _sigmoid(_array(params.steps)), _array(state.zy), []
    alpha = np.where(a > 0, a, 0.0)
    z, y = zy[..., 0], zy[..., 1]
    for x in _array(xs):
        f = x @ b
        if cell.discretisation == "im":
            shrink = 1.0 / (1.0 + step**2 * alpha)
            z, y = (
                shrink * z - step * alpha * shrink * y + step * shrink * f,
                step * shrink * z + shrink * y + step**2 * shrink * f,
            )
        elif cell.discretisation == "imex":
            z = z - step * alpha * y + step * f
            y = y + step * z
        else:
            raise ValueError(f"no reference for the discretisation {cell.discretisation!r}")
        ys.append(y @ c + x @ d)
    return (np.stack([z, y], -1),), np.stack(ys)


def cfc(cell, params, xs, state):
    """h' = (1 - t) tanh(f) + t tanh(g), t = σ(p dt + q), f, g, p, q = φ(x W_x + h W_h + b) W_o + b_o.

    no_gate: h' = tanh(f) + t tanh(g). pure: h' = a - a exp(-dt (|w_tau| + |f|)) f. Source: Hasani et al. (2022).
    """
    w_x, w_h, b = _array(params.w_x), _array(params.w_h), _array(params.b)
    w_o, b_o, h, ys = _array(params.w_o), _array(params.b_o), _array(state.h), []
    k = h.shape[-1]
    for x, dt in _timed(cell, xs):
        o = _activate(cell.activation, x @ w_x + h @ w_h + b) @ w_o + b_o
        if cell.mode == "pure":
            a, rate = _array(params.a), np.abs(_array(params.w_tau)) + np.abs(o)
            h = a - a * np.exp(-dt * rate) * o
        else:
            f, g = np.tanh(o[..., 0:k]), np.tanh(o[..., k : 2 * k])
            t = _sigmoid(o[..., 2 * k : 3 * k] * dt + o[..., 3 * k : 4 * k])
            h = f + t * g if cell.mode == "no_gate" else (1.0 - t) * f + t * g
        ys.append(h)
    return (h,), np.stack(ys)


def _ltc_layer(params, x, v, step, unfolds):
    w_x, w_h, b, a = map(_array, (params.w_x, params.w_h, params.b, params.a))
    leak = _softplus(_array(params.rho))
    for _ in range(unfolds):
        f = _sigmoid(x @ w_x + b + v @ w_h)
        v = (v + step * f * a) / (1.0 + step * (leak + f))
    return v


def _ltc_pairs(params, x, v, step, unfolds):
    w, w_in, c, leak = (_softplus(_array(p)) for p in (params.w, params.w_in, params.c, params.leak))
    s, mu, e = _array(params.s), _array(params.mu), _array(params.e)
    s_in, mu_in, e_in = _array(params.s_in), _array(params.mu_in), _array(params.e_in)
    rest = _array(params.rest)
    num_inputs, n = w_in.shape
    in_current, in_conductance = np.zeros(v.shape), np.zeros(v.shape)
    for i in range(num_inputs):
        for j in range(n):
            g = w_in[i, j] * _sigmoid(s_in[i, j] * (x[..., i] - mu_in[i, j]))
            in_current[..., j] += g * e_in[i, j]
            in_conductance[..., j] += g
    for _ in range(unfolds):
        current, conductance = in_current.copy(), in_conductance.copy()
        for i in range(n):
            for j in range(n):
                g = w[i, j] * _sigmoid(s[i, j] * (v[..., i] - mu[i, j]))
                current[..., j] += g * e[i, j]
                conductance[..., j] += g
        v = (c * v + step * (leak * rest + current)) / (c + step * (leak + conductance))
    return v


def ltc(cell, params, xs, state):
    """Fused Euler steps of c v̇ = leak (rest - v) + Σ g (e - v) (Hasani, Lechner, Amini, Rus & Grosu, 2021).

    layer: v <- (v + δ f a) / (1 + δ (ρ + f)), f = σ(x W_x + v W_h + b), ρ = softplus(rho), δ = dt / unfolds.
    pairs: g of each pair of neurons i, j is softplus(w) σ(s (v_i - mu)), and the same for each input x_i.
    """
    v, ys = _array(state.v), []
    steps = {"layer": _ltc_layer, "pairs": _ltc_pairs}
    for x, dt in _timed(cell, xs):
        v = steps[cell.synapses](params, x, v, dt / cell.unfolds, cell.unfolds)
        ys.append(v)
    return (v,), np.stack(ys)


def gru_d(cell, params, xs, state):
    """h' = (1 - z) ĥ + z n, ĥ = γ_h h, n = tanh(x̂ W_xn + (r ĥ) W_hn + m W_mn + b_n), blocks r, z, n.

    γ = exp(-max(0, dt w + b)). Entries with m <= 1/2 read x̂ = γ_x x_last + (1 - γ_x) mean.
    Source: Che, Purushotham, Cho, Sontag & Liu (2018).
    """
    w_x, w_m, w_h, b = map(_array, (params.w_x, params.w_m, params.w_h, params.b))
    h, last, ys = _array(state.h), _array(state.x_last), []
    k, mean = h.shape[-1], _array(cell.mean)
    for x, m, dt in zip(_array(xs.x), _array(xs.mask), _array(xs.dt), strict=True):
        keep_x = np.exp(-np.maximum(0.0, dt * _array(params.w_decay_x) + _array(params.b_decay_x)))
        keep_h = np.exp(-np.maximum(0.0, dt @ _array(params.w_decay_h) + _array(params.b_decay_h)))
        read = np.where(m > 0.5, x, keep_x * last + (1.0 - keep_x) * mean)
        last = np.where(m > 0.5, x, last)
        h = keep_h * h
        r = _sigmoid(read @ w_x[:, 0:k] + h @ w_h[:, 0:k] + m @ w_m[:, 0:k] + b[0:k])
        z = _sigmoid(
            read @ w_x[:, k : 2 * k] + h @ w_h[:, k : 2 * k] + m @ w_m[:, k : 2 * k] + b[k : 2 * k],
        )
        n = np.tanh(
            read @ w_x[:, 2 * k : 3 * k]
            + (r * h) @ w_h[:, 2 * k : 3 * k]
            + m @ w_m[:, 2 * k : 3 * k]
            + b[2 * k : 3 * k]
        )
        h = (1.0 - z) * h + z * n
        ys.append(h)
    return (h, last), np.stack(ys)


REFERENCES_DYNAMICAL = {
    "cornn": cornn,
    "unicornn": unicornn,
    "lem": lem,
    "antisymmetric_rnn": antisymmetric_rnn,
    "lipschitz_rnn": lipschitz_rnn,
    "linoss": linoss,
    "cfc": cfc,
    "ltc": ltc,
    "gru_d": gru_d,
}
