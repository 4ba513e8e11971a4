"""Comparisons of configs whose encoder is another pipe, taken from another pipeline or frozen, or a transformer."""

import numpy as np
import pytest
import spacy
from engines import QUICK
from pipelines import heads_config
from spacy.training import Example
from thinc.api import Config
from tiny_transformers import write_bert
from toy import ENCODER, make_docs, make_toy, toy_config

from spacy_mtl.comparison.compare import compare
from spacy_mtl.comparison.planning import Settings, make_plan
from spacy_mtl.experiments.run_folder import MODEL
from spacy_mtl.report.from_comparison import data_of_comparison
from spacy_mtl.report.page import make_page

HEADS = heads_config(intent={"kind": "DocClassifier"}, slots={"kind": "EntityRecognizer"})
LISTENER = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 32, "upstream": "*"}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"), n_gold=20)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """A trained pipeline whose encoder others take."""
    nlp = spacy.blank("xx")
    nlp.add_pipe("tok2vec", config={"model": ENCODER})
    nlp.add_pipe("multitask", config={"model": model_of(LISTENER), "heads": HEADS})
    docs = make_docs(10, 7)
    nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc) for doc in docs])
    path = tmp_path_factory.mktemp("upstream")
    nlp.to_disk(path)
    return path


def model_of(tok2vec):
    return {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec, "sharing": None}


def with_pipe(paths, pipe, **training):
    """A config whose heads listen to another pipe."""
    config = toy_config(paths, HEADS, max_steps=4, eval_frequency=2, **training)
    config["nlp"]["pipeline"] = ["tok2vec", "multitask"]
    config["components"] = {"tok2vec": pipe, "multitask": config["components"]["multitask"]}
    config["components"]["multitask"]["model"] = model_of(LISTENER)
    return Config(config)


def encoder_weights(path):
    """All weights of the encoder's pipe, in a row."""
    model = spacy.load(path).get_pipe("tok2vec").model
    params = [node.get_param(name) for node in model.walk() for name in node.param_names if node.has_param(name)]
    return np.concatenate([param.ravel() for param in params])


def check(config, output):
    """Train, compare and report. RETURNS: the folders of the models."""
    result = compare(config, output, Settings(seeds=1), QUICK, name="toy.cfg")
    assert [(run.system, run.status, run.message) for run in result.runs] == [
        ("joint", "finished", ""),
        ("intent alone", "finished", ""),
        ("slots alone", "finished", ""),
    ]
    assert {one.verdict for one in result.differences} <= {"helped", "hurt", "no difference shown"}
    assert 'id="labels"' in make_page(data_of_comparison(output))
    return [output / run.folder / MODEL for run in result.runs]


def test_a_sourced_encoder_is_trained_further(paths, upstream, tmp_path):
    models = check(with_pipe(paths, {"source": str(upstream)}), tmp_path / "out")
    weights = [encoder_weights(model) for model in (upstream, *models)]
    # four small steps from the source, and far from what another initialisation gives
    assert all(0 < np.abs(own - weights[0]).max() < 0.1 for own in weights[1:])


def test_a_sourced_and_frozen_encoder_stays_as_it_is(paths, upstream, tmp_path):
    frozen = {"frozen_components": ["tok2vec"], "annotating_components": ["tok2vec"]}
    models = check(with_pipe(paths, {"source": str(upstream)}, **frozen), tmp_path / "out")
    assert all(np.array_equal(encoder_weights(model), encoder_weights(upstream)) for model in models)


def test_heads_of_another_pipeline_are_refused(paths, upstream, tmp_path):
    config = with_pipe(paths, {"source": str(upstream)})
    config["components"]["multitask"] = {"source": str(upstream)}
    with pytest.raises(ValueError, match="component 'multitask' is sourced from another pipeline"):
        make_plan(config, Settings(seeds=1))


def test_frozen_heads_are_refused(paths):
    config = toy_config(paths, HEADS, frozen_components=["multitask"])
    with pytest.raises(ValueError, match=r"'multitask' is in training\.frozen_components"):
        make_plan(config, Settings(seeds=1))


def test_a_transformer(paths, tmp_path):
    pytest.importorskip("transformers")
    config = toy_config(paths, HEADS, max_steps=4, eval_frequency=2)
    bert = write_bert(tmp_path / "bert")
    encoder = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}
    config["components"]["multitask"]["model"] = model_of(encoder)
    check(config, tmp_path / "out")
