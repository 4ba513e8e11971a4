"""`spacy_mtl.explain` on small trained pipelines: what it computes, what it leaves alone, what it refuses."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config, make_examples, make_nlp, train
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vectors import Vectors

import spacy_mtl
from spacy_mtl.encoders.hash_embed_cnn.piece_vectors import FILE, PieceVectors
from spacy_mtl.encoders.hash_embed_cnn.wordpiece import WordPiece, WordPieceSettings
from spacy_mtl.explanations import explain as explain_module
from spacy_mtl.explanations import integrated_gradients as ig
from spacy_mtl.explanations.doc_network import DocNetwork
from spacy_mtl.explanations.explain import choose_target, make_network
from spacy_mtl.relation import Relation, set_relations

CNN = ENCODER | {"@architectures": "spacy_mtl.HashEmbedCNN.v1"}
HEADS = heads_config(
    intent={"kind": "DocClassifier", "pooling": ["mean", "attention"], "label_prefix": "is="},
    topics={"kind": "DocClassifier", "exclusive": False, "near_tokens": True, "label_prefix": "topic="},
    slots={"kind": "EntityRecognizer", "condition_on": "intent"},
    biluo={"kind": "EntityRecognizer", "scheme": "BILUO", "spans_key": "biluo"},
    pos={"kind": "Tagger", "attr": "pos"},
    rating={"kind": "Regressor", "numbers": ["stars"]},
    chunks={"kind": "SpanClassifier", "threshold": 0.3},
    linked={"kind": "SpanClassifier", "depends_on": "slots", "spans_key": "linked", "threshold": 0.0},
    tree={"kind": "DependencyParser", "arc_width": 16, "label_width": 8},
    ties={"kind": "RelationExtractor", "depends_on": "slots", "width": 16, "symmetric": ["near"]},
    one_tie={"kind": "RelationExtractor", "depends_on": "slots", "width": 16, "key": "one", "exclusive": True},
    lemma={"kind": "Lemmatizer", "min_tree_freq": 1},
)
SHARING = [("Adapters", {"by": "head"}), ("CrossStitch", {}), ("LayerMix", {"n_layers": 1}), ("MMoE", {}), ("PLE", {})]
TEXT = "play some jazz in Berlin"
ABLE = ["intent", "topics", "slots", "biluo", "pos", "rating", "chunks", "linked", "tree", "ties", "one_tie", "lemma"]


def all_gold(nlp):
    """Small examples with gold for all heads."""
    examples = []
    for index, eg in enumerate(make_examples(nlp)):
        doc = eg.reference
        play, ask = doc.cats["play"], doc.cats["ask"]
        doc.cats = {"is=play": play, "is=ask": ask, "topic=music": play, "topic=facts": ask}
        doc._.numbers = {"stars": float(index)}
        for token in doc:
            token.pos_ = "PROPN" if token.is_title else "NOUN" if token.i else "VERB"
            token.lemma_ = "be" if token.text == "is" else token.lower_
            token.head = doc[max(token.i - 1, 0)]
            token.dep_ = "obj" if token.is_title else "mod" if token.i else "ROOT"
        ents = doc.ents
        found = [Relation(ents[0], ents[1], "near", 1.0)] if len(ents) > 1 else []
        set_relations(doc, found, with_scores=False)
        set_relations(doc, found, "one", with_scores=False)
        for key in ("sc", "linked"):
            spans = [Span(doc, ent.start, ent.end, label=ent.label_) for ent in doc.ents]
            doc.spans[key] = SpanGroup(doc, name=key, spans=spans)
        examples.append(Example(nlp.make_doc(doc.text), doc))
    return examples


def gold_with_vectors(nlp):
    """The same, after a vector of each of their words was added to the vocab."""
    if not nlp.vocab.vectors.shape[0]:
        words = sorted({token.text for eg in make_examples(nlp) for token in eg.reference})
        data = np.random.default_rng(0).normal(size=(len(words), 8)).astype("f")
        nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=data, keys=words, name="small")
    return all_gold(nlp)


@cache
def cnn(*, listener=False, static=False, pieces=None):
    """A trained pipeline with all kinds of heads."""
    gold = gold_with_vectors if static else all_gold
    encoder = CNN | {"pretrained_vectors": static or None, "piece_vectors": pieces}
    nlp = make_nlp(HEADS, tok2vec=encoder, examples=gold, listener=listener)
    train(nlp, gold(nlp), steps=30)
    return nlp


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Random vectors of word pieces."""
    names = ["[UNK]", "play", "some", "ja", "##zz", "in", "berlin"]
    cutter = WordPiece(WordPieceSettings(names, "[UNK]", "##", 100, True, True, True, True))
    table = np.random.default_rng(0).normal(size=(len(names), 8)).astype("float16")
    folder = tmp_path_factory.mktemp("pieces")
    (folder / FILE).write_bytes(PieceVectors(cutter, table, {}).to_bytes())
    return str(folder)


def network_of(nlp, head, text=TEXT):
    network = make_network(nlp, text, head, None)
    return network, choose_target(network, head, None)


def check_complete(found):
    """The scores sum to the difference from the baseline."""
    difference = found.value - found.baseline_value
    assert abs(sum(found.scores) - difference) <= 0.01 * max(abs(difference), 0.1)
    assert found.completeness_gap <= 0.01


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("head", ABLE)
def test_scores_of_integrated_gradients_sum_to_the_difference(head, listener):
    found = spacy_mtl.explain(cnn(listener=listener), TEXT, head=head)
    assert found.head == head
    assert found.tokens == tuple(TEXT.split())
    check_complete(found)
    assert any(found.scores)


@pytest.mark.parametrize("head", ABLE)
def test_gradient_is_that_of_finite_differences(head):
    check_gradient(*network_of(cnn(), head), head)


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("kind", ["static", "pieces"])
def test_words_with_vectors_of_their_own(kind, listener, pieces):
    """Of a table of static vectors, or made from word pieces: of all heads."""
    settings = {"static": True} if kind == "static" else {"pieces": pieces}
    nlp = cnn(listener=listener, **settings)
    with_vectors = make_network(nlp, TEXT, None, None).embedded
    for head in ABLE:
        check_complete(spacy_mtl.explain(nlp, TEXT, head=head))
        check_gradient(*network_of(nlp, head), head)
    without = make_network(cnn(listener=listener), TEXT, None, None).embedded
    assert with_vectors.vectors.shape == without.vectors.shape


def check_gradient(network, target, head):
    """The gradient at the embeddings is that of finite differences."""
    embedded = network.embedded
    tokvecs, backprop = embedded.encode(embedded.vectors)
    gradient = backprop(network.differentiate(tokvecs, head, target)[1])
    rng = np.random.default_rng(0)
    for _ in range(3):
        direction = rng.normal(size=embedded.vectors.shape).astype("f")
        direction /= np.linalg.norm(direction)
        sides = [
            network.value(embedded.encode(embedded.vectors + np.float32(step) * direction)[0], head, target)
            for step in (2e-3, -2e-3)
        ]
        slope = (sides[0] - sides[1]) / 4e-3
        assert float((gradient * direction).sum()) == pytest.approx(
            slope, abs=float(0.05 * np.linalg.norm(gradient)) + 2e-3
        )


def test_value_is_what_the_pipeline_predicts():
    nlp = cnn()
    doc = nlp(TEXT)
    found = {head: spacy_mtl.explain(nlp, TEXT, head=head) for head in ("intent", "topics", "biluo", "rating")}
    (p,) = (relation.score for relation in spacy_mtl.relations(doc))
    assert spacy_mtl.explain(nlp, TEXT, head="ties").value == pytest.approx(np.log(p / (1 - p)), abs=1e-2)
    for head, prefix in (("intent", "is="), ("topics", "topic=")):
        p = doc.cats[prefix + found[head].target]
        assert found[head].value == pytest.approx(np.log(p / (1 - p)), abs=1e-3)
    p = float(doc.spans["biluo"].attrs["scores"][0])
    assert found["biluo"].value == pytest.approx(np.log(p / (1 - p)), abs=0.05)
    assert found["rating"].value == pytest.approx(doc._.numbers["stars"], abs=1e-4)


@pytest.mark.parametrize("head", ["intent", "slots", "pos"])
def test_occlusion_is_a_plain_loop(head):
    nlp = cnn()
    found = spacy_mtl.explain(nlp, TEXT, head=head, method="occlusion")
    network, target = network_of(nlp, head)
    embedded = network.embedded
    for index, score in enumerate(found.scores):
        vectors = embedded.vectors.copy()
        vectors[index] = embedded.baseline[index]
        value = network.value(embedded.encode(vectors)[0], head, target)
        assert score == pytest.approx(found.value - value, abs=1e-5)
    assert found.n_passes == 6


def test_occlusion_works_with_spacys_own_encoder():
    for listener in (False, True):
        nlp = make_nlp(heads_config(intent={"kind": "DocClassifier"}), listener=listener)
        train(nlp, make_examples(nlp), steps=10)
        found = spacy_mtl.explain(nlp, TEXT, head="intent", method="occlusion")
        cats = nlp(TEXT).cats
        assert found.value == pytest.approx(
            np.log(cats["play"] / cats["ask"]) * (1 if found.target == "play" else -1), abs=1e-3
        )
        without = nlp(Doc(nlp.vocab, words=["[UNK]", *TEXT.split()[1:]])).cats
        sign = 1 if found.target == "play" else -1
        assert found.scores[0] == pytest.approx(found.value - sign * np.log(without["play"] / without["ask"]), abs=1e-3)
        with pytest.raises(ValueError, match=r"needs the embeddings.*method = .occlusion."):
            spacy_mtl.explain(nlp, TEXT, head="intent")


def test_one_pass_for_gradient_x_input():
    found = spacy_mtl.explain(cnn(), TEXT, head="slots", method="gradient_x_input")
    assert found.n_passes == 1
    assert found.baseline_value is None
    assert any(found.scores)


def test_attention_is_that_of_the_pooling_or_of_the_class():
    nlp = cnn()
    found = spacy_mtl.explain(nlp, TEXT, head="intent", method="attention")
    assert sum(found.scores) == pytest.approx(1.0)
    assert min(found.scores) >= 0.0
    pipe = nlp.get_pipe("multitask")
    tokvecs = pipe.encoder.predict([nlp.make_doc(TEXT)]).dataXd
    (node,) = [node for node in pipe.heads["intent"].model.walk() if node.name == "para-attn"]
    logits = tokvecs @ node.get_param("Q")
    assert np.allclose(found.scores, np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    assert set(spacy_mtl.explain(nlp, TEXT, method="attention")) == {"intent", "topics"}
    near = spacy_mtl.explain(nlp, TEXT, head="topics", method="attention")
    assert sum(near.scores) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="head 'slots': it does not pool by attention"):
        spacy_mtl.explain(nlp, TEXT, head="slots", method="attention")
    with pytest.raises(ValueError, match="head 'rating': it does not pool by attention"):
        spacy_mtl.explain(nlp, TEXT, head="rating", method="attention")


def test_gradient_flows_through_conditions():
    """What a head is conditioned on counts: with the condition's weights at 0, the scores are others."""
    nlp = pickle.loads(pickle.dumps(cnn().to_bytes()))
    copied = make_nlp(HEADS, tok2vec=CNN, examples=all_gold).from_bytes(nlp)
    before = spacy_mtl.explain(copied, TEXT, head="slots", target="LOC[4:5]")
    projection = copied.get_pipe("multitask").heads["slots"].model.layers[3]
    projection.set_param("W", np.random.default_rng(0).normal(size=projection.get_param("W").shape).astype("f"))
    after = spacy_mtl.explain(copied, TEXT, head="slots", target="LOC[4:5]")
    assert not np.allclose(before.scores, after.scores)
    assert after.completeness_gap <= 0.01


def state_of(nlp):
    """All that an explanation might change: parameters, gradients, attributes and caches, and random state."""
    found = {}
    for name, pipe in nlp.components:
        for place, node in enumerate(pipe.model.walk()):
            for param in node.param_names:
                if node.has_param(param):
                    found[name, place, param] = node.get_param(param).tobytes()
                if node.has_grad(param):
                    found[name, place, f"d_{param}"] = node.get_grad(param).tobytes()
            cache = node.attrs.get("words")
            if cache is not None:
                found[name, place, "words"] = dict(cache.rows)
            found[name, place, "rate"] = node.attrs.get("dropout_rate")
    return found | {"random": pickle.dumps(np.random.get_state())}


@pytest.mark.parametrize("listener", [False, True])
@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_x_input", "occlusion"])
def test_nothing_is_changed(method, listener):
    nlp = make_nlp(HEADS, tok2vec=CNN, examples=all_gold, listener=listener)
    # leaves gradients, and a dropout rate
    nlp.update(all_gold(nlp), sgd=False, drop=0.4)
    doc = nlp.make_doc(TEXT)
    text_before, state = doc.to_bytes(), state_of(nlp)
    first = spacy_mtl.explain(nlp, doc, method=method)
    assert state_of(nlp) == state
    assert doc.to_bytes() == text_before
    assert spacy_mtl.explain(nlp, doc, method=method) == first


def test_four_threads_explain_as_one():
    nlp = cnn()
    texts = [TEXT, "who is Anna Schmidt", "where is Berlin", "play Anna"] * 2
    expected = [spacy_mtl.explain(nlp, text, head="intent") for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: spacy_mtl.explain(nlp, text, head="intent"), texts)) == expected


def test_all_heads_side_by_side():
    nlp = cnn()
    found = spacy_mtl.explain(nlp, TEXT, method="gradient_x_input")
    assert set(found) == set(ABLE)
    listed = spacy_mtl.explain_targets(nlp, TEXT)
    assert {head: one.target for head, one in found.items()} == {head: names[0] for head, names in listed.items()}
    assert listed["slots"] == ["GENRE[2:3]", "LOC[4:5]"]
    assert len(listed["pos"]) == 5
    assert listed["tree"] == ["ROOT[0:0]", "mod[1:0]", "mod[2:1]", "mod[3:2]", "obj[4:3]"]
    assert listed["ties"] == listed["one_tie"] == ["near[2:3:4:5]"]


def test_targets_by_label_place_and_of_what_was_not_predicted():
    nlp = cnn()

    def target(head, wanted):
        return spacy_mtl.explain(nlp, TEXT, head=head, target=wanted, method="gradient_x_input")

    assert target("slots", "LOC").target == "LOC[4:5]"
    assert target("slots", "[4:5]").target == "LOC[4:5]"
    other = target("slots", "PER[4:5]")
    assert other.target == "PER[4:5]"
    assert other.value < 0
    assert other.target_tokens == (4,)
    assert target("pos", "VERB[4]").value < target("pos", "[4]").value
    assert target("intent", "ask").value == pytest.approx(-target("intent", "play").value, abs=1e-4)
    assert target("tree", "ROOT[1:1]").value < 0 < target("tree", "ROOT").value
    assert target("tree", "mod[1:4]").value < target("tree", "mod[1:0]").value
    assert target("ties", "near[4:5:2:3]").value == pytest.approx(target("ties", "near").value, abs=1e-5)
    assert target("chunks", "PER[0:2]").target_tokens == (0, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "moods"}, "there is no head 'moods' to explain; it has .*'intent'"),
        ({"head": "lemma", "target": "is → was[1]"}, "head 'lemma': there is no target 'is → was"),
        ({"head": "intent", "method": "lime"}, "method is 'lime', expected one of .*'occlusion'"),
        ({"target": "play"}, "a target belongs to a head; set head too"),
        (
            {"head": "intent", "target": "sing"},
            "head 'intent': there is no target 'sing'; its labels are 'ask', 'play'",
        ),
        ({"head": "rating", "target": "price"}, "head 'rating': there is no target 'price'; its labels are 'stars'"),
        ({"head": "slots", "target": "PER"}, r"'PER' has 0 token numbers.*expected 2, as in 'PER\[0:1\]'"),
        ({"head": "slots", "target": "DATE[0:1]"}, r"there is no target 'DATE\[0:1\]'; its labels are 'GENRE'"),
        ({"head": "slots", "target": "PER[3:9]"}, "outside of the doc, which has 5 tokens"),
        ({"head": "slots", "target": "PER[3:3]"}, r"'PER\[3:3\]' is no entity that the head could find"),
        ({"head": "pos", "target": "NOUN[5]"}, "outside of the doc, which has 5 tokens"),
        ({"head": "pos", "target": "ADJ[1]"}, r"head 'pos': there is no target 'ADJ\[1\]'"),
        ({"head": "tree", "target": "obj[1]"}, r"'obj\[1\]' has 1 token numbers.*expected 2"),
        ({"head": "tree", "target": "obj[5:1]"}, r"'obj\[5:1\]' is no arc that the head could find"),
        ({"head": "ties", "target": "near[0:1:4:5]"}, r"'near\[0:1:4:5\]' is no relation that the head could find"),
        ({"head": "chunks", "target": "PER[0:4]"}, "is none of the 12 spans that are suggested"),
    ],
)
def test_what_is_refused_is_named(settings, message):
    with pytest.raises(spacy_mtl.CannotExplain, match=message):
        spacy_mtl.explain(cnn(), TEXT, **settings)


# labels in the place of *, tokens that are not there, and what is no name at all
WRONG = ["", "[", "[]", "[0]", "[0:1]", "*[9]", "*[5:6]", "*[1:0]", "*[0:0]", "*[-1]", "*[0:1:2]", "*[1:1:1:1]", "*[٣]"]
WRONG += [f"*[{'9' * size}]" for size in (20, 5000)] + [f"*[0:{'9' * 20}]", f"*[0:1:4:{'9' * 20}]"]


@pytest.mark.parametrize("head", ABLE)
def test_every_head_says_what_was_asked_wrongly(head):
    """It names what there is with an error of its own kind, or explains it; nothing else is raised."""
    nlp = cnn()
    refused = []
    for label in nlp.get_pipe("multitask").heads[head].labels[:2]:
        network = make_network(nlp, TEXT, head, None)
        for wrong in WRONG:
            try:
                choose_target(network, head, wrong.replace("*", label))
            except spacy_mtl.CannotExplain as error:
                refused.append(str(error))
    assert len(refused) >= 10
    assert all(message.startswith(f"head '{head}': ") for message in refused)


def test_a_fault_of_a_head_is_not_taken_for_a_wrong_question(monkeypatch):
    nlp = cnn()

    def fail(*args):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(type(nlp.get_pipe("multitask").heads["tree"]), "find_target", fail)
    with pytest.raises(ValueError, match="broadcast") as found:
        spacy_mtl.explain(nlp, TEXT, head="tree", target="obj[0:1]")
    assert not isinstance(found.value, spacy_mtl.CannotExplain)


def test_a_head_that_cant_explain_itself_is_left_out_or_named():
    heads = heads_config(
        intent={"kind": "DocClassifier", "label_prefix": "is="},
        domain={"kind": "DomainAdversary", "total_steps": 9, "prefix": "topic="},
    )
    nlp = make_nlp(heads, tok2vec=CNN, examples=all_gold)
    assert set(spacy_mtl.explain(nlp, TEXT)) == {"intent"}
    with pytest.raises(ValueError, match="head 'domain': a DomainAdversary can't explain itself; the heads that can"):
        spacy_mtl.explain(nlp, TEXT, head="domain")


@pytest.mark.parametrize("doc", ["", Doc(spacy.blank("en").vocab)])
def test_an_empty_doc_is_refused(doc):
    with pytest.raises(ValueError, match="the doc is empty"):
        spacy_mtl.explain(cnn(), doc, head="intent")


def test_a_head_that_found_nothing_is_left_out_or_named():
    nlp = cnn()
    texts = ("who is", "where is", "is where", "play", "is is is")
    text = next(text for text in texts if not spacy_mtl.explain_targets(nlp, text)["slots"])
    assert "slots" not in spacy_mtl.explain(nlp, text, method="gradient_x_input")
    with pytest.raises(ValueError, match="head 'slots': it has found nothing in this doc"):
        spacy_mtl.explain(nlp, text, head="slots")


def test_white_space_and_blocked_tokens():
    nlp = cnn()
    doc = nlp.make_doc("play  some jazz in Berlin")
    doc.set_ents([], blocked=[doc[3:4]], default="unmodified")
    found = spacy_mtl.explain(nlp, doc, head="slots", target="LOC[5:6]")
    assert len(found.scores) == 6
    assert found.completeness_gap <= 0.01
    for wanted in ("GENRE[3:4]", "GENRE[1:3]"):
        with pytest.raises(ValueError, match="is no entity that the head could find"):
            spacy_mtl.explain(nlp, doc, head="slots", target=wanted)


def test_a_line_that_is_too_rough_is_warned_of(monkeypatch, caplog):
    monkeypatch.setattr(ig, "MAX_POINTS", 9)
    for module in (ig, explain_module):
        monkeypatch.setattr(module, "TOLERANCE", 1e-9)
    spacy.util.logger.propagate = True
    found = spacy_mtl.explain(cnn(), TEXT, head="slots")
    assert found.n_passes == 9
    assert "compare them with method" in caplog.text


def test_says_what_is_held_fixed():
    nlp = cnn()
    assert spacy_mtl.explain(nlp, TEXT, head="intent", method="gradient_x_input").held_fixed == ()
    found = spacy_mtl.explain(nlp, TEXT, head="linked", method="gradient_x_input")
    assert found.held_fixed == ("what head 'linked' works on, as 'slots' found it",)


@pytest.mark.parametrize(("name", "settings"), SHARING)
def test_sharing_layers_take_part(name, settings):
    sharing = {"@mtl_sharing": f"spacy_mtl.{name}.v1"} | settings
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN, "sharing": sharing}
    nlp = make_nlp(model=model)
    train(nlp, make_examples(nlp), steps=10)
    for head, wanted in (("intent", "play"), ("slots", "LOC[4:5]")):
        check_complete(spacy_mtl.explain(nlp, TEXT, head=head, target=wanted))
        network = make_network(nlp, TEXT, head, None)
        check_gradient(network, choose_target(network, head, wanted), head)


@pytest.mark.parametrize("words", [["jazz"], [" "], ["\n\n", " "], ["play"] * 2])
def test_short_docs(words):
    """One token, white space alone: what a head finds is explained, and what is not there is left out."""
    nlp = cnn()
    doc = Doc(nlp.vocab, words=words, spaces=[False] * len(words))
    found = spacy_mtl.explain(nlp, doc)
    assert {"intent", "pos", "rating"} <= set(found)
    for explanation in found.values():
        assert explanation.tokens == tuple(words)
        check_complete(explanation)
    if not "".join(words).strip():
        assert not {"slots", "tree", "ties"} & set(found)
    occluded = spacy_mtl.explain(nlp, doc, head="intent", method="occlusion")
    assert len(occluded.scores) == len(words)


def test_two_components():
    nlp = make_nlp(heads_config(intent={"kind": "DocClassifier"}), tok2vec=CNN)
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": CNN}
    slots = heads_config(slots={"kind": "EntityRecognizer"})
    nlp.add_pipe("multitask", name="second", config={"model": model, "heads": slots})
    nlp.initialize(lambda: make_examples(nlp))
    train(nlp, make_examples(nlp), steps=30)
    with pytest.raises(spacy_mtl.CannotExplain, match=r"multitask.*second"):
        spacy_mtl.explain(nlp, TEXT)
    assert set(spacy_mtl.explain(nlp, TEXT, component="multitask")) == {"intent"}
    found = spacy_mtl.explain(nlp, TEXT, component="second", head="slots", target="LOC[4:5]")
    check_complete(found)
    with pytest.raises(ValueError, match="component 'second': there is no head 'intent'"):
        spacy_mtl.explain(nlp, TEXT, component="second", head="intent")


def test_a_network_of_a_doc_predicts_as_the_component():
    nlp = cnn()
    network = DocNetwork(nlp, "multitask", nlp.make_doc(TEXT), ["intent"])
    assert np.allclose(
        network.tokvecs, nlp.get_pipe("multitask").encoder.predict([nlp.make_doc(TEXT)]).dataXd, atol=1e-5
    )
