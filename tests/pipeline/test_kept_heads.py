"""Old heads learn from the pipeline that a training begins from, so that a new task does not cost them."""

from copy import deepcopy

import numpy as np
import pytest
import spacy
from balancing import use
from numpy.testing import assert_array_equal
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
from spacy.training import Example
from thinc.api import Adam, fix_random_seed

NEW = JOINT | heads_config(pos={"kind": "Tagger", "attr": "pos"})


def tagged(nlp, *, old=False):
    """Gold of the new task, and of the old ones if asked for."""
    found = make_examples(nlp, cats=old, ents=old)
    for eg in found:
        for index, token in enumerate(eg.reference):
            token.pos_ = "NOUN" if index % 2 else "VERB"
    return found


def all_gold(nlp):
    return tagged(nlp, old=True)


@pytest.fixture(scope="module", params=[False, True], ids=["own", "listener"])
def old(request, tmp_path_factory):
    """A trained pipeline, its folder, and whether it has a listener."""
    nlp = make_nlp(JOINT, listener=request.param)
    train(nlp, make_examples(nlp), steps=20)
    path = tmp_path_factory.mktemp("old")
    nlp.to_disk(path)
    return nlp, path, request.param


def begin(old, keep, heads=NEW, **settings):
    """A pipeline with a new head that begins from the old one."""
    _, path, listener = old
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER if listener else ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads, **settings})
    given = {"init_from": str(path)} | ({} if keep is None else {"keep": keep})
    nlp.config["initialize"]["components"]["multitask"] = given
    nlp.initialize(lambda: all_gold(nlp))
    return nlp


def learn(nlp, examples, steps=1, **settings):
    fix_random_seed(1)
    optimizer = Adam(0.02)
    return [nlp.update(examples, sgd=optimizer, losses={}, **settings) for _ in range(steps)][-1]


def all_weights(nlp):
    return [weights_of(pipe) for _, pipe in nlp.pipeline]


def distance(nlp, other):
    """How far the class probabilities of two pipelines are apart."""
    pairs = [(nlp(text).cats, other(text).cats) for text, *_ in TEXTS]
    return max(abs(one[key] - two[key]) for one, two in pairs for key in one)


@pytest.mark.parametrize("gold", [False, True])
def test_weight_zero_is_plain_fine_tuning(old, gold):
    after = []
    for keep in (None, {}, {"intent": 0.0}):
        nlp = begin(old, keep)
        losses = learn(nlp, tagged(nlp, old=gold), steps=3, drop=0.2)
        assert not [key for key in losses if "/keep/" in key]
        after.append(all_weights(nlp))
    for weights in after[1:]:
        assert not any(has_moved(*pair) for pair in zip(after[0], weights, strict=True))


def test_kept_heads_forget_less(old):
    nlp, _, _ = old
    far = []
    for keep in (None, {"intent": 4.0, "slots": 4.0}):
        new = begin(old, keep)
        losses = learn(new, tagged(new), steps=40)
        far.append(distance(nlp, new))
        assert losses["multitask/pos"] < 0.2
    assert far[1] < far[0] / 4, far


def test_losses_have_a_name_and_enter_the_total(old):
    nlp = begin(old, {"intent": 0.5, "slots": 2.0})
    losses = learn(nlp, tagged(nlp))
    assert losses["multitask/intent"] == losses["multitask/slots"] == 0.0
    own = losses["multitask/pos"] + 0.5 * losses["multitask/keep/intent"] + 2.0 * losses["multitask/keep/slots"]
    assert losses["multitask"] == pytest.approx(own)
    with_gold = learn(begin(old, {"intent": 0.5, "slots": 2.0}), tagged(nlp, old=True))
    assert with_gold["multitask/intent"] > 0.0
    assert with_gold["multitask/keep/intent"] == pytest.approx(losses["multitask/keep/intent"])


def test_at_the_start_the_old_heads_agree_with_their_teacher(old):
    """The cross-entropy is the teacher's own entropy, and its gradient is zero."""
    nlp = begin(old, {"intent": 1.0})
    pipe = nlp.get_pipe("multitask")
    raw = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text, *_ in TEXTS]
    losses = nlp.update(raw, sgd=False, losses={})
    probabilities = np.array([list(nlp(text).cats.values()) for text, *_ in TEXTS])
    entropy = -(probabilities * np.log(probabilities)).sum(axis=1).mean()
    assert losses["multitask/keep/intent"] == pytest.approx(entropy, rel=1e-4)
    gradients = [node.get_grad(name) for node in pipe.model.walk() for name in node.param_names if node.has_grad(name)]
    assert max(abs(gradient).max() for gradient in gradients) < 1e-5


@pytest.mark.parametrize("gold", [False, True])
def test_the_gradient_is_that_of_the_total_loss(old, gold):
    if old[2]:
        pytest.skip("the upstream pipe has the encoder's gradient")
    nlp = begin(old, {"intent": 0.7, "slots": 1.3})
    examples = tagged(nlp, old=gold)
    learn(nlp, examples, steps=3)
    pipe = nlp.get_pipe("multitask")
    nlp.update(examples, sgd=False, losses={})
    rng, checked = np.random.default_rng(0), 0
    grads = {(node.id, name): node.get_grad(name).copy() for node in pipe.model.walk() for name in node.param_names
             if node.has_grad(name)}  # fmt: skip
    for node in pipe.model.walk():
        for name in node.param_names:
            gradient = grads.get((node.id, name))
            if gradient is None or not gradient.any():
                continue
            direction = rng.normal(size=gradient.shape).astype("f") * (gradient != 0)
            expected = float((gradient * direction).sum())
            found = [total_at(nlp, examples, node, name, direction * step) for step in (0.0005, -0.0005)]
            assert (found[0] - found[1]) / 0.001 == pytest.approx(expected, rel=0.05, abs=0.01)
            checked += 1
    assert checked > 8


def total_at(nlp, examples, node, name, change):
    """The total loss with one parameter changed."""
    before = node.get_param(name).copy()
    node.set_param(name, before + change)
    losses = nlp.update(examples, sgd=False, losses={})
    nlp.get_pipe("multitask").drop_gradients()
    node.set_param(name, before)
    return losses["multitask"]


@pytest.mark.parametrize(("weighting", "settings"), [("AlignedMTL", {"at": "vectors"}), ("Uncertainty", {})])
def test_weightings_see_only_the_losses_of_gold(old, weighting, settings):
    """A batch without gold teaches the kept heads, and the weighting learns nothing of it."""
    nlp = begin(old, {"intent": 1.0}, weighting=use(weighting, **settings))
    learn(nlp, tagged(nlp), steps=2)
    pipe = nlp.get_pipe("multitask")
    n_steps, before = pipe.cfg["n_steps"], weights_of(pipe.heads["intent"])
    learn(nlp, [Example(nlp.make_doc(text), nlp.make_doc(text)) for text, *_ in TEXTS])
    assert pipe.cfg["n_steps"] == n_steps
    assert has_moved(before, weights_of(pipe.heads["intent"]))


def test_labels_that_are_new_are_left_to_gold(old):
    _, path, listener = old
    nlp = spacy.blank("en")
    if listener:
        nlp.add_pipe("tok2vec", config={"model": ENCODER})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": LISTENER if listener else ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.config["initialize"]["components"]["multitask"] = {"init_from": str(path), "keep": {"intent": 1.0}}
    examples = make_examples(nlp)
    for eg in examples:
        eg.reference.cats = {"a_first": 0.0, **eg.reference.cats}
    nlp.initialize(lambda: examples)
    assert nlp.get_pipe("multitask").label_data["intent"] == ["ask", "play", "a_first"]
    assert np.isfinite(learn(nlp, examples)["multitask/keep/intent"])


def test_the_teacher_is_not_saved(old, tmp_path):
    kept, plain = begin(old, {"intent": 1.0}), begin(old, None)
    kept.to_disk(tmp_path / "kept")
    plain.to_disk(tmp_path / "plain")
    sizes = [
        {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("multitask/**/*")}
        for folder in (tmp_path / "kept", tmp_path / "plain")
    ]
    assert sizes[0] == sizes[1]
    loaded = spacy.load(tmp_path / "kept")
    assert loaded.get_pipe("multitask").keep == {}
    assert loaded.config["initialize"]["components"]["multitask"]["keep"] == {"intent": 1.0}


def test_the_teacher_reads_docs_as_the_old_pipeline_does(old):
    """Norms of the tokenizer's exceptions included: the loss is what the old pipeline's own scores give."""
    _, path, _ = old
    new = begin(old, {"intent": 1.0})
    teacher = new.get_pipe("multitask")._kept.teacher
    docs = [new.make_doc("Don't play Anna's jazz"), new.make_doc(""), new.make_doc("who's there")]
    _, scores = teacher.run(teacher.copies_of(docs), ["intent"])
    loaded = spacy.load(path)
    expected = loaded.get_pipe("multitask").model.predict(
        list(loaded.pipe(["Don't play Anna's jazz", "", "who's there"], disable=["multitask"]))
    )["intent"]
    assert_array_equal(scores["intent"], expected)


def test_removing_a_head_ends_keeping_and_cleans_the_config(old):
    nlp = begin(old, {"intent": 1.0, "slots": 1.0})
    pipe = nlp.get_pipe("multitask")
    pipe.remove_head("slots", nlp=nlp)
    assert pipe.keep == {}
    assert nlp.config["initialize"]["components"]["multitask"]["keep"] == {"intent": 1.0}
    learn(nlp, tagged(nlp))


def test_bad_input(old):
    with pytest.raises(
        ValueError, match=r"keep names 'pos', but the heads that are here and in .* are \['intent', 'sl"
    ):
        begin(old, {"pos": 1.0})
    with pytest.raises(ValueError, match="must be finite and at least 0"):
        begin(old, {"intent": -1.0})
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", config={"heads": deepcopy(JOINT)})
    nlp.config["initialize"]["components"]["multitask"] = {"keep": {"intent": 1.0}}
    with pytest.raises(ValueError, match="but init_from is not set"):
        nlp.initialize(lambda: make_examples(nlp))
