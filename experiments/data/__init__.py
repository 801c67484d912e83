"""Real data sets, each prepared once as a TFDS data set in array_record files; importing this costs nothing."""

from experiments.data.mnist import load_mnist

__all__ = ["load_mnist"]
