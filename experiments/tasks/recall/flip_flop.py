"""The flip-flop language: a bit is written, bits to be ignored pass by, and the bit is read again."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, require_at_least, require_known
from experiments.tasks.recall.tokens import TokenTask, require_even

WRITE, READ, IGNORE, ZERO = 0, 1, 2, 3  # and ONE = 4: the order w, r, i, 0, 1 of the inputs


@dataclasses.dataclass(frozen=True)
class FlipFlop(TokenTask):
    """After each instruction to read, say the bit that was written last. T = ``num_steps``.

    T / 2 pairs of an instruction and a bit, so T is even. The first instruction is w (write), the last r (read), the
    others i (ignore) with probability p, w and r with (1 - p) / 2 each, independently. The bits after w and i are
    uniform, the bit after r is the one that was written last. One-hot over w, r, i, 0, 1. Asked at the steps that
    read r: the bit that comes next, as class 0 or 1.

    ``canonical``: p = 0.8, for training and for the test. ``sparse``: p = 0.98, where a bit is kept for long.
    ``dense``: p = 0.1, where it changes often. Networks are trained on the first and tested on all three:
    ``dataclasses.replace(task, variant="sparse")``. Source: Liu et al. (2023), flip-flop language modeling, FFL(p),
    where T is 512. This is what they call the clean mode: other tokens are not predicted. Differs: two answers, for
    the network is never asked for an instruction.

    Baseline: the bit is uniform at every step: ln 2. The lag is T - 3, from the bit at step 1 to the last r, where
    all between is ignored; as the answers are read too, a bit has to be kept from the last w or r alone.
    Solved: no error in the split, since the paper asks whether a network ever errs.

    Example, T = 10, ``.`` nothing asked: read ``w 1 i 0 r 1 i 0 r 1``, answer ``. . . . 1 . . . 1 .``.

    >>> round(FlipFlop().baseline, 4), FlipFlop().lag
    (0.6931, 509)
    """

    num_steps: int = 512
    """Length T of the sequences, instructions and bits, in steps; even."""
    variant: Literal["canonical", "sparse", "dense"] = "canonical"
    """How often a bit is to be ignored: 80, 98 or 10 % of the instructions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, IGNORED)
        require_at_least("num_steps", self.num_steps, 4, "for the flip-flop language")
        require_even("num_steps", self.num_steps, "for the flip-flop language")

    @property
    def vocabulary(self) -> int:
        """Three instructions and two bits."""
        return ZERO + 2

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the bits 0 and 1."""
        return (2,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of a coin."""
        return math.log(2)

    @property
    def lag(self) -> int:
        """From the first bit to the last instruction to read."""
        return self.num_steps - 3

    @property
    def criterion(self) -> Criterion:
        """Every answer right."""
        return criteria.AccuracyAtLeast(1.0)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, 5]``, targets and weights ``[t, b]``."""
        key_instructions, key_bits = jax.random.split(key)
        num_pairs, ignored = self.num_steps // 2, IGNORED[self.variant]
        u = jax.random.uniform(key_instructions, (num_pairs, batch_size))
        instructions = jnp.where(u < ignored, IGNORE, jnp.where(u < (1 + ignored) / 2, WRITE, READ))
        instructions = instructions.at[0].set(WRITE).at[-1].set(READ)
        bits = jax.random.bernoulli(key_bits, shape=(num_pairs, batch_size)).astype(jnp.int32)
        written = jnp.where(instructions == WRITE, jnp.arange(num_pairs)[:, None], 0)
        kept = jnp.take_along_axis(bits, jax.lax.cummax(written, axis=0), axis=0)
        reads = instructions == READ
        bits = jnp.where(reads, kept, bits)
        tokens = jnp.stack([instructions, ZERO + bits], axis=1).reshape(self.num_steps, batch_size)
        targets = jnp.zeros_like(tokens).at[::2].set(jnp.where(reads, bits, 0))
        weights = jnp.zeros(tokens.shape, jnp.float32).at[::2].set(reads.astype(jnp.float32))
        return Batch(self.read(tokens), targets, weights)


IGNORED = {"canonical": 0.8, "sparse": 0.98, "dense": 0.1}
"""The probability p that an instruction is to ignore its bit, by the variant's name."""
