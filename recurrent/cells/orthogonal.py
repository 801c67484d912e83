"""What the cells with an orthogonal or unitary recurrent matrix share.

    h' = modReLU(x W_x + h W)                    W orthogonal (real cells) or unitary (complex cells)
    modReLU(z) = relu(|z| + b) z / |z|           keeps sign or phase; b real, one a unit

W is a function of unconstrained parameters, made in ``prepare``: whatever an optimiser does to them, W stays on the
manifold up to rounding, without projection. Rounding errors of the function itself (several squarings of a matrix
exponential) are taken out by one step of Newton and Schulz (`refined`), which leaves an orthogonal W where it is.

Source: modReLU: Arjovsky, Shah & Bengio (2016), "Unitary evolution recurrent neural networks". Differs: the modulus of
a complex number is √(|z|² + 0.01 / h) in numerator and denominator, so that b = 0 is the identity and gradients at
z = 0 are finite. A state of norm 1 has |z|² = 1 / h on average; the code of Wisdom et al. (2016) adds 10⁻⁵ for every
h, which is less than that from h = 1,000 down: the slope b / 0.003 at z = 0 is too steep for small networks.
"""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from recurrent import arrays
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.sizes import Size

__all__ = [
    "ConstrainedCell",
    "OrthogonalCell",
    "OrthogonalState",
    "OrthogonalWeights",
    "UnitaryCell",
    "UnitaryState",
    "UnitaryWeights",
    "complex_modrelu",
    "modrelu",
    "param_labels",
    "refined",
    "rotation_planes",
    "skew",
    "soft_orthogonality",
]

# of the mean of |z|² in a state of norm 1
_SMOOTHING = 0.01


def modrelu(z: Float[Array, "*b h"], b: Float[Array, " h"]) -> Float[Array, "*b h"]:
    """The modReLU of real numbers, relu(|z| + b) sign(z), which is 0 at z = 0.

    >>> modrelu(jnp.array([-3.0, 0.0, 0.5]), jnp.array([-1.0, 1.0, -1.0])).tolist()
    [-2.0, 0.0, 0.0]
    """
    return jax.nn.relu(jnp.abs(z) + b) * jnp.sign(z)


def complex_modrelu(z: Complex[Array, "*b h"], b: Float[Array, " h"]) -> Complex[Array, "*b h"]:
    """The modReLU of complex numbers, z relu(m + b) / m with m = √(|z|² + 0.01 / h)."""
    modulus = jnp.sqrt(z.real**2 + z.imag**2 + _SMOOTHING / z.shape[-1])
    return z * (jax.nn.relu(modulus + b) / modulus)


def skew(entries: Float[Array, " n"], size: int) -> Float[Array, "h h"]:
    """The skew-symmetric matrix with ``entries`` above its diagonal, row by row; n = h (h - 1) / 2, h at least 2.

    >>> skew(jnp.array([1.0, 2.0, 3.0]), 3).tolist()
    [[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]]
    """
    # gathered by computed positions: a table of them would be a constant of the program, as large as the matrix
    rows, columns = jnp.arange(size)[:, None], jnp.arange(size)
    positions = rows * size - rows * (rows + 1) // 2 + columns - rows - 1
    upper = jnp.where(columns > rows, entries[jnp.maximum(positions, 0)], 0.0)
    return upper - upper.T


def rotation_planes(values: Float[Array, " m"], size: int) -> Float[Array, " n"]:
    """The ``entries`` of `skew` for values at (0, 1), (2, 3), ... and 0 elsewhere; m = size // 2.

    >>> skew(rotation_planes(jnp.array([5.0]), 3), 3).tolist()
    [[0.0, 5.0, 0.0], [-5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    rows = 2 * jnp.arange(size // 2)
    positions = rows * size - rows * (rows + 1) // 2
    return jnp.zeros(size * (size - 1) // 2, values.dtype).at[positions].set(values)


def refined(w: Inexact[Array, "h h"]) -> Inexact[Array, "h h"]:
    """A matrix nearer to unitary than W, W (3 - WᴴW) / 2: of an error ε in WᴴW = 1 about ε² is left, at full precision
    on every device.
    """
    exact = jax.lax.Precision.HIGHEST
    gram = jnp.matmul(w.conj().T, w, precision=exact)
    return jnp.matmul(w, 1.5 * jnp.eye(w.shape[0], dtype=w.dtype) - 0.5 * gram, precision=exact)


def soft_orthogonality(w: Inexact[Array, "n m"]) -> Float[Array, ""]:
    """The penalty ‖WᴴW - 1‖² (Frobenius) for matrices that are not constrained; 0 where columns are orthonormal.

    Source: Vorontsov, Trabelsi, Kadoury & Pal (2017), "On orthogonality and learning recurrent networks with long term
    dependencies".

    >>> float(soft_orthogonality(2.0 * jnp.eye(3)))
    27.0
    """
    error = w.conj().T @ w - jnp.eye(w.shape[1], dtype=w.dtype)
    return jnp.sum(error.real**2 + error.imag**2)


class ConstrainedCell(Cell):
    """A cell whose recurrent matrix is orthogonal or unitary for all parameters: ``prepare(params).w_h``.

    The matrix multiplies from the right. ``recurrent_fields`` names the parameters that it is made of.
    """

    recurrent_fields: ClassVar[tuple[str, ...]]
    input_size: Size
    hidden_size: Size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def constrained_fields(self) -> tuple[str, ...]:
        """``recurrent_fields``."""
        return self.recurrent_fields

    def check_size(self) -> None:
        """ValueError where there are too few units for a rotation."""
        if self.hidden_size < 2:
            raise ValueError(f"hidden_size: expected at least 2, got {self.hidden_size}")


def param_labels(cell: Cell) -> Any:
    """A pytree like the parameters: ``'recurrent'`` where a leaf makes the constrained matrix, else ``'rest'``.

    For ``optax.multi_transform``.
    Learning rate: in the authors' codes 'recurrent' has a tenth of the rest's for ExpRNN and ScoRNN, down to a
    thousandth for FullCapacityURNN on pixel MNIST, and the same for URNN, EUNN and GORU.

    >>> from recurrent.cells.exprnn import ExpRNN
    >>> param_labels(ExpRNN(input_size=2, hidden_size=4))
    ExpRNNParams(w_x='rest', skew='recurrent', b='rest')
    """
    if not cell.constrained_fields:
        raise ValueError(f"cell: expected a cell with a constrained matrix, got {cell!r}")
    params = jax.eval_shape(cell.init, jax.random.key(0))
    return params._replace(
        **{name: "recurrent" if name in cell.constrained_fields else "rest" for name in params._fields}
    )


class OrthogonalWeights(NamedTuple):
    """What an `OrthogonalCell` prepares."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    b: Float[Array, " h"]


class OrthogonalState(NamedTuple):
    """The state of an `OrthogonalCell`."""

    h: Float[Array, "*b h"]


class OrthogonalCell(ConstrainedCell):
    """h' = modReLU(x W_x + h W), W orthogonal; a subclass adds ``init`` and ``prepare``."""

    def initial_state(self, weights: OrthogonalWeights, batch_shape: tuple[int, ...]) -> OrthogonalState:
        """The state before the first step: h = 0."""
        return OrthogonalState(jnp.zeros((*batch_shape, self.hidden_size), weights.b.dtype))

    def project(self, weights: OrthogonalWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x."""
        return x @ weights.w_x

    def next_state(
        self, weights: OrthogonalWeights, state: OrthogonalState, u: Float[Array, "*b h"]
    ) -> OrthogonalState:
        """The state after one step: modReLU(u + h W)."""
        return OrthogonalState(modrelu(u + state.h @ weights.w_h, weights.b))


class UnitaryWeights(NamedTuple):
    """What a `UnitaryCell` prepares; h_0 is the initial state."""

    w_re: Float[Array, "d h"]
    w_im: Float[Array, "d h"]
    w_h: Complex[Array, "h h"]
    b: Float[Array, " h"]
    h_0: Complex[Array, " h"]


class UnitaryState(NamedTuple):
    """The state of a `UnitaryCell`, complex; its real, then imaginary parts are emitted."""

    h: Complex[Array, "*b h"]


class UnitaryCell(ConstrainedCell):
    """h' = modReLU(x W_x + h W), W unitary, y = [Re h', Im h']; a subclass adds ``init`` and ``prepare``."""

    def initial_state(self, weights: UnitaryWeights, batch_shape: tuple[int, ...]) -> UnitaryState:
        """The state before the first step: h = h_0."""
        return UnitaryState(arrays.spread(weights.h_0, batch_shape))

    def project(self, weights: UnitaryWeights, x: Float[Array, "*b d"]) -> Complex[Array, "*b h"]:
        """What does not depend on the state: x W_x, complex."""
        return jax.lax.complex(x @ weights.w_re, x @ weights.w_im)

    def next_state(
        self, weights: UnitaryWeights, state: UnitaryState, u: Complex[Array, "*b h"]
    ) -> UnitaryState:
        """The state after one step: modReLU(u + h W)."""
        return UnitaryState(complex_modrelu(u + state.h @ weights.w_h, weights.b))

    def output(
        self, weights: UnitaryWeights, state: UnitaryState, u: Complex[Array, "*b h"]
    ) -> Float[Array, "*b k"]:
        """What is emitted: the 2h numbers [Re h, Im h]."""
        return jnp.concatenate([state.h.real, state.h.imag], axis=-1)

    def init_shared(self, key: Key) -> dict[str, Array]:
        """w_re and w_im as two blocks of one Glorot matrix, b from U(±0.01), h_0 from U(±√(3 / 2h)): Arjovsky et al."""
        keys = jax.random.split(key, 4)
        d, h = self.input_size, self.hidden_size
        bound = (6.0 / (d + 2 * h)) ** 0.5
        w = jax.random.uniform(keys[0], (2, d, h), minval=-bound, maxval=bound)
        start = (1.5 / h) ** 0.5
        h_0 = jax.random.uniform(keys[2], (2, h), minval=-start, maxval=start)
        b = jax.random.uniform(keys[1], (h,), minval=-0.01, maxval=0.01)
        return {"w_re": w[0], "w_im": w[1], "b": b, "h_re": h_0[0], "h_im": h_0[1]}
