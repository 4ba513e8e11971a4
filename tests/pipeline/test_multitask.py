"""The component does everything that a trainable pipe of spaCy does."""

import pickle

import numpy as np
import pytest
import spacy
from pipelines import (
    ENCODER,
    JOINT,
    LISTENER,
    TEXTS,
    has_moved,
    heads_config,
    make_examples,
    make_nlp,
    train,
    weights_of,
)
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, Model
from thinc.types import Ragged

from spacy_mtl.network.shared_encoder import make_shared_encoder_v1
from spacy_mtl.pipeline.multitask import Multitask
from spacy_mtl.protocols.sharing import SharingInput

LONGER = [text for text, _, _ in TEXTS] * 10 + ["", " ", "\n play jazz ", "🤷‍♀️ ﷽ play"]


def annotations(docs):
    return [(dict(doc.cats), [(ent.start, ent.end, ent.label_) for ent in doc.ents]) for doc in docs]


def close(one, other):
    return all(
        a_ents == b_ents and a_cats == pytest.approx(b_cats, abs=1e-5)
        for (a_cats, a_ents), (b_cats, b_ents) in zip(one, other, strict=True)
    )


@pytest.fixture(params=[False, True], ids=["own", "listener"])
def nlp(request):
    nlp = make_nlp(listener=request.param)
    train(nlp, make_examples(nlp))
    return nlp


def test_it_learns_and_saves_what_it_learned(nlp, tmp_path):
    doc = nlp("play some jazz in Berlin")
    assert doc.cats["play"] > 0.9
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("jazz", "GENRE"), ("Berlin", "LOC")]
    expected = annotations(nlp.pipe(LONGER))
    nlp.to_disk(tmp_path)
    assert annotations(spacy.load(tmp_path).pipe(LONGER)) == expected
    assert annotations(spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes()).pipe(LONGER)) == expected


@pytest.mark.parametrize("batch_size", [1, 64])
def test_predictions_do_not_depend_on_the_batch(nlp, batch_size):
    # The encoder's padding rows between docs are shared, so vectors agree to float precision only.
    assert close(annotations(nlp.pipe(LONGER, batch_size=batch_size)), annotations(map(nlp, LONGER)))


def test_two_processes_predict_the_same(nlp):
    assert close(annotations(nlp.pipe(LONGER, n_process=2, batch_size=8)), annotations(nlp.pipe(LONGER)))


def test_pickle(nlp):
    # After an update a listener holds a local function of spaCy's tok2vec, which can't be pickled.
    nlp = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    copy = pickle.loads(pickle.dumps(nlp))
    assert annotations(copy.pipe(LONGER)) == annotations(nlp.pipe(LONGER))
    pipe = pickle.loads(pickle.dumps(nlp.get_pipe("multitask")))
    assert pipe.label_data == nlp.get_pipe("multitask").label_data
    assert not has_moved(weights_of(nlp.get_pipe("multitask")), weights_of(pipe))


def test_exclude_keeps_the_model_out(nlp, tmp_path):
    pipe = nlp.get_pipe("multitask")
    pipe.to_disk(tmp_path, exclude=["model", "vocab"])
    assert not (tmp_path / "model").exists()
    before = weights_of(pipe)
    pipe.from_disk(tmp_path, exclude=["model", "vocab"])
    pipe.from_bytes(pipe.to_bytes(exclude=["model"]), exclude=["model"])
    assert not has_moved(before, weights_of(pipe))


def test_head_order_in_a_saved_config_does_not_matter(tmp_path):
    """spaCy sorts the sections of a saved config by name."""
    heads = heads_config(
        zebra={"kind": "DocClassifier"},
        apple={"kind": "EntityRecognizer", "condition_on": "zebra"},
    )
    nlp = make_nlp(heads)
    train(nlp, make_examples(nlp))
    nlp.to_disk(tmp_path)
    assert annotations(spacy.load(tmp_path).pipe(LONGER)) == annotations(nlp.pipe(LONGER))


def test_labels_and_label_data(nlp):
    pipe = nlp.get_pipe("multitask")
    assert pipe.label_data == {"intent": ["ask", "play"], "slots": ["GENRE", "LOC", "PER"]}
    assert pipe.labels == ("intent:ask", "intent:play", "slots:GENRE", "slots:LOC", "slots:PER")
    other = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    again = other.add_pipe("multitask", config={"model": model, "heads": JOINT})
    other.config["initialize"]["components"]["multitask"] = {"labels": pipe.label_data}
    other.initialize(lambda: make_examples(other, cats=False, ents=False))
    assert again.label_data == pipe.label_data


def test_add_label_before_and_after_training(nlp):
    pipe = nlp.get_pipe("multitask")
    before = annotations(nlp.pipe(LONGER))
    assert pipe.add_label("stop", head="intent") == 1
    assert pipe.add_label("stop", head="intent") == 0
    assert pipe.add_label("DATE", head="slots") == 1
    assert "slots:DATE" in pipe.labels
    after = annotations(nlp.pipe(LONGER))
    assert [ents for _, ents in before[:40]] == [ents for _, ents in after[:40]]
    reference = nlp.make_doc("stop on Monday")
    reference.cats = {"play": 0.0, "ask": 0.0, "stop": 1.0}
    reference.set_ents([reference.char_span(8, 14, label="DATE")], default="outside")
    train(nlp, [*make_examples(nlp), Example(nlp.make_doc("stop on Monday"), reference)], steps=80)
    doc = nlp("stop on Monday")
    assert max(doc.cats, key=doc.cats.get) == "stop"
    assert [ent.label_ for ent in doc.ents] == ["DATE"]
    assert [ent.label_ for ent in nlp("who is Anna Schmidt").ents] == ["PER"]


def test_default_heads_and_their_replacement():
    nlp = spacy.blank("en")
    assert list(nlp.add_pipe("multitask").heads) == ["textcat", "ner"]
    replaced = spacy.blank("en").add_pipe("multitask", config={"heads": heads_config(mood={"kind": "DocClassifier"})})
    assert list(replaced.heads) == ["mood"]


def test_losses_are_the_weighted_total_and_each_heads_own():
    nlp = make_nlp(weighting={"@mtl_weightings": "spacy_mtl.Static.v1", "weights": {"intent": 0.5, "slots": 3.0}})
    losses = nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert set(losses) == {"multitask", "multitask/intent", "multitask/slots"}
    assert losses["multitask"] == pytest.approx(0.5 * losses["multitask/intent"] + 3 * losses["multitask/slots"])


def count_calls(monkeypatch, model):
    """Count a layer's forward and backward passes in training."""
    calls = {"forward": 0, "backward": 0}
    forward = model._func

    def counted(layer, X, is_train):
        Y, backprop = forward(layer, X, is_train)
        calls["forward"] += is_train

        def counted_backprop(dY):
            calls["backward"] += 1
            return backprop(dY)

        return Y, counted_backprop

    monkeypatch.setattr(model, "_func", counted)
    return calls


@pytest.mark.parametrize("listener", [False, True])
def test_one_forward_and_one_backward_for_all_heads(monkeypatch, listener):
    nlp = make_nlp(listener=listener)
    pipe = nlp.get_pipe("tok2vec" if listener else "multitask")
    encoder = pipe.model if listener else pipe.model.get_ref("encoder").get_ref("tok2vec")
    calls = count_calls(monkeypatch, encoder)
    nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())
    assert calls == {"forward": 1, "backward": 1}


def test_a_batch_without_gold_changes_nothing(nlp):
    pipe = nlp.get_pipe("multitask")
    before = weights_of(pipe)
    losses = nlp.update(make_examples(nlp, cats=False, ents=False), sgd=nlp.resume_training())
    assert not has_moved(before, weights_of(pipe))
    assert losses["multitask"] == 0.0


def test_a_batch_without_gold_changes_no_listened_to_encoder():
    nlp = make_nlp(listener=True)
    before = weights_of(nlp.get_pipe("tok2vec"))
    for _ in range(2):
        nlp.update(make_examples(nlp, cats=False, ents=False), sgd=Adam(0.001))
    assert not has_moved(before, weights_of(nlp.get_pipe("tok2vec")))


def test_a_batch_without_gold_passes_on_the_gradient_of_other_listeners():
    """Only the last listener backpropagates what all of them have accumulated."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": ENCODER})
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": LISTENER}})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})

    def examples(**gold):
        found = make_examples(nlp, **gold)
        for eg in found:
            for token in eg.reference:
                token.tag_ = "A" if token.i % 2 else "B"
        return found

    nlp.initialize(lambda: examples())
    before = weights_of(nlp.get_pipe("tok2vec"))
    for _ in range(3):  # the tagger starts at zero and sends its first gradient in the second update
        nlp.update(examples(cats=False, ents=False), sgd=Adam(0.001))
    assert has_moved(before, weights_of(nlp.get_pipe("tok2vec")))


def test_use_params_restores_the_weights(nlp):
    pipe = nlp.get_pipe("multitask")
    output = pipe.heads["intent"].model.get_ref("output")
    kept = output.get_param("b").copy()
    with nlp.use_params({(output.id, "b"): kept + 100.0 * np.arange(2, dtype="f")}):
        assert nlp("who is Anna Schmidt").cats["play"] > 0.9
    assert np.array_equal(output.get_param("b"), kept)


def test_averages_differ_from_the_last_weights(nlp):
    optimizer = Adam(0.01, use_averages=True)
    for _ in range(5):
        nlp.update(make_examples(nlp), sgd=optimizer)
    before = weights_of(nlp.get_pipe("multitask"))
    with nlp.use_params(optimizer.averages):
        assert has_moved(before, weights_of(nlp.get_pipe("multitask")))
    assert not has_moved(before, weights_of(nlp.get_pipe("multitask")))


def test_rehearsal_keeps_old_predictions(nlp):
    if "tok2vec" in nlp.pipe_names:
        docs = [doc.copy() for doc in nlp.pipe([text for text, _, _ in TEXTS])]
        examples = [Example(doc, doc.copy()) for doc in docs]
    else:
        examples = make_examples(nlp, cats=False, ents=False)
    optimizer = nlp.resume_training()
    pipe = nlp.get_pipe("multitask")
    bias = pipe.heads["intent"].model.get_ref("output").get_param("b")
    first = nlp.rehearse(examples, sgd=optimizer)["multitask"]
    bias += np.array([3.0, -3.0], dtype="f")
    moved = nlp.rehearse(examples, sgd=optimizer)["multitask"]
    for _ in range(60):
        last = nlp.rehearse(examples, sgd=optimizer)["multitask"]
    assert first < last < moved


def test_rehearsal_after_a_label_was_added(nlp):
    docs = [doc.copy() for doc in nlp.pipe([text for text, _, _ in TEXTS])]
    examples = [Example(doc, doc.copy()) for doc in docs]
    optimizer = nlp.resume_training()
    pipe = nlp.get_pipe("multitask")
    first = nlp.rehearse(examples, sgd=optimizer)["multitask"]
    for head in ("intent", "slots"):
        pipe.add_label("NEW", head=head)
    assert nlp.rehearse(examples, sgd=optimizer)["multitask"] == pytest.approx(first, rel=1e-3)


def test_select_pipes_and_source(nlp):
    with nlp.select_pipes(disable="multitask"):
        assert not nlp("play Anna").ents
    target = spacy.blank("en")
    for name in nlp.pipe_names:
        target.add_pipe(name, source=nlp)
    assert annotations(target.pipe(LONGER)) == annotations(nlp.pipe(LONGER))


def test_replace_listeners(tmp_path):
    nlp = make_nlp(listener=True)
    train(nlp, make_examples(nlp))
    expected = annotations(nlp.pipe(LONGER))
    nlp.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert close(annotations(nlp.pipe(LONGER)), expected)
    nlp.to_disk(tmp_path)
    assert close(annotations(spacy.load(tmp_path).pipe(LONGER)), expected)


def test_frozen_encoder_with_annotating_components():
    nlp = make_nlp(listener=True)
    before = weights_of(nlp.get_pipe("tok2vec")), weights_of(nlp.get_pipe("multitask"))
    optimizer = Adam(0.01)
    for _ in range(60):
        losses = nlp.update(make_examples(nlp), sgd=optimizer, exclude=["tok2vec"], annotates=["tok2vec"])
    assert not has_moved(before[0], weights_of(nlp.get_pipe("tok2vec")))
    assert has_moved(before[1], weights_of(nlp.get_pipe("multitask")))
    assert losses["multitask"] < 0.5


def test_frozen_multitask_stays_as_it_is():
    nlp = make_nlp(listener=True)
    before = weights_of(nlp.get_pipe("multitask"))
    nlp.update(make_examples(nlp), sgd=nlp.resume_training(), exclude=["multitask"])
    assert not has_moved(before, weights_of(nlp.get_pipe("multitask")))


def test_a_loaded_pipeline_learns_on(nlp, tmp_path):
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    before = weights_of(loaded.get_pipe("multitask"))
    losses = train(loaded, make_examples(loaded), steps=20)
    assert has_moved(before, weights_of(loaded.get_pipe("multitask")))
    assert losses["multitask"] < 0.2


def test_error_handler_keeps_the_stream_going(nlp, monkeypatch):
    pipe = nlp.get_pipe("multitask")
    predict, seen = pipe.predict, []

    def fail_on_anna(docs):
        docs = list(docs)
        if any("Anna" in doc.text for doc in docs):
            raise ValueError("no Anna")
        return predict(docs)

    monkeypatch.setattr(pipe, "predict", fail_on_anna, raising=False)
    nlp.set_error_handler(lambda name, proc, docs, error: seen.append((name, len(docs), str(error))))
    docs = list(nlp.pipe(["where is Berlin", "play Anna", "play jazz"], batch_size=1))
    assert [doc.text for doc in docs] == ["where is Berlin", "play jazz"]
    assert seen == [("multitask", 1, "no Anna")]


def test_gold_tokenization_that_differs_is_aligned():
    nlp = make_nlp()
    text = "play jazz-rock in New York."
    words = ["play", "jazz-rock", "in", "New York", "."]
    ents = ["O", "B-GENRE", "O", "B-LOC", "O"]
    reference = Doc(nlp.vocab, words=words, spaces=[True, True, True, False, False], ents=ents)
    reference.cats = {"play": 1.0, "ask": 0.0}
    example = Example(nlp.make_doc(text), reference)
    assert len(example.predicted) != len(reference)
    train(nlp, [example, *make_examples(nlp)], steps=60)
    assert [(ent.text, ent.label_) for ent in nlp(text).ents] == [("jazz-rock", "GENRE"), ("New York", "LOC")]
    scores = nlp.evaluate([example])
    assert scores["slots_f"] == scores["multitask_exact"] == 1.0


def test_same_seed_gives_same_weights():
    runs = []
    for _ in range(2):
        nlp = make_nlp(listener=True)
        optimizer = nlp.resume_training()
        for _ in range(5):
            nlp.update(make_examples(nlp), sgd=optimizer, drop=0.2)
        runs.append([weights_of(pipe) for _, pipe in nlp.pipeline])
    assert not any(has_moved(one, other) for one, other in zip(*runs, strict=True))


def test_entities_that_a_doc_has_stay(nlp):
    ruler = nlp.add_pipe("entity_ruler", before="multitask")
    ruler.add_patterns([{"label": "CITY", "pattern": "Berlin"}])
    doc = nlp("play some jazz in Berlin")
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("jazz", "GENRE"), ("Berlin", "CITY")]


def test_a_very_long_doc(nlp):
    doc = nlp(Doc(nlp.vocab, words=["play", "some", "jazz", "in", "Berlin"] * 4000))
    assert len(doc) == 20_000
    assert sum(ent.text == "jazz" for ent in doc.ents) > 3000


def test_sharing_layer_gives_each_head_its_own_view():
    """A sharing layer as a third party would write it: each head its own scale of the shared vectors."""

    def forward(model, X, is_train):
        factors = {"intent": 2.0, "slots": 0.0}
        assert model.attrs["heads"] == ["intent", "slots"]

        def backprop(d_views):
            total = sum(gradient.dataXd * factors[name] for name, gradient in d_views.items())
            return SharingInput([], Ragged(total, X.tokvecs.lengths))

        return {
            name: Ragged(X.tokvecs.dataXd * factor, X.tokvecs.lengths) for name, factor in factors.items()
        }, backprop

    nlp = make_nlp()
    parts = {"tok2vec": ENCODER, "heads": JOINT, "weighting": {"@mtl_weightings": "spacy_mtl.Static.v1"}}
    resolved = spacy.registry.resolve(parts)
    encoder = make_shared_encoder_v1(resolved["tok2vec"], Model("scales", forward, attrs={"heads": []}))
    pipe = Multitask(nlp.vocab, encoder, heads=resolved["heads"], weighting=resolved["weighting"])
    pipe.initialize(lambda: make_examples(nlp))

    def encoder_has_gradient():
        nodes = [node for node in pipe.encoder.walk() if node.has_grad("W")]
        return any(node.get_grad("W").any() for node in nodes)

    scores, backprop = pipe.model.begin_update([eg.predicted for eg in make_examples(nlp)])
    _, d_slots = pipe.heads["slots"].get_loss(make_examples(nlp), scores["slots"])
    _, d_intent = pipe.heads["intent"].get_loss(make_examples(nlp), scores["intent"])
    pipe.heads["slots"].model.layers[3].get_param("W")[:] = 0.0
    backprop({"slots": d_slots})
    assert not encoder_has_gradient()
    backprop({"intent": d_intent})
    assert encoder_has_gradient()


def test_update_with_one_head_only_moves_its_network_and_counts_for_nothing():
    nlp = make_nlp(weighting={"@mtl_weightings": "spacy_mtl.DWA.v1"})
    train(nlp, make_examples(nlp), steps=2)
    pipe = nlp.get_pipe("multitask")
    state, readout, steps = pipe.weighting.get_state(), pipe.readout, pipe.cfg["n_steps"]
    before = {key: head.model.to_bytes() for key, head in pipe.heads.items()}
    losses = pipe.update(make_examples(nlp), sgd=nlp.create_optimizer(), losses={}, only="intent")
    changed = [key for key, head in pipe.heads.items() if head.model.to_bytes() != before[key]]
    assert changed == ["intent"]
    assert losses["multitask/slots"] > 0
    assert (pipe.weighting.get_state(), pipe.readout, pipe.cfg["n_steps"]) == (state, readout, steps)
    with pytest.raises(ValueError, match=r"only is 'solts', expected one of the heads \['intent', 'slots'\]"):
        pipe.update(make_examples(nlp), only="solts")


def test_losses_on_a_batch_are_those_of_an_update_without_dropout():
    nlp = make_nlp()
    train(nlp, make_examples(nlp), steps=3)
    pipe = nlp.get_pipe("multitask")
    before = nlp.to_bytes()
    found = pipe.losses_on(make_examples(nlp))
    assert set(pipe.losses_on(make_examples(nlp, ents=False))) == {"intent"}
    assert nlp.to_bytes() == before
    losses = nlp.update(make_examples(nlp), sgd=False, losses={})
    assert found == pytest.approx({key: losses[f"multitask/{key}"] for key in pipe.heads}, rel=1e-5)
