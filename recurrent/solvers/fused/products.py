"""One step of a recurrence, cut for `Fused`: what is fixed over time, what moves, and the products of the two.

A *product* multiplies (or convolves) something that moves from step to step by something that does not: h W_h, x W_x,
and what either becomes by slicing, joining and scaling weights. Where it is only added to others, they share one sum z,
and the derivative with respect to z at every step is all that the gradients of their weights need:
dW = Σ_t (what moves)_tᵀ dz_t, one large product for many steps.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from recurrent.solvers.fused import programs

__all__ = ["Product", "Step", "cut"]

SUMS = ("add", "add_any")


@dataclasses.dataclass(frozen=True)
class Product:
    """``equation`` multiplies what moves by what is fixed, at place ``fixed`` of its operands, and enters ``sum``."""

    equation: Any
    fixed: int
    sum: Any

    @property
    def weight(self) -> Any:
        """The variable of the operand that is fixed."""
        return self.equation.invars[self.fixed]

    @property
    def moving(self) -> Any:
        """The variable of the operand that moves."""
        return self.equation.invars[1 - self.fixed]

    @property
    def is_plain(self) -> bool:
        """Whether it is ``moving @ weight`` with a matrix, all of one type, and in the shape of its sum."""
        parameters, operands = self.equation.params, self.equation.invars
        last = operands[0].aval.ndim - 1
        return (
            self.equation.primitive.name == "dot_general"
            and self.fixed == 1
            and operands[1].aval.ndim == 2
            and parameters["dimension_numbers"] == (((last,), (0,)), ((), ()))
            and len({_dtype(var) for var in (*operands, self.sum)}) == 1
            and parameters["precision"] is None
        )

    def pull(self, weight: Any, moving: Any, at_sum: Any) -> Any:
        """The cotangent of ``weight``, given the cotangents of the sum and what moved, both ``[t, ...]``."""

        def over_time(weight: Any) -> Any:
            def once(value: Any) -> Any:
                pair = (weight, value) if self.fixed == 0 else (value, weight)
                return programs.results(self.equation, pair)[0]

            return jax.vmap(once)(moving)

        return jax.linear_transpose(over_time, weight)(at_sum)[0]


@dataclasses.dataclass(frozen=True)
class Step:
    """One step, cut. Variables and equations are those of its program ``jaxpr``.

    ``fixed`` equations depend on weights alone, ``moving`` ones on the state or the input too. ``addends`` are fixed
    variables that are added to a sum of products, with that sum. ``used`` are the fixed variables that are read
    elsewhere, and ``taken`` says at which places (id of the equation, place) products and sums read theirs. ``states``
    are the variables of the state before the step; the first outputs are the state behind it.
    """

    jaxpr: Any
    constants: frozenset[Any]
    fixed: tuple[Any, ...]
    moving: tuple[Any, ...]
    products: tuple[Product, ...]
    addends: tuple[tuple[Any, Any], ...]
    used: tuple[Any, ...]
    taken: frozenset[tuple[int, int]]
    states: tuple[Any, ...]

    @property
    def put_out(self) -> dict[Any, int]:
        """For each state whose next value is an output too, at which place among the outputs."""
        new, ys = self.jaxpr.outvars[: len(self.states)], self.jaxpr.outvars[len(self.states) :]
        return {var: ys.index(after) for var, after in zip(self.states, new, strict=True) if after in ys}

    @property
    def emitted(self) -> tuple[Any, ...]:
        """What moves in a product and is neither an input nor an output of the step before."""
        given = {*self.jaxpr.invars, *self.put_out} - ({*self.states} - {*self.put_out})
        return tuple(
            dict.fromkeys(product.moving for product in self.products if product.moving not in given)
        )

    @property
    def sums(self) -> tuple[Any, ...]:
        """The variables in which products are summed, in the order of their equations."""
        wanted = {product.sum for product in self.products}
        return tuple(var for equation in self.moving for var in equation.outvars if var in wanted)

    @property
    def is_complex(self) -> bool:
        """Whether anything that moves is complex."""
        found = [_dtype(var) for equation in self.moving for var in equation.outvars]
        return any(jnp.issubdtype(dtype, jnp.complexfloating) for dtype in found)

    @property
    def multiplied(self) -> tuple[Any, ...]:
        """The fixed variables that enter products or are added to them, each once."""
        names = [product.weight for product in self.products] + [var for var, _ in self.addends]
        return tuple(dict.fromkeys(names))

    def pull(self, multiplied: Sequence[Any], moving: Sequence[Any], at_sums: Sequence[Any]) -> list[Any]:
        """The cotangents of the fixed values ``multiplied``, given those of the sums and what moved in each product,
        both ``[t, ...]``.
        """
        by_sum = dict(zip(self.sums, at_sums, strict=True))
        values = dict(zip(self.multiplied, multiplied, strict=True))
        parts: list[tuple[Any, Any]] = []
        rows: dict[Any, list[tuple[Any, Any]]] = {}
        for product, value in zip(self.products, moving, strict=True):
            if product.is_plain:
                rows.setdefault(product.sum, []).append((product.weight, value))
            else:
                parts.append(
                    (product.weight, product.pull(values[product.weight], value, by_sum[product.sum]))
                )
        for var, root in self.addends:
            if root in rows and var.aval.size == root.aval.shape[-1] == var.aval.shape[-1]:
                rows[root].append((var, jnp.ones((*by_sum[root].shape[:-1], 1), by_sum[root].dtype)))
            else:
                parts.append((var, _shrunk(by_sum[root], var.aval.shape)))
        for root, pairs in rows.items():
            parts += _together(pairs, by_sum[root])
        found: dict[Any, Any] = {}
        for var, part in parts:
            found[var] = found[var] + part if var in found else part
        return [found[var] for var in self.multiplied]


def _together(pairs: Sequence[tuple[Any, Any]], at_sum: Any) -> list[tuple[Any, Any]]:
    """The cotangents of weights ``[k, n]`` (of a bias ``[n]``, multiplied by ones) whose products share one sum: one
    product for all, for a narrow one by itself takes as long as a wide one.
    """
    joined = jnp.concatenate([value for _, value in pairs], -1)
    leading = tuple(range(at_sum.ndim - 1))
    whole = jax.lax.dot_general(joined, at_sum, ((leading, leading), ((), ())))
    ends = np.cumsum([value.shape[-1] for _, value in pairs])
    return [
        (var, whole[end - value.shape[-1] : end].reshape(var.aval.shape))
        for (var, value), end in zip(pairs, ends, strict=True)
    ]


def _shrunk(at_sum: Any, shape: tuple[int, ...]) -> Any:
    """The cotangent of a value of ``shape`` that is added at every step, stretched along its axes of length 1; a number
    is stretched along all.
    """
    leading = at_sum.ndim - len(shape)
    stretched = [leading + axis for axis, size in enumerate(shape) if size == 1]
    return at_sum.sum(axis=(*range(leading), *stretched)).reshape(shape)


def cut(jaxpr: Any, num_fixed: int, num_states: int) -> Step:
    """The step whose program is ``jaxpr``: its first ``num_fixed`` inputs are fixed, the next ``num_states`` inputs and
    the first outputs are the state, before and after.
    """
    constants, known = set(jaxpr.constvars), {*jaxpr.constvars, *jaxpr.invars[:num_fixed]}
    fixed, moving = [], []
    for equation in jaxpr.eqns:
        variables = {atom for atom in equation.invars if not isinstance(atom, core.Literal)}
        (fixed if variables <= known else moving).append(equation)
        for names in (constants, known):
            if variables <= names:
                names |= set(equation.outvars)
    readers = programs.readers(jaxpr)
    products = tuple(_products(moving, known, readers))
    sums = {product.sum for product in products}
    addends = tuple(_addends(moving, known, readers, sums))
    taken = {(id(product.equation), product.fixed) for product in products}
    taken |= {(id(equation), place) for equation, place, _ in addends}
    reads = [(id(equation), place, atom) for equation in moving for place, atom in enumerate(equation.invars)]
    reads += [(0, place, atom) for place, atom in enumerate(jaxpr.outvars)]
    used = [
        atom
        for equation, place, atom in reads
        if not isinstance(atom, core.Literal) and atom in known and (equation, place) not in taken
    ]
    return Step(
        jaxpr=jaxpr,
        constants=frozenset(constants),
        fixed=tuple(fixed),
        moving=tuple(moving),
        products=products,
        addends=tuple((equation.invars[place], root) for equation, place, root in addends),
        used=tuple(dict.fromkeys(used)),
        taken=frozenset(taken),
        states=tuple(jaxpr.invars[num_fixed : num_fixed + num_states]),
    )


def _sum_of(var: Any, readers: dict[Any, list[Any]]) -> Any:
    """The sum that ``var`` enters: followed through additions as long as nothing else reads it."""
    while True:
        reading = readers.get(var, [])
        if len(reading) != 1 or reading[0] is None or reading[0].primitive.name not in SUMS:
            return var
        (target,) = reading[0].outvars
        if (target.aval.shape, _dtype(target)) != (var.aval.shape, _dtype(var)):
            return var
        var = target


def _products(moving: Sequence[Any], known: set[Any], readers: Any) -> Iterator[Product]:
    for equation in moving:
        if equation.primitive.name in programs.PRODUCTS:
            rests = [isinstance(atom, core.Literal) or atom in known for atom in equation.invars]
            if any(rests):  # and not both: it moves
                yield Product(equation, rests.index(True), _sum_of(equation.outvars[0], readers))


def _addends(
    moving: Sequence[Any], known: set[Any], readers: Any, sums: set[Any]
) -> Iterator[tuple[Any, int, Any]]:
    """The fixed variables that are added to products: ``(equation, place, sum)``."""
    for equation in moving:
        if equation.primitive.name in SUMS:
            root = _sum_of(equation.outvars[0], readers)
            for place, atom in enumerate(equation.invars):
                is_fixed = not isinstance(atom, core.Literal) and atom in known
                if is_fixed and root in sums and _dtype(atom) == _dtype(root):
                    yield equation, place, root


def _dtype(var: Any) -> Any:
    return var.aval.dtype
