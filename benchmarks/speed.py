"""A training step and a forward pass of LSTM, GRU and tanh RNN, beside torch, flax, Keras, Equinox and Haiku.

    python -m benchmarks speed --out docs/speed.cpu.json [--cell lstm gru elman] [--point B,T,D,H ...] [--rounds 7]

One layer in float32; a training step is the mean of the squares of all outputs and its gradient by all parameters, a
forward pass the outputs alone. Every library gets the same weights; outputs and gradients are compared before anything
is timed. Ours goes by `Fused`, `sequential` by `Sequential`. All take turns in one process, compiled beforehand; ratios
are medians over the rounds, ours over theirs. torch runs with one thread or all, whichever is faster at the point.
`split` is ours with the batch cut over one host device a core (`jax.shard_map`), `scan of 16` is ours as 16 updates in
one compiled loop, a sixteenth of its time. `products` is the time of the matrix products alone. Rows already in the
file are kept. A busy machine is refused.
"""

import argparse
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import recurrent as rec
from benchmarks import ceilings, quiet
from benchmarks.peers.contender import Contender, Point, in_jax
from benchmarks.rows import kept
from experiments.errors import Fault, guarded, unheard_too
from experiments.lab.plan.machine import cpu_model

GRID = (
    Point(32, 256, 64, 128),
    Point(20, 784, 1, 128),
    Point(50, 400, 2, 128),
    Point(128, 1000, 10, 128),
    Point(64, 128, 256, 512),
    Point(1, 1000, 2, 8),
    Point(8, 10_000, 2, 128),
    Point(256, 35, 650, 650),
)
CELLS = {"lstm": rec.LSTM, "gru": rec.GRU, "elman": rec.Elman}
GATES = {"lstm": 4, "gru": 3, "elman": 1}
PEERS = ("torch", "nnx", "keras", "equinox", "haiku")
FUSED = rec.Fused()
UPDATES = 16
LONG = 0.2  # seconds of a step from which on sixteen of them in a row are not worth their time
CLOSE = 2e-4  # of the largest entry, in float32


def drawn(seed: str, count: int = 4) -> list[Point]:
    """Points off the grid: sizes drawn from the digest of ``seed``, so that nobody has chosen them."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))
    return [
        Point(
            *(
                int(rng.choice(choices))
                for choices in ((16, 24, 40, 96), (100, 300, 500), (3, 28, 80), (96, 160, 256))
            )
        )
        for _ in range(count)
    ]


def commit() -> str:
    """The commit that is measured, with a plus sign where the tree differs from it; ``unknown`` outside git."""
    found = [
        subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    if found[0].returncode:
        return "unknown"
    return found[0].stdout.strip() + ("+" if found[1].stdout.strip() else "")


def ours(cell: Any, params: Any, xs: Any, solver: Any = FUSED) -> Contender:
    """This library's."""
    return in_jax(
        lambda params, xs: rec.unroll(cell, params, xs, solver=solver)[1], params, xs, lambda g: g._asdict()
    )


def split(cell: Any, params: Any, xs: Any, solver: Any = FUSED) -> Contender:
    """This library's, the batch cut over all host devices; the gradients are averaged once."""
    mesh = Mesh(np.array(jax.devices("cpu")), ("b",))

    def forward(params: Any, xs: Any) -> Any:
        return rec.unroll(cell, params, xs, solver=solver)[1]

    def step(params: Any, xs: Any) -> Any:
        found = jax.value_and_grad(lambda p: jnp.mean(forward(p, xs) ** 2))(params)
        return jax.lax.pmean(found, "b")

    batch, whole = P(None, "b"), P()
    steps = jax.jit(jax.shard_map(step, mesh=mesh, in_specs=(whole, batch), out_specs=whole, check_vma=False))
    pass_ = jax.jit(
        jax.shard_map(forward, mesh=mesh, in_specs=(whole, batch), out_specs=batch, check_vma=False)
    )
    params = jax.device_put(params, jax.NamedSharding(mesh, whole))
    xs = jax.device_put(xs, jax.NamedSharding(mesh, batch))
    return Contender(
        step=lambda: jax.block_until_ready(steps(params, xs)),
        forward=lambda: jax.block_until_ready(pass_(params, xs)),
        gradients=lambda: {
            name: np.asarray(value)
            for name, value in {"ys": pass_(params, xs), **steps(params, xs)[1]._asdict()}.items()
        },
    )


def scanned(cell: Any, params: Any, xs: Any) -> Callable[[], Any]:
    """``UPDATES`` steps of gradient descent in one compiled loop."""

    def update(params: Any, _: Any) -> tuple[Any, None]:
        grads = jax.grad(lambda p: jnp.mean(rec.unroll(cell, p, xs, solver=FUSED)[1] ** 2))(params)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, grads), None

    loop = jax.jit(lambda params: jax.lax.scan(update, params, length=UPDATES)[0])
    return lambda: jax.block_until_ready(loop(params))


def contenders(kind: str, point: Point, peers: tuple[str, ...]) -> dict[str, Contender]:
    """All that take part, ours first; who computes something else raises."""
    cell = CELLS[kind](point.inputs, point.units)
    params = cell.init(jax.random.key(0))
    xs = jax.random.normal(jax.random.key(1), (point.steps, point.batch, point.inputs))
    found = {"ours": ours(cell, params, xs), "sequential": ours(cell, params, xs, rec.Sequential())}
    if len(jax.devices("cpu")) > 1 and point.batch % len(jax.devices("cpu")) == 0:
        found["split"] = split(cell, params, xs)
    for name in peers:
        try:
            side = importlib.import_module(f"benchmarks.peers.{name}_side")
            found[name] = side.contender(kind, cell, params, xs, point)
        except ImportError as error:
            print(f"{name}: not compared ({error})", flush=True)
        except LookupError:
            continue  # it has no such cell
    expected = found["sequential"].gradients()
    for name, contender in found.items():
        for field, value in contender.gradients().items():
            bound = CLOSE * np.abs(expected[field]).max()
            if not np.abs(value - expected[field]).max() <= bound:
                raise Fault(f"{name} computes another {field} of {kind} at {point}", 1)
    return found


def measure(kind: str, point: Point, peers: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """The row of one cell and one point."""
    found = contenders(kind, point, peers)
    cell = CELLS[kind](point.inputs, point.units)
    xs = jax.random.normal(jax.random.key(1), (point.steps, point.batch, point.inputs))
    calls = {f"step {name}": one.step for name, one in found.items()}
    calls |= {f"forward {name}": one.forward for name, one in found.items()}
    calls["products"] = ceilings.products(GATES[kind], point)
    calls["step ours"]()
    if ceilings.seconds(calls["step ours"]) < LONG:
        calls["scan of 16"] = scanned(cell, cell.init(jax.random.key(0)), xs)
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, min(100, int(0.03 / ceilings.seconds(call))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(ceilings.seconds(call, repeats[name]))
    if "scan of 16" in times:
        times["scan of 16"] = [value / UPDATES for value in times["scan of 16"]]
    work = 6 * point.batch * point.steps * (point.inputs + point.units) * GATES[kind] * point.units
    milliseconds = {name: round(1000 * statistics.median(values), 4) for name, values in times.items()}
    return {
        "cell": kind,
        "point": list(point),
        "milliseconds": milliseconds,
        "ratios": _ratios(times),
        "gflops": round(work / milliseconds["step ours"] / 1e6, 1),
    }


def _ratios(times: dict[str, list[float]]) -> dict[str, list[float]]:
    """Ours over each peer: the median over the rounds and its quartiles."""
    found = {}
    for kind in ("step", "forward"):
        for mine in ("ours", "split"):
            for peer in (*PEERS, "sequential"):
                names = f"{kind} {mine}", f"{kind} {peer}"
                if all(name in times for name in names):
                    values = [a / b for a, b in zip(*(times[name] for name in names), strict=True)]
                    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
                    found[f"{kind} {mine}/{peer}"] = [round(value, 3) for value in (middle, low, high)]
    return found


def about(rounds: int) -> dict[str, Any]:
    """The machine and the versions."""
    versions = {}
    for name in ("jax", "jaxlib", "torch", "flax", "keras", "equinox", "dm-haiku"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "device": jax.devices()[0].device_kind,
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "host_devices": len(jax.devices("cpu")),
        "python": platform.python_version(),
        **versions,
        "commit": commit(),
        "allocator": os.environ.get("GLIBC_TUNABLES", "default"),
        "rounds": rounds,
    }


def read_point(text: str) -> Point:
    """Four sizes, ``B,T,D,H``."""
    parts = text.split(",")
    if len(parts) != len(Point._fields) or not all(part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected four sizes B,T,D,H, got {text!r}")
    return Point(*map(int, parts))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cell", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--point", nargs="+", type=read_point, default=None, metavar="B,T,D,H")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--off-grid", action="store_true", help="four more points, drawn from the commit")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine, too")
    options = parser.parse_args()
    if not options.busy:
        quiet.wait()
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    points = list(options.point or GRID) + (drawn(commit()) if options.off_grid else [])
    facts = about(options.rounds)
    rows = kept(options.out, facts["device"])
    done = {(row["cell"], *row["point"]) for row in rows}
    for kind in options.cell:
        for point in points:
            if (kind, *point) in done:
                continue
            row = measure(kind, point, tuple(options.peers), options.rounds)
            rows.append(row | {"peak_gflops": round(ceilings.peak(), 1)})
            print(json.dumps(rows[-1]), flush=True)
            options.out.write_text(json.dumps({"about": facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    with unheard_too():
        sys.exit(guarded(main))
