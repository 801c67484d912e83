"""The echo state network: a fixed random network of leaky units, of which a readout alone is fitted.

    v  = scale (x W_in + b_in)                   W_in, b_in uniform in (-1, 1), fixed
    h' = (1 - leak) h + leak tanh(v + h W)       h in (-1, 1); W fixed, sparse, of a given spectral radius

W_in, b_in and W are made of ``seed``, not trained. ``scale`` is the one parameter: a cell has to have one, and the
scale of the inputs is what is tuned beside the spectral radius and the leak. Who wants none of it trained leaves it
out of the optimiser. The readout is fitted in one go by `ridge_readout`. The state map is not linear in the state.

Source: Jaeger (2001), "The 'echo state' approach to analysing and training recurrent neural networks"; leaky units:
Jaeger, Lukoševičius, Popovici & Siewert (2007), "Optimization and applications of echo state networks with
leaky-integrator neurons"; in this form Lukoševičius (2012), "A practical guide to applying echo state networks".
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Count, Size

__all__ = ["ESN", "ESNParams", "ESNState", "ESNWeights", "reservoir", "ridge_readout"]


class ESNParams(NamedTuple):
    """The parameter of `ESN`."""

    scale: Float[Array, ""]


class ESNWeights(NamedTuple):
    """What `ESN.prepare` makes: scale W_in, scale b_in, and W."""

    w_in: Float[Array, "d h"]
    b_in: Float[Array, " h"]
    w: Float[Array, "h h"]


class ESNState(NamedTuple):
    """The state of `ESN`."""

    h: Float[Array, "*b h"]


@functools.lru_cache(maxsize=16)
def reservoir(
    input_size: int, hidden_size: int, spectral_radius: float | int, sparsity: float | int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """W_in with b_in as its first row [1 + d, h], and W [h, h], from NumPy's default generator in float64, read-only.

    Drawn in this order: W_in; all entries of W, uniform in (-1, 1); and uniform numbers whose `argsort` along each
    column tells which entries of it are kept, max(1, round((1 - sparsity) h)) of them. Each unit hears as many others,
    so there is a cycle, and W has a spectral radius to scale, however sparse it is.

    >>> w_in, w = reservoir(2, 10, 0.5, 0.8, 0)
    >>> w_in.shape, np.count_nonzero(w, axis=0).tolist(), round(float(max(abs(np.linalg.eigvals(w)))), 6)
    ((3, 10), [2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 0.5)
    """
    rng = np.random.default_rng(seed)
    w_in = rng.uniform(-1.0, 1.0, (1 + input_size, hidden_size))
    w = rng.uniform(-1.0, 1.0, (hidden_size, hidden_size))
    order = rng.random((hidden_size, hidden_size)).argsort(axis=0)
    w = np.where(order < max(1, round((1.0 - sparsity) * hidden_size)), w, 0.0)
    w *= spectral_radius / np.abs(np.linalg.eigvals(w)).max()
    for array in (w_in, w):
        array.setflags(write=False)
    return w_in, w


@dataclasses.dataclass(frozen=True)
class ESN(Cell):
    """Leaky echo state network.

    Equations and source: the head of this module. ``leak`` is the inverse of the units' time constant in steps;
    ``sparsity`` the share of connections that are absent.
    Learning rate: none: nothing is trained by gradient, `ridge_readout` solves for the readout; ``spectral_radius``,
    ``leak`` and ``input_scale`` are tuned by hand or search.

    >>> cell = ESN(input_size=2, hidden_size=30)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> y.shape, bool(jnp.abs(y).max() < cell.leak)
    ((30,), True)
    """

    input_size: Size
    hidden_size: Size
    spectral_radius: float | int = 0.9
    leak: float | int = 0.3
    sparsity: float | int = 0.9
    input_scale: float | int = 1.0
    seed: Count = 0

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.spectral_radius < 0.0:
            raise ValueError(f"spectral_radius: expected a number of at least 0, got {self.spectral_radius}")
        if not 0.0 < self.leak <= 1.0:
            raise ValueError(f"leak: expected a number in (0, 1], got {self.leak}")
        if not 0.0 <= self.sparsity < 1.0:
            raise ValueError(f"sparsity: expected a number in [0, 1), got {self.sparsity}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> ESNParams:
        """Fresh parameters: ``input_scale``; nothing is drawn from ``key``."""
        del key
        return ESNParams(jnp.full((), float(self.input_scale)))

    def prepare(self, params: ESNParams) -> ESNWeights:
        """The weights that each step reads: the fixed matrices, in the dtype of the parameter."""
        sizes = self.input_size, self.hidden_size
        w_in, w = reservoir(*sizes, self.spectral_radius, self.sparsity, self.seed)
        dtype = params.scale.dtype
        scaled = params.scale * jnp.asarray(w_in, dtype)
        return ESNWeights(w_in=scaled[1:], b_in=scaled[0], w=jnp.asarray(w, dtype))

    def initial_state(self, weights: ESNWeights, batch_shape: tuple[int, ...]) -> ESNState:
        """The state before the first step: h = 0."""
        return ESNState(jnp.zeros((*batch_shape, self.hidden_size), weights.w.dtype))

    def project(self, weights: ESNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: scale (x W_in + b_in)."""
        return x @ weights.w_in + weights.b_in

    def next_state(self, weights: ESNWeights, state: ESNState, u: Float[Array, "*b h"]) -> ESNState:
        """The state after one step: (1 - leak) h + leak tanh(u + h W)."""
        return ESNState((1.0 - self.leak) * state.h + self.leak * jnp.tanh(u + state.h @ weights.w))


def ridge_readout(
    states: Float[Array, "*t h"], targets: Float[Array, "*t k"], ridge: float | int
) -> Float[Array, "h k"]:
    """The matrix V that minimises |states V - targets|² + ridge |V|², summed over all steps and sequences.

    Solved by a QR decomposition of the states with √ridge times the identity below: the normal equations would square
    the condition number, which is large for reservoirs. A column of ones among the states gives the readout a bias.
    Leave out the steps in which the reservoir still remembers its initial state.

    Raises:
        ValueError: ``ridge`` is negative.

    >>> states = jnp.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> ridge_readout(states, jnp.array([[3.0], [4.0], [5.0]]), 0.0).round(4).tolist()
    [[3.0], [2.0]]
    """
    if ridge < 0.0:
        raise ValueError(f"ridge: expected a number of at least 0, got {ridge}")
    h, k = states.shape[-1], targets.shape[-1]
    eye = ridge**0.5 * jnp.eye(h, dtype=states.dtype)
    rows = jnp.concatenate([states.reshape(-1, h), eye])
    right = jnp.concatenate([targets.reshape(-1, k), jnp.zeros((h, k), targets.dtype)])
    q, r = jnp.linalg.qr(rows)
    return jax.scipy.linalg.solve_triangular(r, q.T @ right)
