"""`spacy debug model`, `spacy pretrain` and `init_tok2vec`, through spaCy's own functions."""

import numpy as np
import pytest
import spacy
import srsly
from multi import spacy_corpus, write
from pipelines import ENCODER, JOINT, LISTENER, TEXTS, make_examples
from spacy.cli.debug_model import debug_model
from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH
from spacy.schemas import ConfigSchemaTraining
from spacy.training.initialize import init_nlp
from spacy.training.pretrain import pretrain
from spacy.util import load_config, load_model_from_config, registry
from tiny_transformers import write_bert

ENCODERS = {name: ENCODER | {"@architectures": name} for name in ("spacy.HashEmbedCNN.v2", "spacy_mtl.HashEmbedCNN.v1")}
LISTENERS = ("spacy.Tok2VecListener.v1", "spacy_mtl.Tok2VecListener.v1")


@pytest.fixture(params=ENCODERS)
def encoder(request):
    return ENCODERS[request.param]


@pytest.fixture(params=[None, *LISTENERS], ids=lambda name: name or "own")
def config(encoder, request, tmp_path):
    """A config for an encoder of the component's own, or for a listener."""
    if request.param is None:
        return make_config(tmp_path, encoder)
    return make_config(tmp_path, LISTENER | {"@architectures": request.param}, tok2vec=encoder)


def make_config(folder, encoder, **upstream):
    """A config that trains and pretrains. `upstream` gives the model of the pipe that is listened to, by its name."""
    gold = write(folder / "gold.spacy", [eg.reference for eg in make_examples(spacy.blank("en"))])
    raw = folder / "raw.jsonl"
    srsly.write_jsonl(raw, [{"text": text} for text, _, _ in TEXTS])
    nlp = spacy.blank("en")
    for name, model in upstream.items():
        nlp.add_pipe(name, config={"model": model})
    shared = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    nlp.add_pipe("multitask", config={"model": shared, "heads": JOINT})
    config = load_config(DEFAULT_CONFIG_PRETRAIN_PATH).merge(nlp.config)
    config["training"]["seed"] = 0
    config["paths"]["raw_text"] = str(raw)
    config["corpora"] |= {"train": spacy_corpus(gold), "dev": spacy_corpus(gold)}
    config["corpora"]["pretrain"]["min_length"] = 0
    config["pretraining"] |= {"max_epochs": 3, "component": "multitask", "layer": "tok2vec"}
    return config.interpolate()


def run_debug_model(config):
    """Debug the component and print all there is. RETURNS: the pipeline."""
    nlp = load_model_from_config(config)
    training = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    steps = ("print_before_training", "print_after_init", "print_after_training", "print_prediction")
    what = ("dimensions", "parameters", "gradients", "attributes")
    debug_model(config, training, nlp, nlp.get_pipe("multitask"), print_settings=dict.fromkeys(steps + what, True))
    return nlp


def encoder_of(nlp):
    """The encoder itself, wherever it is."""
    if "tok2vec" in nlp.pipe_names:
        return nlp.get_pipe("tok2vec").model
    return nlp.get_pipe("multitask").encoder.get_ref("tok2vec")


def params_of(model):
    return [node.get_param(name).copy() for node in model.walk() for name in node.param_names if node.has_param(name)]


def test_debug_model_trains_the_encoder_too(config, capsys):
    nlp = run_debug_model(config)
    assert "model looks good" in capsys.readouterr().out
    tables = [node for node in encoder_of(nlp).walk() if node.name == "hashembed"]
    assert all(np.any(table.get_grad("E")) for table in tables)


@pytest.mark.spacy_transformers
def test_debug_model_over_a_transformer(tmp_path, capsys):
    pytest.importorskip("spacy_transformers")
    spans = {"@span_getters": "spacy-transformers.doc_spans.v1"}
    name = write_bert(tmp_path / "bert")
    transformer = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": name, "get_spans": spans}
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    run_debug_model(make_config(tmp_path, listener, transformer=transformer))
    assert "model looks good" in capsys.readouterr().out


def test_pretrained_weights_reach_the_encoder(config, tmp_path):
    pretrain(config.copy(), tmp_path)
    fresh = params_of(encoder_of(init_nlp(config)))
    # what `spacy pretrain` writes for a listener are the weights of the pipe that it listens to
    if "tok2vec" in config["components"]:
        config["pretraining"] |= {"component": "tok2vec", "layer": ""}
    assert all(map(np.array_equal, params_of(encoder_of(init_nlp(config))), fresh))
    config["initialize"]["init_tok2vec"] = str(tmp_path / "model-last.bin")
    loaded = encoder_of(init_nlp(config))
    assert not any(map(np.array_equal, params_of(loaded), fresh))
    expected = srsly.msgpack_loads((tmp_path / "model-last.bin").read_bytes())["params"]
    for node, params in zip(loaded.walk(), expected, strict=True):
        for name, value in params.items():
            np.testing.assert_array_equal(node.get_param(name), value)


def test_pretraining_all_of_the_component_is_refused(config, tmp_path):
    """The working form is `layer = "tok2vec"`, above."""
    config["pretraining"]["layer"] = ""
    with pytest.raises(RuntimeError, match=r'multitask: .* set layer = "tok2vec" in .pretraining.'):
        pretrain(config, tmp_path)
