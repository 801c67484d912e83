"""Online rules against the gradient through `unroll`, against dense oracles, and against traces written by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from online_runs import assert_close, exact, example, found, uoro_scores
from scipy import stats

import recurrent as rec
from recurrent import online

FAST = {"lstm": rec.LSTM(3, 4), "lru": AWKWARD["lru"]}


@pytest.mark.parametrize("name", FAST)
def test_rtrl_is_the_gradient_of_unroll_with_masks_and_resets(name, float64):
    case = example(FAST[name], batch=(2,), flags=True, noisy=True)
    assert_close(found(case, online.RTRL()), exact(case))


def test_rtrl_carries_the_influence_of_a_learned_start_over_resets(float64):
    case = example(AWKWARD["learned_start"], batch=(2,), flags=True)
    result = found(case, online.RTRL())
    assert_close(result, exact(case))
    assert float(jnp.abs(result[1].h_0).min()) > 0


def test_uoro_is_the_gradient_in_the_mean(float64):
    case = example(rec.LSTM(2, 2), batch=(2,), flags=True)
    z, total = uoro_scores(case, online.UORO())
    assert np.abs(z).max() < stats.norm.isf(0.5 * 0.001 / len(z))
    assert stats.chi2.isf(0.999, len(z)) < total < stats.chi2.isf(0.001, len(z))


def hs97_traces(cell, params, xs, error_of):
    """Appendix A.1 of Hochreiter & Schmidhuber (1997) in NumPy: two traces a cell, none for output gates.

    ``error_of(t, h)`` is -dL_t/dh. Sources of a net input: inputs, cells, input gates, output gates, bias.
    """
    w_x, w_h, b = (np.asarray(leaf) for leaf in params)
    cells, size = cell.hidden_size, cell.block_size
    blocks = cells // size
    w = np.concatenate([w_x, w_h, b[None]])
    gradient = np.zeros_like(w)
    c, h, i, o = np.zeros(cells), np.zeros(cells), np.zeros(blocks), np.zeros(blocks)
    of_input, of_gate = np.zeros((len(w), cells)), np.zeros((len(w), cells))
    for t, x in enumerate(np.asarray(xs)):
        y = np.concatenate([x, h, i, o, [1.0]])
        net = y @ w
        act = 1 / (1 + np.exp(-net))
        i, o = act[cells : cells + blocks], act[cells + blocks :]
        h = np.zeros(cells)
        for v in range(cells):
            gate = v // size
            g, g_prime = 4 * act[v] - 2, 4 * act[v] * (1 - act[v])
            of_input[:, v] += g_prime * i[gate] * y
            of_gate[:, v] += g * i[gate] * (1 - i[gate]) * y
            c[v] += i[gate] * g
            squashed = 2 / (1 + np.exp(-c[v])) - 1
            h[v] = o[gate] * squashed
        error = error_of(t, h)
        for v in range(cells):
            gate = v // size
            squashed = 1 / (1 + np.exp(-c[v]))
            internal = error[v] * o[gate] * 2 * squashed * (1 - squashed)
            gradient[:, v] -= internal * of_input[:, v]
            gradient[:, cells + gate] -= internal * of_gate[:, v]
            outward = error[v] * (2 * squashed - 1) * o[gate] * (1 - o[gate])
            gradient[:, cells + blocks + gate] -= outward * y
    return gradient


def test_the_rule_of_1997_is_a_cut_gradient_and_forward_traces(float64):
    cell = AWKWARD["hs97"]
    case = example(cell, steps=12)
    target = np.asarray(case.target)
    expected = hs97_traces(cell, case.params, case.xs, lambda t, h: target[t] - h)
    cut = dataclasses.replace(case, cell=rec.cut(cell, ("h", "i", "o")))
    grads = found(cut, online.BPTT())[1]
    stacked = np.concatenate([grads.w_x, grads.w_h, grads.b[None]])
    np.testing.assert_allclose(stacked, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    assert float(np.abs(stacked[3:-1] - np.asarray(exact(case)[1].w_h)).max()) > 1e-3


def test_an_influence_above_the_limit_is_named_with_its_bytes():
    cell = rec.LSTM(3, 4)
    case = example(cell, batch=(5,))
    needed = 8 * (3 * 16 + 4 * 16 + 16) * 5 * 4
    with pytest.raises(ValueError, match=rf"limit_bytes: expected at least {needed}, .* RTRL\(\) .* LSTM\("):
        case.run(online.RTRL(), limit_bytes=needed - 1)
    jax.eval_shape(lambda: case.run(online.RTRL(), limit_bytes=needed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": rec.stack(rec.LSTM(3, 4))}, "cell: expected a Cell, got Stack"),
        ({"rule": "rtrl"}, r"rule: expected a rule such as RTRL\(\), got 'rtrl'"),
        ({"rule": online.UORO()}, r"rule_key: UORO\(\) draws at random and needs a key"),
        ({"loss_fn": lambda t, y: y}, r"loss_fn: expected a real scalar, got float32\[4\]"),
        ({"mask": jnp.ones((3, 1), bool)}, r"mask: expected shape \(9,\)"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    case = example(rec.LSTM(3, 4), batch=())
    given = {"cell": case.cell, "loss_fn": case.loss_fn, "rule": online.RTRL()} | options
    gradient = getattr(online.gradient, "__wrapped__", online.gradient)
    with pytest.raises(ValueError, match=message):
        gradient(given.pop("cell"), case.params, case.xs, given.pop("loss_fn"), **given)


@pytest.mark.parametrize(
    ("k1", "k2", "message"),
    [(0, 3, "k1: expected an integer of at least 1"), (3, 2, "k2: expected at least k1")],
)
def test_windows_that_make_no_sense_are_refused(k1, k2, message):
    with pytest.raises(ValueError, match=message):
        online.Truncated(k1, k2)
