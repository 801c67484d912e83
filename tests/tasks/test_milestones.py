"""Milestones of the rules of 1997, against a count in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.tasks.base import Batch
from experiments.tasks.criteria import Streak
from experiments.tasks.error_criteria import RecentErrors
from experiments.tasks.milestones import Milestones

RULES = (Streak(20, 0.04, 0.01), RecentErrors(20, 0.04, mean_error=0.01), RecentErrors(20, 0.04))


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_first_time_that_each_part_held(rule, batch_size):
    rng = np.random.default_rng(0)
    scale = np.repeat([0.5, 0.02, 0.012, 0.5, 0.001], 45)
    errors = rng.normal(size=225) * scale
    criterion = Milestones(rule, share=0.9)
    expected = dict.fromkeys(criterion.init().first, -1)
    for count in range(batch_size, 226, batch_size):
        recent = np.abs(errors[max(count - 20, 0) : count])
        if len(recent) == 20:
            holds = {"mean_error": recent.mean() < 0.01, "nearly_all": (recent < 0.04).mean() >= 0.9}
            for name, at in expected.items():
                expected[name] = count if at == -1 and holds[name] else at
    update = jax.jit(criterion.update)
    state, plain = criterion.init(), rule.init()
    for start in range(0, 225, batch_size):
        outputs = jnp.array(errors[start : start + batch_size])[:, None]
        batch = Batch(None, jnp.zeros_like(outputs), jnp.ones(len(outputs)))
        state, plain = update(state, outputs, batch), rule.update(plain, outputs, batch)
        assert criterion.solved(state) == rule.solved(plain)
    found = {name: int(at) for name, at in criterion.milestones(state).items()}
    assert found == expected
    assert min(found.values()) > 0


def test_sequences_of_weight_zero_do_not_count():
    criterion = Milestones(RecentErrors(2, 0.04))
    state = criterion.init()
    for weights in ([1.0, 0.0], [0.0, 0.0], [0.0, 1.0]):
        state = criterion.update(state, jnp.zeros((2, 1)), Batch(None, jnp.zeros((2, 1)), jnp.array(weights)))
    assert int(state.count) == 2
    assert int(state.first["nearly_all"]) == 2
