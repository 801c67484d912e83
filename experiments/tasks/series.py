"""Time series as tasks: predict a dynamical system some steps ahead. What they share, and two flows.

A baseline of a chaotic series has no closed form. It is an exact property of the series, computed by NumPy from long
orbits that are the same every time, once in a process, when something first asks for it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from recurrent import arrays, losses

State = tuple[Any, ...]
"""The coordinates of a system, arrays of NumPy or JAX."""

SOLVED = 0.1  # of the root error of the better of two trivial answers


class Statistics(NamedTuple):
    """Mean squared errors of trivial answers, over steps and outputs; and the variance of all targets.

    ``baseline``: the best constant for each step. ``copying``: the input as the answer; infinite where it is another
    quantity.
    """

    baseline: float
    variance: float
    copying: float


@dataclasses.dataclass(frozen=True)
class Series(Generated):
    """Base of the time series: a subclass gives ``statistics``, the shapes, ``lag`` and ``sample``.

    The loss is the squared error, its mean over the outputs. ``nrmse`` is the root mean squared error of a sequence
    over the standard deviation of the series, its mean over the sequences; publications take the root over all
    sequences at once, which is never smaller. Solved: the mean squared error is below 1 % of that of the better of two
    trivial answers, the mean of the series and the input itself, a tenth of its root. The publications name no rule.
    """

    @property
    def statistics(self) -> Statistics:
        """What trivial answers cost."""
        raise TypeError(f"{type(self).__name__} has to define statistics")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def baseline(self) -> float:
        """The mean squared error of the best constant for each step."""
        return self.statistics.baseline

    @property
    def criterion(self) -> Criterion:
        """A hundredth of the mean squared error of the better trivial answer; summed over the outputs, as it counts."""
        trivial = min(self.statistics.baseline, self.statistics.copying)
        return criteria.SquaredErrorBelow(SOLVED**2 * trivial * self.output_shape[0])

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Squared error, the mean over the outputs."""
        total, count = losses.squared_error(outputs, batch.targets, batch.weights)
        return total / self.output_shape[0], count

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Mean squared error, and the normalised root mean squared error of the sequences."""
        kept = batch.weights != 0
        error = arrays.where(kept, outputs, 0.0) - arrays.where(kept, batch.targets, 0.0)
        steps = jnp.sum(batch.weights, axis=0)
        squares = jnp.sum(jnp.mean(error**2, axis=-1) * batch.weights, axis=0) / jnp.maximum(steps, 1.0)
        nrmse = jnp.sum(jnp.sqrt(squares / self.statistics.variance))
        return {"mse": self.loss(outputs, batch), "nrmse": (nrmse, jnp.sum(steps > 0).astype(nrmse.dtype))}


def rk4(field: Callable[[State], State], state: State, step: float) -> State:
    """One step of the classical Runge-Kutta method of order 4.

    >>> round(rk4(lambda state: (state[0],), (1.0,), 0.1)[0], 6)
    1.105171
    """

    def moved(slopes: State, by: float) -> State:
        return tuple(x + by * dx for x, dx in zip(state, slopes, strict=True))

    k1 = field(state)
    k2 = field(moved(k1, step / 2))
    k3 = field(moved(k2, step / 2))
    k4 = field(moved(k3, step))
    mean = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
    return moved(mean, step)


def windows(
    values: Float[Array, "t b k"], starts: Int[Array, "b"], num_steps: int
) -> Float[Array, "num_steps b k"]:
    """``num_steps`` of each sequence from its own start on."""
    steps = jnp.arange(num_steps)[:, None, None] + starts[None, :, None]
    return jnp.take_along_axis(values, steps, axis=0)


def one_ahead(inputs: Float[Array, "t b k"], targets: Float[Array, "t b k"]) -> Batch:
    """A batch in which every step counts."""
    return Batch(inputs, targets, jnp.ones(inputs.shape[:2], jnp.float32))


LORENZ_STEP = 0.02  # time between two steps of a sequence, and of the integration
LORENZ_WASHOUT = 500  # steps until the orbits are on the attractor
LORENZ_SHIFT = 250  # about seven turns: a random share of them takes away the common phase of the orbits
COORDINATES = {"canonical": (0, 1, 2), "first_coordinate": (0,)}
"""What is seen of the Lorenz system and predicted, by the variant's name."""


@dataclasses.dataclass(frozen=True)
class Lorenz(Series):
    """Predict the Lorenz system ``horizon`` steps of 0.02 ahead: x' = 10 (y - x), y' = x (28 - z) - y, z' = xy - 8z/3.

    ``canonical``: all three coordinates are seen and predicted. ``first_coordinate``: x alone, so that the network has
    to remember enough to know the rest. Each coordinate has its mean taken away and is divided by its standard
    deviation on the attractor. A horizon of 1 is one-step prediction; 55 steps are about one Lyapunov time.

    Orbits start at random near the origin, x and y uniform in [-2, 2], z in [5, 25], and are seen from a random step
    in [500, 750) on, so that no step has a phase of its own. Runge-Kutta of order 4 in steps of 0.02.
    Source: Lorenz (1963); as a benchmark of recurrent networks for instance Pathak et al. (2018). They all differ in
    step, length and scale: these are this module's own.

    Baseline: the variance of a coordinate, 1 by its scale, for the orbits are stationary. ``statistics.copying`` is the
    error of the input as the answer. There is no ``lag``: for ``canonical`` the answer is a function of the present
    input; ``first_coordinate`` has no fixed span.

    >>> Lorenz().baseline, Lorenz().lag, Lorenz().input_shape, round(Lorenz().statistics.copying, 3)
    (1.0, None, (3,), 0.022)
    """

    num_steps: int = 200
    """Length of the sequences, in steps of 0.02."""
    variant: Literal["canonical", "first_coordinate"] = "canonical"
    """What is seen and predicted."""
    horizon: int = 1
    """Steps to predict ahead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, COORDINATES)
        require_at_least("num_steps", self.num_steps, 1, "for Lorenz")
        require_at_least("horizon", self.horizon, 1, "for Lorenz")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The coordinates that are seen."""
        return (len(COORDINATES[self.variant]),)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The same, later."""
        return self.input_shape

    @property
    def statistics(self) -> Statistics:
        """Of the standardised coordinates that are seen."""
        copying = lorenz_moments(self.horizon).copying
        return Statistics(1.0, 1.0, float(np.mean([copying[i] for i in COORDINATES[self.variant]])))

    @property
    def lag(self) -> None:
        """There is none."""
        return None

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs and targets ``[t, b, k]``, weights ``[t, b]``."""
        key_state, key_start = jax.random.split(key)
        u = jax.random.uniform(key_state, (3, batch_size))
        length = self.num_steps + self.horizon

        def step(state: State, _: None) -> tuple[State, Array]:
            return rk4(lorenz, state, LORENZ_STEP), jnp.stack(state, axis=-1)

        state = (4 * u[0] - 2, 4 * u[1] - 2, 20 * u[2] + 5)
        states = jax.lax.scan(step, state, None, LORENZ_WASHOUT + LORENZ_SHIFT + length)[1]
        starts = LORENZ_WASHOUT + jax.random.randint(key_start, (batch_size,), 0, LORENZ_SHIFT)
        moments, seen = lorenz_moments(self.horizon), list(COORDINATES[self.variant])
        scale = [jnp.array([values[i] for i in seen], jnp.float32)[None, None] for values in moments[:2]]
        values = (windows(states, starts, length)[..., jnp.array(seen)] - scale[0]) / scale[1]
        return one_ahead(values[: self.num_steps], values[self.horizon :])


class LorenzMoments(NamedTuple):
    """Means and standard deviations of the coordinates; squared change over the horizon in units of the variance."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    copying: tuple[float, ...]


def lorenz(state: State) -> State:
    """The vector field."""
    x, y, z = state
    return 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z


@functools.cache
def lorenz_moments(horizon: int) -> LorenzMoments:
    """Over 1,024 orbits of 3,000 steps on the attractor; x and y have mean 0 by symmetry."""
    rng = np.random.default_rng(0)
    state: State = (rng.uniform(-2, 2, 1024), rng.uniform(-2, 2, 1024), rng.uniform(5, 25, 1024))
    past, sums, squares, changes = [], np.zeros(3), np.zeros(3), np.zeros(3)
    for number in range(2 * LORENZ_WASHOUT + 3000 + horizon):
        past.append(np.stack(state))
        if number >= 2 * LORENZ_WASHOUT + horizon:
            sums += past[-1].mean(axis=1)
            squares += np.mean(past[-1] ** 2, axis=1)
            changes += np.mean((past[-1] - past[0]) ** 2, axis=1)
        past = past[-horizon:]
        state = rk4(lorenz, state, LORENZ_STEP)
    mean = np.array([0.0, 0.0, sums[2] / 3000])
    variance = squares / 3000 - mean**2
    return LorenzMoments(
        *(tuple(row.tolist()) for row in (mean, np.sqrt(variance), changes / 3000 / variance))
    )
