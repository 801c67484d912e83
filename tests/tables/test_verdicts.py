"""The rule of verdicts at its edges, computed by hand."""

import math

import pytest

from experiments.tables.verdicts import Score, Solving


@pytest.mark.parametrize(
    ("factor", "verdict"), [(2.0, "reproduced"), (0.5, "reproduced"), (2.01, "partly"), (0.49, "partly")]
)
def test_a_factor_two_either_way(factor, verdict):
    assert Solving(1000).verdict([1000 * factor] * 10) == verdict


def test_the_interval_of_the_share():
    # of n out of n the lower end is 0.025 ** (1 / n), of 0 out of n the upper one is 1 - 0.025 ** (1 / n)
    assert Solving.interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert Solving.interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    # k of n at p: the chance of k or more is 2.5 % at the lower end, of k or fewer at the upper one
    low, high = Solving.interval(7, 10)
    chance = [math.comb(10, k) * low**k * (1 - low) ** (10 - k) for k in range(11)]
    assert sum(chance[7:]) == pytest.approx(0.025)
    chance = [math.comb(10, k) * high**k * (1 - high) ** (10 - k) for k in range(11)]
    assert sum(chance[:8]) == pytest.approx(0.025)


def test_one_trial_of_ten_that_fails_is_no_share_of_all():
    nine = [900.0] * 9 + [None]
    assert Solving(1000).verdict(nine) == "not reproduced"
    assert Solving(1000, share=0.97).verdict(nine) == "reproduced"
    assert Solving(1000, share=0.5).verdict([900.0] * 10) == "reproduced"  # more than published
    assert Solving(1000, share=0.0).verdict([None] * 10) == "not reproduced"


def test_only_solved_trials_count_in_the_mean():
    assert Solving(1000, share=0.5).verdict([1900.0] * 5 + [None] * 5) == "reproduced"
    assert Solving(1000, share=0.5).verdict([2100.0] * 5 + [None] * 5) == "partly"


def test_a_reduced_setting_is_partly_at_most():
    assert Solving(1000).verdict([1000.0] * 10, is_reduced=True) == "partly"
    assert Solving(1000).verdict([None] * 10, is_reduced=True) == "not reproduced"
    assert Score(0.9, 0.1).verdict([0.9] * 5, is_reduced=True) == "partly"


def test_too_few_are_undecided():
    assert Solving(1000).verdict([1000.0] * 9) == "undecided"
    assert Score(0.9, 0.1).verdict([0.9] * 4) == "undecided"


def test_a_tenth_of_the_distance_from_the_baseline():
    assert Score(0.0, 1.0).verdict([0.1] * 5) == "reproduced"
    assert Score(0.0, 1.0).verdict([0.101] * 5) == "not reproduced"
    assert Score(0.0, 1.0).verdict([-0.1] * 5) == "reproduced"


def test_two_standard_errors():
    scores = [0.0, 0.0, 0.5, 1.0, 1.0]  # standard deviation 0.5, of the mean 0.5 / sqrt(5) = 0.2236
    assert Score(0.5 + 0.44, 0.5).verdict(scores) == "reproduced"
    assert Score(0.5 + 0.45, 0.5).verdict(scores) == "not reproduced"


def test_a_lost_network_is_no_score():
    assert Score(0.9, 0.1).verdict([0.9] * 9 + [None]) == "not reproduced"
    assert Score(0.9, 0.1).verdict([0.9] * 4 + [math.nan]) == "not reproduced"
