"""Run the ONNX graphs of the encoder, from docs to token vectors, without torch."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from spacy.tokens import Doc
from thinc.api import NumpyOps
from thinc.compat import has_torch
from thinc.types import Floats2d

from ..encoders.hash_embed_cnn.piece_vectors import PieceVectors
from ..encoders.hash_embed_cnn.rare_words import WordCounts, hide_unseen
from ..encoders.hash_embed_cnn.window_rows import plan_windows
from ..encoders.hash_embed_cnn.word_cache import WordCache
from ..encoders.hash_embed_cnn.word_vectors import StaticVectorsT, distinct_words, static_vectors, table_rows

OPS = NumpyOps()
SETTINGS = "settings"


class Settings(NamedTuple):
    """The settings that the caller of the graphs needs. They are stored as JSON in the metadata of each graph.

    columns (list[int]): spaCy's ids of the attributes of the features, and last that of the static vectors' key.
    seeds (list[int]): Seed of the hash table of each feature.
    sizes (list[int]): Number of rows of each hash table.
    static (bool): Whether static vectors are used.
    window (int): Number of neighbours that a layer sees on either side.
    tiles (list[int]): Number of neighbouring positions that each layer computes at a time.
    padded (bool): Whether layers compute positions outside a doc.
    width (int): Width of the vectors.
    n_out (int): Width of the products with a tap.
    known_words (list[int] | None): Hashes of the words that training has seen, if all others become the unknown word
        (see `hide_unseen`); otherwise None.
    """

    columns: list[int]
    seeds: list[int]
    sizes: list[int]
    static: bool
    window: int
    tiles: list[int]
    padded: bool
    width: int
    n_out: int
    known_words: list[int] | None = None

    def to_metadata(self) -> dict[str, str]:
        """Convert the settings to the metadata of a graph."""
        return {SETTINGS: json.dumps(self._asdict())}


class OnnxNetwork:
    """The sessions of the two graphs in this process, and a cache of words.

    The graph "words" takes the rows of the hash tables, (n_words, n_tables, 4), and static vectors if they are used. It
    returns the vectors of words and their products with the taps of the first layer. The graph "tokens" takes both as
    tables, together with the rows that each window of each layer reads (see `WindowPlan`), and returns the vectors of
    tokens.

    graphs (Mapping[str, bytes]): The graphs by name, as the contents of .onnx files.
    """

    def __init__(self, graphs: Mapping[str, bytes]) -> None:
        self.words, self.tokens = make_session(graphs["words"]), make_session(graphs["tokens"])
        self.settings = Settings(**json.loads(self.words.get_modelmeta().custom_metadata_map[SETTINGS]))
        known = self.settings.known_words
        self.word_counts = None if known is None else WordCounts(dict.fromkeys(known, 1))
        self.cache = WordCache()

    def encode(self, docs: list[Doc], pieces: PieceVectors) -> Floats2d:
        """Compute the vectors of all tokens, (n_tokens, width).

        docs (list[Doc]): The docs, none of them empty.
        pieces (PieceVectors): The encoder's own static vectors; empty if it has those of the vocab, or none.
        """
        settings = self.settings
        words = distinct_words(docs, settings.columns)
        # Words cannot be kept, since nothing tells when the vectors of the vocab change.
        cache = WordCache() if settings.static and not pieces else self.cache
        read = static_vectors(docs, pieces or None)

        def compute(missing: Any) -> Any:
            return self.words.run(None, self._word_inputs(words.features[missing], read))

        n_taps = 2 * settings.window + 1
        widths = [settings.width, n_taps * settings.n_out]
        rows, (vectors, products) = cache.look_up(words.keys, compute, widths=widths, ops=OPS)
        word_of_row = np.concatenate([[0], rows[words.of_token]])
        inputs = self._window_inputs([len(doc) for doc in docs], word_of_row)
        inputs |= {"vectors": vectors, "products": products.reshape(-1, settings.n_out)}
        return self.tokens.run(None, inputs)[0]

    def _word_inputs(self, features: Any, read: StaticVectorsT) -> dict[str, Any]:
        if self.word_counts is not None:
            features = hide_unseen(features, self.settings.columns[: len(self.settings.sizes)], self.word_counts)
        tables = zip(self.settings.seeds, self.settings.sizes, strict=True)
        rows = [table_rows(features[:, i], seed, size) for i, (seed, size) in enumerate(tables)]
        inputs = {"rows": np.stack(rows, axis=1).astype("int64")}
        if self.settings.static:
            V, found = read(features[:, -1])
            inputs["static"] = OPS.asarray2f(V if found is None else V * found[:, None])
        return inputs

    def _window_inputs(self, lengths: Sequence[int], word_of_row: Any) -> dict[str, Any]:
        window, tiles = self.settings.window, self.settings.tiles
        plan = plan_windows(lengths, window=window, tiles=tiles, padded=self.settings.padded)
        words = word_of_row[plan.windows[0]]
        taps = np.arange(len(words))[:, None]
        later = {f"windows_{i}": index for i, index in enumerate(plan.windows[1:], start=1)}
        return {"rows": words * len(words) + taps, "centers": words[window], "tokens": plan.tokens, **later}


class OnnxState:
    """Holder for the sessions of a model, which belong to one process. A copy or a pickle of it is empty."""

    def __init__(self) -> None:
        self.graphs: Any = None
        self.process = 0
        self.network: Any = None

    def __deepcopy__(self, memo: Any) -> "OnnxState":
        return OnnxState()

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxState, ()

    def read(self, graphs: Mapping[str, bytes]) -> OnnxNetwork:
        """Return the network of these graphs. It is made anew if the graphs are others or this process is a fork."""
        if self.graphs is not graphs or self.process != os.getpid():
            self.network = OnnxNetwork(graphs)
            self.graphs, self.process = graphs, os.getpid()
        return self.network


def make_session(graph: bytes) -> Any:
    """Make a session of onnxruntime on the CPU."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    # With torch, each of its threads computes a part of the batch. Without it, there is one part for all cores.
    options.intra_op_num_threads = 1 if has_torch else 0
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def import_onnxruntime() -> Any:
    """Import onnxruntime. Raises an ImportError that names the extra if that fails."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"OnnxEncoder: it needs onnxruntime, which can't be imported ({error}): pip install 'spacy-mtl[onnx]'"
        ) from error
    return onnxruntime
