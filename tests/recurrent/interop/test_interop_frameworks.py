"""Networks that torch trained and layers that Keras built predict here what they predict there, in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec
from recurrent import interop

pytestmark = pytest.mark.medium

INPUT_SIZE, HIDDEN_SIZE, NUM_STEPS, BATCH = 3, 8, 12, 16


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """On JAX, and with its settings in a folder of the test, not at home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        yield pytest.importorskip("keras")


def random_inputs():
    return np.random.default_rng(0).normal(size=(NUM_STEPS, BATCH, INPUT_SIZE)).astype(np.float32)


def assert_predicts(ys, expected):
    assert ys.dtype == expected.dtype == np.float32 and np.std(expected) > 0.05
    np.testing.assert_allclose(ys, expected, rtol=0, atol=1e-6 * max(1.0, np.max(np.abs(expected))))


def train(torch, module, head):
    """Some updates on the running mean of the inputs; returns the first loss and the last."""
    xs = torch.from_numpy(random_inputs())
    targets = torch.cumsum(xs.mean(-1), 0) / 3
    optimizer = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(60):
        loss = torch.mean((head(module(xs)[0])[..., 0] - targets) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


NETWORKS = [
    ("RNN_TANH", 1, False, True),
    ("RNN_RELU", 2, True, True),
    ("LSTM", 1, False, False),
    ("LSTM", 2, True, True),
    ("GRU", 1, True, False),
    ("GRU", 3, False, True),
]


@pytest.mark.parametrize(("mode", "num_layers", "bidirectional", "bias"), NETWORKS)
def test_a_network_trained_by_torch_predicts_the_same_here(torch, mode, num_layers, bidirectional, bias):
    torch.manual_seed(0)
    kind, _, nonlinearity = mode.partition("_")
    options = {"nonlinearity": nonlinearity.lower()} if nonlinearity else {}
    shape = {"num_layers": num_layers, "bidirectional": bidirectional}
    module = getattr(torch.nn, kind)(INPUT_SIZE, HIDDEN_SIZE, bias=bias, **shape, **options)
    head = torch.nn.Linear(HIDDEN_SIZE * (1 + bidirectional), 1)
    first, last = train(torch, module, head)
    assert last < 0.3 * first

    def predict():
        with torch.no_grad():
            ys = module(torch.from_numpy(random_inputs()))[0]
            return ys.numpy(), head(ys).numpy()

    layer = interop.torch_layer(module.mode, INPUT_SIZE, HIDDEN_SIZE, **shape)
    params = interop.from_torch(layer, module.state_dict())
    _, ys = rec.unroll(layer, params, jnp.asarray(random_inputs()))
    hidden, predictions = predict()
    weight, shift = (tensor.detach().numpy() for tensor in (head.weight, head.bias))
    assert_predicts(ys, hidden)
    assert_predicts(ys @ weight.T + shift, predictions)

    # parameters that still ask for gradients are read as well
    again = interop.from_torch(layer, dict(module.named_parameters()))
    jax.tree.map(np.testing.assert_array_equal, again, params)

    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    written = interop.to_torch(layer, params, bias=bias)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in written.items()})
    assert_predicts(np.asarray(ys), predict()[0])


def test_the_mismatch_of_a_tensor_reads_like_that_of_an_array(torch):
    module = torch.nn.LSTM(3, 4, proj_size=2)
    with pytest.raises(ValueError, match=r"^weight_hh_l0: expected shape \(16, 4\), got \(16, 2\)$"):
        interop.from_torch(interop.torch_layer("LSTM", 3, 4), module.state_dict())
    with pytest.raises(ValueError, match=r"unknown names: rnn.weight_ih_l0 \(16, 3\), "):
        model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 4)})
        interop.from_torch(interop.torch_layer("LSTM", 3, 4), model.state_dict())
    with pytest.raises(ValueError, match=r"^weight_ih_l0: numpy cannot read this Tensor: .*BFloat16$"):
        interop.from_torch(interop.torch_layer("GRU", 3, 4), torch.nn.GRU(3, 4).bfloat16().state_dict())


def keras_model(keras, name, bias):
    layers, options = keras.layers, {"return_sequences": True, "use_bias": bias}
    build = {
        "SimpleRNN": lambda: [layers.SimpleRNN(HIDDEN_SIZE, **options)],
        "SimpleRNN(relu)": lambda: [layers.SimpleRNN(HIDDEN_SIZE, activation="relu", **options)],
        "LSTM": lambda: [layers.LSTM(HIDDEN_SIZE, **options)],
        "GRU": lambda: [layers.GRU(HIDDEN_SIZE, **options)],
        "GRU(before)": lambda: [layers.GRU(HIDDEN_SIZE, reset_after=False, **options)],
        "nested": lambda: [
            layers.Bidirectional(layers.LSTM(HIDDEN_SIZE, **options)),
            layers.GRU(HIDDEN_SIZE, **options),
        ],
    }
    return keras.Sequential([keras.Input((NUM_STEPS, INPUT_SIZE)), *build[name]()])


LSTM = rec.LSTM(INPUT_SIZE, HIDDEN_SIZE)
KERAS = {
    "SimpleRNN": rec.Elman(INPUT_SIZE, HIDDEN_SIZE),
    "SimpleRNN(relu)": rec.Elman(INPUT_SIZE, HIDDEN_SIZE, activation="relu"),
    "LSTM": LSTM,
    "GRU": rec.GRU(INPUT_SIZE, HIDDEN_SIZE),
    "GRU(before)": rec.GRU(INPUT_SIZE, HIDDEN_SIZE, reset="before"),
    "nested": rec.stack(rec.Bidirectional(LSTM, LSTM), rec.GRU(2 * HIDDEN_SIZE, HIDDEN_SIZE)),
}


# Keras 3.15 hands numpy 2 an array by numpy 1's protocol
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", KERAS)
def test_keras_predicts_the_same_with_its_weights_and_with_ours(keras, name, bias):
    layer, model, xs = KERAS[name], keras_model(keras, name, bias), random_inputs()

    def predict():
        return np.asarray(model(xs.swapaxes(0, 1))).swapaxes(0, 1)

    rng = np.random.default_rng(1)
    theirs = [(0.3 * rng.normal(size=array.shape)).astype(np.float32) for array in model.get_weights()]
    model.set_weights(theirs)
    params = interop.from_keras(layer, model.get_weights())
    assert_predicts(np.asarray(rec.unroll(layer, params, jnp.asarray(xs))[1]), predict())

    fresh = layer.init(jax.random.key(0))
    params = fresh if bias else jax.tree.map(lambda leaf: leaf * (leaf.ndim == 2), fresh)
    model.set_weights(interop.to_keras(layer, params, bias=bias))
    assert_predicts(np.asarray(rec.unroll(layer, params, jnp.asarray(xs))[1]), predict())
