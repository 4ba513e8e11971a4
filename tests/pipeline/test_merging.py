"""Two pipelines that were trained from one with its encoder frozen become one, which predicts exactly the same."""

import errno

import numpy as np
import pytest
import spacy
from balancing import CNN, use
from numpy.testing import assert_array_equal
from pipelines import JOINT, LISTENER, TEXTS, heads_config, make_examples, make_nlp, train
from spacy.language import Language
from tiny_transformers import transformer_pipeline, write_bert

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.pipeline.merging import merge, merge_to_disk

TAGGERS = heads_config(pos={"kind": "Tagger", "attr": "pos"}, tag={"kind": "Tagger", "attr": "tag"})
# All but the heads and the adapters.
ENCODER_ONLY = r"^(tok2vec|multitask/(?!(intent|slots|pos|tag)/|adapters))"


def tagged(nlp, attr):
    found = make_examples(nlp, cats=False, ents=False)
    for eg in found:
        for index, token in enumerate(eg.reference):
            setattr(token, f"{attr}_", "NOUN" if index % 2 else "VERB")
    return found


def origin(*, listener=False, sharing=None, **settings):
    if sharing is not None:
        layer = {"@mtl_sharing": f"spacy_mtl.{sharing}.v1"} | ({"by": "head"} if sharing == "Adapters" else {})
        tok2vec = LISTENER if listener else CNN
        model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec, "sharing": layer}
        settings = {"model": model, **settings}
        nlp = spacy.blank("en")
        nlp.add_pipe("multitask", config={"heads": JOINT, **settings})
        nlp.initialize(lambda: make_examples(nlp))
    else:
        nlp = make_nlp(JOINT, listener=listener, **settings)
    train(nlp, make_examples(nlp), steps=4)
    return nlp


def with_tagger(source: Language, attr: str, *, frozen: bool = True, name: str | None = None) -> Language:
    """The pipeline with a new head, trained on gold of that head alone."""
    nlp = spacy.blank("en").from_config(source.config).from_bytes(source.to_bytes())
    head, examples = name or attr, tagged(nlp, attr)
    nlp.get_pipe("multitask").add_head(head, TAGGERS[attr], nlp=nlp, get_examples=lambda: examples)
    groups = {"encoder": {"pattern": ENCODER_ONLY, "frozen": True}} if frozen else None
    optimizer = make_optimizer_v1(0.02, groups)
    optimizer.bind(nlp)
    for _ in range(4):
        nlp.update(examples, sgd=optimizer)
    return nlp


def scores_of(nlp, head, component="multitask"):
    docs = list(nlp.pipe(text for text, *_ in TEXTS))
    found = nlp.get_pipe(component).model.predict(docs)[head]
    return [found] if hasattr(found, "shape") else list(found.potentials)


def assert_same(nlp, other, head):
    for expected, found in zip(scores_of(nlp, head), scores_of(other, head), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize(("listener", "sharing"), [(False, None), (True, None), (False, "Adapters"), (False, "MMoE")])
def test_all_heads_predict_exactly_the_same(listener, sharing, tmp_path):
    start = origin(listener=listener, sharing=sharing)
    if sharing == "MMoE":  # its experts belong to all heads, so they are frozen with the encoder
        first, second = (with_untrained(start, attr) for attr in TAGGERS)
    else:
        first, second = (with_tagger(start, attr) for attr in TAGGERS)
    before = [nlp.to_bytes() for nlp in (first, second)]
    merged = merge(first, second)
    merged.to_disk(tmp_path / "merged")
    loaded = spacy.load(tmp_path / "merged")
    copied = spacy.blank("en").from_config(merged.config).from_bytes(merged.to_bytes())
    for other in (merged, loaded, copied):
        assert list(other.get_pipe("multitask").heads) == ["intent", "slots", "pos", "tag"]
        for head in ("intent", "slots", "pos"):
            assert_same(first, other, head)
        assert_same(second, other, "tag")
    assert [nlp.to_bytes() for nlp in (first, second)] == before
    small = loaded.get_pipe("multitask").extract(["tag"], nlp=loaded)
    assert_same(second, small, "tag")
    loaded.get_pipe("multitask").rename_head("pos", "upos", nlp=loaded)
    train(loaded, tagged(loaded, "tag"), steps=1)


def with_untrained(source, attr):
    nlp = spacy.blank("en").from_config(source.config).from_bytes(source.to_bytes())
    nlp.get_pipe("multitask").add_head(attr, TAGGERS[attr], nlp=nlp, get_examples=lambda: tagged(nlp, attr))
    return nlp


def test_a_pipeline_without_adapters_joins_one_that_has_some():
    start = origin(tok2vec=CNN)
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN,
             "sharing": {"@mtl_sharing": "spacy_mtl.Adapters.v1", "by": "head"}}  # fmt: skip
    first = spacy.blank("en")
    first.add_pipe("multitask", config={"heads": {"pos": TAGGERS["pos"]}, "model": model})
    first.initialize(lambda: tagged(first, "pos"))
    own, old = (nlp.get_pipe("multitask").encoder.get_ref("encoder") for nlp in (first, start))
    own.from_bytes(old.to_bytes())
    merged = merge(first, start)
    for head in JOINT:
        assert_same(start, merged, head)
    with pytest.raises(ValueError, match="name that one first"):
        merge(start, first)


@pytest.mark.parametrize("listener", [False, True])
def test_transformer(listener, tmp_path):
    pytest.importorskip("transformers")
    start = transformer_pipeline(write_bert(tmp_path / "bert"), listener=listener)
    first, second = (with_tagger(start, attr) for attr in TAGGERS)
    merged = merge(first, second)
    for nlp, head in ((first, "intent"), (first, "pos"), (second, "tag")):
        assert_same(nlp, merged, head)
    with pytest.raises(ValueError, match="other weights than that of the second pipeline, first in"):
        merge(first, with_tagger(start, "tag", frozen=False))


def test_settings_and_scores_come_along():
    start = origin(weighting=use("Static", weights={"intent": 0.5}))
    first, second = (with_tagger(start, attr) for attr in TAGGERS)
    second.config["components"]["multitask"]["weighting"]["weights"] = {"tag": 2.0, "intent": 9.0}
    second.config["training"]["score_weights"] = {"tag_acc": 0.4, "intent_acc": 0.6}
    first.meta["performance"] = {"intent_acc": 0.9, "pos_acc": 0.5, "multitask_score": 0.7}
    second.meta["performance"] = {"intent_acc": 0.1, "tag_acc": 0.25, "multitask_score": 0.2}
    second.meta["spacy_mtl"] = {"old_heads": {"multitask": {"intent": {}, "tag": {"before": 0.3}}}}
    merged = merge(first, second)
    assert merged.config["components"]["multitask"]["weighting"]["weights"] == {"intent": 0.5, "tag": 2.0}
    assert merged.get_pipe("multitask").weighting.factors == {"intent": 0.5, "tag": 2.0}
    assert merged.config["training"]["score_weights"]["tag_acc"] > 0.0
    assert merged.config["training"]["score_weights"].get("intent_acc") != 0.6
    assert merged.meta["performance"] == {"intent_acc": 0.9, "pos_acc": 0.5, "tag_acc": 0.25}
    assert merged.meta["spacy_mtl"]["old_heads"]["multitask"] == {"tag": {"before": 0.3}}


def test_two_components_and_some_heads():
    start = origin()
    first, second = (with_tagger(start, attr) for attr in TAGGERS)
    second.add_pipe("multitask", name="other", config={"heads": heads_config(x={"kind": "Tagger", "attr": "morph"})})
    with pytest.raises(ValueError, match="2 components with heads"):
        merge(first, second)
    merged = merge(first, second, ["slots", "tag"], other_component="multitask")
    assert merged.pipe_names == ["multitask"]
    second.disable_pipe("other")
    assert_same(second, merged, "tag")


def test_bad_input():
    start = origin()
    first, second = (with_tagger(start, attr) for attr in TAGGERS)
    with pytest.raises(ValueError, match=r"encoder of component 'multitask' has other weights .*encoder frozen"):
        merge(first, with_tagger(start, "tag", frozen=False))
    with pytest.raises(ValueError, match="no head 'x'; the heads are"):
        merge(first, second, ["x"])
    trained = with_tagger(start, "tag")
    head = trained.get_pipe("multitask").heads["intent"].model
    node = next(node for node in head.walk() if node.has_param("b"))
    node.set_param("b", node.get_param("b") + 1)
    with pytest.raises(ValueError, match="both pipelines have a head 'intent', and these differ; rename"):
        merge(first, trained)
    merge(first, trained, ["tag"])
    with pytest.raises(ValueError, match=r"head 'twin': token\.pos is also predicted by head 'pos'"):
        merge(first, with_tagger(start, "pos", name="twin"))
    with pytest.raises(ValueError, match="one of the two components listens"):
        merge(first, with_tagger(origin(listener=True), "tag"))
    german = spacy.blank("de")
    german.add_pipe("multitask", source=second)
    with pytest.raises(ValueError, match="tokenizers differ"):
        merge(first, german)
    second.vocab.set_vector("jazz", np.ones(4, dtype="f"))
    with pytest.raises(ValueError, match="word vectors differ"):
        merge(first, second)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    start = origin()
    for attr in TAGGERS:
        with_tagger(start, attr).to_disk(tmp_path / attr)
    args = tmp_path / "pos", tmp_path / "tag", tmp_path / "both"
    write = Language.to_disk

    def full(self, path, **kwargs):
        write(self, path, **kwargs)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Language, "to_disk", full)
        with pytest.raises(OSError, match="No space left"):
            merge_to_disk(*args)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pos", "tag"]
    merge_to_disk(*args)
    with pytest.raises(ValueError, match="is not empty"):
        merge_to_disk(*args)
    assert len(spacy.load(tmp_path / "both").get_pipe("multitask").heads) == 4
