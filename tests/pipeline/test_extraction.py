"""A pipeline with some of the heads predicts exactly what the whole one does."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
from balancing import CNN, use
from numpy.testing import assert_array_equal
from pipelines import JOINT, TEXTS, heads_config, make_examples, make_nlp, train
from tiny_transformers import transformer_pipeline, write_bert

from spacy_mtl.pipeline.extraction import extract, extract_to_disk

HEADS = JOINT | heads_config(
    pos={"kind": "Tagger", "attr": "pos"},
    topic={"kind": "Tagger", "attr": "tag"},
)
SHARING = {
    "none": None,
    "Adapters": {"by": "head"},
    "CrossStitch": {"depth": 2},
    "LayerMix": {"n_layers": 2},
    "MMoE": {"n_experts": 3, "width": 24},
    "PLE": {"width": 24, "n_levels": 2},
}


def examples_of(nlp):
    found = make_examples(nlp)
    for eg in found:
        for index, token in enumerate(eg.reference):
            token.pos_ = token.tag_ = "NOUN" if index % 2 else "VERB"
    return found


def make(sharing="none", *, listener=False, heads=HEADS, **settings):
    layer = SHARING[sharing] and {"@mtl_sharing": f"spacy_mtl.{sharing}.v1", **SHARING[sharing]}
    if layer is not None:
        settings["model"] = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": layer}
        nlp = blank(heads, settings)
    else:
        nlp = make_nlp(heads, listener=listener, examples=examples_of, **settings)
    train(nlp, examples_of(nlp), steps=4)
    return nlp


def blank(heads, settings):
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": heads, **settings})
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def scores_of(nlp, head, component="multitask"):
    """A head's scores of the texts, as arrays, with the vectors of the pipes before."""
    docs = list(nlp.pipe(text for text, *_ in TEXTS))
    found = nlp.get_pipe(component).model.predict(docs)[head]
    return [found] if hasattr(found, "shape") else list(found.potentials)


def assert_same(nlp, other, head, new=None):
    for expected, found in zip(scores_of(nlp, head), scores_of(other, new or head), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("sharing", SHARING)
def test_heads_predict_exactly_the_same(sharing, tmp_path):
    nlp = make(sharing)
    smaller = nlp.get_pipe("multitask").extract(["slots", "topic"], nlp=nlp)
    smaller.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    copied = spacy.blank("en").from_config(smaller.config).from_bytes(smaller.to_bytes())
    for other in (smaller, loaded, copied):
        assert list(other.get_pipe("multitask").heads) == ["intent", "slots", "topic"]  # slots sees intent
        for head in ("intent", "slots", "topic"):
            assert_same(nlp, other, head)
    assert list(nlp.get_pipe("multitask").heads) == list(HEADS)
    train(loaded, examples_of(loaded), steps=1)


@pytest.mark.parametrize("sharing", ["Adapters", "LayerMix", "MMoE"])
def test_parts_of_other_heads_go_where_no_head_depends_on_them(sharing):
    nlp = make(sharing)
    smaller = extract(nlp, ["pos"])
    layer = smaller.get_pipe("multitask").encoder.get_ref("sharing")
    assert layer.attrs["heads"] == ["pos"]
    assert not [name for name in layer.param_names if name.startswith("intent/")]


def test_listener_keeps_its_pipe_and_drops_the_others(tmp_path):
    nlp = make(listener=True)
    nlp.add_pipe("sentencizer")
    nlp.config["training"]["frozen_components"] = ["sentencizer"]
    smaller = extract(nlp, ["intent"])
    assert smaller.pipe_names == ["tok2vec", "multitask"]
    assert smaller.config["training"]["frozen_components"] == []
    assert_same(nlp, smaller, "intent")
    smaller.to_disk(tmp_path)
    assert_same(nlp, spacy.load(tmp_path), "intent")
    assert extract(nlp, ["intent"], keep=["sentencizer"]).pipe_names == ["tok2vec", "multitask", "sentencizer"]


@pytest.mark.parametrize("listener", [False, True])
def test_transformer(listener, tmp_path):
    pytest.importorskip("transformers")
    nlp = transformer_pipeline(write_bert(tmp_path / "bert"), listener=listener)
    smaller = extract(nlp, ["intent"])
    smaller.to_disk(tmp_path / "smaller")
    assert_same(nlp, spacy.load(tmp_path / "smaller"), "intent")


def test_config_is_that_of_the_heads(tmp_path):
    weighting = use("Static", weights={"slots": 0.5, "pos": 2.0})
    nlp = make(weighting=weighting)
    nlp.config["training"]["score_weights"] = {"pos_acc": 0.5, "intent_acc": 0.5, "multitask_score": 0.0}
    nlp.config["training"]["optimizer"] = {
        "@optimizers": "spacy_mtl.Optimizer.v1",
        "groups": {"pos": {"pattern": "multitask/pos"}, "slots": {"pattern": "multitask/slots"}},
    }
    nlp.config["initialize"]["components"]["multitask"] = {"labels": {"pos": ["NOUN"], "slots": ["LOC"]}}
    nlp.meta["performance"] = {"pos_acc": 0.5, "slots_f": 0.25, "multitask_score": 0.375}
    smaller = extract(nlp, ["slots"])
    config = smaller.config
    assert list(config["components"]["multitask"]["heads"]) == ["intent", "slots"]
    assert config["components"]["multitask"]["weighting"]["weights"] == {"slots": 0.5}
    assert config["training"]["score_weights"]["intent_acc"] == 1.0
    assert "pos_acc" not in config["training"]["score_weights"]
    assert list(config["training"]["optimizer"]["groups"]) == ["slots"]
    assert config["initialize"]["components"]["multitask"]["labels"] == {"slots": ["LOC"]}
    assert smaller.meta["performance"] == {"slots_f": 0.25}
    assert list(nlp.config["components"]["multitask"]["heads"]) == list(HEADS)


def test_joint_decoding_comes_along():
    heads = heads_config(
        intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer", "consistent_with": "intent"}
    )
    nlp = make(heads=heads)
    smaller = extract(nlp, ["intent"])
    assert list(smaller.get_pipe("multitask").heads) == ["intent", "slots"]
    assert [smaller(text).cats for text, *_ in TEXTS] == [nlp(text).cats for text, *_ in TEXTS]


def test_two_components():
    nlp = make()
    nlp.add_pipe("multitask", name="second", config={"heads": heads_config(tag={"kind": "Tagger", "attr": "tag"})})
    nlp.initialize(lambda: examples_of(nlp))
    with pytest.raises(ValueError, match="2 components with heads"):
        extract(nlp, ["intent"])
    smaller = extract(nlp, ["intent"], component="multitask")
    assert smaller.pipe_names == ["multitask"]
    assert_same(nlp, smaller, "intent")


def test_four_threads_predict_the_same():
    nlp = make("PLE")
    smaller = extract(nlp, ["slots"])
    expected = [smaller(text).to_json() for text, *_ in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [smaller(text).to_json() for text, *_ in TEXTS], range(8)):
            assert found == expected


def test_bad_input(tmp_path):
    nlp = make()
    with pytest.raises(ValueError, match="there is no head 'slot'; the heads are"):
        extract(nlp, ["slot"])
    with pytest.raises(ValueError, match="name at least one head"):
        extract(nlp, [])
    with pytest.raises(ValueError, match="no component 'parser' to keep"):
        extract(nlp, ["slots"], keep=["parser"])
    with pytest.raises(ValueError, match="no component 'second' with heads"):
        extract(nlp, ["slots"], component="second")
    with pytest.raises(ValueError, match="0 components with heads"):
        extract(spacy.blank("en"), ["slots"])


def test_a_folder_is_written_as_a_whole_and_never_lost(tmp_path):
    nlp = make()
    nlp.to_disk(tmp_path / "model")
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("years of work")
    for replace in (False, True):
        with pytest.raises(ValueError, match="holds no pipeline"):
            extract_to_disk(tmp_path / "model", notes, ["pos"], replace=replace)
    out = tmp_path / "out"
    extract_to_disk(tmp_path / "model", out, ["pos"])
    with pytest.raises(ValueError, match="is not empty"):
        extract_to_disk(tmp_path / "model", out, ["slots"])
    with pytest.raises(ValueError, match="no head"):
        extract_to_disk(tmp_path / "model", out, ["slot"], replace=True)
    assert list(spacy.load(out).get_pipe("multitask").heads) == ["pos"]
    extract_to_disk(tmp_path / "model", out, ["intent"], replace=True)
    assert list(spacy.load(out).get_pipe("multitask").heads) == ["intent"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "notes", "out"]
