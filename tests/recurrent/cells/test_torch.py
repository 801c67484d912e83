"""Our recurrent layers beside torch's, with the same weights, in float64: values and all gradients.

The loss is a random linear form of outputs and final states: its gradient is a vector-Jacobian product of everything
that a layer returns. torch's two biases of a gate are one of ours, but for the GRU's candidate.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import recurrent as rec

pytestmark = pytest.mark.medium

INPUT_SIZE, HIDDEN_SIZE, NUM_STEPS = 3, 4, 7
LENGTHS = [7, 2, 1, 5]
BATCH = len(LENGTHS)

CELLS = {
    "tanh": lambda size: rec.Elman(size, HIDDEN_SIZE),
    "relu": lambda size: rec.Elman(size, HIDDEN_SIZE, activation="relu"),
    "lstm": lambda size: rec.LSTM(size, HIDDEN_SIZE),
    "gru": lambda size: rec.GRU(size, HIDDEN_SIZE),
}


class Result(NamedTuple):
    """Outputs, final state fields and gradients, each a list of arrays in the order of our pytrees."""

    ys: np.ndarray
    final: list[np.ndarray]
    d_params: list[np.ndarray]
    d_xs: np.ndarray
    d_state: list[np.ndarray]


class Case(NamedTuple):
    """What both sides are given; states and their cotangents are lists over layers, directions and fields."""

    kind: str
    num_layers: int
    direction: str
    lengths: list[int] | None
    xs: np.ndarray
    state: list[np.ndarray]
    d_ys: np.ndarray
    d_final: list[np.ndarray]

    @property
    def num_directions(self):
        return 2 if self.direction == "bidirectional" else 1

    @property
    def suffixes(self):
        """The ends of torch's parameter names in the order of our pytrees: layer by layer, forward before backward."""
        directions = ("", "_reverse")[: self.num_directions]
        return [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in directions]

    @property
    def mask(self):
        lengths = jnp.array([NUM_STEPS] * BATCH if self.lengths is None else self.lengths)
        return rec.mask_from_lengths(lengths, NUM_STEPS)


def make_case(kind, num_layers, direction, lengths):
    rng = np.random.default_rng(0)
    num_directions = 2 if direction == "bidirectional" else 1
    fields = num_layers * num_directions * (2 if kind == "lstm" else 1)
    state, d_final = rng.normal(size=(2, fields, BATCH, HIDDEN_SIZE))
    xs = rng.normal(size=(NUM_STEPS, BATCH, INPUT_SIZE))
    d_ys = rng.normal(size=(NUM_STEPS, BATCH, HIDDEN_SIZE * num_directions))
    return Case(kind, num_layers, direction, lengths, xs, list(state), d_ys, list(d_final))


@pytest.fixture(scope="module")
def torch():
    """The module; imported here, because the quick tests collect this file too."""
    try:
        import torch
    except ImportError:
        pytest.skip("torch: not compared")
    return torch


def make_torch_module(torch, case):
    bidirectional = case.direction == "bidirectional"
    options = {"num_layers": case.num_layers, "bidirectional": bidirectional, "dtype": torch.float64}
    torch.manual_seed(0)
    if case.kind in ("tanh", "relu"):
        return torch.nn.RNN(INPUT_SIZE, HIDDEN_SIZE, nonlinearity=case.kind, **options)
    module_type = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.kind]
    return module_type(INPUT_SIZE, HIDDEN_SIZE, **options)


def to_leaves(case, read):
    """The leaves of our parameters, from ``read(name)`` of torch's; ``b`` is made by `merge_biases` or a gradient."""
    leaves = []
    for suffix in case.suffixes:
        leaves += [read("weight_ih" + suffix).T, read("weight_hh" + suffix).T, read("bias" + suffix)]
        if case.kind == "gru":
            leaves.append(read("bias_hh" + suffix)[2 * HIDDEN_SIZE :])
    return leaves


def run_torch(torch, module, case):
    """torch travels forward only: backwards, each sequence is turned around within its length, and its outputs back."""
    xs = torch.tensor(case.xs, requires_grad=True)
    num_fields = 2 if case.kind == "lstm" else 1
    fields = [
        torch.tensor(np.stack(case.state[field::num_fields]), requires_grad=True)
        for field in range(num_fields)
    ]
    lengths = torch.tensor([NUM_STEPS] * BATCH if case.lengths is None else case.lengths)
    steps, columns = torch.arange(NUM_STEPS)[:, None], torch.arange(BATCH)[None, :]
    turned = torch.where(steps < lengths, lengths - 1 - steps, steps)
    inputs = xs[turned, columns] if case.direction == "backward" else xs
    if case.lengths is not None:
        inputs = torch.nn.utils.rnn.pack_padded_sequence(inputs, lengths, enforce_sorted=False)
    ys, final = module(inputs, tuple(fields) if case.kind == "lstm" else fields[0])
    if case.lengths is not None:
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=NUM_STEPS)
    if case.direction == "backward":
        ys = ys[turned, columns]
    final = list(final) if case.kind == "lstm" else [final]

    loss = torch.sum(ys * torch.tensor(case.d_ys))
    for field, value in enumerate(final):
        loss = loss + torch.sum(value * torch.tensor(np.stack(case.d_final[field::num_fields])))
    loss.backward()

    def gradient(name):
        # b is the sum of torch's two biases, or in the GRU's candidate b_ih alone: d b = d b_ih in both cases
        return getattr(module, name.replace("bias_l", "bias_ih_l")).grad.numpy()

    return Result(
        ys.detach().numpy(),
        interleave([value.detach().numpy() for value in final]),
        to_leaves(case, gradient),
        xs.grad.numpy(),
        interleave([value.grad.numpy() for value in fields]),
    )


def interleave(fields):
    """``[field][layer and direction] -> [layer, direction and field]``, the order of our states."""
    return [field[index] for index in range(len(fields[0])) for field in fields]


def merge_biases(module, case):
    """``read`` for `to_leaves`: b = b_ih + b_hh, but for the GRU's candidate, whose b_hh stands inside the reset."""

    def read(name):
        if not name.startswith("bias_l"):
            return getattr(module, name).detach().numpy()
        b_ih, b_hh = (read(name.replace("bias", bias)) for bias in ("bias_ih", "bias_hh"))
        inside_reset = (case.kind == "gru") & (np.arange(len(b_hh)) >= 2 * HIDDEN_SIZE)
        return b_ih + np.where(inside_reset, 0.0, b_hh)

    return read


def make_layer(case):
    sizes = [INPUT_SIZE] + [HIDDEN_SIZE * case.num_directions] * (case.num_layers - 1)
    parts = [CELLS[case.kind](size) for size in sizes]
    if case.num_directions == 2:
        parts = [rec.Bidirectional(part, part) for part in parts]
    return parts[0] if case.num_layers == 1 else rec.stack(*parts)


def run_ours(case, param_leaves):
    layer = make_layer(case)
    params = layer.init(jax.random.key(0))
    params_tree, state_tree = (
        jax.tree.structure(tree) for tree in (params, layer.initial_state(layer.prepare(params), (BATCH,)))
    )
    mask = None if case.lengths is None else case.mask
    # what stands at a step that does not exist must not matter
    xs = case.xs if mask is None else np.where(np.asarray(mask)[..., None], case.xs, np.nan)

    @jax.jit
    def run(leaves, xs, state):
        def forward(leaves, xs, state):
            final, ys = rec.unroll(
                layer,
                params_tree.unflatten(leaves),
                xs,
                state=state_tree.unflatten(state),
                mask=mask,
                reverse=case.direction == "backward",
            )
            return ys, jax.tree.leaves(final)

        values, pull_back = jax.vjp(forward, leaves, xs, state)
        return values, pull_back((jnp.asarray(case.d_ys), [jnp.asarray(part) for part in case.d_final]))

    arguments = jax.tree.map(jnp.asarray, (param_leaves, xs, case.state))
    (ys, final), (d_params, d_xs, d_state) = jax.tree.map(np.asarray, run(*arguments))
    return Result(ys, final, d_params, d_xs, d_state)


def assert_close(ours, theirs):
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(1.0, np.max(np.abs(theirs))))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", CELLS)
def test_values_and_gradients_are_those_of_torch(torch, kind, num_layers, direction, lengths, float64):
    case = make_case(kind, num_layers, direction, lengths)
    module = make_torch_module(torch, case)
    theirs = run_torch(torch, module, case)
    ours = run_ours(case, to_leaves(case, merge_biases(module, case)))

    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert_close(left, right)
        assert np.any(right != 0), "nothing was compared"
    if lengths is not None:
        padding = ~np.asarray(case.mask)
        assert np.all(ours.ys[padding] == 0) and np.all(ours.d_xs[padding] == 0)
