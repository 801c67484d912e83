"""Equations of the LSTM family as NumPy loops in float64.

A reference is `(cell, params, xs[t, *b, d], state) -> (final state as a tuple in field order, ys[t, *b, ...])`.
It shares no code with the library: it reads hyperparameters and named parameters, and slices gates by explicit index.
Over 300 lines because it is one family of cells: a function a cell, each complete by itself.
"""

import numpy as np


def _array(x):
    return np.asarray(x, np.float64)


def _sigmoid(x):
    """The logistic function as a shifted tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _columns(z, *sizes):
    """The columns of z, cut into consecutive blocks of these sizes."""
    assert z.shape[-1] == sum(sizes)
    ends = np.cumsum(sizes)
    return [z[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _weights(params):
    return _array(params.w_x), _array(params.w_h), _array(params.b)


def hs97(cell, params, xs, state):
    """c' = c + i (4 σ(z_g) - 2), h' = o (2 σ(c') - 1); cells and gates of the step before feed every net input.

    The cells b S ... (b + 1) S - 1 share the gates of block b. Source: Hochreiter & Schmidhuber (1997).
    """
    w_x, w_h = _array(params.w_x), _array(params.w_h)
    cells, size = cell.hidden_size, cell.block_size
    blocks = cells // size
    c, h, i, o = (_array(field) for field in (state.c, state.h, state.i, state.o))
    ys = []
    for x in _array(xs):
        old = np.concatenate([h, i, o], -1)
        z_i, z_g, z_o = _columns(x @ w_x + old @ w_h, blocks, cells, blocks)
        if cell.bias == "gates":
            b_i, b_o = _columns(_array(params.b), blocks, blocks)
            z_i, z_o = z_i + b_i, z_o + b_o
        elif cell.bias == "hidden":
            b_i, b_g, b_o = _columns(_array(params.b), blocks, cells, blocks)
            z_i, z_g, z_o = z_i + b_i, z_g + b_g, z_o + b_o
        elif cell.bias != "none":
            raise ValueError(f"no reference for the bias {cell.bias!r}")
        i, o = _sigmoid(z_i), _sigmoid(z_o)
        c, h = c.copy(), np.empty_like(h)
        for j in range(cells):
            c[..., j] += i[..., j // size] * (4.0 * _sigmoid(z_g[..., j]) - 2.0)
            h[..., j] = o[..., j // size] * (2.0 * _sigmoid(c[..., j]) - 1.0)
        ys.append(h)
    return (c, h, i, o), np.stack(ys)


def gers2000(cell, params, xs, state):
    """c' = f c + i (4 σ(z_g) - 2), h' = o (2 σ(c') - 1), with gates by blocks, and biases in the gates alone.

    The outputs of the cells alone feed back. Source: Gers, Schmidhuber & Cummins (2000).
    """
    w_x, w_h, b = _weights(params)
    cells, size = cell.hidden_size, cell.block_size
    blocks = cells // size
    b_i, b_f, b_o = _columns(b, blocks, blocks, blocks)
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        z_i, z_f, z_g, z_o = _columns(x @ w_x + h @ w_h, blocks, blocks, cells, blocks)
        i, f, o = _sigmoid(z_i + b_i), _sigmoid(z_f + b_f), _sigmoid(z_o + b_o)
        c, h = c.copy(), np.empty_like(h)
        for j in range(cells):
            k = j // size
            c[..., j] = f[..., k] * c[..., j] + i[..., k] * (4.0 * _sigmoid(z_g[..., j]) - 2.0)
            h[..., j] = o[..., k] * (2.0 * _sigmoid(c[..., j]) - 1.0)
        ys.append(h)
    return (h, c), np.stack(ys)


def _squash(name, z):
    if name == "tanh":
        return np.tanh(z)
    if name == "sigmoid":
        return _sigmoid(z)
    if name == "identity":
        return z
    raise ValueError(f"no reference for the activation {name!r}")


def lstm_variant(cell, params, xs, state):
    """The LSTM of a study: peepholes to the old c, and to the new one for o; a missing gate is 1; coupled: f = 1 - i.

    With full recurrence the gates of the step before feed the gates.
    Sources: Greff et al. (2017); Jozefowicz et al. (2015).
    """
    form, n = cell.form, cell.hidden_size
    w_x, w_h, b = _weights(params)
    order = [gate for gate in "ifgo" if gate == "g" or gate in form.gates]
    peep = {g: 0.0 for g in "ifo"}
    if form.peepholes:
        peep.update(zip([gate for gate in order if gate != "g"], _array(params.p), strict=True))
    h, c = _array(state.h), _array(state.c)
    gates = {g: _array(getattr(state, g)) for g in "ifo"} if form.full_recurrence else {}
    ys = []
    for x in _array(xs):
        z = dict(zip(order, _columns(x @ w_x + h @ w_h + b, *[n] * len(order)), strict=True))
        if form.full_recurrence:
            w_g = _array(params.w_g)
            for k, to in enumerate("ifo"):
                for j, source in enumerate("ifo"):
                    z[to] = z[to] + gates[source] @ w_g[j * n : (j + 1) * n, k * n : (k + 1) * n]
        i = _sigmoid(z["i"] + peep["i"] * c) if "i" in z else np.ones_like(c)
        if form.coupled:
            f = 1.0 - i
        else:
            f = _sigmoid(z["f"] + peep["f"] * c) if "f" in z else np.ones_like(c)
        c = f * c + i * _squash(form.input_activation, z["g"])
        o = _squash(form.output_gate_activation, z["o"] + peep["o"] * c) if "o" in z else np.ones_like(c)
        h = o * _squash(form.output_activation, c)
        if form.full_recurrence:
            gates = {"i": i, "f": f, "o": o}
        ys.append(h)
    return (h, c, *gates.values()), np.stack(ys)


def _embedded(cell, params, xs, state):
    """What MUT1, MUT2 and MUT3 share: sizes, the embedded inputs x W_e, and h."""
    return cell.hidden_size, _array(xs) @ _array(params.w_e), *_weights(params), _array(state.h)


def mut1(cell, params, xs, state):
    """z from the input alone, r from both, n = tanh((r h) W_hn + tanh(e) + b_n), h' = z n + (1 - z) h.

    Source: Jozefowicz, Zaremba & Sutskever (2015).
    """
    n, es, w_x, w_h, b, h = _embedded(cell, params, xs, state)
    w_xr, w_xz = _columns(w_x, n, n)
    w_hr, w_hn = _columns(w_h, n, n)
    b_r, b_z, b_n = _columns(b, n, n, n)
    ys = []
    for e in es:
        z = _sigmoid(e @ w_xz + b_z)
        r = _sigmoid(e @ w_xr + h @ w_hr + b_r)
        h = z * np.tanh((r * h) @ w_hn + np.tanh(e) + b_n) + (1.0 - z) * h
        ys.append(h)
    return (h,), np.stack(ys)


def mut2(cell, params, xs, state):
    """r = σ(e + h W_hr + b_r), z from both, n = tanh((r h) W_hn + e W_xn + b_n), h' = z n + (1 - z) h.

    Source: Jozefowicz, Zaremba & Sutskever (2015).
    """
    n, es, w_x, w_h, b, h = _embedded(cell, params, xs, state)
    w_xz, w_xn = _columns(w_x, n, n)
    w_hr, w_hz, w_hn = _columns(w_h, n, n, n)
    b_r, b_z, b_n = _columns(b, n, n, n)
    ys = []
    for e in es:
        z = _sigmoid(e @ w_xz + h @ w_hz + b_z)
        r = _sigmoid(e + h @ w_hr + b_r)
        h = z * np.tanh((r * h) @ w_hn + e @ w_xn + b_n) + (1.0 - z) * h
        ys.append(h)
    return (h,), np.stack(ys)


def mut3(cell, params, xs, state):
    """r from both, z = σ(e W_xz + tanh(h) W_hz + b_z), n = tanh((r h) W_hn + e W_xn + b_n), h' = z n + (1 - z) h.

    Source: Jozefowicz, Zaremba & Sutskever (2015).
    """
    n, es, w_x, w_h, b, h = _embedded(cell, params, xs, state)
    w_xr, w_xz, w_xn = _columns(w_x, n, n, n)
    w_hr, w_hz, w_hn = _columns(w_h, n, n, n)
    b_r, b_z, b_n = _columns(b, n, n, n)
    ys = []
    for e in es:
        z = _sigmoid(e @ w_xz + np.tanh(h) @ w_hz + b_z)
        r = _sigmoid(e @ w_xr + h @ w_hr + b_r)
        h = z * np.tanh((r * h) @ w_hn + e @ w_xn + b_n) + (1.0 - z) * h
        ys.append(h)
    return (h,), np.stack(ys)


def lstmp(cell, params, xs, state):
    """The LSTM with peepholes whose outputs m are projected to h' = m W_p; the first r of h' feed back.

    Source: Sak, Senior & Beaufays (2014).
    """
    w_x, w_h, b = _weights(params)
    r, n = w_h.shape[0], cell.hidden_size
    p = _array(params.p) if cell.peepholes else np.zeros((3, n))
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        z_i, z_f, z_g, z_o = _columns(x @ w_x + h[..., 0:r] @ w_h + b, n, n, n, n)
        c = _sigmoid(z_f + p[1] * c) * c + _sigmoid(z_i + p[0] * c) * np.tanh(z_g)
        m = _sigmoid(z_o + p[2] * c) * np.tanh(c)
        h = m @ _array(params.w_p)
        ys.append(h)
    return (h, c), np.stack(ys)


def _standard(z, epsilon):
    """z less its mean, over its standard deviation, along the last axis."""
    centred = z - np.sum(z, -1, keepdims=True) / z.shape[-1]
    variance = np.sum(centred * centred, -1, keepdims=True) / z.shape[-1]
    return centred / np.sqrt(variance + epsilon)


def layer_norm_lstm(cell, params, xs, state):
    """The LSTM on LN(x W_x) + LN(h W_h) + b, each over all four blocks at once, and tanh(LN(c')) under the output gate.

    Source: Ba, Kiros & Hinton (2016), the supplement.
    """
    w_x, w_h, b = _weights(params)
    n, epsilon = cell.hidden_size, cell.epsilon
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        from_x = _array(params.gain_x) * _standard(x @ w_x, epsilon) + _array(params.shift_x)
        from_h = _array(params.gain_h) * _standard(h @ w_h, epsilon) + _array(params.shift_h)
        z_i, z_f, z_g, z_o = _columns(from_x + from_h + b, n, n, n, n)
        c = _sigmoid(z_f) * c + _sigmoid(z_i) * np.tanh(z_g)
        h = _sigmoid(z_o) * np.tanh(_array(params.gain_c) * _standard(c, epsilon) + _array(params.shift_c))
        ys.append(h)
    return (h, c), np.stack(ys)


def multiplicative_lstm(cell, params, xs, state):
    """The LSTM that sees m = (x W_mx) (h W_mh) in place of h; as printed g is linear and h' = tanh(o c').

    Source: Krause, Lu, Murray & Renals (2016).
    """
    w_x, w_h, b = _weights(params)
    n = cell.hidden_size
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        m = (x @ _array(params.w_mx)) * (h @ _array(params.w_mh))
        z_i, z_f, z_g, z_o = _columns(x @ w_x + m @ w_h + b, n, n, n, n)
        if cell.squashing == "paper":
            c = _sigmoid(z_f) * c + _sigmoid(z_i) * z_g
            h = np.tanh(_sigmoid(z_o) * c)
        elif cell.squashing == "usual":
            c = _sigmoid(z_f) * c + _sigmoid(z_i) * np.tanh(z_g)
            h = _sigmoid(z_o) * np.tanh(c)
        else:
            raise ValueError(f"no reference for the squashing {cell.squashing!r}")
        ys.append(h)
    return (h, c), np.stack(ys)


def _plain_lstm(x, h, c, w_x, w_h, b):
    """New h and c of the LSTM without peepholes, blocks i, f, g, o."""
    n = c.shape[-1]
    z_i, z_f, z_g, z_o = _columns(x @ w_x + h @ w_h + b, n, n, n, n)
    c = _sigmoid(z_f) * c + _sigmoid(z_i) * np.tanh(z_g)
    return _sigmoid(z_o) * np.tanh(c), c


def mogrifier_lstm(cell, params, xs, state):
    """Odd rounds: x <- 2 σ(h Q + s_q) x, even rounds: h <- 2 σ(x R + s_r) h; then the LSTM on these x and h.

    Source: Melis, Kočiský & Blunsom (2020), with the biases of the authors' code.
    """

    def matrix(name, k):
        if cell.rank is None:
            return _array(getattr(params, name))[k]
        return _array(getattr(params, f"{name}_left"))[k] @ _array(getattr(params, f"{name}_right"))[k]

    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        for number in range(1, cell.rounds + 1):
            if number % 2 == 1:
                k = (number - 1) // 2
                x = 2.0 * _sigmoid(h @ matrix("q", k) + _array(params.s_q)[k]) * x
            else:
                k = number // 2 - 1
                h = 2.0 * _sigmoid(x @ matrix("r", k) + _array(params.s_r)[k]) * h
        h, c = _plain_lstm(x, h, c, *_weights(params))
        ys.append(h)
    return (h, c), np.stack(ys)


def ur_lstm(cell, params, xs, state):
    """c' = a c + (1 - a) tanh(z_g), a = r (1 - (1 - f)²) + (1 - r) f², h' = o tanh(c'), blocks f, r, g, o.

    Source: Gu et al. (2020).
    """
    w_x, w_h, b = _weights(params)
    n = cell.hidden_size
    h, c, ys = _array(state.h), _array(state.c), []
    for x in _array(xs):
        z_f, z_r, z_g, z_o = _columns(x @ w_x + h @ w_h + b, n, n, n, n)
        f, r = _sigmoid(z_f), _sigmoid(z_r)
        # The bound f² to the bound 1 - (1 - f)² above it, which is 2 f (1 - f) away.
        a = f * f + r * 2.0 * f * (1.0 - f)
        c = a * c + (1.0 - a) * np.tanh(z_g)
        h = _sigmoid(z_o) * np.tanh(c)
        ys.append(h)
    return (h, c), np.stack(ys)


def janet(cell, params, xs, state):
    """h' = σ(s) h + (1 - σ(s - β)) tanh(z_g), s the net input of the forget gate, blocks f, g.

    Source: van der Westhuizen & Lasenby (2018).
    """
    w_x, w_h, b = _weights(params)
    n = cell.hidden_size
    h, ys = _array(state.h), []
    for x in _array(xs):
        s, z_g = _columns(x @ w_x + h @ w_h + b, n, n)
        h = _sigmoid(s) * h + (1.0 - _sigmoid(s - cell.beta)) * np.tanh(z_g)
        ys.append(h)
    return (h,), np.stack(ys)


def phased_lstm(cell, params, xs, state):
    """The LSTM whose new h and c enter by the share k(t) of a time gate that opens and closes periodically, else leaks.

    Its inputs are pairs of x[t, *b, d] and times t[t, *b]. Source: Neil, Pfeiffer & Liu (2016).
    """
    w_x, w_h, b = _weights(params)
    n = cell.hidden_size
    period, on = np.abs(_array(params.period)), np.abs(_array(params.ratio_on))
    p = _array(params.p) if cell.peepholes else np.zeros((3, n))
    h, c, ys = _array(state.h), _array(state.c), []
    for x, time in zip(_array(xs.x), _array(xs.t), strict=True):
        phase = np.mod(time[..., None] - _array(params.shift), period) / period
        rising, falling = phase < 0.5 * on, (phase >= 0.5 * on) & (phase < on)
        k = np.where(rising, 2.0 * phase / on, np.where(falling, 2.0 - 2.0 * phase / on, cell.leak * phase))
        z_i, z_f, z_g, z_o = _columns(x @ w_x + h @ w_h + b, n, n, n, n)
        new_c = _sigmoid(z_f + p[1] * c) * c + _sigmoid(z_i + p[0] * c) * np.tanh(z_g)
        new_h = _sigmoid(z_o + p[2] * new_c) * np.tanh(new_c)
        h, c = k * new_h + (1.0 - k) * h, k * new_c + (1.0 - k) * c
        ys.append(h)
    return (h, c), np.stack(ys)


def hyper_lstm(cell, params, xs, state):
    """A small LSTM that sees x and h scales the rows of W_x and W_h of a greater one, and moves its biases.

    Every block is normalised by itself where the cell says so. Source: Ha, Dai & Le (2017), as in the authors' code.
    """
    n, m, k = cell.hidden_size, cell.small_size, cell.embedding_size
    w_x, w_h, b = (_columns(w, n, n, n, n) for w in _weights(params))

    def normalised(z, gain, shift):
        """gain ⊙ z / deviation + shift, block by block of the size of z."""
        return gain * _standard(z, cell.epsilon) + shift if cell.layer_norm else z

    def blocks(name, size):
        return (
            _columns(_array(getattr(params, name)), size, size, size, size) if cell.layer_norm else [None] * 4
        )

    def whole(name):
        return _array(getattr(params, name)) if cell.layer_norm else None

    gain, shift, small_gain = blocks("gain", n), blocks("shift", n), blocks("small_gain", m)
    small_b = _columns(_array(params.small_b), m, m, m, m)
    h, c, small_h, small_c = (_array(field) for field in (state.h, state.c, state.small_h, state.small_c))
    ys = []
    for x in _array(xs):
        s = np.concatenate([x, h], -1) @ _array(params.small_w_x) + small_h @ _array(params.small_w_h)
        s = _columns(s, m, m, m, m)
        for g in range(4):
            s[g] = normalised(s[g], small_gain[g], 0.0) + small_b[g]
        small_c = _sigmoid(s[1]) * small_c + _sigmoid(s[0]) * np.tanh(s[2])
        inner = normalised(small_c, whole("small_gain_c"), whole("small_shift_c"))
        small_h = _sigmoid(s[3]) * np.tanh(inner)

        zz = _columns(small_h @ _array(params.w_z) + _array(params.b_z), *[k] * 8)
        vv = _columns(small_h @ _array(params.w_v), *[k] * 4)
        y = []
        for g in range(4):
            d_x, d_h = zz[g] @ _array(params.a_x)[g], zz[4 + g] @ _array(params.a_h)[g]
            d_b = vv[g] @ _array(params.a_b)[g] + b[g]
            y.append(normalised(d_x * (x @ w_x[g]) + d_h * (h @ w_h[g]) + d_b, gain[g], shift[g]))
        c = _sigmoid(y[1]) * c + _sigmoid(y[0]) * np.tanh(y[2])
        h = _sigmoid(y[3]) * np.tanh(normalised(c, whole("gain_c"), whole("shift_c")))
        ys.append(h)
    return (h, c, small_h, small_c), np.stack(ys)


STUDIES = ("v", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "np", "fgr", "f", "i", "o", "b")
REFERENCES_LSTM = {
    "hs97": hs97,
    "gers2000": gers2000,
    **{f"lstm_{study}": lstm_variant for study in STUDIES},
    "mut1": mut1,
    "mut2": mut2,
    "mut3": mut3,
    "lstmp": lstmp,
    "layer_norm_lstm": layer_norm_lstm,
    "multiplicative_lstm": multiplicative_lstm,
    "mogrifier_lstm": mogrifier_lstm,
    "ur_lstm": ur_lstm,
    "janet": janet,
    "phased_lstm": phased_lstm,
    "hyper_lstm": hyper_lstm,
}
