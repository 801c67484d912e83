"""Every task of `experiments.tasks` at its defaults, found by what its modules define."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from experiments import tasks
from experiments.tasks.images import PixelImages
from experiments.tasks.noise_padded import NoisePadded

METHODS = ("load", "batch", "evaluation", "loss", "metrics")
BASES = {"Task", "Generated", "Finite", "TokenTask", "DelayedRecall", "Series"}
"""What tasks are made of, and the protocol itself."""
SETTINGS: dict[type, dict[str, Any]] = {
    PixelImages: {"data": "synthetic", "num_images": 40, "num_validation": 8, "num_test": 8},
    NoisePadded: {"data": "synthetic", "num_images": 40, "num_validation": 8, "num_test": 8},
}
"""What differs from the defaults where these read a file."""


def _kinds() -> Iterator[type]:
    for module in pkgutil.walk_packages(tasks.__path__, "experiments.tasks."):
        loaded = importlib.import_module(module.name)
        for name, kind in vars(loaded).items():
            own = inspect.isclass(kind) and kind.__module__ == module.name and not name.startswith("_")
            concrete = own and name not in BASES and not inspect.isabstract(kind)
            if concrete and all(hasattr(kind, method) for method in METHODS):
                yield kind


KINDS = {kind.__name__: kind for kind in _kinds()}


def make(name: str) -> Any:
    """The task of a name."""
    return KINDS[name](**SETTINGS.get(KINDS[name], {}))
