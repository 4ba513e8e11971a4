"""spacy_mtl.TrainingState.v1 and its files: a training that was stopped resumes exactly as if it had not been."""

import numpy as np
import pytest
import spacy
import srsly
from numpy.testing import assert_array_equal
from pipelines import ENCODER, JOINT, LISTENER, heads_config, make_examples, make_nlp, weights_of
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from thinc.api import Config, warmup_linear
from tiny_transformers import write_bert

from spacy_mtl.optimizers.grouped import make_optimizer_v1
from spacy_mtl.optimizers.parameters import find_parameters
from spacy_mtl.training.save_state import OPTIMIZER, TRAINING, find_state, make_training_state_v1
from spacy_mtl.training.state import load_state, save_state

CONFIG = """
[nlp]
lang = "en"
pipeline = ["tok2vec","multitask"]

[components]

[components.tok2vec]
factory = "tok2vec"

[components.multitask]
factory = "multitask"

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = null

[training]
train_corpus = "corpora.train"
dev_corpus = "corpora.train"
dropout = 0.0
max_epochs = -1
max_steps = 3
eval_frequency = 100
accumulate_gradient = 1
seed = 0
gpu_allocator = null

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 4

[training.score_weights]
multitask_score = 1.0

[training.logger]
@loggers = "spacy.ConsoleLogger.v1"

[training.optimizer]
@optimizers = "spacy_mtl.Optimizer.v1"
use_averages = true
L2 = 0.01

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
initial_rate = 0.05
warmup_steps = 2
total_steps = 8

[training.optimizer.groups]

[training.optimizer.groups.encoder]
pattern = "^tok2vec/"
unfreeze_at = 1
learn_rate = 0.01

[training.before_update]
@callbacks = "spacy_mtl.TrainingState.v1"
every = 2

[initialize]

[initialize.components]
"""


def make_optimizer(**settings):
    groups = {"slots": {"pattern": "transitions|starts|ends", "learn_rate": warmup_linear(0.1, 3, 30), "L2": 0.1}}
    settings = {"L2": 0.01, "grad_clip": 0.5, "use_averages": True, **settings}
    return make_optimizer_v1(warmup_linear(0.05, 5, 20), groups, **settings)


def batches_of(nlp):
    """Ten batches: of all examples, of cats only, and of entities only."""
    kinds = [{}, {"ents": False}, {"cats": False}]
    return [make_examples(nlp, **kinds[step % 3])[: 2 + step % 3] for step in range(10)]


def learn(nlp, optimizer, batches):
    for batch in batches:
        nlp.update(batch, sgd=False)
        for _, pipe in nlp.pipeline:
            pipe.finish_update(optimizer)
        optimizer.step_schedules()


def assert_equal_training(nlp, optimizer, other, other_optimizer):
    """Weights, moments, averages and schedules are equal to the last bit."""
    parameters, others = find_parameters(nlp), find_parameters(other)
    assert parameters.keys() == others.keys()
    for name, one in parameters.items():
        two = others[name]
        assert_array_equal(one.weights, two.weights, err_msg=name)
        averages = (optimizer.averages or {}, other_optimizer.averages or {})
        for own, loaded in ((optimizer.mom1, other_optimizer.mom1), averages):
            assert (one.key in own) == (two.key in loaded)
            if one.key in own:
                assert_array_equal(own[one.key], loaded[two.key], err_msg=name)
    assert other_optimizer.step == optimizer.step
    assert other_optimizer.learn_rate == optimizer.learn_rate


@pytest.mark.parametrize("listener", [True, False])
def test_stopped_and_resumed_is_the_same_as_not_stopped(listener, tmp_path):
    straight, stopped = make_nlp(listener=listener), make_nlp(listener=listener)
    optimizer, first = make_optimizer(), make_optimizer()
    learn(straight, optimizer, batches_of(straight))
    learn(stopped, first, batches_of(stopped)[:5])
    save_state(first, stopped, tmp_path / "state")

    resumed, second = make_nlp(listener=listener).from_bytes(stopped.to_bytes()), make_optimizer()
    load_state(second, resumed, tmp_path / "state")
    learn(resumed, second, batches_of(resumed)[5:])
    assert_equal_training(straight, optimizer, resumed, second)
    without = make_nlp(listener=listener).from_bytes(stopped.to_bytes())
    learn(without, make_optimizer(), batches_of(without)[5:])
    name = "tok2vec" if listener else "multitask"
    key = next(iter(weights_of(without.get_pipe(name))))
    assert not np.array_equal(weights_of(without.get_pipe(name))[key], weights_of(straight.get_pipe(name))[key])


def test_a_transformer_is_resumed_too(tmp_path):
    """Its parameters are behind a shim. Encoder and heads have learning rates of their own."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    encoder = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": write_bert(tmp_path)}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": encoder}
    straight, stopped, resumed = (make_nlp(model=model) for _ in range(3))
    group = {"pattern": "^transformer", "layer_decay": 0.5, "n_layers": 2}
    optimizer, first, second = (
        make_optimizer_v1(0.05, {"encoder": group | {"learn_rate": warmup_linear(0.01, 2, 20)}}, L2=0.01)
        for _ in range(3)
    )
    learn(straight, optimizer, batches_of(straight))
    learn(stopped, first, batches_of(stopped)[:5])
    save_state(first, stopped, tmp_path / "state")
    resumed.from_bytes(stopped.to_bytes())
    load_state(second, resumed, tmp_path / "state")
    learn(resumed, second, batches_of(resumed)[5:])
    assert any("transformer.encoder.layer.1" in name for name in find_parameters(resumed))
    assert_equal_training(straight, optimizer, resumed, second)


def test_a_label_added_in_a_training_keeps_group_and_moments_and_can_be_saved(tmp_path):
    nlp, other = make_nlp(listener=True), make_nlp(listener=True)
    optimizer, second = (
        make_optimizer_v1(0.05, {"slots": {"pattern": "^multitask/slots/", "learn_rate": 0.0}}, use_averages=True)
        for _ in range(2)
    )
    optimizer.bind(nlp)
    learn(nlp, optimizer, batches_of(nlp)[:5])
    before = find_parameters(nlp)
    old = {
        name: (optimizer.mom1[p.key], optimizer.mom2[p.key]) for name, p in before.items() if p.key in optimizer.mom1
    }
    for pipeline in (nlp, other):
        for head in ("intent", "slots"):
            pipeline.get_pipe("multitask").add_label("NEW", head=head)
    weights = {name: parameter.weights.copy() for name, parameter in find_parameters(nlp).items()}
    save_state(optimizer, nlp, tmp_path / "state")
    learn(nlp, optimizer, batches_of(nlp)[5:])
    for name, parameter in find_parameters(nlp).items():
        if name.startswith("multitask/slots/"):
            # the layer that sees the intents grows when the slots first see the new one
            corner = tuple(slice(size) for size in weights[name].shape)
            assert_array_equal(parameter.weights[corner], weights[name], err_msg=name)
    assert nlp.get_pipe("multitask").heads["intent"].model.get_ref("output").get_param("W")[-1].any()

    load_state(second, other, tmp_path / "state")
    n_grown = 0
    for name, parameter in find_parameters(other).items():
        if name in old and parameter.weights.shape != before[name].weights.shape:
            n_grown += 1
            corner = tuple(slice(size) for size in before[name].weights.shape)
            for moments, earlier in zip((second.mom1, second.mom2), old[name], strict=True):
                grown = moments[parameter.key].reshape(parameter.weights.shape)
                assert_array_equal(grown[corner].ravel(), earlier, err_msg=name)
    assert n_grown >= 6


def test_a_gradient_that_would_be_lost_is_an_error(tmp_path):
    nlp, optimizer = make_nlp(listener=True), make_optimizer()
    nlp.update(make_examples(nlp), sgd=optimizer)
    with pytest.raises(ValueError, match=r"gradient of parameter 'tok2vec/.*' was not used yet"):
        save_state(optimizer, nlp, tmp_path / "state")


def test_names_are_the_same_in_another_pipeline():
    one, other = find_parameters(make_nlp(listener=True)), find_parameters(make_nlp(listener=True))
    assert list(one) == list(other)
    assert {parameter.key for parameter in one.values()}.isdisjoint(parameter.key for parameter in other.values())
    assert "multitask/slots/linear.3/W" in one
    assert {name.split("/")[0] for name in one} == {"tok2vec", "multitask"}


def test_what_does_not_fit_is_an_error(tmp_path):
    nlp, path = make_nlp(), tmp_path / "state"
    optimizer = make_optimizer()
    learn(nlp, optimizer, batches_of(nlp)[:2])
    with pytest.raises(ValueError, match="save its state with the pipeline that it trains"):
        save_state(optimizer, make_nlp(), path)
    save_state(optimizer, nlp, path)
    with pytest.raises(ValueError, match="has taken 2 steps already"):
        load_state(optimizer, nlp, path)
    with pytest.raises(ValueError, match="use_averages is False, but was True"):
        load_state(make_optimizer(use_averages=False), nlp, path)
    with pytest.raises(ValueError, match=r"has a parameter 'multitask/.*', which the pipeline lacks"):
        load_state(make_optimizer(), make_nlp(heads_config(intent={"kind": "DocClassifier"})), path)
    other = make_nlp()
    other.get_pipe("multitask").add_label("NEW", head="slots")
    with pytest.raises(ValueError, match=r"parameter 'multitask/slots/.*' has \d+ values, but \d+ in the state"):
        load_state(make_optimizer(), other, path)
    with pytest.raises(ValueError, match=r"can't load the state in .*missing"):
        load_state(make_optimizer(), nlp, tmp_path / "missing")
    srsly.write_msgpack(path, {"step": 1})
    with pytest.raises(ValueError, match="can't load the state"):
        load_state(make_optimizer(), nlp, path)


@pytest.fixture
def config(tmp_path):
    """A config for `spacy train` that saves the state in a folder, on a corpus of one batch."""
    path = tmp_path / "corpus.spacy"
    DocBin(docs=[eg.reference for eg in make_examples(spacy.blank("en"))]).to_disk(path)
    config = Config().from_str(CONFIG, interpolate=False)
    config["components"]["tok2vec"]["model"] = ENCODER
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
    config["components"]["multitask"].update(model=model, heads=JOINT)
    config["corpora"]["train"]["path"] = str(path)
    config["corpora"]["dev"] = dict(config["corpora"]["train"])
    config["training"]["optimizer"]["state"] = str(tmp_path / "state")
    config["training"]["before_update"]["path"] = str(tmp_path / "state")
    return config


def run(config, **settings):
    """Train as `spacy train` does. RETURNS: the parameters' values by name."""
    config = config.copy()
    config["training"].update({key: value for key, value in settings.items() if key == "max_steps"})
    config["training"]["before_update"].update({key: value for key, value in settings.items() if key != "max_steps"})
    nlp = init_nlp(config)
    train(nlp)
    return {name: parameter.weights.copy() for name, parameter in find_parameters(nlp).items()}


def saved_step(folder):
    """The step that the newest state was saved at."""
    return srsly.read_msgpack(find_state(folder) / TRAINING)["step"]


def test_spacy_train_goes_on_where_it_stopped(config, tmp_path):
    """spaCy takes max_steps + 1 steps: four in one go, or two and two."""
    straight = run(config, max_steps=3)
    assert saved_step(tmp_path / "state") == 2
    resumed = run(config, max_steps=1, every=0, resume=True)
    begun_again = run(config, max_steps=1, every=0)
    for name, weights in straight.items():
        assert_array_equal(resumed[name], weights, err_msg=name)
    assert not np.array_equal(begun_again["tok2vec/maxout.29/W"], straight["tok2vec/maxout.29/W"])


def test_what_was_seen_with_each_class_is_as_if_it_had_not_stopped(config):
    """No kind of doc counts twice, and those of the training are there before its first evaluation."""
    config["components"]["multitask"]["heads"] = {**JOINT, "slots": {**JOINT["slots"], "consistent_with": "intent"}}

    def seen_after(**settings):
        again = config.copy()
        again["training"]["max_steps"] = settings.pop("max_steps")
        again["training"]["before_update"].update(settings)
        nlp = init_nlp(again)
        train(nlp)
        return nlp.get_pipe("multitask").heads["slots"].model.attrs["seen_types"].kinds

    straight = seen_after(max_steps=3)
    assert len(straight) == 4
    assert seen_after(max_steps=1, every=0, resume=True) == straight


def test_the_state_is_replaced_as_a_whole(config, tmp_path):
    run(config, max_steps=5)
    assert saved_step(tmp_path / "state") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.spacy", "state"]
    (state,) = (tmp_path / "state").iterdir()
    assert sorted(path.name for path in state.iterdir()) == ["multitask", OPTIMIZER, "tok2vec", TRAINING]


def test_the_state_may_be_a_link_to_another_folder(config, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "other")
    run(config, max_steps=5)
    assert saved_step(tmp_path / "other") == 4
    run(config, max_steps=1, every=0, resume=True)


def test_errors_of_the_callback_name_the_folder(config, tmp_path):
    with pytest.raises(ValueError, match=r"there is no state to resume from in .*state"):
        run(config, resume=True)
    with pytest.raises(ValueError, match=r"no optimizer with state = .*elsewhere"):
        run(config, path=str(tmp_path / "elsewhere"))
    (tmp_path / "state").write_text("mine")
    with pytest.raises(ValueError, match=r"path .*state is a file, expected a folder"):
        run(config)
    with pytest.raises(ValueError, match="every is -1"):
        make_training_state_v1("state", every=-1)
