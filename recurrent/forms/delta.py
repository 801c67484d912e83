"""The linear form of the delta rule: each step replaces what a matrix memory holds under one key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from recurrent import arrays
from recurrent.forms.base import Form
from recurrent.forms.dense import Dense

__all__ = ["Delta"]

# Steps solved together. A block costs block² k + block (k + v) a step beside the k v of the step itself, and halves the
# number of k x k products to be scanned.
BLOCK = 16


class _DeltaFields(NamedTuple):
    log_a: Float[Array, "*b"]
    k: Float[Array, "*b k"]
    beta: Float[Array, "*b"]
    v: Float[Array, "*b v"]


class _Block(NamedTuple):
    """What the steps of each block make of the state before it, ``[blocks, *b, ...]`` with the steps c next to last.

    The write of step c is ``own[c] - S shared[c]``, S the state before the block; the state after it is ``kept[c]`` S,
    or the state that its segment started from, plus the writes decayed by ``decay[c, :]``.
    """

    own: Array
    shared: Array
    kept: Array
    restarted: Array
    decay: Array
    k: Array


class Delta(_DeltaFields, Form):
    """S' = a S (1 - β k kᵀ) + β v kᵀ, a = e^log_a, for a state of one leaf S ``[*b, v, k]``.

    Along a block of steps S_t = a_t S_{t-1} + u_t k_tᵀ with writes u_t = β_t (v_t - a_t S_{t-1} k_t). The writes solve
    a unit lower triangular system, (1 + L) U = β (V - decayed S K), L[t, s] = β_t (a_{s+1} .. a_t) k_s·k_t for s < t
    of one segment; so a block is one map S -> S A + B, and the blocks are scanned. ``log_a`` <= 0; the steps contract
    for unit keys and β in [0, 2].
    Source: the WY form of Bischof & Van Loan (1987), for networks Yang et al. (2024), "Parallelizing linear
    transformers with the delta rule over sequence length"; with gates Yang, Kautz & Hatamizadeh (2024).

    >>> write = Delta(jnp.array(0.0), jnp.array([1.0, 0.0]), jnp.array(1.0), jnp.array([3.0]))
    >>> write.apply(jnp.array([[8.0, 9.0]])).tolist()
    [[3.0, 9.0]]
    """

    __slots__ = ()

    def apply(self, state: PyTree) -> PyTree:
        """The state that the map makes of S."""

        def move(s: Array) -> Array:
            a = jnp.exp(self.log_a)
            write = self.beta[..., None] * (self.v - a[..., None] * jnp.einsum("...vk,...k->...v", s, self.k))
            return a[..., None, None] * s + arrays.outer(write, self.k)

        return jax.tree.map(move, state)

    def dense(self, like: PyTree) -> Dense:
        """The maps as `Dense` ones, whole matrices, for a state with the structure of ``like``."""
        erased = arrays.outer(self.beta[..., None] * self.k, self.k)
        a = jnp.exp(self.log_a)[..., None, None] * (jnp.eye(self.k.shape[-1], dtype=self.k.dtype) - erased)
        b = arrays.outer(self.beta[..., None] * self.v, self.k)
        return Dense(a, jax.tree.structure(like).unflatten([b]))

    def scan(
        self,
        state: PyTree,
        mask: Bool[Array, "t *b"] | None,
        reset: Bool[Array, "t *b"] | None,
        initial: PyTree,
    ) -> PyTree:
        """The state after every step, block by block; the arguments are those of `Form.scan`."""
        tree = jax.tree.structure(state)
        (start,), (fresh,) = jax.tree.leaves(state), jax.tree.leaves(initial)
        steps = self if mask is None else arrays.where(mask, self, Delta(*jax.tree.map(jnp.zeros_like, self)))
        length = arrays.num_steps(self)
        starts = jnp.zeros(self.log_a.shape, bool)
        if reset is not None:
            starts = starts | jnp.expand_dims(reset, tuple(range(reset.ndim, starts.ndim)))
        steps, starts = _in_blocks((steps, starts), min(BLOCK, length))
        block = _solve(steps, starts, fresh)
        ends = Dense(*_last_map(block, fresh)).scan(start, None, None, fresh)
        before = jnp.concatenate([start[None], ends[:-1]])
        writes = block.own - jnp.einsum("...vk,...ck->...cv", before, block.shared)
        outer = arrays.outer(writes, block.k)
        *leading, v, k = outer.shape
        states = (block.decay @ outer.reshape(*leading, v * k)).reshape(outer.shape)
        states += block.kept[..., None, None] * before[..., None, :, :]
        states += block.restarted[..., None, None] * fresh[..., None, :, :]
        states = jnp.moveaxis(states, -3, 1)
        flat = states.reshape(states.shape[0] * states.shape[1], *states.shape[2:])
        return tree.unflatten([flat[:length]])


def _in_blocks(tree: PyTree, size: int) -> PyTree:
    """``[t, *b, ...] -> [t / size, *b, size, ...]``, padded with steps that change nothing."""
    batch_axes = tree[1].ndim - 1

    def cut(leaf: Array) -> Array:
        count = -(-leaf.shape[0] // size)
        padding = [(0, count * size - leaf.shape[0])] + [(0, 0)] * (leaf.ndim - 1)
        # counted, not -1: JAX cannot tell how many blocks an array without entries has
        blocks = jnp.pad(leaf, padding).reshape(count, size, *leaf.shape[1:])
        return jnp.moveaxis(blocks, 1, 1 + batch_axes)

    return jax.tree.map(cut, tree)


def _solve(steps: Delta, starts: Bool[Array, "blocks *b c"], fresh: Float[Array, "*b v k"]) -> _Block:
    size = starts.shape[-1]
    segment = jnp.cumsum(starts, axis=-1)
    total = jnp.cumsum(steps.log_a, axis=-1)
    # the decay of the state that step c's segment started from: of everything after the last start
    first = jax.lax.cummax(jnp.where(starts, jnp.arange(size), 0), axis=starts.ndim - 1)
    before = jnp.take_along_axis(total - steps.log_a, first, axis=-1)
    since = jnp.exp(total - jnp.where(segment > 0, before, 0.0))
    kept, restarted = jnp.where(segment > 0, 0.0, since), jnp.where(segment > 0, since, 0.0)
    joined = (segment[..., :, None] == segment[..., None, :]) & jnp.tri(size, dtype=bool)
    # selected before the exponential: above the diagonal it could overflow
    decay = jnp.exp(jnp.where(joined, total[..., :, None] - total[..., None, :], -jnp.inf))
    keys, beta = steps.k, steps.beta[..., None]
    lower = beta * decay * jnp.einsum("...ck,...sk->...cs", keys, keys)
    known = steps.v - restarted[..., None] * jnp.einsum("...vk,...ck->...cv", fresh, keys)
    right = jnp.concatenate([beta * known, beta * kept[..., None] * keys], axis=-1)
    writes = jax.scipy.linalg.solve_triangular(lower, right, lower=True, unit_diagonal=True)
    own, shared = jnp.split(writes, [steps.v.shape[-1]], axis=-1)
    return _Block(own, shared, kept, restarted, decay, keys)


def _last_map(block: _Block, fresh: Float[Array, "*b v k"]) -> tuple[Array, Array]:
    """A and B of the whole block: its states at the last step as a function of the state before it."""
    kept, restarted = (part[..., -1, None, None] for part in (block.kept, block.restarted))
    last = block.decay[..., -1, :]
    eye = jnp.eye(block.k.shape[-1], dtype=block.k.dtype)
    keys = last[..., None] * block.k
    a = kept * eye - jnp.swapaxes(block.shared, -1, -2) @ keys
    b = restarted * fresh + jnp.swapaxes(block.own, -1, -2) @ keys
    return a, b
