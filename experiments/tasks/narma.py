"""NARMA: give the output of a nonlinear system of order 10 or 30 from its random input."""

import dataclasses
import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least, require_known
from experiments.tasks.series import Series, Statistics


@dataclasses.dataclass(frozen=True)
class System:
    """One system: its order n, the factors of y, of y times the sum, of the product of inputs, and the constant.

    ``bound`` is between the outputs that occur and the unstable point beyond which they grow without end.
    """

    order: int
    linear: float
    quadratic: float
    product: float
    constant: float
    bound: float

    def after(self, y: Any, total: Any, oldest: Any, newest: Any) -> Any:
        """The next output, from the last, the sum of the last n, and two inputs, n - 1 steps apart."""
        return self.linear * y + self.quadratic * y * total + self.product * oldest * newest + self.constant


@dataclasses.dataclass(frozen=True)
class Narma(Series):
    """Give y(t + 1) from the inputs u(0), ..., u(t). Inputs are uniform in [0, 0.5), independent, one a step.

    ``canonical``, order 10: y(t + 1) = 0.3 y(t) + 0.05 y(t) sum_{i=0}^{9} y(t - i) + 1.5 u(t - 9) u(t) + 0.1.
    Source: Atiya & Parlos (2000). ``order_30``: y(t + 1) = 0.2 y(t) + 0.04 y(t) sum_{i=0}^{29} y(t - i)
    + 1.5 u(t - 29) u(t) + 0.001. Source: Schrauwen et al. (2008), as in the code of their group; a factor of 0.004 for
    0.04 is also found in print, and makes the sum matter little.

    Inputs and outputs before step 0 are 0, so that all that is asked is a function of what was read. The first 5n steps
    do not count, in which the system forgets this. Differs: y is at most 1 (``order_30``: 0.6). Without this bound the
    output grows without end in about 0.4 % of the sequences of 1,000 steps at order 10, and in 0.04 % at order 30;
    published code draws such sequences anew, or does not notice.

    Baseline: the variance of y, from 4,096 sequences of 1,000 steps after the first 5n. The lag is n - 1, from the
    older of the two inputs to the newer; the sums reach farther and matter less.

    Example, order 10: y(1) = 0.1, y(2) = 0.3 * 0.1 + 0.05 * 0.1 * 0.1 + 0.1 = 0.1305, whatever is read.

    >>> round(Narma().baseline, 4), Narma().lag, round(Narma(variant="order_30").baseline, 4)
    (0.0119, 9, 0.0086)
    """

    num_steps: int = 400
    """Length of the sequences, in steps; the first five times the order do not count."""
    variant: Literal["canonical", "order_30"] = "canonical"
    """The system."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, SYSTEMS)
        require_at_least("num_steps", self.num_steps, self.washout + 1, f"for NARMA ({self.variant})")

    @property
    def _system(self) -> System:
        return SYSTEMS[self.variant]

    @property
    def washout(self) -> int:
        """Steps that do not count."""
        return 5 * self._system.order

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The input of the system."""
        return (1,)

    @property
    def statistics(self) -> Statistics:
        """From long sequences."""
        return long_sequences(self.variant)

    @property
    def lag(self) -> int:
        """From the older input of the product to the newer."""
        return self._system.order - 1

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs and targets ``[t, b, 1]``, weights ``[t, b]``."""
        system, inputs = self._system, jax.random.uniform(key, (self.num_steps, batch_size), maxval=0.5)
        before = jnp.zeros((system.order - 1, batch_size))
        oldest = jnp.concatenate([before, inputs])[: self.num_steps]

        def step(outputs: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
            y = jnp.minimum(system.after(outputs[-1], jnp.sum(outputs, axis=0), *pair), system.bound)
            return jnp.concatenate([outputs[1:], y[None]]), y

        targets = jax.lax.scan(step, jnp.zeros((system.order, batch_size)), (oldest, inputs))[1]
        weights = jnp.ones(inputs.shape, jnp.float32).at[: self.washout].set(0.0)
        return Batch(inputs[..., None], targets[..., None], weights)


@functools.cache
def long_sequences(variant: str) -> Statistics:
    """Sums over 4,096 sequences; copying the input is no answer to a question about the output."""
    system, rng = SYSTEMS[variant], np.random.default_rng(0)
    inputs, outputs = [np.zeros(4096)] * system.order, [np.zeros(4096)] * system.order
    for _ in range(5 * system.order + 1000):
        inputs = [*inputs[1:], rng.uniform(0.0, 0.5, 4096)]
        total = np.sum(outputs[-system.order :], axis=0)
        outputs.append(np.minimum(system.after(outputs[-1], total, inputs[0], inputs[-1]), system.bound))
    variance = float(np.var(outputs[-1000:]))
    return Statistics(variance, variance, math.inf)


SYSTEMS = {
    "canonical": System(order=10, linear=0.3, quadratic=0.05, product=1.5, constant=0.1, bound=1.0),
    "order_30": System(order=30, linear=0.2, quadratic=0.04, product=1.5, constant=0.001, bound=0.6),
}
