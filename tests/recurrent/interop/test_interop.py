"""Weights of other frameworks: round trips bit for bit, the same predictions, and one line for every mismatch."""

import pickle
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import recurrent as rec
from recurrent import interop

INPUT_SIZE, HIDDEN_SIZE, NUM_STEPS, BATCH = 3, 4, 6, 5

CELLS = {
    "tanh": rec.Elman(INPUT_SIZE, HIDDEN_SIZE),
    "relu": rec.Elman(INPUT_SIZE, HIDDEN_SIZE, activation="relu"),
    "lstm": rec.LSTM(INPUT_SIZE, HIDDEN_SIZE),
    "gru": rec.GRU(INPUT_SIZE, HIDDEN_SIZE),
    "gru_before": rec.GRU(INPUT_SIZE, HIDDEN_SIZE, reset="before"),
}
NESTED = rec.stack(
    rec.Bidirectional(CELLS["lstm"], CELLS["gru"], merge="sum"),
    rec.GRU(HIDDEN_SIZE, HIDDEN_SIZE, reset="before"),
)


def random_params(layer, seed=0):
    """Normal numbers in every leaf, and a negative zero at its end: the one number that a sum with zero changes."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        values = 0.5 * rng.normal(size=leaf.shape)
        values.flat[-1] = -0.0
        return jnp.asarray(values)

    return jax.tree.map(draw, jax.eval_shape(layer.init, jax.random.key(0)))


def random_inputs():
    return np.random.default_rng(1).normal(size=(NUM_STEPS, BATCH, INPUT_SIZE))


def without_biases(params):
    return jax.tree.map(lambda leaf: leaf if leaf.ndim == 2 else jnp.zeros_like(leaf), params)


def assert_same_bits(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert left.dtype == right.dtype and left.shape == right.shape
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


def assert_predicts(layer, params, expected, atol):
    _, ys = rec.unroll(layer, params, jnp.asarray(random_inputs(), expected.dtype))
    assert ys.dtype == expected.dtype and np.std(expected) > 0.05
    np.testing.assert_allclose(ys, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mode", ["RNN_TANH", "RNN_RELU", "LSTM", "GRU"])
def test_a_round_trip_through_torch_keeps_every_bit(mode, bidirectional, num_layers):
    layer = interop.torch_layer(mode, INPUT_SIZE, HIDDEN_SIZE, num_layers, bidirectional)
    params = random_params(layer)
    assert_same_bits(interop.from_torch(layer, interop.to_torch(layer, params)), params)
    bare = without_biases(params)
    tensors = interop.to_torch(layer, bare, bias=False)
    assert not any("bias" in name for name in tensors)
    assert_same_bits(interop.from_torch(layer, tensors), bare)


@pytest.mark.parametrize("layer", [*CELLS.values(), NESTED], ids=[*CELLS, "nested"])
def test_a_round_trip_through_keras_keeps_every_bit(layer):
    params = random_params(layer)
    assert_same_bits(interop.from_keras(layer, interop.to_keras(layer, params)), params)
    bare = without_biases(params)
    arrays = interop.to_keras(layer, bare, bias=False)
    assert {array.ndim for array in arrays} == {2}
    assert_same_bits(interop.from_keras(layer, arrays), bare)


def test_what_comes_back_follows_the_dtype_of_what_came(float64):
    params = random_params(CELLS["gru"])
    halves = {name: x.astype(np.float16) for name, x in interop.to_torch(CELLS["gru"], params).items()}
    assert {leaf.dtype for leaf in interop.to_keras(CELLS["gru"], params)} == {np.dtype("float64")}
    assert {leaf.dtype for leaf in interop.from_torch(CELLS["gru"], halves)} == {np.dtype("float16")}
    assert_same_bits(interop.from_torch(CELLS["gru"], interop.to_torch(CELLS["gru"], params)), params)


def test_nobody_shares_memory_with_us():
    cell, params = CELLS["lstm"], random_params(CELLS["lstm"])
    before = jax.tree.map(np.array, params)
    tensors, arrays = interop.to_torch(cell, params), interop.to_keras(cell, params)
    read = interop.from_torch(cell, tensors), interop.from_keras(cell, arrays)
    for array in [*tensors.values(), *arrays]:
        array += 1.0
    for kept in (params, *read):
        assert_same_bits(kept, before)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def keras_reference(kind, kernel, recurrent_kernel, bias, xs):
    """The steps of Keras' cells, gate by gate in its order."""
    h = c = np.zeros((BATCH, HIDDEN_SIZE))
    ys = []
    x_bias, h_bias = bias if kind == "gru" else (bias, np.zeros_like(bias))
    width = kernel.shape[1] // HIDDEN_SIZE
    for x in xs:
        from_x = np.split(x @ kernel + x_bias, width, axis=1)
        from_h = np.split(h @ recurrent_kernel + h_bias, width, axis=1)
        if kind == "lstm":
            i, f, g, o = (left + right for left, right in zip(from_x, from_h, strict=True))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif width == 1:
            h = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}[kind](from_x[0] + from_h[0])
        else:
            z, r = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
            after, before = r * from_h[2], (r * h) @ recurrent_kernel[:, 2 * HIDDEN_SIZE :]
            h = z * h + (1 - z) * np.tanh(from_x[2] + (after if kind == "gru" else before))
        ys.append(h)
    return np.stack(ys)


@pytest.mark.parametrize("kind", CELLS)
def test_keras_gates_are_found_by_their_order(kind, float64):
    cell, rng = CELLS[kind], np.random.default_rng(2)
    shapes = [array.shape for array in interop.to_keras(cell, random_params(cell))]
    arrays = [rng.normal(size=shape) for shape in shapes]
    expected = keras_reference(kind, *arrays, random_inputs())
    assert_predicts(cell, interop.from_keras(cell, arrays), expected, 1e-12 * np.max(np.abs(expected)))


FLAX = {
    "SimpleCell": (CELLS["tanh"], nnx.SimpleCell, {}),
    "LSTMCell": (CELLS["lstm"], nnx.LSTMCell, {"optimized": False}),
    "OptimizedLSTMCell": (CELLS["lstm"], nnx.OptimizedLSTMCell, {"optimized": True}),
    "GRUCell": (CELLS["gru"], nnx.GRUCell, {}),
}


@pytest.mark.parametrize("name", FLAX)
def test_flax_predicts_the_same_with_its_weights_and_with_ours(name):
    cell, module_type, options = FLAX[name]
    module = module_type(INPUT_SIZE, HIDDEN_SIZE, rngs=nnx.Rngs(0), bias_init=nnx.initializers.normal(0.5))
    xs = jnp.asarray(random_inputs())

    def predict():
        return np.asarray(nnx.RNN(module, time_major=True)(xs))

    assert_predicts(cell, interop.from_nnx(cell, nnx.state(module, nnx.Param)), predict(), 1e-6)
    params = random_params(cell, seed=3)
    if name == "GRUCell":
        params = params._replace(b_h=jnp.zeros(HIDDEN_SIZE))
    nnx.update(module, interop.to_nnx(cell, params, **options))
    assert_predicts(cell, params, predict(), 1e-6)
    assert_same_bits(interop.from_nnx(cell, nnx.state(module, nnx.Param)), params)


class StandIn(types.SimpleNamespace):
    """As much of the package safetensors as is used, for machines without it; its own format."""

    class SafetensorError(Exception):
        pass

    numpy = types.SimpleNamespace(save=lambda tensors: pickle.dumps(tensors))
    codes = types.MappingProxyType(
        {"float64": "F64", "float32": "F32", "bfloat16": "BF16", "float16": "F16", "int32": "I32"}
    )

    @classmethod
    def deserialize(cls, data):
        try:
            tensors = pickle.loads(data)
        except pickle.UnpicklingError as error:
            raise cls.SafetensorError("header") from error
        return [
            (name, {"dtype": cls.codes[x.dtype.name], "shape": list(x.shape), "data": x.tobytes()})
            for name, x in tensors.items()
        ]


@pytest.fixture(params=["package", "stand-in"])
def safetensors(request, monkeypatch):
    if request.param == "package":
        return pytest.importorskip("safetensors.numpy")
    monkeypatch.setitem(sys.modules, "safetensors", StandIn)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", StandIn.numpy)
    return StandIn.numpy


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("layer", [*CELLS.values(), rec.LSTM(3, 4, peepholes=True), NESTED], ids=str)
def test_a_round_trip_through_safetensors_keeps_every_bit(safetensors, layer, dtype):
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), random_params(layer))
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), params)
    assert_same_bits(interop.from_safetensors(interop.to_safetensors(params), like), params)


def test_any_pytree_goes_through_safetensors(safetensors, float64):
    params = {"cell": random_params(CELLS["gru"]), "head": [jnp.array(2.5), jnp.zeros((0, 3))]}
    assert_same_bits(interop.from_safetensors(interop.to_safetensors(params), params), params)
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"^cell/w_x: float64 needs 64-bit floats"):
        interop.from_safetensors(interop.to_safetensors(params), params)


def test_a_safetensors_file_that_does_not_fit_is_told_apart(safetensors):
    params = random_params(CELLS["tanh"])
    fields = {name: np.asarray(leaf) for name, leaf in params._asdict().items()}

    def complaint(data):
        with pytest.raises(ValueError) as caught:
            interop.from_safetensors(data, params)
        return str(caught.value)

    def save(**changed):
        return safetensors.save(fields | changed)

    assert complaint(save(b=np.zeros(5, np.float32))) == "b: expected shape (4,), got (5,)"
    assert (
        complaint(save(b=np.zeros(4, np.float16))) == "b: expected float32 of shape (4,), got float16 of (4,)"
    )
    assert complaint(save(b_h=np.zeros(4, np.float32))) == "b_h: expected no such tensor, got shape (4,)"
    assert complaint(save(b=np.zeros(4, np.int32))).startswith(
        "b: expected one of F64, F32, F16, BF16, got I32"
    )
    assert complaint(b"not a file of tensors").startswith(
        "data: expected a safetensors file, got 21 other bytes"
    )


def test_without_safetensors_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'recurrent-lab\[export\]'"):
        interop.to_safetensors(random_params(CELLS["gru"]))


def test_two_tensors_of_one_name_are_told_apart(safetensors):
    with pytest.raises(ValueError, match=r"^params: 2 tensors have only 1 names: a/b$"):
        interop.to_safetensors({"a/b": jnp.ones(1), "a": {"b": jnp.ones(1)}})


def test_a_part_of_a_larger_checkpoint_is_read_by_its_name():
    layer = interop.torch_layer("LSTM", 3, 4, num_layers=2)
    params = layer.init(jax.random.key(0))
    other = {"head.weight": np.zeros((5, 4)), "encoder.norm.weight": np.ones(4)}
    whole = interop.to_torch(layer, params, prefix="encoder.rnn.") | other
    assert_same_bits(interop.from_torch(layer, whole, prefix="encoder.rnn."), params)
    bare = interop.to_torch(layer, params)
    assert {name.removeprefix("encoder.rnn.") for name in whole} - set(other) == set(bare)
    with pytest.raises(
        ValueError, match=r"prefix: no tensor begins with 'rnn\.'; there are encoder\.norm\., enc"
    ):
        interop.from_torch(layer, whole, prefix="rnn.")
    with pytest.raises(
        ValueError, match=r"prefix: expected 'encoder\.rnn\.', with its dot, got 'encoder\.rnn'"
    ):
        interop.from_torch(layer, whole, prefix="encoder.rnn")
    with pytest.raises(ValueError, match=r"head\.weight"):
        interop.from_torch(layer, whole)


def test_a_safetensors_file_of_torch_is_a_state_dict():
    numpy_files = pytest.importorskip("safetensors.numpy")
    layer = interop.torch_layer("GRU", 3, 4, bidirectional=True)
    params = layer.init(jax.random.key(0))
    file = numpy_files.save(interop.to_torch(layer, params, prefix="rnn."))
    assert_same_bits(interop.from_torch(layer, interop.read_safetensors(file), prefix="rnn."), params)


def test_dropout_of_torch_acts_between_layers():
    layer = interop.torch_layer("GRU", 3, 4, num_layers=2, dropout=0.5)
    plain = interop.torch_layer("GRU", 3, 4, num_layers=2)
    assert layer == rec.stack(*plain.parts, dropout=0.5)
    assert interop.torch_layer("GRU", 3, 4, dropout=0.5) == rec.GRU(3, 4)
