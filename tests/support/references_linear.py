"""Equations of the cells whose recurrence is linear in the state, as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, ...])`.
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


def lru(cell, params, xs, state):
    """s' = λ s + exp(γ) x B, y = Re(s' C) + x D, |λ| = exp(-exp(ν)), arg λ = exp(θ), in real arithmetic.

    Source: Orvieto et al. (2023); their D is diagonal, this one is a matrix.
    """
    del cell
    modulus, phase = np.exp(-np.exp(_array(params.nu_log))), np.exp(_array(params.theta_log))
    cos, sin = modulus * np.cos(phase), modulus * np.sin(phase)
    scale = np.exp(_array(params.gamma_log))
    s = np.asarray(state.h, np.complex128)
    re, im, ys = s.real, s.imag, []
    for x in _array(xs):
        u, v = scale * (x @ _array(params.b_re)), scale * (x @ _array(params.b_im))
        re, im = cos * re - sin * im + u, sin * re + cos * im + v
        ys.append(re @ _array(params.c_re) - im @ _array(params.c_im) + x @ _array(params.d))
    return (re + 1j * im,), np.stack(ys)


def _candidate(cell, z):
    """z itself, or the positive g(z) = z + 0.5 for z >= 0, else σ(z), which the form in log space needs."""
    if not cell.log_space:
        return z
    return np.where(z >= 0, z + 0.5, _sigmoid(z))


def min_gru(cell, params, xs, state):
    """h' = (1 - z) h + z n, z = σ(x W_z + b_z), n = x W_n + b_n without tanh, blocks z, n (Feng et al., 2024)."""
    w_x, b = _array(params.w_x), _array(params.b)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        z_z = x @ w_x[:, 0:k] + b[0:k]
        n = _candidate(cell, x @ w_x[:, k : 2 * k] + b[k : 2 * k])
        h = _sigmoid(-z_z) * h + _sigmoid(z_z) * n
        ys.append(h)
    return (h,), np.stack(ys)


def min_lstm(cell, params, xs, state):
    """h' = (f h + i n) / (f + i) with sigmoid gates f, i and n = x W_n + b_n, blocks i, f, n (Feng et al., 2024)."""
    w_x, b = _array(params.w_x), _array(params.b)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        log_i = _log_sigmoid(x @ w_x[:, 0:k] + b[0:k])
        log_f = _log_sigmoid(x @ w_x[:, k : 2 * k] + b[k : 2 * k])
        n = _candidate(cell, x @ w_x[:, 2 * k : 3 * k] + b[2 * k : 3 * k])
        # Both gates over the greater of the two: one of them is 1, so that the sum cannot vanish.
        greater = np.maximum(log_i, log_f)
        i, f = np.exp(log_i - greater), np.exp(log_f - greater)
        h = (f * h + i * n) / (f + i)
        ys.append(h)
    return (h,), np.stack(ys)


def mlstm(cell, params, xs, state):
    """C' = f C + i v kᵀ, n' = f n + i k, h̃ = C' q / max(|n'·q|, exp(-m')), y = σ(x w_o + b_o) ⊙ h̃, head by head.

    log i = x w_i + b_i, log f = log σ(z) or z at z = x w_f + b_f, both relative to m' = max(log f + m, log i);
    k divided by √p, p the size of a head. Source: the mLSTM of Beck et al. (2024).
    """
    xs = _array(xs)
    c, n, m = _array(state.c).copy(), _array(state.n).copy(), _array(state.m).copy()
    heads, p = n.shape[-2], n.shape[-1]
    ys = np.empty((*xs.shape[:-1], heads * p))
    for t, *rest in np.ndindex(*xs.shape[:-1]):
        e, x = tuple(rest), xs[(t, *rest)]
        o = _sigmoid(x @ _array(params.w_o) + _array(params.b_o))
        for j in range(heads):
            block = slice(j * p, (j + 1) * p)
            q = x @ _array(params.w_q)[:, block] + _array(params.b_q)[block]
            k = (x @ _array(params.w_k)[:, block] + _array(params.b_k)[block]) / np.sqrt(p)
            v = x @ _array(params.w_v)[:, block] + _array(params.b_v)[block]
            log_i = x @ _array(params.w_i)[:, j] + _array(params.b_i)[j]
            log_f = x @ _array(params.w_f)[:, j] + _array(params.b_f)[j]
            if cell.forget_gate == "sigmoid":
                log_f = _log_sigmoid(log_f)
            elif cell.forget_gate != "exp":
                raise ValueError(f"no reference for the forget gate {cell.forget_gate!r}")
            at = (*e, j)
            new_m = max(log_f + m[at], log_i)
            keep, write = np.exp(log_f + m[at] - new_m), np.exp(log_i - new_m)
            c[at] = keep * c[at] + write * np.outer(v, k)
            n[at] = keep * n[at] + write * k
            m[at] = new_m
            h = c[at] @ q / max(abs(n[at] @ q), np.exp(-new_m))
            ys[(t, *e, block)] = o[block] * h
    return (c, n, m), ys


def legendre_memory(order, theta):
    """Ā[order, order] and B̄[order] of the Legendre delay network, held constant over one step of its inputs.

    θ ṁ = A m + B u with A[i, j] = (2i+1) (-1 if i < j else (-1)^(i-j+1)), B[i] = (2i+1) (-1)^i; the exponential of
    the block matrix [[A, B], [0, 0]] / θ has Ā and B̄ as its upper blocks.
    Source: Voelker, Kajić & Eliasmith (2019).
    """
    block = np.zeros((order + 1, order + 1))
    for i in range(order):
        for j in range(order):
            block[i, j] = (2 * i + 1) * (-1.0 if i < j else (-1.0) ** (i - j + 1)) / theta
        block[i, order] = (2 * i + 1) * (-1.0) ** i / theta
    exponential = scipy.linalg.expm(block)
    return exponential[0:order, 0:order], exponential[0:order, order]


def linear_lmu(cell, params, xs, state):
    """m_c' = Ā m_c + B̄ u_c for every channel c of u = x W_u + b_u, y = tanh(m' W_m + x W_x + b).

    m' is flattened channel by channel. Source: Chilkuri & Eliasmith (2021), with a linear u.
    """
    xs = _array(xs)
    m = _array(state.m).copy()
    channels, order = m.shape[-2], m.shape[-1]
    a, b = legendre_memory(order, cell.theta)
    w_m, ys = _array(params.w_m), []
    for x in xs:
        u = x @ _array(params.w_u) + _array(params.b_u)
        z = x @ _array(params.w_x) + _array(params.b)
        for c in range(channels):
            for e in np.ndindex(*xs.shape[1:-1]):
                m[(*e, c)] = a @ m[(*e, c)] + b * u[(*e, c)]
            z = z + m[..., c, :] @ w_m[c * order : (c + 1) * order]
        ys.append(np.tanh(z))
    return (m,), np.stack(ys)


def _silu(x):
    return x * _sigmoid(x)


def _unit(x):
    return x / np.sqrt(np.sum(x * x) + 1e-6)


def delta_net(cell, params, xs, state):
    """S' = α S + β (v - α S k) kᵀ, y = S' q / √p, head by head of size p.

    q and k are SiLU(x W) over its norm, v = SiLU(x W_v), β = σ(x w_beta + b_beta), doubled for eigenvalues in [-1, 1];
    α = exp(-exp(a_log) softplus(x w_a + dt_bias)) if gated, else 1.
    Sources: Yang et al. (2024); gated: Yang, Kautz & Hatamizadeh (2024); doubled: Grazzi et al. (2024).
    """
    xs = _array(xs)
    s = _array(state.s).copy()
    heads, p = s.shape[-3], s.shape[-1]
    ys = np.empty((*xs.shape[:-1], heads * p))
    for t, *rest in np.ndindex(*xs.shape[:-1]):
        e, x = tuple(rest), xs[(t, *rest)]
        for j in range(heads):
            block = slice(j * p, (j + 1) * p)
            q = _unit(_silu(x @ _array(params.w_q)[:, block]))
            k = _unit(_silu(x @ _array(params.w_k)[:, block]))
            v = _silu(x @ _array(params.w_v)[:, block])
            beta = _sigmoid(x @ _array(params.w_beta)[:, j] + _array(params.b_beta)[j])
            if cell.negative_eigenvalues:
                beta = 2.0 * beta
            old = s[(*e, j)]
            if cell.gated:
                step = np.logaddexp(0.0, x @ _array(params.w_a)[:, j] + _array(params.dt_bias)[j])
                old = np.exp(-np.exp(_array(params.a_log)[j]) * step) * old
            s[(*e, j)] = old + beta * np.outer(v - old @ k, k)
            ys[(t, *e, block)] = s[(*e, j)] @ q / np.sqrt(p)
    return (s,), ys


REFERENCES_LINEAR = {
    "lru": lru,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "mlstm": mlstm,
    "linear_lmu": linear_lmu,
    "delta_net": delta_net,
}
