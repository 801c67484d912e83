"""torch.nn: RNN, LSTM and GRU on the CPU, with as many threads as are best for the point."""

import time
from typing import Any

import numpy as np
import torch

import recurrent as rec
from benchmarks.peers.contender import Contender, Point

MODULES = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def contender(kind: str, cell: Any, params: Any, xs: Any, point: Point) -> Contender:
    """The module of torch that computes ``cell`` with the parameters ``params`` over ``xs`` ``[t, b, d]``."""
    module = MODULES[kind](point.inputs, point.units)
    state = {name: torch.tensor(value) for name, value in rec.interop.to_torch(cell, params).items()}
    module.load_state_dict(state)
    inputs = torch.tensor(np.asarray(xs))

    def step() -> Any:
        module.zero_grad(set_to_none=True)
        ys, _ = module(inputs)
        (ys**2).mean().backward()

    def forward() -> Any:
        with torch.no_grad():
            return module(inputs)[0]

    def gradients() -> dict[str, np.ndarray]:
        step()
        found = {name.removesuffix("_l0"): leaf.grad.numpy() for name, leaf in module.named_parameters()}
        named = {"w_x": found["weight_ih"].T, "w_h": found["weight_hh"].T, "b": found["bias_ih"]}
        if kind == "gru":
            named["b_h"] = found["bias_hh"][2 * point.units :]
        return {"ys": forward().numpy(), **named}

    threads = torch.get_num_threads()
    seconds = {}
    for count in {1, threads}:
        torch.set_num_threads(count)
        step()
        seconds[count] = min(_timed(step) for _ in range(3))
    best = min(seconds, key=seconds.__getitem__)
    if max(seconds.values()) > 4 * seconds[best]:
        print(f"torch: {seconds} seconds by threads; the machine may be busy", flush=True)

    def with_threads(call: Any) -> Any:
        def run() -> Any:
            torch.set_num_threads(best)
            return call()

        return run

    torch.set_num_threads(threads)
    return Contender(with_threads(step), with_threads(forward), gradients)


def _timed(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
