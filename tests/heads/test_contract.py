"""The contract of every registered head, weighting and sharing layer, in one table over the registries."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry
from thinc.api import fix_random_seed
from thinc.types import Ragged

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.gold import GoldBatch
from spacy_mtl.heads.dependency_parser.dependency_parser import DependencyParser
from spacy_mtl.heads.doc_classifier.doc_classifier import DocClassifier
from spacy_mtl.heads.domain_adversary.domain_adversary import DomainAdversary
from spacy_mtl.heads.domain_adversary.gradient_reversal import current_lambda
from spacy_mtl.heads.lemmatizer.lemmatizer import Lemmatizer
from spacy_mtl.heads.regressor.regressor import Regressor
from spacy_mtl.heads.relation_extractor.relation_extractor import RelationExtractor
from spacy_mtl.heads.span_classifier.span_classifier import SpanClassifier
from spacy_mtl.network.run_heads import run_heads
from spacy_mtl.network.shared_encoder import make_shared_encoder_v1
from spacy_mtl.origin import mark, name_corpus
from spacy_mtl.pipeline.decoding import Decoding
from spacy_mtl.pipeline.head_views import HeadViews
from spacy_mtl.pipeline.run_order import run_order
from spacy_mtl.pipeline.weighing import count_units
from spacy_mtl.protocols.doc_verdicts import ShowsDecisions
from spacy_mtl.protocols.head import Head, HeadInput
from spacy_mtl.protocols.head_calibration import ATTR, GivesEvidence, RanksOutcomes
from spacy_mtl.protocols.head_labels import CountsUnits
from spacy_mtl.protocols.head_prediction import (
    Classes,
    LabelledPairs,
    LabelledSpans,
    Numbers,
    ShowsPrediction,
    TokenLabels,
    Tree,
)
from spacy_mtl.protocols.sharing import SharingInput
from spacy_mtl.protocols.weighting import KeepsState, MergesGradients, Step, Weighting
from spacy_mtl.relation import Relation, relations, set_relations

# heads whose unit is the doc
DOC_HEADS = (DocClassifier, DomainAdversary, Regressor)
FORMS = {one.form for one in (Classes, TokenLabels, LabelledSpans, LabelledPairs, Tree, Numbers)}
TAGGERS = ("tag", "pos", "morph", "sent_start")
# what has no default, with every value that it can have, or what the few examples here need
REQUIRED = {
    "spacy_mtl.Lemmatizer.v1": [{"min_tree_freq": 1}],
    "spacy_mtl.DomainAdversary.v1": [{"total_steps": 1000}],
    "spacy_mtl.RelationExtractor.v1": [{"entities_key": "entities"}],
    "spacy_mtl.Adapters.v1": [{"by": "head"}, {"by": "corpus"}],
    "spacy_mtl.CrossStitch.v1": [{"depth": 2}],
    "spacy_mtl.LayerMix.v1": [{"n_layers": 2}],
    "spacy_mtl.MMoE.v1": [{"n_experts": 3, "width": 24}],
    "spacy_mtl.PLE.v1": [{"width": 24}, {"n_shared": 1, "n_own": 2, "width": 24, "n_levels": 2}],
    "spacy_mtl.Targets.v1": [{"targets": {"a": 0.9}}],
}


def table_of(kind):
    """Every registered function of a kind with its settings."""
    names = [name for name in kind.get_all() if name.startswith("spacy_mtl.")]
    return [(name, cfg) for name in names for cfg in REQUIRED.get(name, [{}])]


HEADS = table_of(registry.mtl_heads)
HEADS += [("spacy_mtl.Tagger.v1", {"attr": attr}) for attr in TAGGERS]
HEADS += [("spacy_mtl.RelationExtractor.v1", {"entities_key": "entities", "symmetric": ["back"], "types": None})]
HEADS += [("spacy_mtl.RelationExtractor.v1", {"entities_key": "entities", "exclusive": True, "max_distance": 5})]
HEADS += [("spacy_mtl.DocClassifier.v1", {"exclusive": False, "pooling": ["mean", "max", "attention"]})]
HEADS += [("spacy_mtl.DocClassifier.v1", {"exclusive": False, "near_tokens": True, "count_classes": True})]
HEADS += [("spacy_mtl.SpanClassifier.v1", {"max_positive": 2, "negative_weight": 0.5, "pooling": ["mean", "last"]})]
HEADS += [("spacy_mtl.Regressor.v1", {"loss": "squared"})]
HEADS += [("spacy_mtl.EntityRecognizer.v1", {"scheme": "BILUO", "spans_key": "sc"})]
HEADS += [("spacy_mtl.DependencyParser.v1", {"projective": True, "arc_width": 8, "label_width": 4, "max_length": 4})]
HEADS += [("spacy_mtl.Lemmatizer.v1", {"ignore_case": False, "min_tree_freq": 1, "top_k": 1, "backoff": None})]
HEAD_IDS = ["-".join([name.split(".")[1], *map(str, cfg.values())]) for name, cfg in HEADS]
SHARING = table_of(registry.mtl_sharing)
SHARING_IDS = ["-".join([name.split(".")[1], *map(str, cfg.values())]) for name, cfg in SHARING]
WEIGHTINGS = table_of(registry.mtl_weightings)
WEIGHTING_IDS = [name.split(".")[1] for name, _ in WEIGHTINGS]
ENCODER = {
    "@architectures": "spacy_mtl.SharedEncoder.v1",
    "tok2vec": {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": 16,
        "depth": 1,
        "embed_size": 50,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": False,
    },
}


def full_doc(nlp, words, ents, intent):
    """A doc with every annotation that a registered head can learn from."""
    n = len(words)
    doc = Doc(
        nlp.vocab,
        words=words,
        tags=[f"T{i % 3}" for i in range(n)],
        pos=["NOUN" if i % 2 else "VERB" for i in range(n)],
        morphs=["Number=Sing" if i % 2 else "" for i in range(n)],
        heads=[max(i // 4 * 4, i - 1 - i % 2) for i in range(n)],
        deps=["ROOT" if i % 4 == 0 else f"d{i % 2}" for i in range(n)],
        lemmas=[word.lower() if i % 2 else f"{word}s" for i, word in enumerate(words)],
        ents=ents,
    )
    doc.cats = {"ask": 0.0, "play": 0.0, "stop": 0.0, intent: 1.0}
    doc.spans["entities"] = list(doc.ents)
    found = [Relation(one, other, f"{one.label_}-{other.label_}") for one, other in pairwise(doc.ents)]
    set_relations(doc, [*found, *(Relation(one.tail, one.head, "back") for one in found)], with_scores=False)
    # one over another, and one with two labels
    doc.spans["sc"] = [Span(doc, ent.start, ent.end, label=f"S{ent.label_}") for ent in doc.ents]
    doc.spans["sc"] += [Span(doc, 0, min(n, 2), label="START"), Span(doc, 0, min(n, 2), label="FIRST")]
    Doc.set_extension("numbers", default=None, force=True)
    doc._.numbers = {"length": float(n), "stars": -3.0 if intent == "stop" else 5.0}
    return doc


@pytest.fixture
def nlp():
    fix_random_seed(0)
    return spacy.blank("en")


@pytest.fixture
def examples(nlp):
    docs = [
        full_doc(nlp, "play some jazz in New York".split(), ["O", "O", "B-GENRE", "O", "B-LOC", "I-LOC"], "play"),
        full_doc(nlp, "stop".split(), ["O"], "stop"),
        full_doc(nlp, "who is Anna Schmidt of Berlin".split(), ["O", "O", "B-PER", "I-PER", "O", "B-LOC"], "ask"),
        full_doc(nlp, "play Anna".split(), ["O", "B-PER"], "play"),
    ]
    examples = [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc) for doc in docs]
    for eg in examples:
        eg.predicted.spans["entities"] = [
            Span(eg.predicted, ent.start, ent.end, ent.label_) for ent in eg.reference.ents
        ]
    for eg, corpus in zip(examples, ("songs", "songs", "people", "people"), strict=True):
        mark(eg.reference, corpus)
        name_corpus(eg.predicted, corpus)
    return examples


@pytest.fixture
def without_gold(nlp):
    words = ["nothing", "is", "known"]
    return Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))


@pytest.fixture(params=HEADS, ids=HEAD_IDS)
def pipe(request, nlp, examples):
    name, cfg = request.param
    pipe = nlp.add_pipe("multitask", config={"model": ENCODER, "heads": {"task": {"@mtl_heads": name, **cfg}}})
    nlp.initialize(lambda: examples)
    for node in pipe.model.walk():
        if node.name == "gradient_reversal":
            node.attrs["step"] = node.attrs["total_steps"] // 10
    return pipe


def prepare_from(pipe, examples):
    """What builds the heads' `prepared` from gold."""
    return Decoding(pipe.heads, {}, [eg.predicted for eg in examples], HeadViews(examples)).prepare


def run_head(pipe, examples):
    """The head's input, scores and backprop for a batch."""
    docs = [eg.predicted for eg in examples]
    tokvecs = pipe.encoder.predict(docs)
    head = pipe.heads["task"]
    head_input = HeadInput(docs, tokvecs, [], prepare_from(pipe, examples)("task", {}))
    return head, head_input, *head.model.begin_update(head_input)


def run_network(pipe, examples, *, is_train=False):
    """The scores of all heads for a batch, and backprop to the parameters."""
    docs = [eg.predicted for eg in examples]
    tokvecs, bp_tokvecs = pipe.encoder(docs, is_train)
    heads = {key: pipe.heads[key] for key in run_order(pipe.heads, {})}
    run = run_heads(pipe.model, heads, docs, tokvecs, is_train=is_train, prepare=prepare_from(pipe, examples))
    return run.scores, lambda d_scores: bp_tokvecs(Ragged(run.backprop(d_scores), tokvecs.lengths))


def test_head_meets_the_protocol(pipe):
    head = pipe.heads["task"]
    assert isinstance(head, Head)
    assert head.name == "task"
    assert head.labels
    assert pipe.labels == tuple(f"task:{label}" for label in head.labels)


def test_loss_is_finite_and_gradient_has_the_shape_of_the_input(pipe, examples):
    head, head_input, scores, backprop = run_head(pipe, examples)
    loss, d_scores = head.get_loss(examples, scores)
    assert loss > 0
    d_input = backprop(d_scores)
    assert d_input.tokvecs.dataXd.shape == head_input.tokvecs.dataXd.shape
    assert np.abs(d_input.tokvecs.dataXd).sum() > 0


def precisions(model):
    """Those of the parameters of a network, and of their gradients."""
    params = [(node, name) for node in model.walk() for name in node.param_names if node.has_param(name)]
    gradients = {node.get_grad(name).dtype.name for node, name in params if node.has_grad(name)}
    return {node.get_param(name).dtype.name for node, name in params}, gradients


def test_everything_stays_in_single_precision(pipe, nlp, examples):
    """A count or a weight that is a number of numpy's turns the float32 that it divides or scales into float64."""
    head, _, scores, backprop = run_head(pipe, examples)
    d_scores = head.get_loss(examples, scores)[1]
    assert {array.dtype.name for array in arrays_of(d_scores) if array.dtype.kind == "f"} == {"float32"}
    assert backprop(d_scores).tokvecs.dataXd.dtype == np.float32
    assert precisions(head.model) == ({"float32"}, {"float32"})
    pipe.drop_gradients()
    optimizer = nlp.create_optimizer()
    for _ in range(2):
        pipe.update(examples, drop=0.2)
        assert precisions(pipe.model) == ({"float32"}, {"float32"})
        pipe.finish_update(optimizer)
    assert precisions(pipe.model)[0] == {"float32"}


def test_missing_gold_gives_no_loss_and_no_gradient(pipe, examples, without_gold):
    head, _, scores, _ = run_head(pipe, [without_gold])
    assert head.get_loss([without_gold], scores) == (0.0, None)
    mixed = [examples[0], without_gold, examples[2]]
    head, _, scores, backprop = run_head(pipe, mixed)
    _, d_scores = head.get_loss(mixed, scores)
    gradient = backprop(d_scores).tokvecs.dataXd
    first, missing = len(mixed[0].predicted), len(without_gold.predicted)
    assert not gradient[first : first + missing].any()
    assert gradient[:first].any()
    assert gradient[first + missing :].any()


def test_units_of_a_batch_are_those_counted_doc_by_doc(pipe, nlp, examples, without_gold):
    head = pipe.heads["task"]
    gold = examples[0].reference
    # one token of six, or none, is aligned with a predicted one
    other_tokens = [
        Example(Doc(nlp.vocab, words=words), gold)
        for words in (["playsome", "jazz", "inNewYork"], ["playsomejazzinNewYork"])
    ]
    partly = gold.copy()
    for token in partly[2:]:
        token.tag_, token.pos_, token.lemma_, token.dep_ = "", "", "", ""
        token.set_morph(None)
    partly.set_ents([], missing=[partly[2:]], default="unmodified")
    batch = [*examples, without_gold, *other_tokens, Example(examples[0].predicted, partly)]
    expected = sum(head.count_gold(eg.reference, Counter()) for eg in batch if head.has_gold(eg))
    assert count_units(head, GoldBatch(batch)) == count_units(head, batch) == expected > 1
    assert count_units(head, [without_gold]) == 1
    # those of numpy can't be saved, and turn float32 into float64
    assert type(count_units(head, batch)) is int
    assert isinstance(head, (CountsUnits, RelationExtractor, SpanClassifier, *DOC_HEADS))


def test_an_annotated_example_counts_the_same_in_any_batch_of_its_size(pipe, examples, without_gold):
    """Loss is the sum over annotated units divided by all units, so that losses of parts add up."""
    head, _, scores, _ = run_head(pipe, examples)
    whole = head.get_loss(examples, scores)[0]
    n_docs, n_tokens = len(examples), sum(len(eg.predicted) for eg in examples)
    parts = 0.0
    for eg in examples:
        head, _, scores, _ = run_head(pipe, [eg])
        share = 1 / n_docs if isinstance(head, DOC_HEADS) else len(eg.predicted) / n_tokens
        parts += head.get_loss([eg], scores)[0] * share
    # The encoder pads between docs, which moves the vectors at their edges a little.
    assert whole == pytest.approx(parts, rel=0.05)


def total_loss(pipe, examples):
    scores, _ = run_network(pipe, examples)
    return sum(head.get_loss(examples, scores[key])[0] for key, head in pipe.heads.items())


def slope(pipe, examples, param, move):
    """Half the difference of the losses on both sides of a parameter."""
    kept, losses = param.copy(), []
    for sign in (1, -1):
        param[:] = kept + sign * move
        losses.append(total_loss(pipe, examples))
    param[:] = kept
    return (losses[0] - losses[1]) / 2


def factor_of(pipe):
    """What the heads' gradient is multiplied with before it reaches the encoder."""
    lambdas = [current_lambda(node) for node in pipe.model.walk() if node.name == "gradient_reversal"]
    return -lambdas[0] if lambdas else 1.0


def check_gradients(pipe, examples):
    """Compare each parameter's gradient, along a random direction, with finite differences of the loss.

    The biases are moved from zero first: there the padding rows sit on a kink of the encoder's maxout.
    """
    rng = np.random.default_rng(0)
    for node in pipe.model.walk():
        if "b" in node.param_names:
            node.get_param("b")[:] += rng.normal(size=node.get_param("b").shape) * 0.1
    factors = {id(node): factor_of(pipe) for node in pipe.encoder.walk()}
    scores, backprop = run_network(pipe, examples, is_train=True)
    gradients = {key: head.get_loss(examples, scores[key])[1] for key, head in pipe.heads.items()}
    backprop({key: gradient for key, gradient in gradients.items() if gradient is not None})
    checked = 0
    for node in pipe.model.walk():
        for name in node.param_names:
            if not node.has_grad(name) or not node.get_grad(name).any():
                continue
            param, gradient = node.get_param(name), node.get_grad(name)
            # between two points there may be a kink of a maximum, so another distance and other directions are tried
            directions = (rng.normal(size=param.shape).astype("f") + np.sign(gradient) for _ in range(3))
            factor = factors.get(id(node), 1.0)
            assert any(is_slope(pipe, examples, param, gradient, factor, one) for one in directions), (node.name, name)
            checked += 1
    return checked


def is_slope(pipe, examples, param, gradient, factor, direction):
    """Whether the gradient tells the slope in a direction, by finite differences over one of two distances."""
    expected = float((direction * gradient).sum())
    eps = min(1e-3, 2e-3 / abs(expected))
    slopes = [factor * slope(pipe, examples, param, step * direction) / step for step in (eps, eps / 8)]
    return pytest.approx(expected, rel=0.02) in slopes


def test_gradients_equal_finite_differences_through_the_component(pipe, examples):
    assert check_gradients(pipe, examples) >= 5


@pytest.mark.parametrize("settings", [{}, {"near_tokens": True}, {"count_classes": True}])
def test_gradients_flow_through_a_condition(nlp, examples, settings):
    heads = {
        "intent": {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "exclusive": not settings, **settings},
        "pos": {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "pos"},
        "slots": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1", "condition_on": ["intent", "pos"]},
        "parser": {"@mtl_heads": "spacy_mtl.DependencyParser.v1", "condition_on": "pos"},
        "lemma": {"@mtl_heads": "spacy_mtl.Lemmatizer.v1", "condition_on": ["pos"]},
    }
    pipe = nlp.add_pipe("multitask", config={"model": ENCODER, "heads": heads})
    nlp.initialize(lambda: examples)
    for eg in examples:
        eg.reference.cats = {}
        eg.reference.from_array(["POS"], np.zeros((len(eg.reference), 1), dtype="uint64"))
    assert check_gradients(pipe, examples) >= 9
    assert pipe.heads["intent"].model.get_ref("output").has_grad("W")


def new_label(head):
    """A label that the head can have, and has not."""
    if isinstance(head, Lemmatizer):
        return "mice → mouse"
    return "PRON" if getattr(head, "attr", "") == "pos" else "NEW"


def arrays_of(scores):
    """The arrays of a head's scores, or of their gradient."""
    if hasattr(scores, "potentials"):
        return scores.potentials
    return [scores.logits if hasattr(scores, "logits") else scores]


def test_rehearsal_loss_is_least_at_the_teacher_itself(pipe, examples):
    head, _, scores, _ = run_head(pipe, examples)
    loss, d_scores = head.get_teacher_loss(scores, scores)
    assert max(np.abs(array).max() for array in arrays_of(d_scores)) < 1e-6
    assert {array.dtype.name for array in arrays_of(d_scores)} == {"float32"}
    assert head.get_teacher_loss(scores, scores * 1.5)[0] > loss


def test_rehearsal_leaves_labels_alone_that_the_teacher_lacks(pipe, examples):
    """Among the others the student is as before, so that nothing pulls at all."""
    if getattr(pipe.heads["task"], "attr", "") == "sent_start":
        pytest.skip("its labels are fixed")
    head, _, teacher, _ = run_head(pipe, examples)
    least, _ = head.get_teacher_loss(teacher, teacher)
    head.add_label(new_label(head))
    _, _, scores, _ = run_head(pipe, examples)
    loss, d_scores = head.get_teacher_loss(teacher, scores)
    assert loss == pytest.approx(least)
    assert max(np.abs(array).max() for array in arrays_of(d_scores)) < 1e-6
    moved, d_moved = head.get_teacher_loss(teacher, scores * 1.5)
    assert moved > least
    for array, whole, old in zip(*map(arrays_of, (d_moved, scores, teacher)), strict=True):
        assert array.shape == whole.shape
        new = array.copy()
        new[tuple(slice(size) for size in old.shape)] = 0.0
        assert not new.any()
        assert array.any()


def test_decode_annotate_score(pipe, nlp, examples):
    optimizer = nlp.create_optimizer()
    for _ in range(60):
        nlp.update(examples, sgd=optimizer)
    head = pipe.heads["task"]
    scores = nlp.evaluate(examples)
    if head.main_score is None:
        assert any(value is not None for name, value in scores.items() if name.startswith("task_"))
        assert scores["multitask_score"] is scores["multitask_exact"] is None
        return
    if isinstance(head, Regressor):
        assert scores["multitask_score"] == scores["task_pearson"] > 0.99
        assert scores["multitask_exact"] is None
        return
    assert scores[f"task_{head.main_score}"] == 1.0
    assert scores["multitask_score"] == scores["multitask_exact"] == 1.0
    assert all(scores[name] == scores[f"task_{metric}"] for name, metric in head.standard_scores.items())


def test_scores_are_none_without_gold(pipe, nlp, without_gold):
    scores = nlp.evaluate([without_gold])
    assert scores["multitask_score"] is None
    assert scores["multitask_exact"] is None
    assert not any(value for name, value in scores.items() if name.startswith("task_"))


def test_round_trip_keeps_labels_and_predictions(pipe, nlp, examples, tmp_path):
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert loaded.get_pipe("multitask").label_data == pipe.label_data
    mine, theirs = (run_network(one, examples)[0]["task"] for one in (pipe, loaded.get_pipe("multitask")))
    assert all(np.array_equal(a, b) for a, b in zip(*map(arrays_of, (mine, theirs)), strict=True))


def test_empty_and_white_space_docs(pipe, nlp):
    docs = [Doc(nlp.vocab), Doc(nlp.vocab, words=[" ", "\n"]), Doc(nlp.vocab, words=["a", "  ", "b"])]
    for batch in (docs, docs[:1], docs[:2]):
        pipe.set_annotations(batch, pipe.predict(batch))


@pytest.fixture(params=WEIGHTINGS, ids=WEIGHTING_IDS)
def weighting(request):
    name, cfg = request.param
    weighting = registry.get("mtl_weightings", name)(**cfg)
    weighting.bind(["a", "b", "c"])
    return weighting


def take_step(weighting, losses, gradients, *, number=0, adversarial=()):
    """The weights of a step, and what the encoder gets, (n_tokens, width), from gradients of one token."""
    rows = {name: np.array([gradients[name]], dtype="f") for name in losses}
    counts = dict.fromkeys(losses, 1)
    step = Step(number, adversarial=frozenset(adversarial), count_units=lambda: counts)
    weights = weighting.weights(losses, step)
    rows = {name: row * weights[name] for name, row in rows.items()}
    step.last_layer = {name: row[0] for name, row in rows.items()}
    if len(rows) == 1 or not isinstance(weighting, MergesGradients):
        return weights, sum(rows.values())
    return weights, weighting.merge(rows, step)


def test_weighting_meets_the_protocol(weighting):
    assert isinstance(weighting, Weighting)
    weights, merged = take_step(weighting, {"a": 2.0, "b": 0.5}, {"a": [1.0] * 5, "b": [0.0] * 5})
    assert set(weights) == {"a", "b"}
    assert all(np.isfinite(value) and value >= 0 for value in weights.values())
    assert weighting.needs == "sum" or isinstance(weighting, MergesGradients)
    assert merged.shape == (1, 5)
    assert merged.dtype == np.float32
    assert np.isfinite(merged).all()


def test_weighting_keeps_gradients_in_single_precision(weighting, request, nlp, examples):
    """Whatever it multiplies them by: of two heads, and those of its own parameters."""
    name, cfg = request.node.callspec.params["weighting"]
    heads = {
        "a": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"},
        "b": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1"},
    }
    model = ENCODER | {"tok2vec": ENCODER["tok2vec"] | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}}
    pipe = nlp.add_pipe(
        "multitask", config={"model": model, "heads": heads, "weighting": {"@mtl_weightings": name, **cfg}}
    )
    nlp.initialize(lambda: examples)
    optimizer = nlp.create_optimizer()
    for _ in range(3):
        pipe.update(examples, drop=0.1)
        assert precisions(pipe.model) == ({"float32"}, {"float32"})
        own = None if pipe.weighting.model is None else precisions(pipe.weighting.model)
        assert own in (None, ({"float32"}, set()), ({"float32"}, {"float32"}))
        pipe.finish_update(optimizer)
    assert precisions(pipe.model)[0] == {"float32"}


@pytest.mark.parametrize(
    "gradients",
    [
        {"a": [0, 0], "b": [0, 0], "c": [0, 0]},
        {"a": [0, 0], "b": [1, 2], "c": [0, 0]},
        {"a": [1, 2], "b": [1, 2], "c": [1, 2]},
        {"a": [1, 2], "b": [3, 6], "c": [0, 0]},
        {"a": [1, 2], "b": [-1, -2], "c": [0, 0]},
        {"a": [1, 2], "b": [-3, -6], "c": [2, 4]},
        {"a": [1e-25, 0], "b": [0, 1e-25], "c": [1e-25, 1e-25]},
        {"a": [1e25, 0], "b": [0, 1e25], "c": [1e25, -1e25]},
        {"a": [1e-25, 0], "b": [1e25, 0], "c": [-1e25, 1]},
    ],
    ids=str,
)
def test_weighting_of_zero_parallel_opposite_and_extreme_gradients(weighting, gradients):
    for number in range(3):
        _, merged = take_step(weighting, {"a": 1.0, "b": 0.0, "c": 1e-3}, gradients, number=number)
        assert np.isfinite(merged).all()
        assert np.abs(merged).max() <= 30 * max(map(np.abs, map(np.array, gradients.values())), key=np.max).max()


def test_weighting_of_a_loss_that_is_alone_changes_nothing(weighting):
    """Also after steps that have taught it to prefer another head."""
    gradients = {"a": [1.0, 0.0], "b": [-0.5, 7.0], "c": [0.1, 0.1]}
    for number in range(5):
        take_step(weighting, {"a": 2.0 - number / 10, "b": 0.5, "c": 1.0}, gradients, number=number)
    weights, merged = take_step(weighting, {"b": 0.4}, gradients, number=5)
    assert weights == {"b": 1.0}
    assert merged[0].tolist() == gradients["b"]


def test_weighting_leaves_adversarial_heads_alone(weighting):
    """One other head is alone; two others get what they get without the adversary."""
    gradients = {"a": [1.0, 0.0, 0.0], "b": [-0.5, 7.0, 0.0], "c": [-3.0, 0.0, 1.0]}
    weights, merged = take_step(weighting, {"b": 2.0, "c": 1.0}, gradients, adversarial=["c"])
    assert weights == {"b": 1.0, "c": 1.0}
    assert merged[0].tolist() == [-3.5, 7.0, 1.0]
    weights, merged = take_step(weighting, {"a": 1.0, "b": 1.0, "c": 9.0}, gradients, adversarial=["c"])
    assert weights["c"] == 1.0
    assert merged[0, 2] == 1.0


def test_weighting_goes_on_from_its_state(weighting, request):
    """In another process it weighs the same, also where heads are listed in another order."""
    gradients = {"a": [1.0, 0.0, 0.3], "b": [-0.5, 7.0, 0.0], "c": [-3.0, 0.0, 1.0]}
    for number in range(7):
        take_step(weighting, {"a": 2.0 - number / 10, "b": 0.5, "c": 1.0}, gradients, number=number)
    name, cfg = request.node.callspec.params["weighting"]
    other = registry.get("mtl_weightings", name)(**cfg)
    other.bind(["c", "a", "b"])
    if isinstance(weighting, KeepsState):
        other.set_state(srsly.msgpack_loads(srsly.msgpack_dumps(weighting.get_state())))
    assert isinstance(weighting, KeepsState) == isinstance(other, KeepsState)
    for number in range(7, 10):
        losses = {"a": 1.0, "b": 0.4, "c": 3.0}
        weights, merged = take_step(weighting, losses, gradients, number=number)
        other_weights, other_merged = take_step(other, losses, gradients, number=number)
        assert weights == other_weights
        assert np.array_equal(merged, other_merged)


JOINT = {
    "intent": {"@mtl_heads": "spacy_mtl.DocClassifier.v1"},
    "pos": {"@mtl_heads": "spacy_mtl.Tagger.v1", "attr": "pos"},
    "slots": {"@mtl_heads": "spacy_mtl.EntityRecognizer.v1", "condition_on": "intent"},
}
TOK2VEC = {"model": ENCODER["tok2vec"]}
LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "*"}


def move(model):
    """Move every parameter, so that no part of a sharing layer is the identity any more."""
    rng = np.random.default_rng(0)
    for node in model.walk():
        for name in node.param_names:
            node.set_param(name, node.get_param(name) + rng.normal(size=node.get_param(name).shape).astype("f") * 0.2)


def make_shared(nlp, examples, sharing, *, listener=False):
    """An initialised pipeline with a sharing layer that is not the identity."""
    name, cfg = sharing
    if listener:
        nlp.add_pipe("tok2vec", config=TOK2VEC)
    model = ENCODER | {"sharing": {"@mtl_sharing": name, **cfg}} | ({"tok2vec": LISTENER} if listener else {})
    pipe = nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: examples)
    move(pipe.encoder.get_ref("sharing"))
    return pipe


def outputs(nlp, examples):
    """What the network gives for the texts, as one list of arrays."""
    docs = [eg.predicted.copy() for eg in examples]
    for name, pipe in nlp.pipeline:
        if name == "tok2vec":
            docs = list(pipe.pipe(docs))
    scores = nlp.get_pipe("multitask").model.predict(docs)
    return [scores["intent"], scores["pos"], *scores["slots"].potentials]


def same(mine, theirs):
    return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.fixture(params=SHARING, ids=SHARING_IDS)
def sharing(request):
    return request.param


def test_sharing_layer_gives_a_view_for_each_head(nlp, examples, sharing):
    pipe = make_shared(nlp, examples, sharing)
    layer = pipe.encoder.get_ref("sharing")
    docs = [Doc(nlp.vocab), *(eg.predicted for eg in examples), Doc(nlp.vocab, words=["new"])]
    width = layer.get_dim("nO" if layer.has_dim("nO") else "nI")
    for batch in (docs, docs[:2], docs[-1:]):
        tokvecs = pipe.encoder.predict(batch)
        views = layer.predict(SharingInput(batch, tokvecs))
        assert list(views) == list(JOINT)
        assert all(view.dataXd.shape == (len(tokvecs.dataXd), width) for view in views.values())
        assert all(np.array_equal(view.lengths, tokvecs.lengths) for view in views.values())
        assert all(np.isfinite(view.dataXd).all() for view in views.values())
    pipe.set_annotations(docs[:1], pipe.predict(docs[:1]))


def test_sharing_layer_adds_up_the_gradients_of_any_heads(nlp, examples, sharing):
    pipe = make_shared(nlp, examples, sharing)
    layer, docs = pipe.encoder.get_ref("sharing"), [eg.predicted for eg in examples]
    tokvecs = pipe.encoder.predict(docs)
    views, backprop = layer.begin_update(SharingInput(docs, tokvecs))
    rng = np.random.default_rng(1)
    d_views = {
        name: view.__class__(rng.normal(size=view.dataXd.shape).astype("f"), view.lengths)
        for name, view in views.items()
    }
    together = backprop(d_views).tokvecs.dataXd
    assert together.dtype == np.float32
    assert precisions(layer) == ({"float32"}, {"float32"})
    gradients = {(node.id, name): node.get_grad(name).copy() for node in layer.walk() for name in node.param_names}
    for node in layer.walk():
        for name in node.param_names:
            node.set_grad(name, node.get_grad(name) * 0)
    one_by_one = sum(backprop({name: d_view}).tokvecs.dataXd for name, d_view in d_views.items())
    assert one_by_one == pytest.approx(together, abs=1e-5)
    for node in layer.walk():
        for name in node.param_names:
            assert node.get_grad(name) == pytest.approx(gradients[node.id, name], abs=1e-4)


def test_sharing_layer_has_exact_gradients(nlp, examples, sharing):
    pipe = make_shared(nlp, examples, sharing)
    n_params = sum(len(node.param_names) for node in pipe.encoder.get_ref("sharing").walk())
    assert check_gradients(pipe, examples) >= 9 + n_params


def test_sharing_layer_learns_and_reloads(nlp, examples, sharing, tmp_path):
    make_shared(nlp, examples, sharing)
    optimizer = nlp.create_optimizer()
    optimizer.averages = {}
    for _ in range(100):
        nlp.update(examples, sgd=optimizer)
    assert nlp.evaluate(examples)["multitask_exact"] == 1.0
    nlp.to_disk(tmp_path / "model")
    assert same(outputs(nlp, examples), outputs(spacy.load(tmp_path / "model"), examples))
    with nlp.use_params(optimizer.averages):
        averaged = outputs(nlp, examples)
    assert not same(averaged, outputs(nlp, examples))


def test_sharing_layer_over_a_listener(nlp, examples, sharing):
    """Over a frozen encoder it learns alone; replace_listeners keeps what the pipeline computes."""
    pipe = make_shared(nlp, examples, sharing, listener=True)
    layer, tok2vec = pipe.encoder.get_ref("sharing"), nlp.get_pipe("tok2vec").model
    before, frozen = layer.to_bytes(), tok2vec.to_bytes()
    nlp.update(examples, sgd=nlp.create_optimizer(), exclude=["tok2vec"], annotates=["tok2vec"])
    assert layer.to_bytes() != before
    assert tok2vec.to_bytes() == frozen
    expected = outputs(nlp, examples)
    nlp.replace_listeners("tok2vec", "multitask", ["model.tok2vec"])
    assert same(outputs(nlp, examples), expected)


def test_shared_encoder_gives_the_vectors_before_the_sharing_layer(nlp, examples, sharing):
    pipe = make_shared(nlp, examples, sharing)
    docs = [eg.predicted for eg in examples]
    plain = make_shared_encoder_v1(pipe.encoder.get_ref("tok2vec"))
    assert np.array_equal(pipe.encoder.predict(docs).dataXd, plain.predict(docs).dataXd)


def test_decisions_agree_with_the_scores(pipe, nlp, examples, without_gold):
    """The share of right decisions, and which docs have a wrong one, are what the scores say."""
    head = pipe.heads["task"]
    if not isinstance(head, ShowsDecisions):
        pytest.skip("the head does not show its decisions")
    batch = [*examples, without_gold]
    for doc in pipe.pipe([eg.predicted for eg in batch]):
        assert doc is not None
    found = head.decisions(batch)
    wrong = set(found.docs[found.gold != found.predicted].tolist())
    judged = {index: head.is_correct(eg) for index, eg in enumerate(batch)}
    assert wrong == {index for index, right in judged.items() if right is False}
    assert set(found.docs.tolist()) <= {index for index, right in judged.items() if right is not None}
    assert ((found.gold >= 0) | (found.predicted >= 0)).all()
    for doc, start, end in zip(found.docs, found.starts, found.ends, strict=True):
        assert 0 <= start < end <= len(batch[doc].reference)


def test_decisions_of_gold_as_prediction_are_all_right(pipe, examples):
    head = pipe.heads["task"]
    if not isinstance(head, ShowsDecisions) or getattr(head, "spans_key", None):
        pytest.skip("the head does not show its decisions, or writes elsewhere than it reads")
    found = head.decisions([Example(eg.reference, eg.reference) for eg in examples])
    assert len(found.gold) > 0
    assert (found.gold == found.predicted).all()
    assert set(found.names) <= {str(label) for label in head.labels}


def test_predictions_can_be_shown(pipe, nlp):
    """All heads that write something say what they wrote, as JSON that survives a round trip."""
    head = pipe.heads["task"]
    assert isinstance(head, ShowsPrediction) == bool(head.writes)
    if not head.writes:
        return
    for words in ("play some jazz in New York".split(), ["stop"], [" ", "\n"], []):
        doc = Doc(nlp.vocab, words=words)
        doc.spans["entities"] = [Span(doc, i, i + 1, "PER") for i in range(min(2, len(doc)))]
        found = head.prediction(pipe(doc)).as_dict()
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert found["form"] in FORMS
        labels = found.get("labels", [])
        assert len(labels) in (0, len(doc))
        rows = found.get("spans", []) + [row[part] for row in found.get("pairs", []) for part in ("head", "tail")]
        assert all(0 <= row["start"] < row["end"] <= len(doc) for row in rows)


def test_what_is_shown_of_gold_is_gold(pipe, examples):
    """The labels that are shown of a gold doc are those that the head would learn from it."""
    head = pipe.heads["task"]
    if not isinstance(head, ShowsPrediction) or getattr(head, "spans_key", "sc") != "sc":
        pytest.skip("the head writes nothing")
    for eg in examples:
        doc = eg.reference
        found = head.prediction(doc).as_dict()
        if found["form"] == "classes":
            shown = {label for label, score in found["scores"].items() if score > 0}
            assert set(found["predicted"]) == shown
        elif found["form"] == "numbers":
            assert found["values"] == doc._.numbers
        elif found["form"] == "tree":
            assert found["heads"] == [token.head.i for token in doc]
            assert found["labels"] == [token.dep_ for token in doc]
        elif found["form"] == "pairs":
            shown = {(row["label"], row["head"]["start"], row["tail"]["end"]) for row in found["pairs"]}
            assert shown == {(one.label, one.head.start, one.tail.end) for one in relations(doc)}
        elif found["form"] == "spans" and head.gold_attributes != ("doc.ents",):
            shown = {(row["label"], row["start"], row["end"]) for row in found["spans"]}
            assert shown == {(span.label_, span.start, span.end) for span in doc.spans["sc"]}
        elif found["form"] == "tokens" and head.gold_attributes == ("token.lemma",):
            assert found["labels"] == [token.lemma_ for token in doc]
        elif found["form"] == "tokens" and head.gold_attributes != ("token.sent_start",):
            assert set(found["labels"]) - {""} <= set(head.labels)


def with_random_weights(pipe):
    """Move all weights of the head, so that it decides for many things, and is sure of some."""
    rng = np.random.default_rng(1)
    for node in pipe.heads["task"].model.walk():
        for name in node.param_names:
            param = node.get_param(name)
            param += rng.normal(size=param.shape, scale=0.3).astype("f")
    return pipe.heads["task"]


def predicted_by(pipe, examples):
    """Copies of the predicted docs with the component's annotation."""
    docs = [eg.predicted.copy() for eg in examples]
    pipe.set_annotations(docs, pipe.predict(docs))
    return docs


@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_a_temperature_changes_probabilities_and_no_annotation(pipe, examples, temperature):
    head = with_random_weights(pipe)
    if not isinstance(head, GivesEvidence):
        assert isinstance(head, DomainAdversary | Regressor)
        return
    docs = [eg.predicted for eg in examples]
    (scores,) = pipe.decided_scores(docs, ["task"]).values()
    evidence = head.evidence(examples, scores)
    losses = [part.losses(temperature).tolist() for part in evidence]
    before, sure = predicted_by(pipe, examples), head.confidence(docs, scores)
    head.model.attrs[ATTR] = {"temperatures": {part.unit: temperature for part in evidence}}
    after, sure_after = predicted_by(pipe, examples), head.confidence(docs, scores)
    assert all(map(head.same_annotation, before, after))
    changed = (sure > 1e-9) & (sure < 1 - 1e-9)
    assert changed.any()
    assert (np.abs(sure_after - sure)[changed] > 1e-12).all()
    # what is fitted does not depend on the temperature that a head has already
    assert [part.losses(temperature).tolist() for part in head.evidence(examples, scores)] == losses


def test_evidence_agrees_with_loss_and_confidence(pipe, examples):
    head = with_random_weights(pipe)
    if not isinstance(head, GivesEvidence):
        return
    docs = [eg.predicted for eg in examples]
    (scores,) = pipe.decided_scores(docs, ["task"]).values()
    evidence = head.evidence(examples, scores)
    assert len({part.unit for part in evidence}) == len(evidence)
    for part in evidence:
        probabilities, losses = part.probabilities(1.0), part.losses(1.0)
        assert len(part.docs) == len(part.correct) == len(probabilities)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert len(losses)
        assert (losses >= 0).all()
    if not isinstance(head, DependencyParser | RelationExtractor | SpanClassifier) and not is_counted(head):
        n_units = len(docs) if isinstance(head, DOC_HEADS) else sum(map(len, docs))
        assert losses.sum() == pytest.approx(head.get_loss(examples, scores)[0] * n_units, rel=1e-4)


def is_counted(head):
    """Whether the head also learns the number of classes."""
    return isinstance(head, DocClassifier) and head.model.has_ref("counts")


def test_evidence_passes_over_missing_gold(pipe, examples, without_gold):
    head = with_random_weights(pipe)
    if not isinstance(head, GivesEvidence):
        return
    mixed = [examples[0], without_gold, examples[2]]
    (scores,) = pipe.decided_scores([eg.predicted for eg in mixed], ["task"]).values()
    for part in head.evidence(mixed, scores):
        assert 1 not in part.docs
        assert np.isfinite(part.losses(2.0)).all()
    (alone,) = pipe.decided_scores([without_gold.predicted], ["task"]).values()
    assert not any(len(part.losses(2.0)) for part in head.evidence([without_gold], alone))
    if isinstance(head, RanksOutcomes):
        assert np.isnan(head.gold_logs(mixed, scores)).tolist() == [False, True, False]
