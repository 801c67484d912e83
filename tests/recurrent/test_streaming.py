"""Step by step as the inputs arrive: the numbers of the whole sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_cell import CELLS, FAST

import recurrent as rec
from recurrent import arrays


def check_stream(cell, batch):
    params = cell.init(jax.random.key(0))
    shapes, tree = jax.tree.flatten(cell.input_shape, is_leaf=arrays.is_shape)
    keys = jax.random.split(jax.random.key(1), len(shapes))
    xs = tree.unflatten(
        [jax.random.normal(key, (5, *batch, *shape)) for key, shape in zip(keys, shapes, strict=True)]
    )
    state, step = rec.stream(cell, params, batch)
    found = []
    for t in range(5):
        before = jax.tree.leaves_with_path(state)
        state, y = step(state, jax.tree.map(lambda leaf, t=t: leaf[t], xs))
        found.append(y)
    # the memory of the state given was taken over, but for an output that no step of these two reads again
    kept = {jax.tree_util.keystr(path) for path, leaf in before if not leaf.is_deleted()}
    assert kept <= ({".h"} if isinstance(cell, rec.QRNN | rec.SRU) else set())
    final, ys = jax.jit(lambda params, xs: rec.unroll(cell, params, xs))(params, xs)
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    for a, b in zip(jax.tree.leaves((state, together)), jax.tree.leaves((final, ys)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.medium) for name in CELLS]
)
def test_a_stream_is_the_unroll(name):
    check_stream(CELLS[name], (2,))


def test_a_stack_streams_too():
    check_stream(rec.stack(rec.LSTM(3, 4), rec.GRU(4, 4), residual=True), ())


def test_a_stream_starts_again_from_the_same_parameters():
    """A learned initial state is a parameter: the stream may not take its memory."""
    cell = CELLS["awkward learned_start"]
    params = cell.init(jax.random.key(0))
    outputs = []
    for _ in range(2):
        state, step = rec.stream(cell, params)
        outputs.append(step(state, jnp.ones(3))[1])
    np.testing.assert_array_equal(*outputs)


def test_what_needs_whole_sequences_says_so():
    layer = rec.Bidirectional(rec.GRU(3, 4), rec.GRU(3, 4))
    with pytest.raises(TypeError, match="Bidirectional needs whole sequences: it has no step"):
        rec.stream(layer, layer.init(jax.random.key(0)))
