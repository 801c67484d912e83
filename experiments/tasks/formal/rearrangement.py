"""What the tasks share whose answer has the symbols of the string in another order."""

import abc
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from experiments.tasks.base import require_at_least
from experiments.tasks.formal.base import LengthOrLengths, Transduction, uniform_answers


@dataclasses.dataclass(frozen=True)
class Rearrangement(Transduction, abc.ABC):
    """Base: a string of uniform symbols of ``num_symbols`` kinds; each answer is the symbol at a known place.

    Inputs: the symbols and the blank. Baseline: every answer is uniform, ln ``num_symbols``.
    """

    num_symbols: int = 2
    """Kinds of symbols."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_symbols", self.num_symbols, 2, f"for {type(self).__name__}")

    @property
    def num_inputs(self) -> int:
        """The symbols and the blank."""
        return self.num_symbols + 1

    @property
    def num_classes(self) -> int:
        """The symbols."""
        return self.num_symbols

    @property
    def lag(self) -> int:
        """The longest way from a symbol to its answer, or to the last of its answers."""
        length = self.max_length
        return max(
            length + place - int(self.source(place, length)) for place in range(self.num_answers(length))
        )

    @abc.abstractmethod
    def source(self, place: LengthOrLengths, length: LengthOrLengths) -> LengthOrLengths:
        """Where in a string of ``length`` symbols the answer number ``place`` stands."""

    def num_answers(self, length: LengthOrLengths) -> LengthOrLengths:
        """One for each symbol."""
        return length

    def answer_probabilities(self, length: int) -> Float[np.ndarray, "answers k"]:
        """Uniform."""
        return uniform_answers(self.num_answers(length), self.num_symbols)

    def draw(
        self, key: PRNGKeyArray, lengths: Int[Array, "b"]
    ) -> tuple[Int[Array, "n b"], Int[Array, "m b"], Bool[Array, "m b"]]:
        """Symbols and answers; all of them count."""
        symbols = jax.random.randint(key, (self.max_length, len(lengths)), 0, self.num_symbols)
        num_answers = self.num_answers(self.max_length)
        places = jnp.broadcast_to(jnp.arange(num_answers)[:, None], (num_answers, len(lengths)))
        sources = self.source(places, jnp.broadcast_to(lengths[None, :], places.shape))
        # behind the end of an answer the source may be none of the string's places
        answers = jnp.take_along_axis(symbols, jnp.clip(sources, 0, self.max_length - 1), axis=0)
        return symbols, answers, jnp.ones(answers.shape, bool)
