"""How likely each bit of a sum, a product and a square root of uniform numbers is set, and each place the highest.

For a sum or a product z of x, uniform from 1 to 2^a - 1, and y, uniform from 1 to 2^b - 1, of D binary digits: rows
(P(bit j of z is 1), P(D = j)) for the places j. Exact, but for products of two long numbers.
"""

import functools
import math

import numpy as np
from jaxtyping import Float

EXACT_BITS = 9
"""Products of two longer numbers are taken as products of real numbers: chances are wrong by up to 1e-3."""
FAIR_BITS = 16
"""A bit of such a product so far below its highest possible one is taken as fair."""
WORD = 50
"""Longer numbers are cut to so many bits where chances are counted in 64 bits: wrong by less than 1e-12."""


def of_sum(a: int, b: int) -> Float[np.ndarray, "places 2"]:
    """Places 0 to max(a, b) + 1.

    With x and y from 0 on, a bit below the longer one's length is fair, and the one at it is the carry: x of the
    values of the longer number carry with the value x of the shorter. Pairs with a 0 are taken away again. D is
    at most j where x + y < 2^j.
    """
    short, long = sorted((a, b))
    pairs = (2**a - 1) * (2**b - 1)
    rows = []
    for place in range(long + 2):
        num_set = 2 ** (a + b - 1) if place < long else 2**short * (2**short - 1) // 2 * (place == long)
        num_set -= sum(2 ** (n - 1) for n in (a, b) if place < n)
        num_ending = _pairs_below(short, long, place) - (_pairs_below(short, long, place - 1) if place else 0)
        rows.append((num_set / pairs, num_ending / pairs))
    return np.array(rows)


def _pairs_below(short: int, long: int, place: int) -> int:
    """Pairs of positive numbers of these lengths with a sum below 2^place."""
    most, x_end, y_end = 2**place - 1, 2**short - 1, 2**long - 1
    x_end = max(min(x_end, most - 1), 0)
    with_all_y = min(max(most - y_end - 1, 0), x_end)  # an x so small that every y fits
    others = x_end - with_all_y
    return with_all_y * y_end + others * most - (x_end * (x_end + 1) - with_all_y * (with_all_y + 1)) // 2


@functools.cache
def of_product(a: int, b: int) -> Float[np.ndarray, "places 2"]:
    """Places 0 to a + b.

    Below the longer number's length b, bit j is 0 where the shorter one is a multiple of 2^(j + 1), else fair, y = 0
    included. The bits from b on are those of floor(x y / 2^b), so their chances and those of D follow from its values.
    """
    short, long = sorted((a, b))
    x_end = 2**short - 1
    with_zero = 2**long / (2**long - 1)  # y = 0 sets no bit; without it, all others are as much likelier
    low = [(x_end - (x_end >> (place + 1))) / x_end / 2 * with_zero for place in range(long)]
    quotients = _whole_quotients if short <= EXACT_BITS else _real_quotients
    high, below = quotients(short, long)
    is_set = np.concatenate([low, high, [0.0]])
    return np.stack([is_set, np.diff(below, prepend=0.0)], axis=1)


def _whole_quotients(short: int, long: int) -> tuple[Float[np.ndarray, "short"], Float[np.ndarray, "places"]]:
    """Chances of the bits of floor(x y / 2^long), and of x y < 2^j for j from 0 on; exact.

    For each x the quotient is c for ceil((c + 1) 2^long / x) - ceil(c 2^long / x) of the y from 0 on.
    """
    word = 2 ** min(long, WORD)
    shares = np.zeros(2**short)
    for x in range(1, 2**short):
        edges = -(-np.arange(x + 1) * word // x)
        shares[:x] += np.diff(edges)
    shares[0] -= (2**short - 1) * (word / 2**long)  # y = 0
    shares /= shares.sum()
    values = np.arange(2**short)
    high = [shares[(values >> place) % 2 == 1].sum() for place in range(short)]
    xs = np.arange(1, 2**short)
    pairs = (2**short - 1) * (2**long - 1)
    num_below = [float(np.sum((2**place - 1) // xs)) for place in range(min(long, WORD))]
    num_below += [2**place * float(np.sum(1 / xs)) for place in range(WORD, long)]
    below = [num / pairs for num in num_below]
    return np.array(high), np.append(below, [shares[: 2**place].sum() for place in range(short + 1)])


def _real_quotients(short: int, long: int) -> tuple[Float[np.ndarray, "short"], Float[np.ndarray, "places"]]:
    """What `_whole_quotients` gives, for real factors: the product of two numbers from 0 to 1 is below t with chance
    t (1 - ln t).
    """

    def below(t: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        return t * (1 - np.log(np.maximum(t, 1e-300)))

    high = []
    for place in range(short):
        num_intervals = 2 ** (short - place)  # a bit is set in every other one
        if short - place > FAIR_BITS:
            high.append(0.5)
            continue
        edges = below(np.arange(num_intervals + 1) / num_intervals)
        high.append(np.diff(edges)[1::2].sum())
    return np.array(high), below(2.0 ** (np.arange(short + long + 1) - short - long))


def of_sqrt(length: int) -> Float[np.ndarray, "places"]:
    """The chance of each bit of floor(sqrt(N)), N uniform from 1 to 2^length - 1, in ceil(length / 2) places.

    Bit i is set where the root is in [k 2^i, (k + 1) 2^i) with an odd k, so for ((k + 1)^2 - k^2) 4^i numbers N. The
    sum over the first h odd k of 2 k + 1 is 2 h^2 + h; the last interval may end early, at N = 2^length.
    """
    end = 2**length
    chances = []
    for place in range(math.ceil(length / 2)):
        num_whole = math.isqrt(end) >> place
        h = num_whole // 2
        num_set = (2 * h * h + h) * 4**place
        if num_whole % 2:
            num_set += end - num_whole**2 * 4**place
        chances.append(num_set / (end - 1))
    return np.array(chances)
