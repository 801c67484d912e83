"""Draws against exact probabilities: what the tests of the generated tasks share."""

import collections
import math


def assert_distributed(observed, probabilities):
    """Chi-square: nothing outside the support, and a statistic within five standard deviations of its mean."""
    counts = collections.Counter(observed)
    assert set(counts) <= set(probabilities)
    assert math.isclose(sum(probabilities.values()), 1.0)
    expected = {cell: len(observed) * p for cell, p in probabilities.items()}
    assert min(expected.values()) > 20
    statistic = sum((counts[cell] - number) ** 2 / number for cell, number in expected.items())
    assert abs(statistic - (len(expected) - 1)) < 5 * math.sqrt(2 * (len(expected) - 1))


def assert_uniform(observed, support):
    assert_distributed(observed, {cell: 1 / len(support) for cell in support})
