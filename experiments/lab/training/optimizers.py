"""Optimizers by name: what the flags of a configuration stand for."""

from typing import Any


def make_optimizer(config: Any) -> Any:
    """Clipping by the global norm, then the update rule with its schedule.

    The schedule counts optimizer steps; RMSprop's decay is 0.9, as in the published protocols.
    """
    import optax

    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(rate, config.num_updates)
    rules = {"adam": optax.adam, "rmsprop": lambda step: optax.rmsprop(step, decay=0.9), "sgd": optax.sgd}
    rule = rules[config.optimizer](rate)
    if config.clip_norm is None:
        return rule
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
