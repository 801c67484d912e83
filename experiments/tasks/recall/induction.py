"""Induction: find where the present symbol stood before, and say what followed it."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from experiments.tasks.base import Batch, require_at_least, require_known
from experiments.tasks.recall.tokens import TokenTask, put, require_even

Draw = tuple[Int[Array, "t b"], Int[Array, "t b"]]
"""Tokens and targets."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One definition: its shortest ``num_steps``, extra kinds of tokens, draw, steps asked, and lag.

    ``draw(key, num_steps, num_symbols, batch_size)`` gives tokens and targets; ``asked`` and ``lag`` are functions
    of ``num_steps``.
    """

    minimum: int
    special: int
    draw: Callable[[PRNGKeyArray, int, int, int], Draw]
    asked: Callable[[int], range]
    lag: Callable[[int], int]


@dataclasses.dataclass(frozen=True)
class Induction(TokenTask):
    """Say which symbol followed the present one when it was last read. S = ``num_symbols`` kinds, T = ``num_steps``.

    ``canonical``: symbols uniform and independent; a trigger, a token of its own, at step p uniform in [0, T - 3] and
    at the last step T - 1. Asked at the last step: the symbol at step p + 1. One-hot over the symbols 0..S - 1 and
    the trigger S. Source: Gu & Dao (2023), section 4.1.2 and appendix E.1, after Dao et al. (2023), where T is 256
    in training and 64 to 1,048,576 in the test (``at_length``), with a vocabulary of 16. Differs: whether their 16
    kinds include the trigger is not said; here they do not. In the code of Dao et al. the network also learns to
    predict the random symbols, and p ends one step earlier.

    ``repeated``: H = T / 2 symbols, uniform and independent, are read twice; T is even. Asked at the steps H..T - 2:
    the symbol that comes next. Source: Olsson et al. (2022), who test
    heads of language models on repeated random tokens. Differs: a small alphabet, in which a symbol occurs several
    times, so that the answer depends on the length H too. A memory of H - 1 steps does as well as a comparison with
    the past; the same network at another length tells them apart.

    Baseline: the answers are uniform over the symbols: ln S. The lag, from reading the answer to giving it:
    T - 2 for ``canonical``, where the earliest is read at step 1; H - 1 for ``repeated``, for each answer.
    Solved: an accuracy of 0.99 or more; the papers name no rule.

    Example, ``canonical`` with T = 7 and S = 4, ``m`` the trigger and ``.`` nothing asked:
    read ``2 m 3 0 0 1 m``, answer ``. . . . . . 3``.

    >>> round(Induction().baseline, 4), Induction().lag, Induction(variant="repeated").lag
    (2.7726, 254, 127)
    """

    num_steps: int = 256
    """Length T of the sequences, in steps."""
    variant: Literal["canonical", "repeated"] = "canonical"
    """Definition of the task."""
    num_symbols: int = 16
    """Kinds of symbols S."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("variant", self.variant, VARIANTS)
        require_at_least("num_symbols", self.num_symbols, 2, "for induction")
        require_at_least(
            "num_steps", self.num_steps, self._variant.minimum, f"for induction ({self.variant})"
        )
        if self.variant == "repeated":
            require_even("num_steps", self.num_steps, "for induction (repeated)")

    @property
    def _variant(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def vocabulary(self) -> int:
        """The symbols, and the trigger where there is one."""
        return self.num_symbols + self._variant.special

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of the symbols."""
        return (self.num_symbols,)

    @property
    def baseline(self) -> float:
        """The cross-entropy of the uniform answer."""
        return math.log(self.num_symbols)

    @property
    def lag(self) -> int:
        """From the step at which the answer is read to the step that asks for it, at the longest."""
        return self._variant.lag(self.num_steps)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, vocabulary]``, targets and weights ``[t, b]``."""
        tokens, targets = self._variant.draw(key, self.num_steps, self.num_symbols, batch_size)
        asked = self._variant.asked(self.num_steps)
        weights = jnp.zeros(tokens.shape, jnp.float32).at[asked.start : asked.stop].set(1.0)
        return Batch(self.read(tokens), targets, weights)


def _draw_canonical(key: PRNGKeyArray, num_steps: int, num_symbols: int, batch_size: int) -> Draw:
    key_symbols, key_place = jax.random.split(key)
    symbols = jax.random.randint(key_symbols, (num_steps, batch_size), 0, num_symbols)
    place = jax.random.randint(key_place, (1, batch_size), 0, num_steps - 2)
    trigger = jnp.full((1, batch_size), num_symbols, symbols.dtype)
    answer = jnp.take_along_axis(symbols, place + 1, axis=0)
    tokens = put(symbols, place, trigger).at[-1].set(num_symbols)
    return tokens, jnp.zeros_like(tokens).at[-1].set(answer[0])


def _draw_repeated(key: PRNGKeyArray, num_steps: int, num_symbols: int, batch_size: int) -> Draw:
    once = jax.random.randint(key, (num_steps // 2, batch_size), 0, num_symbols)
    following = jnp.roll(once, -1, axis=0)
    return jnp.concatenate([once, once]), jnp.concatenate([jnp.zeros_like(once), following])


VARIANTS = {
    "canonical": Variant(
        minimum=3,
        special=1,
        draw=_draw_canonical,
        asked=lambda num_steps: range(num_steps - 1, num_steps),
        lag=lambda num_steps: num_steps - 2,
    ),
    "repeated": Variant(
        minimum=4,
        special=0,
        draw=_draw_repeated,
        asked=lambda num_steps: range(num_steps // 2, num_steps - 1),
        lag=lambda num_steps: num_steps // 2 - 1,
    ),
}
