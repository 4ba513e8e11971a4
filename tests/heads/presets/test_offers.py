"""What presets find in docs, and how they link heads."""

import pytest
import spacy
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_mtl.config_writer.config_plan import HeadPlan
from spacy_mtl.heads.presets import doc_classes, entities, numbers_of_docs, span_groups, token_labels, trees
from spacy_mtl.heads.presets.class_groups import find_class_groups
from spacy_mtl.protocols.head_preset import Links

VOCAB = spacy.blank("en").vocab


def doc(**settings):
    return Doc(VOCAB, words=["a", "b", "c"], **settings)


def with_cats(*all_cats):
    docs = []
    for cats in all_cats:
        docs.append(doc())
        docs[-1].cats = cats
    return docs


def offered(docs):
    """The offers of both presets of classifiers."""
    both = doc_classes.textcat, doc_classes.textcat_multilabel
    return {(offer.name, preset.exclusive): offer.settings for preset in both for offer in preset.offers(docs)}


@pytest.mark.parametrize(
    ("cats", "expected"),
    [
        ([{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}, {}], {("textcat", True): {}}),
        ([{"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 1.0}], {("textcat_multilabel", False): {}}),
        ([{"a": 0.0, "b": 0.0}, {"a": 0.0, "b": 1.0}], {("textcat_multilabel", False): {}}),
        # a single class can't be exclusive
        ([{"a": 1.0}, {"a": 0.0}], {("textcat_multilabel", False): {}}),
        ([{"g=a": 1.0, "g=b": 0.0}, {"g=a": 0.0, "g=b": 1.0}], {("g", True): {"label_prefix": "g="}}),
        (
            [{"x=a": 1.0, "x=b": 0.0, "y=c": 1.0, "y=d": 1.0}],
            {("x", True): {"label_prefix": "x="}, ("y", False): {"label_prefix": "y="}},
        ),
        # one class among all prefixes: the prefixes are parts of the names
        (
            [{"alarm/set": 1.0, "alarm/ask": 0.0, "music/play": 0.0}, {"alarm/set": 0.0, "music/play": 1.0}],
            {("textcat", True): {}},
        ),
        # a head without prefix takes all keys, so that there can't be two
        ([{"x=a": 1.0, "x=b": 0.0, "c": 1.0}], {("textcat_multilabel", False): {}}),
        # numbers are no classes
        ([{"V": 3.2, "g=a": 1.0, "g=b": 0.0}], {("g", True): {"label_prefix": "g="}}),
        ([{}], {}),
    ],
)
def test_groups_of_classes(cats, expected):
    assert offered(with_cats(*cats)) == expected


def test_groups_count_docs_with_several_classes_and_with_none():
    (group,) = find_class_groups(with_cats({"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 0.0}, {}, {"a": 0.5, "b": 0.0}))
    assert (group.n_docs, group.n_several, group.n_none) == (3, 1, 1)


@pytest.mark.parametrize(
    ("cats", "expected"),
    [
        ({"V": 3.2, "A": 0.5, "g": 1.0}, {"numbers": ["V"]}),
        ({"n=V": 3.2, "n=A": -1.0, "g": 1.0}, {"label_prefix": "n="}),
        ({"n=V": 3.2, "A": 4.0}, {"numbers": ["n=V", "A"]}),
        ({"V": 0.5}, None),
    ],
)
def test_numbers(cats, expected):
    assert [offer.settings for offer in numbers_of_docs.regressor.offers(with_cats(cats))] == [expected] * bool(
        expected
    )


def test_numbers_in_the_extension_attribute():
    numbers = HeadPlan("x", "regressor", numbers_of_docs.regressor)
    numbers.make()
    docs = [doc()]
    assert numbers_of_docs.regressor.offers(docs) == []
    docs[0]._.numbers = {"V": 3.2}
    (offer,) = numbers_of_docs.regressor.offers(docs)
    assert (offer.name, offer.settings) == ("numbers", {})


def test_a_parser_rules_out_sentence_starts():
    starts = {"sent_starts": [True, False, True]}
    assert [offer.name for offer in token_labels.senter.offers([doc(**starts)])] == ["sents"]
    assert token_labels.senter.offers([doc(sent_starts=[True, False, False])]) == []
    tree = doc(heads=[0, 0, 2], deps=["ROOT", "obj", "ROOT"])
    assert token_labels.senter.offers([tree, doc(**starts)]) == []
    assert [offer.name for offer in trees.parser.offers([tree])] == ["parser"]
    senter = HeadPlan("s", "senter", token_labels.senter).make()
    assert trees.parser.links([tree], {"s": senter}, pretrained=False).settings == {"sents": "s"}
    assert trees.parser.links([tree], {}, pretrained=False) == Links()


def test_span_groups_and_relations():
    one, other = doc(), doc()
    one.spans["nested"] = [Span(one, 0, 2, "X"), Span(one, 1, 2, "Y")]
    one.spans["unlabelled"] = [Span(one, 0, 1)]
    other.spans["relations"] = SpanGroup(
        other, name="relations", spans=[Span(other, 0, 1), Span(other, 1, 2)], attrs={"labels": ["r"]}
    )
    (spans,) = span_groups.spancat.offers([one, other])
    assert (spans.name, spans.settings) == ("nested", {"spans_key": "nested"})
    assert "in 1 of them spans overlap" in spans.why
    (relations,) = span_groups.relations.offers([one, other])
    assert (relations.name, relations.settings) == ("relations", {})
    assert "with 1 relations" in relations.why
    ner, apart = HeadPlan("n", "ner", entities.ner), HeadPlan("s", "ner", entities.ner, {"spans_key": "s"})
    heads = {"s": apart.make(), "n": ner.make()}
    assert span_groups.relations.links([other], heads, pretrained=False).settings == {"depends_on": "n"}


def entity_docs(pairs):
    docs = []
    for name, label in pairs:
        docs.append(doc())
        docs[-1].cats = {key: float(key == name) for key in ("x", "y")}
        docs[-1].set_ents([Span(docs[-1], 0, 1, label)])
    return docs


@pytest.mark.parametrize(
    ("pairs", "share"),
    [
        ([("x", "A"), ("y", "B")], 1.0),
        ([("x", "A"), ("x", "B"), ("y", "A"), ("y", "B")], 0.0),
        ([("x", "A"), ("y", "A")], 0.0),
    ],
)
def test_classes_explain_types_of_entities(pairs, share):
    docs = entity_docs(pairs)
    head = HeadPlan("c", "textcat", doc_classes.textcat).make()
    head.collect_labels([Example(one, one) for one in docs])
    assert entities.explained_by(head, docs) == pytest.approx(share)
    for pretrained in (False, True):
        links = entities.ner.links(docs, {"c": head}, pretrained=pretrained)
        expected = {"condition_on": "c"} if pretrained else {"condition_on": "c", "consistent_with": "c"}
        assert links.settings == (expected if share else {})
        assert f"c explains {100 * share:.0f} %" in links.why


def test_entities_see_two_groups_of_classes_and_no_independent_ones():
    docs = entity_docs([("x", "A"), ("y", "B")])
    examples = [Example(one, one) for one in docs]
    heads = {name: HeadPlan(name, "textcat", doc_classes.textcat).make() for name in ("c", "d")}
    heads["m"] = HeadPlan("m", "textcat_multilabel", doc_classes.textcat_multilabel).make()
    for head in heads.values():
        head.collect_labels(examples)
    assert entities.ner.links(docs, heads, pretrained=False).settings == {"condition_on": ["c", "d"]}
