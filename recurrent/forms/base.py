"""The contract of linear forms: `Form`, and `Composable` for those that compose.

A form holds one map of the state for each leading index ``[t, *b]``. `Form.apply` is the map, `Form.scan` the states
along a sequence. A `Composable` form is a monoid besides: ``later.compose(earlier)`` applies ``earlier`` first,
``identity`` is a masked step, ``constant`` a reset; composition is associative, so all prefixes can be formed in
O(log T) depth.
"""

import abc

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from recurrent import arrays

__all__ = ["Composable", "Form"]


class Form(abc.ABC):
    """One linear map of the state for each leading index."""

    @abc.abstractmethod
    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of ``state``."""

    @abc.abstractmethod
    def scan(
        self,
        state: PyTree,
        mask: Bool[Array, "t *b"] | None,
        reset: Bool[Array, "t *b"] | None,
        initial: PyTree,
    ) -> PyTree:
        """The state after every step, ``[t, *b, ...]``, without a loop over steps; t is at least 1.

        Args:
            state: the state before the first step.
            mask: steps at which the map is the identity are False.
            reset: steps before which the state becomes ``initial`` are True.
            initial: the state at the start of a segment.
        """


class Composable(Form):
    """A form whose maps compose to maps of the same kind."""

    @abc.abstractmethod
    def compose(self, earlier: "Composable") -> "Composable":
        """The map that applies ``earlier``, then this one."""

    @abc.abstractmethod
    def identity(self) -> "Composable":
        """The map that changes nothing, shaped like this one."""

    @abc.abstractmethod
    def constant(self, state: PyTree) -> "Composable":
        """The map that forgets its argument and returns ``state``, shaped like this one."""

    @abc.abstractmethod
    def value(self) -> PyTree:
        """The state that a constant map returns."""

    def scan(
        self,
        state: PyTree,
        mask: Bool[Array, "t *b"] | None,
        reset: Bool[Array, "t *b"] | None,
        initial: PyTree,
    ) -> PyTree:
        """The state after every step by one associative scan of `compose`; the arguments are those of `Form.scan`."""
        forms = self if mask is None else arrays.where(mask, self, self.identity())
        if reset is not None:
            forms = arrays.where(reset, forms.compose(forms.constant(initial)), forms)
        first = jax.tree.map(lambda leaf: leaf[0], forms)
        start = first.constant(first.apply(state))
        forms = jax.tree.map(lambda leaf, new: jnp.concatenate([new[None], leaf[1:]]), forms, start)
        prefixes = jax.lax.associative_scan(lambda earlier, later: later.compose(earlier), forms)
        return prefixes.value()
