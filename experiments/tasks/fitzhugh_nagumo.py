"""The FitzHugh-Nagumo neuron: predict its voltage, of which spikes are rare and a slow variable is not seen."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least
from experiments.tasks.series import Series, State, Statistics, one_ahead, rk4

STEP = 0.4  # Rusch et al. (2022): 1,000 points on [0, 400]
SUBSTEPS = 2  # 1,000 points are at most 3e-4 away from those of 16 substeps
STARTS = 1024  # initial voltages of the quadrature


@dataclasses.dataclass(frozen=True)
class FitzHughNagumo(Series):
    """Predict the voltage v: v' = v - v^3/3 - w + 0.5 and w' = (v + 0.7 - 0.8 w) / 50, one number seen at each step.

    v starts uniform in [-1, 1), w at 0; steps of 0.4, each two of Runge-Kutta of order 4. The target is the voltage
    ``horizon`` steps later. w is not seen: it has to be known from the past of v.
    Source: Rusch et al. (2022), LEM, and their code: 1,000 steps, one step ahead, 128 series for training. Differs:
    fresh series; they integrate with an adaptive method of relative error 1e-3, and their evaluation reports the last
    batch alone. Their best network has a test error of 0.0024, hidden size 16.

    Baseline: all orbits are functions of the initial voltage alone. The best constant of a step costs the variance of
    v over the initial voltages at that step; the baseline is its mean over the steps, by the midpoint rule over 1,024
    initial voltages. It is not the variance over all steps, ``statistics.variance``, for the orbits of each of two
    groups, on either side of a threshold, spike together. There is no ``lag``: w forgets slowly.

    >>> round(FitzHughNagumo().baseline, 2), FitzHughNagumo().lag, round(FitzHughNagumo().statistics.copying, 4)
    (1.01, None, 0.0062)
    """

    num_steps: int = 1000
    """Length of the sequences, in steps of 0.4."""
    horizon: int = 1
    """Steps to predict ahead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_steps", self.num_steps, 1, "for FitzHugh-Nagumo")
        require_at_least("horizon", self.horizon, 1, "for FitzHugh-Nagumo")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The voltage."""
        return (1,)

    @property
    def statistics(self) -> Statistics:
        """By quadrature over the initial voltage."""
        return voltage_statistics(self.num_steps, self.horizon)

    @property
    def lag(self) -> None:
        """There is none."""
        return None

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs and targets ``[t, b, 1]``, weights ``[t, b]``."""

        def step(state: State, _: None) -> tuple[State, Array]:
            return advance(state), state[0][:, None]

        voltage = jax.random.uniform(key, (batch_size,), minval=-1.0, maxval=1.0)
        length = self.num_steps + self.horizon
        voltages = jax.lax.scan(step, (voltage, jnp.zeros_like(voltage)), None, length)[1]
        return one_ahead(voltages[: self.num_steps], voltages[self.horizon :])


def neuron(state: State) -> State:
    """The vector field."""
    v, w = state
    return v - v**3 / 3 - w + 0.5, (v + 0.7 - 0.8 * w) / 50


def advance(state: State) -> State:
    """One step of a sequence."""
    for _ in range(SUBSTEPS):
        state = rk4(neuron, state, STEP / SUBSTEPS)
    return state


@functools.cache
def voltage_statistics(num_steps: int, horizon: int) -> Statistics:
    """Over the midpoints of equal parts of [-1, 1]."""
    voltage = (2 * np.arange(STARTS) + 1) / STARTS - 1
    state, voltages = (voltage, np.zeros_like(voltage)), []
    for _ in range(num_steps + horizon):
        voltages.append(state[0])
        state = advance(state)
    inputs, targets = np.array(voltages[:num_steps]), np.array(voltages[horizon:])
    baseline = np.mean(np.var(targets, axis=1))
    return Statistics(float(baseline), float(np.var(targets)), float(np.mean((targets - inputs) ** 2)))
