"""Rules that keep the influence of a parameter on the one unit it acts on: SnAp-1 and e-prop.

A cell that declares ``local_fields`` has h units along the last axis of its state, and the parameter entry p acts
within one step on unit u(p) alone, its index along the last axis mod h. What is kept has as many rows as a unit has
real state coordinates (LSTM: h and c; a complex field counts twice), each like the parameters:

    J[r, p] = Σ_q D[r, q, u(p)] J[q, p] + ∂s[r, u(p)]/∂p          D[r, q, u] = ∂s'[r, u]/∂s[q, u]

The last term is the cotangent of ones over units: of their sum only unit u(p) depends on p. Influence is
taken with respect to parameters, not weights, because the declaration is about them.
"""

import abc
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array, Float, PyTree

from recurrent import arrays
from recurrent.cell import Noisy, Unsupported
from recurrent.online.forward import Forward, Steps, Vector
from recurrent.wrappers.cut import cut

__all__ = ["EProp", "SnAp1"]


class _Local(Forward):
    """What `SnAp1` and `EProp` share: they differ in D, and in the step that they differentiate."""

    @abc.abstractmethod
    def blocks(self, steps: Steps, state: Vector, now: Any, rows: Array) -> Float[Array, "r q u"]:
        """D of one step. ``rows`` are the state vectors with ones over units in one row, zeros elsewhere."""

    def seen(self, steps: Steps) -> Steps:
        """The steps as the rule differentiates them."""
        return steps

    def zero(self, steps: Steps) -> tuple[Array, ...]:
        """The influence before the first step: rows of zeros for the parameters that feed the state; those of the
        output alone have none.
        """
        units = self._num_units(steps)
        leaves = [
            leaf for leaf, feeds in zip(jax.tree.leaves(steps.params), _feeds(steps), strict=True) if feeds
        ]
        for leaf in leaves:
            if not leaf.ndim or leaf.shape[-1] % units:
                raise Unsupported(
                    self, steps.cell, f"parameters {list(leaf.shape)} feed a state of {units} units"
                )
        return tuple(jnp.zeros((steps.start.size // units, *leaf.shape), leaf.dtype) for leaf in leaves)

    def advance(self, steps: Steps, influence: Any, state: Vector, now: Any, key: Any) -> tuple[Any, Any]:
        """``(state, influence)`` after one step, by the recursion at the head of this module."""
        feeds, seen = _feeds(steps), self.seen(steps)
        units = self._num_units(steps)
        rows = jnp.repeat(jnp.eye(state.size // units, dtype=state.dtype), units, axis=1)
        new, pull = jax.vjp(lambda leaves: seen.advance(leaves, state, now), seen.leaves)
        own = jax.tree.leaves(jax.vmap(lambda row: seen.pull_back(*pull(row)))(rows))
        own = [leaf for leaf, kept in zip(own, feeds, strict=True) if kept]
        blocks = self.blocks(seen, state, now, rows)

        def move(old: Array, own: Array) -> Array:
            return own + jnp.einsum("rqu,q...u->r...u", _tiled(blocks, old), old)

        return new, tuple(map(move, influence, own))

    def apply(self, steps: Steps, influence: Any, signal: Vector) -> Any:
        """The rows of each parameter times the signal ∂L_t/∂s_t to its unit, summed over rows."""
        by_row = signal.reshape(-1, self._num_units(steps))
        return tuple(jnp.einsum("ru,r...u->...u", _tiled(by_row, rows), rows) for rows in influence)

    def total(self, steps: Steps, direct: Any, through: Any) -> Any:
        """The parameter gradient: what came through the state added to what acted on outputs directly."""
        leaves, structure = jax.tree.flatten(steps.pull_back(direct))
        rest = iter(through)
        added = [
            leaf + next(rest) if kept else leaf for leaf, kept in zip(leaves, _feeds(steps), strict=True)
        ]
        return jax.tree.unflatten(structure, added)

    def _num_units(self, steps: Steps) -> int:
        if steps.cell.local_fields is None:
            raise Unsupported(self, steps.cell, "it declares no local_fields; RTRL() and UORO() need none")
        shapes = [leaf.shape for leaf in jax.tree.leaves(steps.restore(steps.start))]
        sizes = {shape[-1] if shape else None for shape in shapes}
        size = sizes.pop()
        if sizes or size is None:
            raise Unsupported(self, steps.cell, f"the last axes of its state fields {shapes} are not one")
        return size


@dataclasses.dataclass(frozen=True)
class SnAp1(_Local):
    """Sparse one-step approximation: D is the unit's own part of the state Jacobian; other units are left out.

    Exact where the recurrence is diagonal over units. Memory: rows · n_params numbers a sequence, and n_state²
    within a step, because D is read from the whole state Jacobian (n_state forward passes of one step).

    Source: Menick, Elsen, Evci, Osindero, Simonyan & Graves (2021), "A practical sparse approximation for real
    time recurrent learning", with n = 1.
    """

    def blocks(self, steps: Steps, state: Vector, now: Any, rows: Array) -> Float[Array, "r q u"]:
        """D of one step: the diagonal over units of the whole state Jacobian."""
        jacobian = jax.jacfwd(lambda state: steps.advance(steps.leaves, state, now))(state)
        units = self._num_units(steps)
        return jnp.diagonal(jacobian.reshape(len(rows), units, len(rows), units), axis1=1, axis2=3)


@dataclasses.dataclass(frozen=True)
class EProp(_Local):
    """E-prop: the eligibility of a parameter goes on through the unit's ``local_fields`` alone.

    The learning signal is dL_t/dy_t through ``output``. The gradient is that of ``rec.cut(cell, other fields)``:
    all that leaves a unit and comes back is ignored; of a cell without local fields one step is left. D comes from one
    forward pass of the step for each row. Exact where every field is local.

    Source: Bellec et al. (2020), "A solution to the learning dilemma for recurrent networks of spiking neurons".
    """

    def seen(self, steps: Steps) -> Steps:
        """The steps with the gradient cut through all state fields but the local ones."""
        names = steps.restore(steps.start)._fields
        others = tuple(name for name in names if name not in (steps.cell.local_fields or ()))
        return steps._replace(cell=cut(steps.cell, others))

    def blocks(self, steps: Steps, state: Vector, now: Any, rows: Array) -> Float[Array, "r q u"]:
        """D of one step: the derivative of what a row of ones becomes, of which each unit causes its own part."""

        def column(row: Vector) -> Array:
            _, moved = jax.jvp(lambda state: steps.advance(steps.leaves, state, now), (state,), (row,))
            return moved.reshape(len(rows), -1)

        return jax.vmap(column, out_axes=1)(rows)


def _tiled(by_unit: Array, leaf: Array) -> Array:
    """``[..., u]`` repeated along the last axis to the size of ``leaf``'s: gate blocks are units once more."""
    return jnp.tile(by_unit, leaf.shape[-1] // by_unit.shape[-1])


def _feeds(steps: Steps) -> list[bool]:
    """For each leaf of the parameters, whether the state before or after a step depends on it."""
    cell = steps.cell

    def states(params: PyTree) -> Any:
        weights = cell.prepare(params)
        x = jax.tree.map(jnp.zeros, cell.input_shape, is_leaf=arrays.is_shape)
        u = cell.project(weights, Noisy(x, None) if cell.is_stochastic else x)
        initial = cell.initial_state(weights, ())
        return initial, cell.next_state(weights, initial, u)

    program = jax.make_jaxpr(states)(steps.params).jaxpr
    sources = {variable: {index} for index, variable in enumerate(program.invars)}
    for equation in program.eqns:
        read = [sources.get(atom, set()) for atom in equation.invars if not isinstance(atom, core.Literal)]
        sources |= {variable: set().union(*read) for variable in equation.outvars}
    results = [atom for atom in program.outvars if not isinstance(atom, core.Literal)]
    found = set().union(*(sources.get(atom, set()) for atom in results))
    return [index in found for index in range(len(program.invars))]
