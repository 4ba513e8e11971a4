"""Several threads that predict at once get the results of a single thread, and leave no state behind."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import Barrier, Thread
from typing import Any

import numpy
import pytest
import spacy
from pipelines import JOINT, make_examples, make_nlp
from spacy.tokens import Doc
from thinc.api import fix_random_seed
from threadpoolctl import threadpool_info, threadpool_limits
from tiny_transformers import write_bert

from spacy_mtl.encoders.transformer import word_pieces
from spacy_mtl.encoders.transformer.transformer_encoder import make_transformer_encoder_v1
from spacy_mtl.threads.blas_threads import MIN_TOKENS, one_blas_thread
from spacy_mtl.threads.parallel import run_parts
from spacy_mtl.threads.torch_threads import THREADS

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

N_THREADS = 4


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_bert(tmp_path_factory.mktemp("bert"), hidden_dropout_prob=0.3)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let Python switch between threads far more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def draw_texts(n_texts: int, *, seed: int) -> list[str]:
    """Texts of words that mostly come once."""
    rng = numpy.random.default_rng(seed)
    letters = numpy.array(list("abcdefghijklmnopqrstuvwxyz"))
    return [
        " ".join("".join(rng.choice(letters, size=rng.integers(1, 6))) for _ in range(rng.integers(1, 12)))
        for _ in range(n_texts)
    ]


def in_threads(function: Callable[[Any], Any], jobs: list[Any]) -> list[Any]:
    """The results of all jobs, of which the first of each thread begin at the same time."""
    barrier = Barrier(N_THREADS)
    with ThreadPoolExecutor(N_THREADS, initializer=barrier.wait) as pool:
        return list(pool.map(function, jobs))


@pytest.mark.usefixtures("quick_switches")
def test_word_pieces_are_those_of_one_thread(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # so few that threads empty the table while others read it
    monkeypatch.setattr(word_pieces, "MAX_WORDS", 300)
    nlp = spacy.blank("en")
    batches = [[nlp.make_doc(text) for text in draw_texts(6, seed=seed)] for seed in range(400)]
    shim = make_transformer_encoder_v1(bert).initialize().shims[0]
    alone: Any = word_pieces.PieceTable(shim.pieces.tokenizer)

    def read(batch: list[Doc]) -> Any:
        return shim.pieces.read(batch, max_pieces=60)

    for _ in range(2):
        for batch, found in zip(batches, in_threads(read, batches), strict=True):
            expected = alone.read(batch, max_pieces=60)
            numpy.testing.assert_array_equal(found.ids, expected.ids)
            numpy.testing.assert_array_equal(found.counts, expected.counts)


def transformer_pipeline(bert: str) -> Any:
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}})
    listener = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 16, "upstream": "*"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": listener}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    return nlp


def cnn_pipeline(bert: str) -> Any:
    encoder = {
        "@architectures": "spacy_mtl.HashEmbedCNN.v1",
        "pretrained_vectors": None,
        "width": 32,
        "depth": 2,
        "embed_size": 200,
        "window_size": 1,
        "maxout_pieces": 3,
        "subword_features": True,
    }
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    return make_nlp(model=model)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("make_pipeline", [transformer_pipeline, cnn_pipeline])
def test_a_pipeline_annotates_as_one_thread_does(make_pipeline: Callable[[str], Any], bert: str) -> None:
    batches = [draw_texts(20, seed=seed) for seed in range(40)]
    alone = make_pipeline(bert)
    # as straight after spacy.load, where the first of the threads have to switch dropout off
    shared = spacy.blank("en").from_config(alone.config).from_bytes(alone.to_bytes())
    expected = [list(alone.pipe(batch)) for batch in batches]

    def annotate(batch: list[str]) -> list[Doc]:
        return list(shared.pipe(batch))

    found = in_threads(annotate, batches)
    again = [list(shared.pipe(batch)) for batch in batches[::-1]][::-1]
    for docs in (found, again):
        for batch, theirs in zip(docs, expected, strict=True):
            for doc, other in zip(batch, theirs, strict=True):
                assert doc.cats == pytest.approx(other.cats, abs=1e-5)
                assert [(e.start, e.end, e.label_) for e in doc.ents] == [
                    (e.start, e.end, e.label_) for e in other.ents
                ]


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def overlap(first: AbstractContextManager[Any], second: AbstractContextManager[Any], check: Callable[[], None]) -> None:
    """Enter in this thread, enter in another, leave in this one, check, leave in the other."""
    barrier = Barrier(2, timeout=10)

    def enter_second() -> None:
        with second:
            barrier.wait()
            barrier.wait()

    thread = Thread(target=enter_second)
    with first:
        thread.start()
        barrier.wait()
    check()
    barrier.wait()
    thread.join()


def test_overlapping_calls_leave_numpy_its_threads() -> None:
    if not blas_threads():
        pytest.skip("numpy's matrix library is none that threadpoolctl knows")

    def check() -> None:
        assert set(blas_threads()) == {1}

    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        overlap(one_blas_thread(MIN_TOKENS), one_blas_thread(MIN_TOKENS), check)
        assert blas_threads() == before


def test_numpy_on_one_thread_leaves_those_of_torch_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_blas_thread(MIN_TOKENS):
            torch.set_num_threads(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def fresh_thread_count() -> int:
    """How many threads torch gives to a thread that has not computed yet."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_overlapping_calls_leave_torch_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        overlap(THREADS.one(), THREADS.one(), lambda: None)
        assert (torch.get_num_threads(), fresh_thread_count()) == (3, 3)
        assert in_threads(lambda n: run_parts(lambda part: part * n, [1, 2, 3]), list(range(500))) == [
            [n, 2 * n, 3 * n] for n in range(500)
        ]
        assert (torch.get_num_threads(), fresh_thread_count()) == (3, 3)
    finally:
        torch.set_num_threads(before)
