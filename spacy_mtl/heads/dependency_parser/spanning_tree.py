"""The best dependency tree of a sentence: a maximum spanning arborescence, with one root or any number of roots.

The algorithm is that of Chu and Liu (1965) and Edmonds (1967) as Tarjan (1977) gave it for dense graphs: from a word
go to its best head, from there to the best head of that, and so on. A path that meets itself is a cycle, which becomes
one node; a path that meets a word whose way to the root is known is done. Each step is one operation on a row of
numbers, and there are at most 2n of them, so that a sentence of n words takes O(n²).

One root at most is found as Stanojević and Cohen (2021) do it: if the best tree has several, all scores of the root
are lowered, which all trees with one root suffer alike. An amount that makes all roots but one worth attaching to
another word is enough most of the time, and leaves few cycles; else it is more than any two trees can differ by, which
makes the best tree one with as few roots as possible.

Scores are (n_words, n_words + 1): a row for each dependent, column 0 for the root and column 1 + h for the head h.
"""

import math

import numpy as np

from ...protocols.arrays import FloatsT, IntsT

ROOT = 0
# share of the differences of scores by which the root is lowered further, so that there is no tie
MARGIN = 1e-6


def best_tree(scores: FloatsT, *, single_root: bool = True) -> IntsT:
    """Find the tree with the highest sum of scores.

    scores (FloatsT): (n_words, n_words + 1), finite except for a word as its own head, which is never used.
    single_root (bool): Whether exactly one word hangs from the root; otherwise at least one does.
    RETURNS (IntsT): The column of each word's head, (n_words,).
    """
    weights = _weights(scores)
    columns = _arborescence(weights)
    if single_root and (columns == ROOT).sum() > 1:
        finite = weights[np.isfinite(weights)]
        spread = float(finite.max() - finite.min())
        for lowered_by in (_loss_of_roots(weights, columns) + MARGIN * spread, 1.0 + len(scores) * spread):
            lowered = weights.copy()
            lowered[ROOT, 1:] -= lowered_by
            columns = _arborescence(lowered)
            if (columns == ROOT).sum() == 1:
                break
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


def _loss_of_roots(weights: FloatsT, columns: IntsT) -> float:
    """How much the second most expensive of several roots loses if it is attached to a word of another tree."""
    nodes = np.arange(len(weights))
    tops = np.concatenate([[ROOT], columns])
    tops = np.where(tops == ROOT, nodes, tops)
    for _ in range(len(nodes).bit_length()):
        tops = tops[tops]
    roots = np.flatnonzero(columns == ROOT) + 1
    others = np.where(tops[1:, None] == roots, -np.inf, weights[1:, roots])
    losses = weights[ROOT, roots] - others.max(axis=0)
    return float(np.sort(losses)[-2])


def _arborescence(weights: FloatsT) -> IntsT:
    """Find the maximum spanning arborescence from node 0."""
    contraction = _Contraction(weights)
    for node in np.flatnonzero(~contraction.reaches_root).tolist():
        contraction.connect(node)
    return contraction.expand()


class _Contraction:
    """The graph with its cycles contracted so far, and how to expand them.

    Contracting a cycle makes a new node, which takes the place of one of the cycle's nodes; the places of the others
    are empty from then on. Nodes have ids: those of the words, then those of the contracted cycles in the order of
    their contraction. An edge between words is one number: head * n_nodes + dependent. Sentences are short, so that
    lists are several times faster than arrays.
    """

    def __init__(self, weights: FloatsT) -> None:
        self.size = size = len(weights)
        self.node_at = list(range(size))
        self.place_of = list(range(size))
        self.cycle_of = [-1] * size
        # words whose best heads lead to the root need no more work
        best = weights.argmax(axis=0)
        self.edges: list[int] = (best * size + np.arange(size)).tolist()
        reached = best
        for _ in range(size.bit_length()):
            reached = reached[reached]
        self.reaches_root = reached == ROOT
        self.done: list[bool] = self.reaches_root.tolist()
        is_open = np.flatnonzero(~self.reaches_root)
        places: list[int] = is_open.tolist()
        self.open = set(places)
        # for each open place the weights from all places, and the word edges behind them
        self.weights: dict[int, list[float]] = dict(zip(places, weights.T[is_open].tolist(), strict=True))
        self.edges_to = {place: list(range(place, size * size, size)) for place in places}

    def connect(self, word: int) -> None:
        """Follow best heads from a word until the root is reached, and contract what is a cycle on the way."""
        place = self._place(word)
        path: list[int] = []
        on_path: dict[int, int] = {}
        gains: list[float] = []
        while not self.done[place]:
            on_path[place] = len(path)
            path.append(place)
            gain = max(self.weights[place])
            head = self.weights[place].index(gain)
            gains.append(gain)
            self.edges[self.node_at[place]] = self.edges_to[place][head]
            if head in on_path:
                start = on_path[head]
                cycle = path[start:]
                self._contract(cycle, gains[start:])
                for other in cycle:
                    del on_path[other]
                del path[start:], gains[start:]
                head = cycle[0]
            place = head
        for place in path:
            self.done[place] = True
        self.open.difference_update(path)

    def expand(self) -> IntsT:
        """Undo the contractions, the last one first: the edge that enters a cycle replaces one inside it."""
        n_nodes = self.size
        for cycle in range(len(self.edges) - 1, n_nodes - 1, -1):
            inside = self.edges[cycle] % n_nodes
            while self.cycle_of[inside] != cycle:
                inside = self.cycle_of[inside]
            self.edges[inside] = self.edges[cycle]
        return np.array(self.edges[1:n_nodes], dtype="int64") // n_nodes

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
        self.open.difference_update(others)
        weights = [weight - gains[0] for weight in self.weights[kept]]
        edges = self.edges_to[kept]
        for place, gain in zip(others, gains[1:], strict=True):
            for head, weight in enumerate(self.weights[place]):
                if weight - gain > weights[head]:
                    weights[head], edges[head] = weight - gain, self.edges_to[place][head]
        for place in cycle:
            weights[place] = -math.inf
        self.weights[kept] = weights
        for place in self.open:
            row = self.weights[place]
            best = max(cycle, key=row.__getitem__)
            row[kept], self.edges_to[place][kept] = row[best], self.edges_to[place][best]
            for other in others:
                row[other] = -math.inf
        node = len(self.edges)
        self.edges.append(-1)
        self.cycle_of.append(-1)
        for place in cycle:
            self.cycle_of[self.node_at[place]] = node
        self.node_at[kept] = node
        self.place_of.append(kept)
