"""Online rules over all cells, wrong rules caught, windows, memory: what takes longer than the fast lane has."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from awkward_cells import AWKWARD
from online_runs import assert_close, exact, example, found, uoro_scores
from scipy import stats

import recurrent as rec
from recurrent import online
from recurrent.online import uoro

CELLS = AWKWARD | {
    "lstm": rec.LSTM(3, 4),
    "peepholes": rec.LSTM(3, 4, peepholes=True),
    "elman": rec.Elman(3, 4),
    "gru": rec.GRU(3, 4),
    "gru_before": rec.GRU(3, 4, reset="before"),
    "convlstm": dataclasses.replace(AWKWARD["convlstm"], height=3, width=3),
}


WAYS = {
    "one sequence": {"batch": (), "given_state": True},
    "fresh batch": {"batch": (2,), "flags": True, "noisy": True},
    "two batch axes": {"batch": (2, 1), "flags": True, "given_state": True},
}


def one_way_in_minutes():
    """Each cell in one way in the medium lane, going round, and in the others in the slow one."""
    for turn, name in enumerate(CELLS):
        for index, (way, options) in enumerate(WAYS.items()):
            mark = pytest.mark.medium if index == turn % len(WAYS) else pytest.mark.slow
            yield pytest.param(name, options, id=f"{way}-{name}", marks=mark)


@pytest.mark.parametrize(("name", "options"), [*one_way_in_minutes()])
def test_rtrl_is_the_gradient_of_unroll(name, options, float64):
    case = example(CELLS[name], **options)
    assert_close(found(case, online.RTRL()), exact(case))


@pytest.mark.medium
@pytest.mark.parametrize(("k1", "k2"), [(2, 3), (3, 3), (2, 5), (4, 20)])
def test_truncated_windows(k1, k2, float64):
    """Each loss goes back to the start of its own window, and no further."""
    case = example(AWKWARD["learned_start"], batch=(2,), flags=True)
    # no reset late in a sequence: it would hide where windows begin
    early = case.reset & (jnp.arange(len(case.xs)) < 4)[:, None]
    case = dataclasses.replace(case, options=case.options | {"reset": early})
    cell, length, whole = case.cell, len(case.xs), exact(case)
    _, (_, states) = rec.unroll(rec.with_states(cell), case.params, case.xs, mask=case.mask, reset=case.reset)

    def loss_of_windows(params):
        total = 0.0
        for first in range(0, length, k1):
            start, last = max(0, first + k1 - k2), min(first + k1, length)
            state = None if start == 0 else jax.tree.map(lambda leaf, s=start: leaf[s - 1], states)
            part = slice(start, last)
            options = {"mask": case.mask[part], "reset": case.reset[part], "state": state}
            _, ys = rec.unroll(cell, params, case.xs[part], **options)
            total += sum(case.loss_fn(t, ys[t - start]) for t in range(first, last))
        return total

    expected = jax.jit(jax.grad(loss_of_windows))(case.params)
    loss, grads, run = found(case, online.Truncated(k1, k2))
    assert_close((loss, grads, run), (whole[0], expected, whole[2]))
    if k2 < length:
        assert float(jnp.abs(grads.w_h - whole[1].w_h).max()) > 1e-3


@pytest.mark.medium
def test_the_whole_length_as_one_window_is_bptt(float64):
    case = example(rec.LSTM(3, 4), batch=(2,), flags=True, given_state=True)
    length = len(case.xs)
    for rule in (online.BPTT(), online.Truncated(length, length)):
        assert_close(found(case, rule), exact(case))


@pytest.mark.medium
@pytest.mark.parametrize("name", ["lru", "learned_start", "zoneout_lstm"])
def test_uoro_is_the_gradient_in_the_mean(name, float64):
    """Complex states, learned starts, noise."""
    case = example(AWKWARD[name], batch=(2,), flags=True, noisy=True)
    z, total = uoro_scores(case, online.UORO())
    assert np.abs(z).max() < stats.norm.isf(0.5 * 0.001 / len(z))
    assert total < stats.chi2.isf(0.001, len(z))


@dataclasses.dataclass(frozen=True)
class SameSigns(online.UORO):
    """A wrong rule: the signs of a sequence do not change from step to step."""

    def _keys(self, task, t):
        return super()._keys(task, jnp.zeros_like(t))


@pytest.mark.medium
def test_a_uoro_that_is_wrong_is_outside_these_intervals(float64, monkeypatch):
    case = example(rec.LSTM(2, 2), batch=(2,), flags=True)
    z, _ = uoro_scores(case, SameSigns())
    assert np.abs(z).max() > 10
    balanced = uoro._balanced
    monkeypatch.setattr(uoro, "_balanced", lambda s, w: balanced(s, w)._replace(w=w))
    z, _ = uoro_scores(case, online.UORO())
    assert np.abs(z).max() > 10


@functools.cache
def bytes_of_bptt(cell, num_steps):
    return temporary_bytes(cell, online.BPTT(), num_steps)


def temporary_bytes(cell, rule, num_steps):
    case = example(cell, steps=num_steps, batch=(4,), flags=True)

    def run(params, xs, mask, reset, key):
        options = {"mask": mask, "reset": reset, "rule": rule, "rule_key": key}
        return online.gradient(cell, params, xs, lambda t, y: jnp.sum(y**2), **options)[:2]

    arguments = case.params, case.xs, case.mask, case.reset, jax.random.key(0)
    return jax.jit(run).lower(*arguments).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.optimised
@pytest.mark.medium
@pytest.mark.parametrize("rule", [online.UORO(), online.RTRL(), online.EProp(), online.SnAp1()], ids=str)
def test_memory_does_not_grow_with_time(rule):
    cell = rec.LSTM(3, 8)
    short, long = (temporary_bytes(cell, rule, num_steps) for num_steps in (50, 500))
    assert long - short < 1000
    assert bytes_of_bptt(cell, 500) - bytes_of_bptt(cell, 50) > 450 * 4 * 8 * 4


@pytest.mark.medium
@pytest.mark.parametrize("rule", [online.RTRL(), online.EProp(), online.Truncated(2, 3)], ids=str)
def test_no_steps(rule, float64):
    case = example(rec.LSTM(3, 4), batch=(2,), given_state=True)
    start, xs = case.options["state"], case.xs[:0]
    result = online.gradient(case.cell, case.params, xs, lambda t, y: jnp.sum(y), rule=rule, state=start)
    loss, grads, (final, ys) = result
    assert loss == 0 and ys.shape == (0, 2, 4) and not any(map(np.any, grads))
    jax.tree.map(np.testing.assert_array_equal, final, start)


@pytest.mark.medium
def test_compare_measures_direction_and_size(float64):
    case = example(rec.LSTM(3, 4), batch=(2,), flags=True)
    rules = (online.RTRL(), online.EProp())

    def run(params):
        options = {"mask": case.mask, "reset": case.reset}
        return online.compare(case.cell, params, case.xs, case.loss_fn, rules=rules, **options)

    table = jax.jit(run)(case.params)
    assert set(table) == set(rules)
    np.testing.assert_allclose(table[online.RTRL()]["w_h"], (1, 1), rtol=1e-12)
    one, other = (np.ravel(result[1].w_h) for result in (found(case, online.EProp()), exact(case)))
    cosine = one @ other / np.sqrt((one @ one) * (other @ other))
    ratio = np.sqrt((one @ one) / (other @ other))
    np.testing.assert_allclose(table[online.EProp()]["w_h"], (cosine, ratio), rtol=1e-12)
