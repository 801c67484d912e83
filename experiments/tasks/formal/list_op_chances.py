"""How many symbols the lists of ListOps have, and what they come to: exact chances, by the rules that draw them.

An element at depth d is a digit with chance 3/4, or for certain at the greatest depth; else it is a list: its
operator, 2 to ``max_args`` elements at depth d + 1, each number of them equally likely, and a closing bracket.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

LIST = 0.25
"""The chance of a list."""
BRACKETS = 2
"""Symbols of a list that are none of its elements: the operator, which opens it, and the bracket at the end."""
NUM_DIGITS = 10


class Sizes(NamedTuple):
    """``one[d, n]``: an element at depth d, from 0, has n symbols; ``several[d, r, n]``: so have r of them together."""

    one: Float[np.ndarray, "depths n"]
    several: Float[np.ndarray, "depths args n"]


@functools.cache
def sizes(max_length: int, max_depth: int, max_args: int) -> Sizes:
    """Up to ``max_length`` symbols, from the greatest depth up; r + 1 elements by the sizes of the last of them."""
    one = np.zeros((max_depth, max_length + 1))
    several = np.zeros((max_depth, max_args + 1, max_length + 1))
    for depth in range(max_depth - 1, -1, -1):
        is_deepest = depth == max_depth - 1
        one[depth, 1] = 1 if is_deepest else 1 - LIST
        if not is_deepest:
            elements = several[depth + 1, 2:].mean(axis=0)
            one[depth, BRACKETS:] += LIST * elements[:-BRACKETS]
        several[depth, 0, 0] = 1
        for number in range(max_args):
            several[depth, number + 1] = np.convolve(several[depth, number], one[depth])[: max_length + 1]
    return Sizes(one, several)


@functools.cache
def values(max_length: int, max_depth: int, max_args: int) -> Float[np.ndarray, "digits n"]:
    """How likely the outermost element has the value v and n symbols, n up to ``max_length``.

    A size is the exponent of a variable z: sizes of elements add up where their polynomials are multiplied. These are
    kept as values at roots of unity, as many as the largest product has coefficients, so that multiplication is
    that of numbers. A coefficient is right to about 1e-15.
    """
    num_points = 1 << (max_args * max_length + BRACKETS).bit_length()
    z = np.exp(-2j * np.pi * np.arange(num_points // 2 + 1) / num_points)
    digit = np.broadcast_to(z / NUM_DIGITS, (NUM_DIGITS, len(z)))
    element = digit
    for _ in range(max_depth - 1):
        lists = np.mean([_results(element, number) for number in range(2, max_args + 1)], axis=0)
        coefficients = np.fft.irfft((1 - LIST) * digit + LIST * z**BRACKETS * lists, num_points, axis=-1)
        coefficients = coefficients[:, : max_length + 1]
        element = np.fft.rfft(coefficients, num_points, axis=-1)
    return np.fft.irfft(element, num_points, axis=-1)[:, : max_length + 1]


def _results(element: Complex[np.ndarray, "digits z"], number: int) -> Complex[np.ndarray, "digits z"]:
    """What the four operators make of ``number`` elements, each operator equally likely."""
    at_most = np.concatenate(
        [np.zeros_like(element[:1]), np.cumsum(element, axis=0)]
    )  # below v, for v from 0 to 10
    at_least = at_most[-1] - at_most
    largest = np.diff(at_most**number, axis=0)
    smallest = -np.diff(at_least**number, axis=0)
    by_frequency = np.fft.fft(element, axis=0)  # sums modulo 10 multiply here
    sums = np.fft.ifft(by_frequency**number, axis=0)
    return (smallest + largest + _medians(at_most, at_least, number) + sums) / 4


def _medians(
    below: Complex[np.ndarray, "edges z"], above: Complex[np.ndarray, "edges z"], number: int
) -> Complex[np.ndarray, "digits z"]:
    """The middle one of ``number`` values; the mean of the two middle ones, cut to a whole number, of an even number.

    ``below[v]`` is of values below v, ``above[v]`` of values from v on. The low one of the middle is below v where
    more than (number - 1) // 2 values are. Of an even number the low one is at most v and the high one at least w, with
    v < w, where exactly half the values are at most v and the others are w or more.
    """
    low_rank = (number - 1) // 2
    low_below = sum(
        math.comb(number, small) * below**small * above ** (number - small)
        for small in range(low_rank + 1, number + 1)
    )
    low = np.diff(low_below, axis=0)
    if number % 2:
        return low
    half = number // 2
    ways = math.comb(number, half)
    result = np.zeros_like(low)
    for first in range(NUM_DIGITS):
        is_first = below[first + 1] ** half - below[first] ** half
        for second in range(first + 1, NUM_DIGITS):
            is_second = above[second] ** half - above[second + 1] ** half
            result[(first + second) // 2] += ways * is_first * is_second
        result[first] += low[first] - ways * is_first * above[first + 1] ** half  # both are the same
    return result
