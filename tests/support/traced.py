"""The program of a function, equation by equation."""

import jax


def equations(fn, *arguments):
    """Every equation of the program of ``fn``, at any depth, each behind the number of scans that it stands in."""
    yield from _within(jax.make_jaxpr(fn)(*arguments).jaxpr, 0)


def _within(jaxpr, depth):
    for equation in jaxpr.eqns:
        yield depth, equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                yield from _within(
                    getattr(value, "jaxpr", value), depth + (equation.primitive.name == "scan")
                )


def _is_jaxpr(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
