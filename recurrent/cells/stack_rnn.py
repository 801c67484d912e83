"""The stack-augmented recurrent network: stacks of numbers that hidden units push to, pop from and read the top of.

With s[k] the element k of each stack, 0 the top, and s[k] = -1 above the top and below the bottom:

    h' = σ(x W_x + h W_h + s[0 .. depth-1] W_s + b)      h in (0, 1)
    push, pop, noop = softmax(h' W_a)            for each stack; in (0, 1)
    s'[0] = push σ(h' W_d) + pop s[1] + noop s[0]
    s'[k] = push s[k-1] + pop s[k+1] + noop s[k]         k = 1 .. capacity-1; s in [-1, 1)

Empty places hold -1, and a pop brings one in at the bottom: the initial state is not 0. What is pushed beyond
``capacity`` is lost. The state map is not linear in the state.

Source: Joulin & Mikolov (2015), "Inferring algorithmic patterns with stack-augmented recurrent nets"; the value of
empty places and the scale of the initial weights are those of the authors' code. Their experiments mostly leave W_h
out, train by plain gradient descent and restart bad seeds. Differs: the bias b.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from recurrent import initializers
from recurrent.arrays import Key
from recurrent.cell import Cell
from recurrent.initializers import Spec
from recurrent.sizes import Size

__all__ = ["StackRNN", "StackRNNParams", "StackRNNState", "StackRNNWeights"]

EMPTY = -1.0


class StackRNNParams(NamedTuple):
    """The parameters of `StackRNN`: ``read`` is stacks * depth, ``actions`` stacks * 3 (push, pop, noop), or * 2."""

    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    w_s: Float[Array, "read h"]
    b: Float[Array, " h"]
    w_a: Float[Array, "h actions"]
    w_d: Float[Array, "h stacks"]


class StackRNNWeights(NamedTuple):
    """What `StackRNN.prepare` makes: W_h and W_s as one matrix, W_a and W_d as one."""

    w_x: Float[Array, "d h"]
    w_in: Float[Array, "seen h"]
    b: Float[Array, " h"]
    w_out: Float[Array, "h controls"]


class StackRNNState(NamedTuple):
    """The state of `StackRNN`: what is emitted, and the stacks from top to bottom."""

    h: Float[Array, "*b h"]
    s: Float[Array, "*b stacks capacity"]


@dataclasses.dataclass(frozen=True)
class StackRNN(Cell):
    """Stack-augmented recurrent network.

    Equations and source: the head of this module. ``depth`` is how many elements from the top the hidden units read,
    ``noop`` whether a stack may stay as it is. Numbers of stacks and depth are those of the paper's experiments.
    Learning rate: 0.1 by plain gradient descent, one update a symbol, in the authors' code; halved, from the best
    parameters so far, after an epoch without progress.

    >>> cell = StackRNN(input_size=2, hidden_size=3, num_stacks=1, capacity=4)
    >>> weights = cell.prepare(cell.init(jax.random.key(0)))
    >>> cell.initial_state(weights, ()).s.tolist()
    [[-1.0, -1.0, -1.0, -1.0]]
    """

    input_size: Size
    hidden_size: Size
    num_stacks: Size = 10
    depth: Size = 2
    capacity: Size = 20
    noop: bool = True
    weight_init: Spec = ("normal", 0.1)

    def __post_init__(self) -> None:
        """ValueError, naming the field, where a size or an option is out of its range."""
        super().__post_init__()
        if self.capacity < 2:
            raise ValueError(f"capacity: expected at least 2, got {self.capacity}")
        if not 1 <= self.depth <= self.capacity:
            raise ValueError(f"depth: expected 1 to capacity {self.capacity}, got {self.depth}")
        initializers.check("weight_init", self.weight_init)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, ``(d,)``."""
        return (self.input_size,)

    @property
    def num_actions(self) -> int:
        """How many actions a stack has: 3 (push, pop, noop), or 2 without ``noop``."""
        return 3 if self.noop else 2

    def init(self, key: Key) -> StackRNNParams:
        """Fresh parameters: matrices as ``weight_init`` says, b = 0."""
        d, h, stacks = self.input_size, self.hidden_size, self.num_stacks
        shapes = [(d, h), (h, h), (stacks * self.depth, h), (h, stacks * self.num_actions), (h, stacks)]
        keys = jax.random.split(key, len(shapes))
        w_x, w_h, w_s, w_a, w_d = (
            initializers.initialize(self.weight_init, part, shape)
            for part, shape in zip(keys, shapes, strict=True)
        )
        return StackRNNParams(w_x, w_h, w_s, jnp.zeros(h), w_a, w_d)

    def prepare(self, params: StackRNNParams) -> StackRNNWeights:
        """The weights that each step reads: one matrix for all that goes into h, one for all that is read from it."""
        return StackRNNWeights(
            w_x=params.w_x,
            w_in=jnp.concatenate([params.w_h, params.w_s]),
            b=params.b,
            w_out=jnp.concatenate([params.w_a, params.w_d], axis=-1),
        )

    def initial_state(self, weights: StackRNNWeights, batch_shape: tuple[int, ...]) -> StackRNNState:
        """The state before the first step: h = 0, empty stacks."""
        dtype = weights.b.dtype
        return StackRNNState(
            h=jnp.zeros((*batch_shape, self.hidden_size), dtype),
            s=jnp.full((*batch_shape, self.num_stacks, self.capacity), EMPTY, dtype),
        )

    def project(self, weights: StackRNNWeights, x: Float[Array, "*b d"]) -> Float[Array, "*b h"]:
        """What does not depend on the state: x W_x + b."""
        return x @ weights.w_x + weights.b

    def next_state(
        self, weights: StackRNNWeights, state: StackRNNState, u: Float[Array, "*b h"]
    ) -> StackRNNState:
        """The state after one step, by the equations at the head of this module."""
        batch, stacks = u.shape[:-1], self.num_stacks
        top = state.s[..., : self.depth].reshape(*batch, stacks * self.depth)
        h = jax.nn.sigmoid(u + jnp.concatenate([state.h, top], axis=-1) @ weights.w_in)
        actions, pushed = jnp.split(h @ weights.w_out, [stacks * self.num_actions], axis=-1)
        actions = jax.nn.softmax(actions.reshape(*batch, stacks, self.num_actions), axis=-1)
        push, pop = actions[..., 0:1], actions[..., 1:2]
        down = jnp.concatenate([jax.nn.sigmoid(pushed)[..., None], state.s[..., :-1]], axis=-1)
        up = jnp.concatenate([state.s[..., 1:], jnp.full((*batch, stacks, 1), EMPTY, state.s.dtype)], axis=-1)
        s = push * down + pop * up
        if self.noop:
            s = s + actions[..., 2:3] * state.s
        return StackRNNState(h, s)
