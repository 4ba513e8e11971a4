"""`spacy debug model`, `spacy pretrain` and `init_tok2vec`, through spaCy's own functions."""

import numpy as np
import pytest
import spacy
import srsly
from multi import spacy_corpus, write
from pipelines import ENCODER, JOINT, LISTENER, TEXTS, has_moved, make_examples, weights_of
from spacy.cli.debug_model import debug_model
from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH
from spacy.schemas import ConfigSchemaTraining
from spacy.training.initialize import init_nlp
from spacy.training.pretrain import pretrain
from spacy.util import load_config, load_model_from_config, registry
from thinc.api import Config

ENCODERS = {name: ENCODER | {"@architectures": name} for name in ("spacy.HashEmbedCNN.v2", "spacy_mtl.HashEmbedCNN.v1")}
LISTENERS = ("spacy.Tok2VecListener.v1", "spacy_mtl.Tok2VecListener.v1")


@pytest.fixture(params=ENCODERS)
def encoder(request):
    return ENCODERS[request.param]


@pytest.fixture(params=[None, *LISTENERS], ids=lambda name: name or "own")
def config(encoder, request, tmp_path):
    """A training config with an encoder of the component's own, or with a listener."""
    gold = write(tmp_path / "gold.spacy", [eg.reference for eg in make_examples(spacy.blank("en"))])
    raw = tmp_path / "raw.jsonl"
    srsly.write_jsonl(raw, [{"text": text} for text, _, _ in TEXTS])
    nlp = spacy.blank("en")
    tok2vec = encoder
    if request.param is not None:
        nlp.add_pipe("tok2vec", config={"model": encoder})
        tok2vec = LISTENER | {"@architectures": request.param}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    config = load_config(DEFAULT_CONFIG_PRETRAIN_PATH).merge(nlp.config)
    config["training"]["seed"] = 0
    config["paths"]["raw_text"] = str(raw)
    config["corpora"] |= {"train": spacy_corpus(gold), "dev": spacy_corpus(gold)}
    config["corpora"]["pretrain"]["min_length"] = 0
    config["pretraining"] |= {"max_epochs": 3, "component": "multitask", "layer": "tok2vec"}
    return config.interpolate()


def encoder_pipe(nlp):
    """The pipe that holds the encoder."""
    return nlp.get_pipe("tok2vec" if "tok2vec" in nlp.pipe_names else "multitask")


def encoder_of(nlp):
    """The encoder itself, wherever it is."""
    pipe = encoder_pipe(nlp)
    return pipe.model if pipe.name == "tok2vec" else pipe.encoder.get_ref("tok2vec")


def test_debug_model_trains_the_encoder_too(config, capsys):
    nlp = load_model_from_config(config)
    training = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    steps = ("print_before_training", "print_after_init", "print_after_training", "print_prediction")
    what = ("dimensions", "parameters", "gradients", "attributes")
    debug_model(config, training, nlp, nlp.get_pipe("multitask"), print_settings=dict.fromkeys(steps + what, True))
    assert "model looks good" in capsys.readouterr().out
    tables = [node for node in encoder_of(nlp).walk() if node.name == "hashembed"]
    assert all(np.any(table.get_grad("E")) for table in tables)


def test_pretrained_weights_reach_the_encoder(config, tmp_path):
    pretrain(config.copy(), tmp_path)
    unlike = init_nlp(config)
    config["initialize"]["init_tok2vec"] = str(tmp_path / "model-last.bin")
    if "tok2vec" in config["components"]:
        config["pretraining"] |= {"component": "tok2vec", "layer": ""}
    nlp = init_nlp(config)
    loaded = encoder_of(nlp)
    assert has_moved(weights_of(encoder_pipe(unlike)), weights_of(encoder_pipe(nlp)))
    expected = srsly.msgpack_loads((tmp_path / "model-last.bin").read_bytes())["params"]
    for node, params in zip(loaded.walk(), expected, strict=True):
        for name, value in params.items():
            np.testing.assert_array_equal(node.get_param(name), value)
