"""Entities and relations of many docs, merged into one graph."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from spacy.tokens import Doc, Span

from ..all_entities import all_entities
from ..relation import RELATIONS, UNKNOWN, relations
from .quotation import quote

# what spaCy's entity linker sets where the knowledge base has no entry
NO_ENTRY = "NIL"
NAMESPACE = "urn:spacy-mtl:"

PlaceT = tuple[int, int]
EdgeKeyT = tuple[str, str, str]  # head, label, tail


@dataclass(frozen=True)
class Sentence:
    """A text in which a relation was found.

    text (str): The sentence, or the part of the doc around the arguments where there are no sentences.
    source (str): Where it is, such as "news.txt, text 12".
    score (float): The probability of the relation there.
    """

    text: str
    source: str
    score: float


@dataclass
class Node:
    """An entity.

    id (str): Its entry in the knowledge base, or else type and normalized text, such as "PER:ada lovelace".
    kb_id (str): Its entry in the knowledge base; "" if no linker set one.
    names (Counter[str]): How often each form of the name was found.
    types (Counter[str]): How often each type was found; more than one only with an entry.
    """

    id: str
    kb_id: str = ""
    names: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The most frequent form of the name, the first one in a tie."""
        return self.names.most_common(1)[0][0]

    @property
    def type(self) -> str:
        """The most frequent type, the first one in a tie."""
        return self.types.most_common(1)[0][0]

    @property
    def count(self) -> int:
        """How often the entity was found."""
        return self.names.total()


@dataclass
class Edge:
    """A relation between two entities, merged from all texts.

    count (int): How often it was found.
    score_sum (float): Sum of its probabilities.
    sentences (list[Sentence]): The most probable ones, the best first; no text twice.
    """

    head: str
    label: str
    tail: str
    count: int = 0
    score_sum: float = 0.0
    sentences: list[Sentence] = field(default_factory=list)

    @property
    def confidence(self) -> float:
        """Mean probability over all places where it was found."""
        return self.score_sum / self.count

    def add(self, sentence: Sentence, limit: int) -> None:
        """Count one more place, and keep at most `limit` sentences."""
        self.count += 1
        self.score_sum += sentence.score
        if all(sentence.text != known.text for known in self.sentences):
            self.sentences.append(sentence)
            self.sentences.sort(key=lambda one: -one.score)
            del self.sentences[limit:]


class KnowledgeGraph:
    """The graph. Only what is merged is kept, so that its size is that of the distinct entities and relations.

    nodes (dict[str, Node]): By ID. edges (dict[tuple[str, str, str], Edge]): By head, label and tail.
    n_docs (int): How many docs were added. max_sentences (int): How many sentences an edge keeps.
    namespace (str): What its IRIs begin with, in RDF.
    symmetric (Collection[str]): Labels that hold in both directions. Their two edges are merged into one, whose head is
        the node with the first ID in alphabetical order.
    """

    def __init__(self, *, max_sentences: int = 5, namespace: str = NAMESPACE, symmetric: Collection[str] = ()) -> None:
        self.max_sentences = max_sentences
        self.namespace = namespace
        self.symmetric = frozenset(symmetric)
        self.n_docs = 0
        self.nodes: dict[str, Node] = {}
        self.edges: dict[EdgeKeyT, Edge] = {}

    def add(self, doc: Doc, source: str, *, key: str = RELATIONS) -> None:
        """Add the entities and relations of a doc.

        source (str): Where the doc comes from. key (str): The span group of the relations.
        """
        self.n_docs += 1
        found = [relation for relation in relations(doc, key) if relation.label != UNKNOWN]
        entities = [*doc.ents, *all_entities(doc)]
        entities += [span for relation in found for span in (relation.head, relation.tail)]
        nodes: dict[PlaceT, Node] = {}
        for place, spans in _by_place(entities).items():
            nodes[place] = self._count(spans)
        for relation in found:
            ends = [nodes[span.start, span.end].id for span in (relation.head, relation.tail)]
            head, tail = sorted(ends) if relation.label in self.symmetric else ends
            edge = self.edges.setdefault((head, relation.label, tail), Edge(head, relation.label, tail))
            sentence = Sentence(quote(relation.head, relation.tail), source, relation.score)
            edge.add(sentence, self.max_sentences)

    def part(self, *, min_count: int = 1, min_confidence: float = 0.0, all_nodes: bool = False) -> "KnowledgeGraph":
        """Return the graph without rare and improbable relations.

        min_count (int): How often a relation must have been found.
        min_confidence (float): Its least mean probability.
        all_nodes (bool): Keep entities without a relation.
        """
        result = KnowledgeGraph(max_sentences=self.max_sentences, namespace=self.namespace, symmetric=self.symmetric)
        result.n_docs = self.n_docs
        for key, edge in self.edges.items():
            if edge.count >= min_count and edge.confidence >= min_confidence:
                result.edges[key] = edge
        used = {name for head, _, tail in result.edges for name in (head, tail)}
        result.nodes = {name: node for name, node in self.nodes.items() if all_nodes or name in used}
        return result

    def strongest_edges(self) -> Iterator[Edge]:
        """The edges, those that were found most often first, and of these the most probable."""
        yield from sorted(self.edges.values(), key=lambda edge: (-edge.count, -edge.confidence))

    def _count(self, spans: list[Span]) -> Node:
        """The node of spans at one place, which counts as one more mention."""
        label = next((span.label_ for span in spans if span.label_), "")
        kb_id = next((span.kb_id_ for span in spans if span.kb_id_ not in ("", NO_ENTRY)), "")
        name = " ".join(spans[0].text.split())
        node_id = kb_id or f"{label}:{normalize(name)}"
        node = self.nodes.setdefault(node_id, Node(node_id, kb_id))
        node.names[name] += 1
        node.types[label] += 1
        return node


def normalize(name: str) -> str:
    """The name with compatible characters (NFKC), case and white space made equal."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _by_place(spans: list[Span]) -> dict[PlaceT, list[Span]]:
    found: dict[PlaceT, list[Span]] = {}
    for span in spans:
        found.setdefault((span.start, span.end), []).append(span)
    return found
