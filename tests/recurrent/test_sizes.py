"""Sizes: any integer is one, and what is none is named by its field, in one line."""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent.interop import torch_layer

# a number of things there may be none of, or a seed
FROM_ZERO = {"extra_size", "num_negative", "seed", "permutation_seed"}
LEAST = "expected an integer of at least"


def recurrences(value):
    """A cell or layer, and those that it holds."""
    if isinstance(value, tuple):
        for part in value:
            yield from recurrences(part)
    elif isinstance(value, rec.Cell | rec.Layer):
        yield value
        for field in dataclasses.fields(value):
            yield from recurrences(getattr(value, field.name))


def integer_fields(value):
    """The fields of a dataclass that hold an integer, or may: ``(field, an integer that it takes)``."""
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        choices = (field.type, *typing.get_args(field.type))
        assert field.init
        if type(given) is int and float not in choices:
            yield field, given
        elif given is None and float not in choices and bool not in choices and str not in choices:
            yield field, 2


def refused(build, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: {LEAST} \d, got {value!r}$"):
        build()


@pytest.mark.parametrize("name", rec.CELLS)
def test_every_integer_of_every_cell(name):
    build = rec.CELLS[name]
    cell, same = build(3, 4), build(np.int64(3), np.int32(4))
    assert (same, hash(same), repr(same)) == (cell, hash(cell), repr(cell))
    for given in ((0, 4), (-1, 4), (3.0, 4), ("3", 4)):
        refused(lambda given=given: build(*given), "input_size", given[0])
        refused(lambda given=given: build(*given[::-1]), "hidden_size", given[0])
    for part in recurrences(cell):
        for field, size in integer_fields(part):
            plain, given = (dataclasses.replace(part, **{field.name: kind(size)}) for kind in (int, np.int64))
            assert (given, hash(given), repr(given)) == (plain, hash(plain), repr(plain))
            assert type(getattr(given, field.name)) is int
            for wrong in (-1, float(size), *(() if field.name in FROM_ZERO else (0,))):
                refused(
                    lambda part=part, field=field, wrong=wrong: dataclasses.replace(
                        part, **{field.name: wrong}
                    ),
                    field.name,
                    wrong,
                )


CELL = rec.GRU(3, 4)
OTHERS = {
    "dilated": ("dilation", lambda size: rec.Dilated(CELL, size)),
    "sequential": ("projection", lambda size: rec.Sequential(size)),
    "checkpointed": ("segment", lambda size: rec.Checkpointed(size)),
    "levels": ("segment", lambda size: rec.Checkpointed((8, size))),
    "associative": ("chunk", lambda size: rec.Associative(size)),
    "window": ("window", lambda size: rec.Newton(size)),
    "iterations": ("max_iters", lambda size: rec.Newton(max_iters=size)),
    "state": ("max_state", lambda size: rec.Newton(max_state=size)),
    "truncated": ("k1", lambda size: rec.online.Truncated(size, 8)),
    "periods": ("periods", lambda size: rec.Clockwork(3, 4, periods=(1, size))),
    "layers of torch": ("num_layers", lambda size: torch_layer("GRU", 3, 4, size)),
    "layers": ("num_layers", lambda size: rec.CELLS["dilated_gru"](3, 4, num_layers=size)),
    "base": ("base", lambda size: rec.CELLS["dilated_gru"](3, 4, base=size)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_integers_of_layers_solvers_and_rules(name):
    field, build = OTHERS[name]
    given, plain = build(np.int64(3)), build(3)
    assert (given, hash(given), repr(given)) == (plain, hash(plain), repr(plain))
    for wrong in (0, -1, 3.0):
        refused(lambda wrong=wrong: build(wrong), field, wrong)


@dataclasses.dataclass(frozen=True)
class Summing(rec.Cell):
    """A cell of one's own, which may read inputs of no numbers: its state counts what it has read."""

    size: typing.Any

    @property
    def input_shape(self):
        return (self.size,)

    def init(self, key):
        return jnp.ones(1)

    def initial_state(self, weights, batch_shape):
        return rec.CELLS["elman"](1, 1).initial_state(rec.Elman(1, 1).init(jax.random.key(0)), batch_shape)

    def next_state(self, weights, state, u):
        return state._replace(h=state.h + jnp.sum(u, axis=-1, keepdims=True) + weights)


@pytest.mark.parametrize("size", [0, 2])
def test_a_cell_of_ones_own_may_have_any_shape(size):
    cell = Summing(np.int64(size))
    _, ys = rec.unroll(cell, cell.init(jax.random.key(0)), jnp.ones((3, 2, size)))
    np.testing.assert_array_equal(ys[:, 0, 0], np.arange(1, 4) * (size + 1))
    assert cell.output_shape == (1,)
