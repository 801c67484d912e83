"""The efficient unitary RNN: a unitary matrix made of rotations in pairs of coordinates.

    h' = modReLU(x W_x + D F_L ... F₁ h)         h complex, D = diag(e^iω)
    y  = [Re h', Im h']

Each F rotates disjoint pairs (i, j) of coordinates, every pair by its own angles θ and φ:

    hᵢ ← e^iφ (cos θ hᵢ - sin θ hⱼ),    hⱼ ← sin θ hᵢ + cos θ hⱼ

Tunable: F₁, F₃, ... pair (0, 1), (2, 3), ...; F₂, F₄, ... pair (1, 2), (3, 4), .... With L = h layers
every unitary matrix can be reached. FFT style: h is a power of 2 and Fₗ, l = 1 ... log₂ h, pairs the
coordinates h / 2ˡ apart, so that each coordinate meets every other in log₂ h layers.

Source: Jing et al. (2017), "Tunable efficient unitary neural networks (EUNN) and their application to RNNs", whose
phase e^iφ stands on the first row of a rotation, as here. Differs: in the authors' code it stands on the second
column, which reaches the same matrices from other angles. The product of the rotations is formed in ``prepare`` and
multiplied densely, for L small passes over h at each step are slower than one product on every device; odd h and L are
allowed. modReLU: `recurrent.cells.orthogonal`.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cells.orthogonal import UnitaryCell, UnitaryWeights
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["EUNN", "EUNNParams", "Rotation", "check_style", "num_angles", "rotate"]


class Rotation(NamedTuple):
    """One rotation for each angle; ``phase`` is e^iφ, or 1 for real vectors."""

    cos: Float[Array, "*layers n"]
    sin: Float[Array, "*layers n"]
    phase: Inexact[Array, "*layers n"]


def check_style(style: str, capacity: int, size: int) -> None:
    """ValueError unless the style of layers is known and fits ``size`` coordinates."""
    if style not in ("tunable", "fft"):
        raise ValueError(f"style: expected tunable or fft, got {style!r}")
    if style == "fft" and size & (size - 1):
        raise ValueError(f"hidden_size: the style fft needs a power of 2, got {size}")
    if not 1 <= capacity <= size:
        raise ValueError(f"capacity: expected 1 to hidden_size = {size}, got {capacity}")


def num_angles(style: str, capacity: int, size: int) -> int:
    """How many angles the layers have.

    >>> num_angles("tunable", 3, 4), num_angles("fft", 2, 8)
    (5, 12)
    """
    if style == "fft":
        return (size.bit_length() - 1) * (size // 2)
    return capacity // 2 * (size - 1) + capacity % 2 * (size // 2)


def rotate(rows: Inexact[Array, "*b h"], rotation: Rotation, style: str) -> Inexact[Array, "*b h"]:
    """Every row after the rotations F₁, ..., F_L; angles stand layer by layer, in the order of their first coordinates.

    >>> quarter = Rotation(jnp.zeros(1), jnp.ones(1), jnp.ones(1))
    >>> rotate(jnp.array([1.0, 2.0, 3.0]), quarter, "tunable").tolist()
    [-2.0, 1.0, 3.0]
    """
    return _rotate_fft(rows, rotation) if style == "fft" else _rotate_tunable(rows, rotation)


def _rotate_fft(rows: Inexact[Array, "*b h"], rotation: Rotation) -> Inexact[Array, "*b h"]:
    shape, half = rows.shape, rows.shape[-1] // 2
    for layer in range(shape[-1].bit_length() - 1):
        num_groups = 2**layer
        apart = half // num_groups
        grouped = rows.reshape(*shape[:-1], num_groups, 2, apart)
        turn = _part(rotation, layer * half, half, (num_groups, apart))
        rows = jnp.stack(_turned(grouped[..., 0, :], grouped[..., 1, :], turn), axis=-2).reshape(shape)
    return rows


def _rotate_tunable(rows: Inexact[Array, "*b h"], rotation: Rotation) -> Inexact[Array, "*b h"]:
    size = rows.shape[-1]
    even, both = size // 2, size - 1
    num_double, rest = divmod(rotation.cos.shape[-1], both)

    def double_layer(rows: Inexact[Array, "*b h"], turn: Rotation) -> tuple[Inexact[Array, "*b h"], None]:
        rows = _neighbours_turned(rows, _part(turn, 0, even, (even,)), 0)
        return _neighbours_turned(rows, _part(turn, even, both - even, (both - even,)), 1), None

    rows, _ = jax.lax.scan(double_layer, rows, _part(rotation, 0, num_double * both, (num_double, both)))
    return _neighbours_turned(rows, _part(rotation, num_double * both, rest, (rest,)), 0) if rest else rows


def _part(rotation: Rotation, first: int, size: int, shape: tuple[int, ...]) -> Rotation:
    return Rotation(*(leaf[first : first + size].reshape(shape) for leaf in rotation))


def _turned(first: Array, second: Array, turn: Rotation) -> tuple[Array, Array]:
    return turn.phase * (turn.cos * first - turn.sin * second), turn.sin * first + turn.cos * second


def _neighbours_turned(rows: Array, turn: Rotation, first: int) -> Array:
    """The rows with their pairs of coordinates (first, first + 1), (first + 2, first + 3), ... turned."""
    last = first + 2 * turn.cos.shape[-1]
    new = _turned(rows[..., first:last:2], rows[..., first + 1 : last : 2], turn)
    middle = jnp.stack(new, axis=-1).reshape(*rows.shape[:-1], last - first)
    return jnp.concatenate([rows[..., :first], middle, rows[..., last:]], axis=-1)


class EUNNParams(NamedTuple):
    """The parameters of `EUNN`; the angles stand layer by layer."""

    w_re: Float[Array, "d h"]
    w_im: Float[Array, "d h"]
    theta: Float[Array, " angles"]
    phi: Float[Array, " angles"]
    omega: Float[Array, " h"]
    b: Float[Array, " h"]


@dataclasses.dataclass(frozen=True)
class EUNN(UnitaryCell):
    """Efficient unitary RNN with 2dh + 2h parameters and two an angle; emits 2h numbers.

    Equations and source: the head of this module. ``style`` 'tunable' with ``capacity`` layers, or 'fft'. There are
    L / 2 (h - 1) angles for even L, h / 2 log₂ h in FFT style.
    Initialisation: as in the authors' code.
    Learning rate: RMSProp (decay 0.9) in the authors' code, 1e-3 for copying and 1e-4 for permuted MNIST.

    >>> cell = EUNN(input_size=2, hidden_size=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> error = weights.w_h @ weights.w_h.conj().T - jnp.eye(4)
    >>> bool(jnp.abs(error).max() < 1e-6)
    True
    """

    input_size: Size
    hidden_size: Size
    style: str = "tunable"
    capacity: Size = 2
    input_init: Spec = ("uniform", 0.01)

    recurrent_fields: ClassVar[tuple[str, ...]] = ("theta", "phi", "omega")

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        self.check_size()
        check_style(self.style, self.capacity, self.hidden_size)
        initializers.check("input_init", self.input_init)

    def init(self, key: Key) -> EUNNParams:
        """Fresh parameters: angles from U(±π), w_re and w_im as ``input_init`` says, b = 0."""
        keys = jax.random.split(key, 5)
        shape, h = (self.input_size, self.hidden_size), self.hidden_size
        n = num_angles(self.style, self.capacity, h)
        return EUNNParams(
            w_re=initializers.initialize(self.input_init, keys[0], shape),
            w_im=initializers.initialize(self.input_init, keys[1], shape),
            theta=jax.random.uniform(keys[2], (n,), minval=-math.pi, maxval=math.pi),
            phi=jax.random.uniform(keys[3], (n,), minval=-math.pi, maxval=math.pi),
            omega=jax.random.uniform(keys[4], (h,), minval=-math.pi, maxval=math.pi),
            b=jnp.zeros(h),
        )

    def prepare(self, params: EUNNParams) -> UnitaryWeights:
        """The weights that each step reads: the rotations and D applied to every unit vector, and h_0 = 0."""
        turn = Rotation(jnp.cos(params.theta), jnp.sin(params.theta), _phase(params.phi))
        phase = _phase(params.omega)
        rows = rotate(jnp.eye(self.hidden_size, dtype=phase.dtype), turn, self.style)
        return UnitaryWeights(params.w_re, params.w_im, rows * phase, params.b, jnp.zeros_like(phase))


def _phase(angle: Float[Array, " n"]) -> Inexact[Array, " n"]:
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))
