"""The linear oscillatory state space model: independent forced oscillators, linear in the state.

    z' = z + Δ (-a y' + f),  y' = y + Δ z'       IM, implicit;  f = x B
    z' = z + Δ (-a y + f),   y' = y + Δ z'       IMEX, implicit in the position alone
    out = y' C + x D                             a = relu(â), Δ = σ(ŝ), one of each an oscillator

With S = 1 / (1 + Δ² a) the implicit step is

    z' = S z - Δ a S y + Δ S f,    y' = Δ S z + S y + Δ² S f

IM damps, and is stable for every a at least 0. IMEX conserves a volume, and needs Δ² a <= 4; it holds at the start.

Source: Rusch & Rus (2025), "Oscillatory state-space models", and the authors' code, whose initialisation this is.
Differs: B and C are real (complex in the code); D is a matrix, because x and the output may differ in
size, with entries N(0, 1 / d) for N(0, 1), which keeps the variance of x D. Normalisation, GELU and GLU of the
paper's block are not part of the cell.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import forms
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = ["LinOSS", "LinOSSParams", "LinOSSState", "LinOSSWeights"]


class LinOSSParams(NamedTuple):
    """The parameters of `LinOSS`: â, ŝ, B, C and D."""

    a: Float[Array, " h"]
    steps: Float[Array, " h"]
    b: Float[Array, "d h"]
    c: Float[Array, "h k"]
    d: Float[Array, "d k"]


class LinOSSWeights(NamedTuple):
    """What `LinOSS.prepare` makes: (z, y) ``move`` + f ``write`` is the step of each oscillator."""

    move: Float[Array, "h 2 2"]
    write: Float[Array, "h 2"]
    b: Float[Array, "d h"]
    c: Float[Array, "h k"]
    d: Float[Array, "d k"]


class LinOSSState(NamedTuple):
    """The state of `LinOSS`: velocity z and position y of each oscillator, in this order."""

    zy: Float[Array, "*b h 2"]


@dataclasses.dataclass(frozen=True)
class LinOSS(Cell):
    """Linear oscillatory state space model with 2h + dh + hk + dk parameters.

    Equations and source: the head of this module. ``hidden_size`` is the number of oscillators, ``output_size`` None:
    as many outputs; ``discretisation`` 'im' or 'imex'.
    Learning rate: Adam in the authors' code, constant and one for all parameters: 1e-3 for EigenWorms, Heartbeat and
    PPG, 1e-4 for SelfRegulationSCP1, 1e-5 for three more.

    >>> cell = LinOSS(input_size=2, hidden_size=3, output_size=1)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> state, y = cell.step(weights, cell.initial_state(weights, ()), cell.project(weights, jnp.zeros(2)))
    >>> state.zy.shape, y.tolist()
    ((3, 2), [0.0])
    """

    input_size: Size
    hidden_size: Size
    output_size: Size | None = None
    discretisation: str = "im"

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.discretisation not in _STEPS:
            raise ValueError(f"discretisation: expected {' or '.join(_STEPS)}, got {self.discretisation!r}")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    def init(self, key: Key) -> LinOSSParams:
        """Fresh parameters: â and ŝ from U(0, 1), B from U(±1 / √d), C from U(±1 / √h), D from N(0, 1 / d)."""
        keys = jax.random.split(key, 5)
        d, h = self.input_size, self.hidden_size
        k = h if self.output_size is None else self.output_size
        return LinOSSParams(
            a=jax.random.uniform(keys[0], (h,)),
            steps=jax.random.uniform(keys[1], (h,)),
            b=jax.random.uniform(keys[2], (d, h), minval=-(d**-0.5), maxval=d**-0.5),
            c=jax.random.uniform(keys[3], (h, k), minval=-(h**-0.5), maxval=h**-0.5),
            d=jax.random.normal(keys[4], (d, k)) / d**0.5,
        )

    def prepare(self, params: LinOSSParams) -> LinOSSWeights:
        """The weights that each step reads: the matrix and the input vector of each oscillator's step."""
        move, write = _STEPS[self.discretisation](jax.nn.relu(params.a), jax.nn.sigmoid(params.steps))
        return LinOSSWeights(move, write, params.b, params.c, params.d)

    def initial_state(self, weights: LinOSSWeights, batch_shape: tuple[int, ...]) -> LinOSSState:
        """The state before the first step: z = y = 0."""
        return LinOSSState(jnp.zeros((*batch_shape, self.hidden_size, 2), weights.b.dtype))

    def project(
        self, weights: LinOSSWeights, x: Float[Array, "*b d"]
    ) -> tuple[Float[Array, "*b h"], Float[Array, "*b k"]]:
        """What does not depend on the state: x B, which drives the oscillators, and x D, which skips them."""
        return x @ weights.b, x @ weights.d

    def linear(
        self, weights: LinOSSWeights, u: tuple[Float[Array, "*b h"], Float[Array, "*b k"]]
    ) -> forms.Dense:
        """The state map as a linear form: a matrix of two rows for each oscillator."""
        force, _ = u
        move = jnp.broadcast_to(weights.move, (*force.shape, 2, 2))
        return forms.Dense(move, LinOSSState(force[..., None] * weights.write))

    def next_state(
        self, weights: LinOSSWeights, state: LinOSSState, u: tuple[Float[Array, "*b h"], Float[Array, "*b k"]]
    ) -> LinOSSState:
        """The state after one step: what `linear` maps it to, written out because batches of products with two rows are
        slow.
        """
        z, y = state.zy[..., 0, None], state.zy[..., 1, None]
        return LinOSSState(z * weights.move[:, 0] + y * weights.move[:, 1] + u[0][..., None] * weights.write)

    def output(
        self, weights: LinOSSWeights, state: LinOSSState, u: tuple[Float[Array, "*b h"], Float[Array, "*b k"]]
    ) -> Float[Array, "*b k"]:
        """What is emitted: y C + x D."""
        return state.zy[..., 1] @ weights.c + u[1]


def _implicit(a: Float[Array, " h"], step: Float[Array, " h"]) -> tuple[Array, Array]:
    s = 1.0 / (1.0 + step**2 * a)
    return _rows(s, step * s, -step * a * s, s), jnp.stack([step * s, step**2 * s], axis=-1)


def _implicit_explicit(a: Float[Array, " h"], step: Float[Array, " h"]) -> tuple[Array, Array]:
    one = jnp.ones_like(step)
    return _rows(one, step, -step * a, 1.0 - step**2 * a), jnp.stack([step, step**2], axis=-1)


def _rows(z_to_z: Array, z_to_y: Array, y_to_z: Array, y_to_y: Array) -> Array:
    return jnp.stack([jnp.stack([z_to_z, z_to_y], -1), jnp.stack([y_to_z, y_to_y], -1)], -2)


_STEPS = {"im": _implicit, "imex": _implicit_explicit}
