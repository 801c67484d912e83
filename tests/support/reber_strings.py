"""The embedded Reber grammar as it is printed, for tests: the graph, the same as a regular expression, and a reader."""

import collections
import functools
import re

GRAPH = {
    0: {"T": 1, "P": 2},
    1: {"S": 1, "X": 3},
    2: {"T": 2, "V": 4},
    3: {"X": 2, "S": 5},
    4: {"P": 3, "V": 5},
    5: {"E": 6},
}
SYMBOLS = "BTPSXVE"
FROM_3 = "(?:XT*VP)*(?:SE|XT*VVE)"
REBER = f"B(?:TS*X{FROM_3}|PT*V(?:P{FROM_3}|VE))"
FRAMED = re.compile(f"B([TP]){REBER}\\1E")
UNFRAMED = re.compile(f"([TP]){REBER}\\1")


@functools.cache
def legal_after(prefix, framed=True):
    """What may follow ``prefix``, which starts at the start of a string; "" once the string is complete."""
    rest = prefix[1:] if framed else prefix
    if framed and not prefix:
        return "B"
    if not rest:
        return "TP"
    if len(rest) == 1:
        return "B"
    node = 0
    for place, symbol in enumerate(rest[2:], start=2):
        if node == 6:
            return "E" if framed and place == len(rest) - 1 else ""
        node = GRAPH[node][symbol]
    return rest[0] if node == 6 else "".join(GRAPH[node])


def probability(string):
    """That the grammar writes ``string``: 1/2 at every symbol that has an alternative."""
    return 0.5 ** sum(len(legal_after(string[:place])) == 2 for place in range(len(string)))


def shorter_strings(length, prefix=""):
    """All strings of fewer than ``length`` symbols."""
    if FRAMED.fullmatch(prefix):
        return [prefix]
    if len(prefix) + 1 >= length:
        return []
    return [string for symbol in legal_after(prefix) for string in shorter_strings(length, prefix + symbol)]


def share_of_symbols():
    """How often each (symbol, what may follow it) stands at a place of an endless stream: counts of a string by 12."""
    visits = dict.fromkeys(range(7), 0.0)
    for _ in range(500):  # until the expected numbers of visits are consistent with each other
        arriving = {node: float(node == 0) for node in visits}
        for node, edges in GRAPH.items():
            for following in edges.values():
                arriving[following] += visits[node] / len(edges)
        visits = arriving
    counts = collections.Counter({("B", "TP"): 2, ("E", "B"): 1})
    for z in "TP":
        counts.update({(z, "B"): 0.5, (z, "E"): 0.5, ("E", z): 0.5})
    for node, edges in GRAPH.items():
        for symbol, following in edges.items():
            if following in GRAPH:
                counts[symbol, "".join(GRAPH[following])] += visits[node] / len(edges)
    return {pair: count / 12 for pair, count in counts.items()}


def text(tokens):
    return "".join(SYMBOLS[token] for token in tokens)
