"""How far the gradient of each online rule is from the exact one, parameter by parameter.

    python -m benchmarks.online --out docs/online.json

Three networks of 16 units before training, on 8 sequences of 50 pairs (value, marker), in float64. The loss is
the squared error of the sum of the marked values at the last step; UORO is one draw of its signs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import recurrent as rec
from experiments.errors import guarded, unheard_too
from recurrent import online

STEPS, BATCH, HIDDEN = 50, 8, 16
RULES = (online.RTRL(), online.SnAp1(), online.EProp(), online.Truncated(10, 20), online.UORO())


def measure() -> list[dict[str, Any]]:
    """One row for each network, rule and parameter."""
    rows = []
    values, where = jax.random.split(jax.random.key(2))
    xs = jnp.stack(
        [
            jax.random.uniform(values, (STEPS, BATCH), float),
            jax.random.bernoulli(where, 2 / STEPS, (STEPS, BATCH)).astype(float),
        ],
        axis=-1,
    )
    targets = jnp.sum(xs[..., 0] * xs[..., 1], axis=0)

    def loss_fn(t: Any, y: Any) -> Any:
        return jnp.where(t == STEPS - 1, jnp.sum((jnp.mean(y, axis=-1) - targets) ** 2), 0.0)

    networks = {
        "elman": rec.Elman(2, HIDDEN),
        "lstm": rec.LSTM(2, HIDDEN),
        "gru": rec.GRU(2, HIDDEN),
        "min_gru": rec.MinGRU(2, HIDDEN),
    }
    for name, cell in networks.items():
        params = jax.tree.map(lambda leaf: leaf.astype(float), cell.init(jax.random.key(0)))

        def compare(rule_key: Any, cell: Any = cell, params: Any = params) -> Any:
            return online.compare(cell, params, xs, loss_fn, rules=RULES, rule_key=rule_key)

        for rule, leaves in jax.jit(compare)(jax.random.key(4)).items():
            for path, (cosine, ratio) in leaves.items():
                rows.append(
                    {
                        "network": name,
                        "rule": str(rule),
                        "parameter": path,
                        "cosine": round(float(cosine), 4),
                        "ratio": round(float(ratio), 4),
                    }
                )
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    jax.config.update("jax_enable_x64", True)
    about = {"steps": STEPS, "batch": BATCH, "units": HIDDEN, "dtype": "float64", "jax": jax.__version__}
    out.write_text(json.dumps({"about": about, "rows": measure()}, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
