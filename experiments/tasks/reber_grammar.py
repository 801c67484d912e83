"""The embedded Reber grammar: a graph whose edges carry symbols, and the strings that a walk through it writes.

A state is a node of the graph. The start is state 0, and the edge that ends a string leads back to it, so that one
graph writes single strings and endless streams of them.
"""

import dataclasses
import functools

import numpy as np

SYMBOLS = "BTPSXVE"
START = 0
END = "end"

REBER = {
    "begin": (("B", "0"),),
    "0": (("T", "1"), ("P", "2")),
    "1": (("S", "1"), ("X", "3")),
    "2": (("T", "2"), ("V", "4")),
    "3": (("X", "2"), ("S", "5")),
    "4": (("P", "3"), ("V", "5")),
    "5": (("E", END),),
}
"""The Reber grammar: from each node, the edges as (symbol, next node). Where there are two, each is taken with 1/2."""


@dataclasses.dataclass(frozen=True, eq=False)
class Grammar:
    """The graph as arrays over states: each has two edges, equally likely, the same one twice where there is one.

    ``symbols`` and ``following`` ``[states, 2]``; ``legal`` ``[states, symbols]``: what may come next.
    """

    symbols: np.ndarray
    following: np.ndarray
    legal: np.ndarray

    @functools.cached_property
    def transitions(self) -> np.ndarray:
        """The probability of going from a state to another, ``[states, states]``."""
        matrix = np.zeros((len(self.following), len(self.following)))
        for edge in range(2):
            np.add.at(matrix, (np.arange(len(matrix)), self.following[:, edge]), 0.5)
        return matrix

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """How often an endless stream is in each state."""
        size = len(self.following)
        equations = np.vstack([self.transitions.T - np.eye(size), np.ones(size)])
        return np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]

    def next_symbols(self, weights: np.ndarray) -> list[float]:
        """The probabilities of the next symbol, for each of `SYMBOLS`, where edges have ``weights`` ``[states, 2]``."""
        counts = np.bincount(self.symbols.ravel(), weights.ravel(), minlength=len(SYMBOLS))
        return (counts / weights.sum()).tolist()


@functools.cache
def embedded(framed: bool = True) -> Grammar:
    """B z R z E, with z either T or P and R a string of the Reber grammar; z R z where it is not ``framed``.

    >>> grammar = embedded()
    >>> len(grammar.following), round(1 / float(grammar.stationary[START]), 6)  # 12 symbols a string on average
    (19, 12.0)
    """
    edges = {"start": [("B", "choice")]} if framed else {}
    edges["choice"] = [(z, f"{z} begin") for z in "TP"]
    for z in "TP":
        for node, paths in REBER.items():
            edges[f"{z} {node}"] = [(symbol, f"{z} {following}") for symbol, following in paths]
        edges[f"{z} {END}"] = [(z, "last" if framed else "choice")]
    if framed:
        edges["last"] = [("E", "start")]
    number = {state: index for index, state in enumerate(edges)}
    both = [paths if len(paths) == 2 else 2 * paths for paths in edges.values()]
    symbols = np.array([[SYMBOLS.index(symbol) for symbol, _ in paths] for paths in both])
    following = np.array([[number[state] for _, state in paths] for paths in both])
    legal = np.any(np.eye(len(SYMBOLS), dtype=bool)[symbols], axis=1)
    return Grammar(symbols, following, legal)


@functools.cache
def edge_weights(min_length: int) -> np.ndarray:
    """The probability of each edge and of ``r`` more symbols at least, ``[r, states, 2]`` for r = 0..``min_length``.

    Divided by their sum these are the probabilities of the edges of a string that has to have r more symbols.
    """
    grammar = embedded()
    weights = [np.full(grammar.following.shape, 0.5)]
    for more in range(1, min_length + 1):
        enough = weights[-1].sum(axis=1)[grammar.following]
        ends = grammar.following == START
        weights.append(0.5 * np.where(ends, float(more == 1), enough))
    return np.stack(weights)


def draw_string(random: np.random.Generator, min_length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The symbols of a string of at least ``min_length``, and the state after each of them."""
    grammar, weights = embedded(), edge_weights(min_length)
    symbols, states, state = [], [], START
    while not states or state != START:
        of_edges = weights[max(min_length - len(states), 0), state]
        edge = int(random.random() * of_edges.sum() >= of_edges[0])
        symbols.append(int(grammar.symbols[state, edge]))
        state = int(grammar.following[state, edge])
        states.append(state)
    return tuple(symbols), tuple(states)
