"""The two-sequence problem: the first few numbers tell the class, all later ones on the same line are noise."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.error_criteria import FewErrors, largest_errors
from experiments.tasks.output_units import UNITS

NOISE_STD = math.sqrt(0.2)  # of what follows the first elements; the paper gives the variance


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition. ``targets``: of class 1 and class 2; ``first_std`` and ``target_std``: noise on what counts.

    ``error``: from which |e| on a sequence is wrong. ``rules``: how many wrong sequences of the validation split are
    too many, and the bound on the mean |e|, by the name of the rule.
    """

    targets: tuple[float, float]
    first_std: float
    target_std: float
    error: float
    rules: Mapping[str, tuple[int, float]]


@dataclasses.dataclass(frozen=True)
class TwoSequence(Generated):
    """Say at the last step to which of two classes, equally likely, the first N = ``num_informative`` numbers belong.

    ``canonical``: T = ``num_steps``; length L uniform in [T, T + T//10]; one number a step. The first N are 1 for
    class 1 and -1 for class 2, the others Gaussian of mean 0 and variance 0.2; target 1 for class 1, 0 for class 2.
    A sequence is right where |e| < 0.2. Baseline 1/4, the variance of the target. Rule ST1: none of the validation
    sequences is wrong; ST2: nor is their mean |e| 0.01 or more. Experiment 3a.

    ``noisy_inputs``: the same noise is added to the first N. ST1: fewer than 6 of the validation sequences are wrong;
    ST2: and their mean |e| is below 0.04. The class can then only be guessed: with s the sum of the first N, class 1
    has the probability 1/(1 + exp(-2s/0.2)). Experiment 3b.

    ``noisy_targets``: inputs as in ``canonical``; target 0.2 for class 1 and 0.8 for class 2, plus Gaussian noise of
    mean 0 and variance 0.1. The loss is taken from the noisy target, |e| from the one without noise; a sequence is
    right where |e| < 0.1. Baseline 0.09 + 0.1 = 0.19, of which 0.1 is noise that nobody can predict. The one rule,
    ST2: none of the validation sequences is wrong, and their mean |e| is below 0.015. Experiment 3c.

    Source: Hochreiter & Schmidhuber (1997), experiment 3, after Bengio, Simard & Frasconi (1994), who also have
    shorter sequences. The validation split has the paper's 256 sequences. The padding on the right is 0 and not in
    ``mask``. ``info`` holds the targets without noise. Differs: the paper draws a test set, and does not say whether
    anew; here it is the same at every evaluation. Its loss has a factor 1/2.

    A sequence of ``canonical`` with N = 3: 1, 1, 1, 0.31, -0.08, ..., 0.52; the target is 1.

    >>> [TwoSequence(variant=name).baseline for name in ("canonical", "noisy_inputs")], TwoSequence().lag
    ([0.25, 0.25], 107)
    >>> round(TwoSequence(variant="noisy_targets").baseline, 6), TwoSequence(100, variant="noisy_inputs").lag
    (0.19, 109)
    """

    num_steps: int = 100
    """Length T of the shortest sequences, in steps."""
    num_informative: int = 3
    """First elements N that tell the class; printed: 3 and 1."""
    variant: Literal["canonical", "noisy_inputs", "noisy_targets"] = "canonical"
    """Definition of the task: experiment 3a, 3b or 3c."""
    rule: Literal["ST1", "ST2"] = "ST2"
    """When the task is solved; noisy_targets has ST2 alone."""
    output_unit: Literal["logistic", "linear"] = "logistic"
    """What the output unit computes; printed: logistic."""
    num_evaluation: int = dataclasses.field(default=256, kw_only=True)
    """Sequences in the validation split, and in the test split; printed: 256, and 2,560 at the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_known("rule", self.rule, self._variant.rules)
        require_known("output_unit", self.output_unit, ("logistic", "linear"))
        require_at_least("num_informative", self.num_informative, 1)
        require_at_least(
            "num_steps", self.num_steps, self.num_informative + 1, "(num_informative and one more)"
        )

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def longest(self) -> int:
        """The length of the longest sequences."""
        return self.num_steps + self.num_steps // 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number."""
        return (1,)

    @property
    def baseline(self) -> float:
        """The mean squared error of the best constant: half the distance of the targets squared, and their noise."""
        first, second = self._variant.targets
        return ((first - second) / 2) ** 2 + self._variant.target_std**2

    @property
    def lag(self) -> int:
        """To the last step of the longest sequence, from the nearest element that is needed.

        That is the last of the first N, which is as good as the others; where they are noisy each adds to what is
        known, and it is the first.
        """
        nearest = 0 if self._variant.first_std else self.num_informative - 1
        return self.longest - 1 - nearest

    @property
    def criterion(self) -> Criterion:
        """The rule of the variant."""
        num_wrong, mean_error = self._variant.rules[self.rule]
        return FewErrors(self._variant.error, num_wrong, mean_error, self.output_unit)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 1]``, targets and ``info`` ``[b, 1]``, weights ``[b]``."""
        variant = self._variant
        key_length, key_class, key_noise, key_target = jax.random.split(key, 4)
        lengths = jax.random.randint(key_length, (batch_size,), self.num_steps, self.longest + 1)
        is_first = jax.random.bernoulli(key_class, shape=(batch_size,))
        steps = jnp.arange(self.longest)[:, None]
        informative = steps < self.num_informative
        noise = jax.random.normal(key_noise, (self.longest, batch_size), jnp.float32)
        signal = jnp.where(informative, jnp.where(is_first, 1.0, -1.0)[None], 0.0)
        values = signal + jnp.where(informative, variant.first_std, NOISE_STD) * noise
        mask = steps < lengths[None, :]
        expected = jnp.where(is_first, *variant.targets)[:, None]
        targets = expected + variant.target_std * jax.random.normal(key_target, (batch_size, 1), jnp.float32)
        inputs = jnp.where(mask, values, 0.0)[..., None]
        return Batch(inputs, targets, jnp.ones(batch_size, jnp.float32), mask, info=expected)

    def loss(self, outputs: Float[Array, "b 1"], batch: Batch) -> Total:
        """Squared error."""
        return UNITS[self.output_unit].loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "b 1"], batch: Batch) -> dict[str, Total]:
        """Squared error, and from the target without noise the absolute error and the fraction of right answers."""
        errors = largest_errors(UNITS[self.output_unit], outputs, batch._replace(targets=batch.info))
        count = jnp.sum(batch.weights)
        return {
            "mse": self.loss(outputs, batch),
            "mae": (jnp.sum(errors * batch.weights), count),
            "fraction_correct": (jnp.sum((errors < self._variant.error) * batch.weights), count),
        }


VARIANTS = {
    "canonical": Variant((1.0, 0.0), 0.0, 0.0, 0.2, {"ST1": (1, math.inf), "ST2": (1, 0.01)}),
    "noisy_inputs": Variant((1.0, 0.0), NOISE_STD, 0.0, 0.2, {"ST1": (6, math.inf), "ST2": (6, 0.04)}),
    "noisy_targets": Variant((0.2, 0.8), 0.0, math.sqrt(0.1), 0.1, {"ST2": (1, 0.015)}),
}
