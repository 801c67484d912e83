"""Equations of the cells with an orthogonal or unitary recurrent matrix, as NumPy loops in float64 and complex128.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, ...])`.
It shares no code with the library: every factor is written down as a dense matrix, and the factors are multiplied.
"""

import numpy as np
import scipy.linalg


def _array(x):
    return np.asarray(x, np.float64)


def _complex(re, im):
    return _array(re) + 1j * _array(im)


def _sigmoid(x):
    """The logistic function by way of its logarithm: relatively accurate on both sides."""
    return np.exp(-np.logaddexp(0.0, -x))


def _modrelu(z, b):
    """relu(|z| + b) sign(z) of real z, without an epsilon; sign(0) = 0."""
    return np.maximum(np.abs(z) + b, 0.0) * np.sign(z)


def _complex_modrelu(z, b):
    """z relu(m + b) / m, m = √(|z|² + 0.01 / h)."""
    m = np.sqrt(z.real**2 + z.imag**2 + 0.01 / z.shape[-1])
    return z * np.maximum(m + b, 0.0) / m


def _unitary_steps(params, w, xs, state):
    """h' = modrelu(x W_x + h W), y = [Re h', Im h'], W_x and h complex."""
    w_x, b = _complex(params.w_re, params.w_im), _array(params.b)
    h, ys = np.asarray(state.h, np.complex128), []
    for x in _array(xs):
        h = _complex_modrelu(x @ w_x + h @ w, b)
        ys.append(np.concatenate([h.real, h.imag], axis=-1))
    return (h,), np.stack(ys)


def _orthogonal_steps(params, w, xs, state):
    """h' = modrelu(x W_x + h W), all real."""
    w_x, b = _array(params.w_x), _array(params.b)
    h, ys = _array(state.h), []
    for x in _array(xs):
        h = _modrelu(x @ w_x + h @ w, b)
        ys.append(h)
    return (h,), np.stack(ys)


def _skew(entries, n):
    """A = -Aᵀ, its upper triangle filled row by row."""
    a, k = np.zeros((n, n)), 0
    for i in range(n):
        for j in range(i + 1, n):
            a[i, j], a[j, i] = entries[k], -entries[k]
            k += 1
    assert k == len(entries)
    return a


def urnn(cell, params, xs, state):
    """Wᵀ = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁: phases, reflections, the Fourier transform and a permutation of columns.

    Source: Arjovsky, Shah & Bengio (2016).
    """
    n = cell.hidden_size
    theta, v = _array(params.theta), _complex(params.v_re, params.v_im)
    fourier, permute = np.empty((n, n), np.complex128), np.zeros((n, n))
    source = np.random.default_rng(cell.permutation_seed).permutation(n)
    for j in range(n):
        permute[j, source[j]] = 1.0
        for k in range(n):
            fourier[j, k] = np.exp(-2j * np.pi * ((j * k) % n) / n) / np.sqrt(n)
    phases = [np.diag(np.exp(1j * theta[k])) for k in range(3)]
    reflections = []
    for k in range(2):
        length = np.sum(v[k].real ** 2 + v[k].imag ** 2)
        reflections.append(np.eye(n) - 2.0 * np.outer(v[k], v[k].conj()) / length)
    w_col = phases[0]
    for factor in (fourier, reflections[0], permute, phases[1], fourier.conj().T, reflections[1], phases[2]):
        w_col = factor @ w_col
    return _unitary_steps(params, w_col.T, xs, state)


def full_capacity_urnn(cell, params, xs, state):
    """W = exp(S + iT), S skew-symmetric from above the diagonal of the generator, T symmetric from the rest.

    Source: Wisdom et al. (2016), who move W itself on the manifold.
    """
    n, generator = cell.hidden_size, _array(params.generator)
    a = np.zeros((n, n), np.complex128)
    for i in range(n):
        for j in range(n):
            if i < j:
                a[i, j] += generator[i, j]
                a[j, i] -= generator[i, j]
            elif i == j:
                a[i, i] += 1j * generator[i, i]
            else:
                a[i, j] += 1j * generator[i, j]
                a[j, i] += 1j * generator[i, j]
    return _unitary_steps(params, scipy.linalg.expm(a), xs, state)


def exprnn(cell, params, xs, state):
    """W = exp(A), A skew-symmetric (Lezcano-Casado & Martínez-Rubio, 2019)."""
    return _orthogonal_steps(
        params, scipy.linalg.expm(_skew(_array(params.skew), cell.hidden_size)), xs, state
    )


def scornn(cell, params, xs, state):
    """W = (1 + A)⁻¹ (1 - A) D, A skew-symmetric, D with -1 in its last places (Helfrich, Willmott & Ye, 2018)."""
    n = cell.hidden_size
    negative = n // 2 if cell.num_negative is None else cell.num_negative
    a, d = _skew(_array(params.skew), n), np.eye(n)
    for i in range(n - negative, n):
        d[i, i] = -1.0
    return _orthogonal_steps(params, np.linalg.inv(np.eye(n) + a) @ (np.eye(n) - a) @ d, xs, state)


def _pairs(cell):
    """The pairs of coordinates that each layer of rotations joins, in the order of their parameters."""
    n, layers = cell.hidden_size, []
    if cell.style == "tunable":
        for layer in range(1, cell.capacity + 1):
            first = 0 if layer % 2 == 1 else 1
            layers.append([(i, i + 1) for i in range(first, n - 1, 2)])
        return layers
    apart = n // 2
    while apart >= 1:
        layers.append(
            [(start + j, start + apart + j) for start in range(0, n, 2 * apart) for j in range(apart)]
        )
        apart //= 2
    return layers


def _rotations(cell, theta, phi):
    """F_L ... F_1 for columns: in each pair [[e^{iφ} cos θ, -e^{iφ} sin θ], [sin θ, cos θ]]."""
    product, k = np.eye(cell.hidden_size, dtype=np.complex128), 0
    for layer in _pairs(cell):
        factor = np.eye(cell.hidden_size, dtype=np.complex128)
        for i, j in layer:
            factor[i, i] = np.exp(1j * phi[k]) * np.cos(theta[k])
            factor[i, j] = -np.exp(1j * phi[k]) * np.sin(theta[k])
            factor[j, i] = np.sin(theta[k])
            factor[j, j] = np.cos(theta[k])
            k += 1
        product = factor @ product
    assert k == len(theta) == len(phi)
    return product


def eunn(cell, params, xs, state):
    """Wᵀ = D F_L ... F_1, layers of rotations in disjoint pairs, then phases (Jing et al., 2017)."""
    w_col = np.diag(np.exp(1j * _array(params.omega))) @ _rotations(
        cell, _array(params.theta), _array(params.phi)
    )
    return _unitary_steps(params, w_col.T, xs, state)


def goru(cell, params, xs, state):
    """h' = z h + (1 - z) modrelu(x W_xn + r (h W), b_n), r and z = σ(x W_x + h W_h + b), Wᵀ = F_L ... F_1 real.

    Blocks r, z, n. Source: Jing et al. (2019).
    """
    theta = _array(params.theta)
    w = _rotations(cell, theta, np.zeros(len(theta))).real.T
    w_x, w_h, b, b_n = _array(params.w_x), _array(params.w_h), _array(params.b), _array(params.b_n)
    h, ys = _array(state.h), []
    k = h.shape[-1]
    for x in _array(xs):
        r = _sigmoid(x @ w_x[:, 0:k] + h @ w_h[:, 0:k] + b[0:k])
        z = _sigmoid(x @ w_x[:, k : 2 * k] + h @ w_h[:, k : 2 * k] + b[k : 2 * k])
        h = z * h + (1.0 - z) * _modrelu(x @ w_x[:, 2 * k : 3 * k] + r * (h @ w), b_n)
        ys.append(h)
    return (h,), np.stack(ys)


REFERENCES_ORTHOGONAL = {
    "urnn": urnn,
    "full_capacity_urnn": full_capacity_urnn,
    "exprnn": exprnn,
    "scornn": scornn,
    "eunn": eunn,
    "goru": goru,
}
