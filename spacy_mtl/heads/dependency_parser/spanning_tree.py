"""The best dependency tree of a sentence: a maximum spanning arborescence, with one root or any number of roots.

The algorithm is that of Chu and Liu (1965) and Edmonds (1967) as Tarjan (1977) gave it for dense graphs: from a word
go to its best head, from there to the best head of that, and so on. A path that meets itself is a cycle, which becomes
one node; a path that meets a word whose way to the root is known is done. Each step is one operation on a row of
numbers, and there are at most 2n of them, so that a sentence of n words takes O(n²).

One root at most is found as Stanojević and Cohen (2021) do it: if the best tree has several, all scores of the root
lose more than any two trees can differ by, which makes the best tree one with as few roots as possible.

Scores are (n_words, n_words + 1): a row for each dependent, column 0 for the root and column 1 + h for the head h.
"""

from typing import Any

import numpy as np

from ...protocols.arrays import FloatsT, IntsT

ROOT = 0


def best_tree(scores: FloatsT, *, single_root: bool = True) -> IntsT:
    """Find the tree with the highest sum of scores.

    scores (FloatsT): (n_words, n_words + 1), finite except for a word as its own head, which is never used.
    single_root (bool): Whether exactly one word hangs from the root; otherwise at least one does.
    RETURNS (IntsT): The column of each word's head, (n_words,).
    """
    weights = _weights(scores)
    columns = _arborescence(weights.copy())
    if single_root and (columns == ROOT).sum() > 1:
        finite = weights[np.isfinite(weights)]
        weights[ROOT, 1:] -= 1.0 + len(scores) * (finite.max() - finite.min())
        columns = _arborescence(weights)
    return columns


def is_tree(columns: IntsT, *, single_root: bool = True) -> bool:
    """Check whether heads form a tree.

    columns (IntsT): The column of each word's head, (n_words,).
    """
    return bool(are_trees(columns[None], np.array([len(columns)]), single_root=single_root)[0])


def are_trees(
    columns: IntsT, lengths: IntsT, *, single_root: bool = True
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Check which sentences' heads form a tree, all sentences at once.

    columns (IntsT): The column of each word's head, (n_sentences, n_words); those behind a sentence's end are ignored.
    lengths (IntsT): Number of words of each sentence, (n_sentences,).
    RETURNS (BoolsT): (n_sentences,).
    """
    n_sentences, size = columns.shape
    inside = np.arange(size) < lengths[:, None]
    steps = np.where(inside, columns, ROOT)
    good = np.ones(n_sentences, dtype=bool)
    if single_root:
        good = ((steps == ROOT) & inside).sum(axis=1) == 1
    reached = np.concatenate([np.zeros((n_sentences, 1), dtype="int64"), steps], axis=1)
    # after k rounds a word points at its ancestor 2^k steps above, so that only cycles don't reach the root
    for _ in range(int(size).bit_length()):
        reached = np.take_along_axis(reached, reached, axis=1)
    return good & ~reached.any(axis=1)


def _weights(scores: FloatsT) -> FloatsT:
    """Turn scores into weights[head, dependent] of n_words + 1 nodes, the first of which is the root."""
    size = len(scores) + 1
    weights = np.full((size, size), -np.inf)
    weights[:, 1:] = scores.T
    np.fill_diagonal(weights, -np.inf)
    return weights


def _arborescence(weights: FloatsT) -> IntsT:
    """Find the maximum spanning arborescence from node 0. `weights` is overwritten.

    Contracting a cycle makes a new node. It takes the row and the column of one of the cycle's nodes, and minus
    infinity fills those of the others.
    """
    contraction = _Contraction(weights)
    for node in range(1, len(weights)):
        contraction.connect(node)
    return contraction.expand()


class _Contraction:
    """The graph with its cycles contracted so far, and how to expand them.

    Nodes have ids: those of the words, then those of the contracted cycles in the order of their contraction. Each node
    that is not inside a cycle has a place, which is its row and column in the arrays.
    """

    def __init__(self, weights: FloatsT) -> None:
        size = len(weights)
        self.weights = weights
        # the word edge behind each weight
        self.heads = np.repeat(np.arange(size)[:, None], size, axis=1)
        self.dependents = np.repeat(np.arange(size)[None], size, axis=0)
        self.node_at = list(range(size))
        self.cycle_of: list[int] = [-1] * size
        self.edges: list[tuple[int, int]] = [(-1, -1)] * size
        self.done = np.arange(size) == ROOT
        self.place_of = list(range(size))

    def connect(self, word: int) -> None:
        """Follow best heads from a word until the root is reached, and contract what is a cycle on the way."""
        place = self._place(word)
        path: list[int] = []
        on_path: dict[int, int] = {}
        gains: list[float] = []
        while not self.done[place]:
            on_path[place] = len(path)
            path.append(place)
            head = int(self.weights[:, place].argmax())
            gains.append(float(self.weights[head, place]))
            self.edges[self.node_at[place]] = int(self.heads[head, place]), int(self.dependents[head, place])
            if head in on_path:
                start = on_path[head]
                cycle = path[start:]
                self._contract(cycle, gains[start:])
                for other in cycle:
                    del on_path[other]
                del path[start:], gains[start:]
                head = cycle[0]
            place = head
        self.done[path] = True

    def expand(self) -> IntsT:
        """Undo the contractions, the last one first: the edge that enters a cycle replaces one inside it."""
        n_words = len(self.weights)
        for cycle in range(len(self.edges) - 1, n_words - 1, -1):
            inside = self.edges[cycle][1]
            while self.cycle_of[inside] != cycle:
                inside = self.cycle_of[inside]
            self.edges[inside] = self.edges[cycle]
        return np.array([self.edges[word][0] for word in range(1, n_words)], dtype="int64")

    def _place(self, word: int) -> int:
        node = word
        while self.cycle_of[node] >= 0:
            node = self.cycle_of[node]
        return self.place_of[node]

    def _contract(self, cycle: list[int], gains: list[float]) -> None:
        """Make one node of the places of a cycle.

        gains (list[float]): The weight of the edge that each place has in the cycle, which an edge from outside would
            replace.
        """
        kept, others = cycle[0], cycle[1:]
        entering = self.weights[:, cycle] - np.array(gains)
        self._keep_best(np.s_[:, kept], entering, self.heads[:, cycle], self.dependents[:, cycle])
        leaving = self.weights[cycle].T
        self._keep_best(np.s_[kept], leaving, self.heads[cycle].T, self.dependents[cycle].T)
        self.weights[others] = -np.inf
        self.weights[:, others] = -np.inf
        self.weights[kept, kept] = -np.inf
        node = len(self.edges)
        self.edges.append((-1, -1))
        self.cycle_of.append(-1)
        for place in cycle:
            self.cycle_of[self.node_at[place]] = node
        self.node_at[kept] = node
        self.place_of.append(kept)

    def _keep_best(self, target: Any, weights: FloatsT, heads: IntsT, dependents: IntsT) -> None:
        """Write the best of several edges for each other node. weights, heads, dependents: (n_nodes, n_edges)."""
        best = weights.argmax(axis=1)
        rows = np.arange(len(best))
        self.weights[target] = weights[rows, best]
        self.heads[target] = heads[rows, best]
        self.dependents[target] = dependents[rows, best]
