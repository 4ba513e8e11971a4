"""The LSTM over docs end to end against torch's own over one doc at a time."""

import numpy as np
import pytest
from pipelines import ENCODER, check_learns_and_is_saved, make_nlp
from thinc.api import fix_random_seed

from spacy_mtl.encoders.bi_lstm_encoder import make_bi_lstm_encoder_v1

torch = pytest.importorskip("torch", reason="the LSTM needs torch")
RECURRENT = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": ENCODER,
    "encode": {"@architectures": "spacy_mtl.BiLSTMEncoder.v1", "width": 32},
}


def make_encoder(depth=1):
    fix_random_seed(0)
    return make_bi_lstm_encoder_v1(width=8, depth=depth).initialize()


def draw_docs(*lengths):
    return [np.random.default_rng(n).normal(size=(n, 8)).astype("f") for n in lengths]


def by_doc(encoder, doc):
    """What torch computes for one doc, and the doc itself."""
    context, _ = encoder.shims[0]._model.lstm(torch.from_numpy(doc)[:, None])
    return doc + context[:, 0].detach().numpy()


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("is_train", [False, True])
def test_equals_torch_on_each_doc(depth, is_train):
    encoder, docs = make_encoder(depth), draw_docs(3, 0, 5, 1, 5)
    found, _ = encoder(docs, is_train=is_train)
    assert [len(rows) for rows in found] == [3, 0, 5, 1, 5]
    for doc, rows in zip(docs, found, strict=True):
        assert not len(doc) or rows == pytest.approx(by_doc(encoder, doc), abs=1e-6)


def test_gradient_equals_finite_differences():
    encoder, docs = make_encoder(), draw_docs(3, 2)
    encoder.shims[0]._model.double()
    docs = [doc.astype("d") for doc in docs]
    Y, backprop = encoder(docs, is_train=True)
    dY = [np.random.default_rng(7).normal(size=rows.shape) for rows in Y]
    gradient = backprop(dY)
    for place, column in [(0, 0), (1, 5), (2, 7)]:
        values = []
        for step in (1e-6, -1e-6):
            moved = [docs[0].copy(), docs[1]]
            moved[0][place, column] += step
            found = encoder(moved, is_train=True)[0]
            values.append(sum(float((rows * d).sum()) for rows, d in zip(found, dY, strict=True)))
        assert gradient[0][place, column] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-5)


def test_no_tokens_at_all():
    found, backprop = make_encoder()(draw_docs(0, 0), is_train=True)
    assert [len(rows) for rows in backprop(found)] == [0, 0]


def test_a_pipeline_learns_with_it_and_is_saved(tmp_path):
    check_learns_and_is_saved(RECURRENT, tmp_path)


def test_two_processes_annotate_the_same_after_threads_were_used():
    nlp = make_nlp(model={"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": RECURRENT})
    texts = ["play some jazz in Berlin", "who is Anna"] * 100
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = [doc.cats for doc in nlp.pipe(texts)]
        torch.ones(600, 600) @ torch.ones(600, 600)
        found = [doc.cats for doc in nlp.pipe(texts, n_process=2)]
    finally:
        torch.set_num_threads(n_threads)
    assert found == [pytest.approx(cats, abs=1e-6) for cats in before]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"width": 7}, "width is 7; it must be even"), ({"width": 8, "depth": 0}, "depth is 0; it must be at least 1")],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        make_bi_lstm_encoder_v1(**settings)
