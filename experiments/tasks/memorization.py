"""Noiseless memorization: keep a pattern of 5 or of more than 20 bits over a blank delay, and repeat it."""

import dataclasses
from typing import ClassVar, Literal

from jaxtyping import Array, Float, PRNGKeyArray

from experiments.tasks import criteria
from experiments.tasks.base import Batch, Criterion, Generated, Total, require_at_least, require_known
from experiments.tasks.copying import Copying

PATTERNS = {"5_bit": (2, 5), "20_bit": (5, 10)}
"""Kinds of symbols and the length of the pattern: 2^5 = 32 patterns, and 5^10, which is 23.2 bits."""


@dataclasses.dataclass(frozen=True)
class Memorization(Generated):
    """Repeat a pattern of K symbols of S kinds, D = ``delay`` + K steps after each of them.

    ``5_bit``: K = 5, S = 2. ``20_bit``: K = 10, S = 5. A sequence has ``delay`` + 2K steps: the pattern, ``delay``
    blanks, the marker, K - 1 blanks. The answer starts at the marker's step; before it the target is blank. The loss,
    a cross-entropy, counts all steps. These are the sequences of `Copying` with the variant ``on_marker``; the order of
    the channels differs from the published code. Source: Pascanu, Mikolov & Bengio (2013), their code.

    Baseline: the blanks are certain and the pattern uniform, K ln S / (``delay`` + 2K). Solved: fewer than 1 % of the
    sequences with a wrong answer at any step, blank ones included. Differs: read on ``num_evaluation`` sequences, not
    on 10,000.

    ``5_bit`` with ``delay`` 3, a and b the symbols, . blank, ! the marker: abbab...!.... goes in, ........abbab is
    expected.

    >>> round(Memorization(delay=100).baseline, 4), Memorization(delay=100).lag
    (0.0315, 105)
    >>> round(Memorization(delay=100, pattern="20_bit").baseline, 4)
    0.1341
    """

    length_field: ClassVar[str] = "delay"

    delay: int = 50
    """Steps T between the pattern and its repetition; printed: 50, 100, 150, 200."""
    pattern: Literal["5_bit", "20_bit"] = "5_bit"
    """How much is to be kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known("pattern", self.pattern, PATTERNS)
        require_at_least("delay", self.delay, 1, "for memorization")

    @property
    def _copying(self) -> Copying:
        return Copying(self.delay, "on_marker", *PATTERNS[self.pattern])

    @property
    def num_steps(self) -> int:
        """The length of every sequence."""
        return self._copying.num_steps

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Blank, symbols and marker, one-hot."""
        return self._copying.input_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Logits of blank and symbols."""
        return self._copying.output_shape

    @property
    def baseline(self) -> float:
        """The cross-entropy of blank everywhere, then uniform over the symbols."""
        return self._copying.baseline

    @property
    def lag(self) -> int:
        """From reading a symbol to repeating it, the same for each: ``delay`` + K."""
        return self._copying.lag

    @property
    def criterion(self) -> Criterion:
        """Fewer than 1 % of the sequences with an error."""
        return criteria.WrongSequencesBelow(0.01)

    def sample(self, key: PRNGKeyArray, batch_size: int) -> Batch:
        """Inputs ``[t, b, S + 2]``, targets and weights ``[t, b]``."""
        return self._copying.sample(key, batch_size)

    def loss(self, outputs: Float[Array, "t b k"], batch: Batch) -> Total:
        """Cross-entropy over all steps."""
        return self._copying.loss(outputs, batch)

    def metrics(self, outputs: Float[Array, "t b k"], batch: Batch) -> dict[str, Total]:
        """Cross-entropy, accuracy over the repeated pattern, and the fraction of sequences with an error."""
        return {
            **self._copying.metrics(outputs, batch),
            "wrong_sequences": criteria.wrong_sequences(outputs, batch),
        }
