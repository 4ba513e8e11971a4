"""The relation extractor: what it learns from, what it writes, and how it is scored."""

import logging
import pickle
import threading

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, has_moved, heads_config, make_nlp, weights_of
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from strict_arrays import strict_device  # noqa: F401  (a fixture)
from toy import ENCODER as FAST_ENCODER

import spacy_mtl
from spacy_mtl.heads.relation_extractor.gold_rows import gold_rows
from spacy_mtl.heads.relation_extractor.relation_extractor import make_relation_extractor_v1
from spacy_mtl.pipeline.decoding import Decoding
from spacy_mtl.pipeline.head_views import HeadViews
from spacy_mtl.protocols.between_heads import ConnectsToHeads, Prepares
from spacy_mtl.protocols.doc_verdicts import CountsDocs, GivesVerdicts, ShowsDecisions
from spacy_mtl.protocols.head import HeadInput
from spacy_mtl.protocols.head_confidence import SelfLabelling, Thresholded
from spacy_mtl.protocols.head_gold import FindsMistakes, FitsGold, GoldChecking
from spacy_mtl.protocols.head_labels import CountsGold, HasLabels, RenamesLabels, TeachesAbsence
from spacy_mtl.protocols.head_training import LearnsFromTeacher
from spacy_mtl.relation import Relation, set_relations

TEXTS = [
    ("Anna works for Siemens in Berlin", [(0, 1, "PER"), (3, 4, "ORG"), (5, 6, "LOC")], [(0, "job", 1), (1, "in", 2)]),
    ("Bert knows Anna", [(0, 1, "PER"), (2, 3, "PER")], [(0, "knows", 1)]),
    ("nothing happens", [], []),
    ("Siemens hired Clara May", [(0, 1, "ORG"), (2, 4, "PER")], [(1, "job", 0), (0, "near", 1)]),
    ("Siemens likes Clara May", [(0, 1, "ORG"), (2, 4, "PER")], []),
]
ENTS = {"kind": "EntityRecognizer"}


def make_doc(vocab, text, ents, found, *, has_relations=True):
    doc = Doc(vocab, words=text.split())
    spans = [Span(doc, start, end, label=label) for start, end, label in ents]
    doc.set_ents(spans, default="outside")
    if has_relations:
        relations = [Relation(spans[head], spans[tail], label) for head, label, tail in found]
        set_relations(doc, relations, with_scores=False)
    return doc


def blank(doc):
    return Doc(doc.vocab, words=[token.text for token in doc])


def make_examples(nlp, texts=TEXTS, **settings):
    docs = [make_doc(nlp.vocab, *row, **settings) for row in texts]
    return [Example(blank(doc), doc) for doc in docs]


def joint(**settings):
    return heads_config(ents=ENTS, relations={"kind": "RelationExtractor", "depends_on": "ents", **settings})


def make(examples=make_examples, heads=None, **settings):
    return make_nlp(heads or joint(**settings), examples=examples)


def train(nlp, examples, steps=60, **settings):
    optimizer = nlp.resume_training()
    for _ in range(steps):
        losses = nlp.update(examples(), sgd=optimizer, losses={}, **settings)
    return losses


@pytest.fixture(scope="module")
def trained():
    nlp = make()
    train(nlp, lambda: make_examples(nlp))
    return nlp


def found_in(doc, key="relations"):
    return [(one.head.text, one.label, one.tail.text) for one in spacy_mtl.relations(doc, key)]


EXPECTED = [("Anna", "job", "Siemens"), ("Siemens", "in", "Berlin")]


def test_it_meets_the_optional_protocols():
    head = make_relation_extractor_v1()
    optional = (HasLabels, CountsGold, TeachesAbsence, RenamesLabels, Prepares, LearnsFromTeacher, SelfLabelling)
    optional += (ShowsDecisions, CountsDocs, GivesVerdicts, GoldChecking, FindsMistakes, Thresholded, ConnectsToHeads)
    optional += (FitsGold,)
    missing = [protocol.__name__ for protocol in optional if not isinstance(head, protocol)]
    assert missing == []


def test_it_learns_entities_and_relations_together(trained):
    scores = trained.evaluate(make_examples(trained))
    names = ("ents_f", "relations_f", "relations_macro_f", "relations_boundaries_f", "multitask_exact")
    assert [scores[name] for name in names] == [1.0] * 5
    doc = trained("Anna works for Siemens in Berlin")
    assert found_in(doc) == EXPECTED
    assert [span.label_ for span in doc.spans["relations"]] == ["PER", "ORG", "ORG", "LOC"]
    assert all(0.5 <= one.score <= 1.0 for one in doc._.relations)
    assert found_in(trained("Siemens hired Clara May")) == [
        ("Siemens", "near", "Clara May"),
        ("Clara May", "job", "Siemens"),
    ]
    assert len(trained("Siemens likes Clara May").spans["relations"]) == 0
    assert "relations" in trained("nothing happens").spans


def test_the_same_in_batches_processes_threads_and_after_loading(trained, tmp_path):
    texts = [row[0] for row in TEXTS]
    expected = [found_in(trained(text)) for text in texts]
    assert expected[0] == EXPECTED
    assert [found_in(doc) for doc in trained.pipe(texts, batch_size=5)] == expected
    assert [found_in(doc) for doc in trained.pipe(texts, n_process=2, batch_size=2)] == expected
    trained.to_disk(tmp_path / "model")
    assert [found_in(doc) for doc in spacy.load(tmp_path / "model").pipe(texts)] == expected
    results = {}

    def work(number):
        results[number] = [[found_in(doc) for doc in trained.pipe(texts * 3, batch_size=2)] for _ in range(3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found == [expected * 3] * 3 for found in results.values())
    assert len(results) == 4


def test_a_sourced_pipe_finds_the_same(trained):
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", source=trained)
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED


def test_predictions_and_gold_survive_docbin(trained):
    doc = trained(TEXTS[0][0])
    gold = make_doc(trained.vocab, *TEXTS[0])
    data = DocBin(docs=[doc, gold]).to_bytes()
    loaded, loaded_gold = DocBin().from_bytes(data).get_docs(spacy.blank("en").vocab)
    assert found_in(loaded) == found_in(loaded_gold) == EXPECTED
    assert [one.score for one in loaded._.relations] == pytest.approx([one.score for one in doc._.relations])
    assert [one.score for one in loaded_gold._.relations] == [1.0, 1.0]


def test_training_goes_on_after_loading(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    before = weights_of(nlp.get_pipe("multitask"))
    train(nlp, lambda: make_examples(nlp), steps=2)
    assert has_moved(before, weights_of(nlp.get_pipe("multitask")))
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED


def test_two_in_one_component():
    heads = joint() | heads_config(
        other={"kind": "RelationExtractor", "depends_on": "ents", "key": "other", "types": None}
    )

    def examples(nlp):
        result = make_examples(nlp)
        for eg in result:
            found = spacy_mtl.relations(eg.reference)
            set_relations(eg.reference, [one for one in found if one.label == "job"], "other", with_scores=False)
        return result

    nlp = make(examples, heads)
    assert nlp.get_pipe("multitask").label_data["other"] == ["job"]
    train(nlp, lambda: examples(nlp))
    doc = nlp(TEXTS[0][0])
    assert found_in(doc) == EXPECTED
    assert found_in(doc, "other") == EXPECTED[:1]
    heads["other"]["key"] = "relations"
    with pytest.raises(ValueError, match=r"also predicted by head.*key of its own"):
        make(examples, heads)


def test_entities_of_an_earlier_component():
    """Without `depends_on` the entities are those that the doc has, in `doc.ents` or a span group."""
    for key in (None, "found"):
        nlp = spacy.blank("en")
        ruler = nlp.add_pipe("span_ruler", config={"spans_key": key, "annotate_ents": key is None})
        names = {"Anna": "PER", "Bert": "PER", "Clara May": "PER", "Siemens": "ORG", "Berlin": "LOC"}
        model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
        heads = heads_config(relations={"kind": "RelationExtractor", "entities_key": key})
        nlp.add_pipe("multitask", config={"model": model, "heads": heads})

        def examples(nlp=nlp, key=key):
            result = make_examples(nlp)
            for eg in result:
                if key is not None:
                    eg.reference.spans[key] = list(eg.reference.ents)
                    eg.reference.set_ents([], default="missing")
            return result

        nlp.initialize(examples)
        ruler.add_patterns([{"label": label, "pattern": name} for name, label in names.items()])
        train(nlp, examples)
        assert found_in(nlp(TEXTS[0][0])) == EXPECTED
        assert nlp.evaluate(examples())["relations_f"] == 1.0


def test_missing_gold_teaches_nothing_and_is_not_scored(trained):
    """Neither a doc without the group nor, in a doc with it, a pair with the label ""."""
    nlp = make()
    pipe = nlp.get_pipe("multitask")
    without = make_examples(nlp, has_relations=False)
    for eg in without:
        eg.reference.set_ents([], default="missing")
    before = weights_of(pipe)
    losses = nlp.update(without, sgd=nlp.create_optimizer(), losses={})
    assert losses["multitask/relations"] == 0.0
    assert not has_moved(before, weights_of(pipe))
    assert nlp.evaluate(without)["relations_f"] is None
    unknown = make_examples(trained, [(*TEXTS[0][:2], [(0, "", 1), (1, "in", 2)])])
    scores = trained.evaluate(unknown)
    assert scores["relations_p"] == scores["relations_f"] == scores["multitask_exact"] == 1.0
    assert set(scores["relations_f_per_type"]) == {"in"}


def gradient_of(nlp, examples):
    """The pairs' places, and the gradient of their logits."""
    pipe = nlp.get_pipe("multitask")
    docs = [eg.predicted for eg in examples]
    prepare = Decoding(pipe.heads, {}, docs, HeadViews(examples)).prepare
    head = pipe.heads["relations"]
    pairs = prepare("relations", {})
    head_input = HeadInput(docs, pipe.encoder.predict(docs), [], pairs)
    _, d_scores = head.get_loss(examples, head.model.predict(head_input))
    starts = pairs.entities.starts
    return list(zip(starts[pairs.heads].tolist(), starts[pairs.tails].tolist(), strict=True)), d_scores.logits


def test_a_pair_of_unknown_label_has_no_gradient():
    nlp = make(types=None)
    rows, gradient = gradient_of(nlp, make_examples(nlp, [(*TEXTS[0][:2], [(0, "", 1), (1, "in", 2)])]))
    silent = {row for row, values in zip(rows, gradient, strict=True) if not values.any()}
    assert silent == {(0, 3), (3, 0)}
    assert len(rows) == 6


def test_labels_that_the_types_rule_out_have_no_gradient():
    nlp = make()
    rows, gradient = gradient_of(nlp, make_examples(nlp))
    labels = nlp.get_pipe("multitask").heads["relations"].labels
    seen = {
        ("in", 3, 5),
        ("job", 0, 3),
        ("job", 2, 0),
        ("knows", 0, 2),
        ("knows", 2, 0),
        ("near", 0, 2),
        ("near", 3, 0),
    }
    taught = {(labels[column], *rows[row]) for row, column in zip(*np.nonzero(gradient), strict=True)}
    assert taught == seen


def test_given_types_hold_from_the_start():
    nlp = make(types={"job": [["PER", "ORG"]], "in": [["ORG", "LOC"], ["LOC", "LOC"]]})
    head = nlp.get_pipe("multitask").heads["relations"]
    table = head.constraints.table(head.model.attrs)
    types = {name: row for row, name in enumerate(head.model.attrs["types"], start=1)}
    for label, head_type, tail_type, expected in [
        ("job", "PER", "ORG", True),
        ("job", "ORG", "PER", False),
        ("in", "LOC", "LOC", True),
        ("near", "LOC", "LOC", True),
    ]:
        rows = np.array([types[head_type]]), np.array([types[tail_type]])
        assert table.labels(*rows)[0, head.labels.index(label)] == expected
        assert table.any(*rows) == [True]  # any types may have the label that is not named
    unknown, every = np.zeros(len(types) + 1, dtype="int64"), np.arange(len(types) + 1)
    assert table.labels(unknown, every).all()
    assert table.labels(every, unknown).all()
    assert head.constraints.table(head.model.attrs) is table
    head.model.attrs["labels"] = [*head.labels, "new"]
    assert head.constraints.table(head.model.attrs).labels(every, every)[:, -1].all()


def test_types_seen_later_in_training_are_allowed_then():
    """Of a streamed corpus, initialisation sees a part."""
    nlp = make()
    head = nlp.get_pipe("multitask").heads["relations"]
    new = [("Berlin knows Anna", [(0, 1, "LOC"), (2, 3, "PER")], [(0, "knows", 1)])]
    assert ["knows", "LOC", "PER"] not in head.model.attrs["seen"]
    rows, gradient = gradient_of(nlp, make_examples(nlp, new))
    assert rows == [(0, 2), (2, 0)]
    assert gradient.any()
    assert ["knows", "LOC", "PER"] in head.model.attrs["seen"]


def test_a_symmetric_label_is_taught_in_both_directions_and_written_once():
    nlp = make(symmetric=["knows"])
    rows, gradient = gradient_of(nlp, make_examples(nlp, TEXTS[1:2]))
    column = nlp.get_pipe("multitask").heads["relations"].labels.index("knows")
    assert rows == [(0, 2), (2, 0)]
    assert gradient[0, column] == gradient[1, column] < 0
    reversed_gold = [(*TEXTS[1][:2], [(1, "knows", 0)])]
    train(nlp, lambda: make_examples(nlp, [TEXTS[0], *reversed_gold]))
    assert found_in(nlp(TEXTS[1][0])) == [("Bert", "knows", "Anna")]
    assert nlp.evaluate(make_examples(nlp, reversed_gold))["relations_f"] == 1.0


def test_exclusive_labels():
    nlp = make(lambda nlp: make_examples(nlp, TEXTS[:3]), exclusive=True)
    train(nlp, lambda: make_examples(nlp, TEXTS[:3]))
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED
    assert found_in(nlp(TEXTS[2][0])) == []
    both = [(*TEXTS[0][:2], [(0, "job", 1), (0, "knows", 1)])]
    with pytest.raises(ValueError, match=r"'Anna' and 'Siemens' are related by 'job' and 'knows'.*exclusive = false"):
        nlp.update(make_examples(nlp, both))


def test_gold_rows_against_a_plain_loop(trained):
    """Every directed pair of gold entities, over docs with and without gold."""
    examples = make_examples(trained)
    del examples[1].reference.spans["relations"]
    pipe = trained.get_pipe("multitask")
    head = pipe.heads["relations"]
    docs = [eg.predicted for eg in examples]
    pairs = Decoding(pipe.heads, {}, docs, HeadViews(examples)).prepare("relations", {})
    gold = [None if index == 1 else spacy_mtl.gold_relations.read_relations(eg.reference, "relations", None)
            for index, eg in enumerate(examples)]  # fmt: skip
    rows = gold_rows(gold, pairs, head.labels)
    entities = pairs.entities
    for row, (one, other) in enumerate(zip(pairs.heads, pairs.tails, strict=True)):
        doc = entities.docs[one]
        assert doc == entities.docs[other] != 1
        for column, label in enumerate(head.labels):
            holds = any(
                (relation.head.start, relation.tail.start, relation.label)
                == (entities.starts[one], entities.starts[other], label)
                for relation in gold[doc]
            )
            assert rows[row, column] == float(holds)


def test_found_entities_are_candidates_in_training():
    """Those that are no entities in gold make pairs without a label."""
    nlp = make(found_entities=1.0)
    pipe = nlp.get_pipe("multitask")
    examples = make_examples(nlp, TEXTS[:1])
    docs = [eg.predicted for eg in examples]
    finder = pipe.heads["ents"]
    decoding = Decoding(pipe.heads, {}, docs, HeadViews(examples))
    spans = finder.decode(docs, pipe.model.predict(docs)["ents"])
    spans.docs, spans.starts, spans.ends, spans.labels = (np.array(x) for x in ([0, 0], [0, 1], [1, 2], [0, 0]))
    decoding._annotations["ents"] = spans
    pairs = decoding.prepare("relations", {})
    assert pairs.entities.starts.tolist() == [0, 1, 3, 5]
    assert pairs.entities.names[pairs.entities.labels[0]] == finder.labels[0]  # the type that was found
    losses = train(nlp, lambda: make_examples(nlp))
    assert losses["multitask/relations"] < 0.05


def test_add_label_keeps_what_it_predicts(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    pipe = nlp.get_pipe("multitask")
    assert pipe.add_label("new", head="relations") == 1
    assert pipe.add_label("new", head="relations") == 0
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED
    texts = [*TEXTS, ("Anna left Siemens", [(0, 1, "PER"), (2, 3, "ORG")], [(0, "new", 1)])]
    train(nlp, lambda: make_examples(nlp, texts))
    assert nlp.evaluate(make_examples(nlp, texts))["relations_f"] == 1.0


def test_rehearsal_keeps_the_relations(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    optimizer = nlp.resume_training()
    before = weights_of(nlp.get_pipe("multitask"))
    losses = nlp.rehearse(make_examples(nlp), sgd=optimizer, losses={})
    assert np.isfinite(losses["multitask"])
    assert has_moved(before, weights_of(nlp.get_pipe("multitask")))
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED


def test_confidence_is_that_of_the_least_certain_pair(trained):
    pipe = trained.get_pipe("multitask")
    docs = [trained.make_doc(text) for text in (TEXTS[0][0], TEXTS[2][0], TEXTS[1][0])]
    confidences = pipe.confidences(docs)["relations"]
    assert confidences[1] == 1.0
    least = min(one.score for one in trained(TEXTS[0][0])._.relations)
    assert 0.5 < confidences[0] <= least + 1e-6


def test_copied_annotation_is_gold(trained):
    head = trained.get_pipe("multitask").heads["relations"]
    source = trained(TEXTS[0][0])
    target = trained.make_doc(TEXTS[0][0])
    assert not head.same_annotation(source, target)
    head.copy_annotation(source, target)
    assert head.same_annotation(source, target)
    assert found_in(target) == EXPECTED
    assert "scores" not in target.spans["relations"].attrs


def test_renamed_and_dropped_labels(trained):
    head = trained.get_pipe("multitask").heads["relations"]
    source = make_doc(trained.vocab, *TEXTS[0])
    for _ in range(2):
        target = source.copy()
        head.rename_labels(source, target, {"job": None, "in": "place", "LOC": "GPE"})
        assert [one[1] for one in found_in(target)] == ["", "place"]
        assert [span.label_ for span in target.spans["relations"]] == ["PER", "ORG", "ORG", "GPE"]
        assert head.gold_labels(target) == {"place"}
        assert head.absent_labels(target) == set()


def test_scores_of_wrong_types_and_missed_entities(trained):
    """Strict, a wrong type makes a relation wrong, and a missed entity makes it missed."""
    gold = make_doc(trained.vocab, *TEXTS[0])
    wrong_type = make_doc(trained.vocab, TEXTS[0][0], [(0, 1, "PER"), (3, 4, "LOC"), (5, 6, "LOC")], TEXTS[0][2])
    missed = make_doc(trained.vocab, TEXTS[0][0], TEXTS[0][1][:2], TEXTS[0][2][:1])
    reversed_ = make_doc(trained.vocab, TEXTS[0][0], TEXTS[0][1], [(1, "job", 0), (1, "in", 2)])
    head = trained.get_pipe("multitask").heads["relations"]
    expected = {"wrong type": (0.0, 0.0, 1.0), "missed": (1.0, 0.5, 2 / 3), "reversed": (0.5, 0.5, 0.5)}
    for name, predicted in (("wrong type", wrong_type), ("missed", missed), ("reversed", reversed_)):
        scores = head.score([Example(predicted, gold)])
        p, r, boundaries_f = expected[name]
        assert (scores["p"], scores["r"]) == (p, r), name
        assert scores["boundaries_f"] == pytest.approx(boundaries_f)
        assert head.is_correct(Example(predicted, gold)) is False
    scores = head.score([Example(missed, gold)])
    assert scores["macro_f"] == pytest.approx(0.5)
    rows = head.decisions([Example(reversed_, gold)])
    assert len(rows.gold) == 3
    assert (rows.gold == rows.predicted).sum() == 1


def test_scores_agree_with_the_sum_of_counts(trained):
    examples = make_examples(trained)
    for eg, row in zip(examples, [*TEXTS[1:], TEXTS[0]], strict=True):
        found = make_doc(trained.vocab, eg.reference.text, [], [])
        if len(found) >= len(row[0].split()):
            copied = [Span(found, start, end, label=label) for start, end, label in row[1]]
            set_relations(found, [Relation(copied[head], copied[tail], label) for head, label, tail in row[2][:1]])
        eg.predicted = found
    head = trained.get_pipe("multitask").heads["relations"]
    counts = head.judge(examples)
    assert head.main_score_of(counts.sum(axis=0)) == pytest.approx(head.score(examples)["f"])


def test_other_tokens_than_the_gold_ones(trained):
    """Gold is aligned; what begins or ends inside of a token of the pipeline can't be found."""
    gold = make_doc(trained.vocab, *TEXTS[3])
    joined = Doc(trained.vocab, words=["Siemens", "hired", "Clara May"])
    split = Doc(trained.vocab, words=["Siemens", "hired", "Cla", "ra", "May"], spaces=[True, True, False, True, True])
    for predicted, n_rows in ((joined, 2), (split, 2)):
        rows, gradient = gradient_of(trained, [Example(predicted, gold)])
        assert len(rows) == n_rows
        assert np.abs(gradient).sum() >= 0
    inside = make_doc(trained.vocab, "Anna knows Clara May", [(0, 1, "PER"), (3, 4, "PER")], [(0, "knows", 1)])
    predicted = Doc(trained.vocab, words=["Anna", "knows", "Clara May"])
    head = trained.get_pipe("multitask").heads["relations"]
    pairs = head.prepare([predicted], [Example(predicted, inside)], {})
    assert len(pairs.heads) == 0
    set_relations(predicted, [Relation(predicted[0:1], predicted[2:3], "knows")])
    assert head.score([Example(predicted, inside)])["f"] == 0.0


def test_many_entities_in_one_doc(trained, caplog):
    """Memory is bounded, and the log says that pairs were left out."""
    nlp = spacy.blank("en")
    nlp.add_pipe("multitask", source=trained)
    head = nlp.get_pipe("multitask").heads["relations"]
    head.max_pairs = 1000
    text = " ".join(["Anna knows"] * 300)
    with caplog.at_level(logging.WARNING, logger="spacy"):
        doc = nlp(text)
        nlp(text)
    assert len(doc.ents) > 100
    said = [record.getMessage() for record in caplog.records if "max_pairs = 1000" in record.getMessage()]
    assert len(said) == 1
    assert "head 'relations'" in said[0]


BAD = {
    "odd": "has 3 spans and 1 labels.*two spans, head and tail, for each label",
    "labels": "has 4 spans and 0 labels",
    "scores": "has 2 labels and 1 scores",
    "no entity": "doc 'Anna works for Siemens in Berlin ?': the argument 'works' of the relation 'job' from 'Anna' to "
    "'works' is no entity in doc.ents; add the entity, leave the relation out",
    "number": "3 can't be a label of a relation",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_gold_is_refused_and_named(trained, kind):
    doc = make_doc(trained.vocab, *TEXTS[0])
    group = doc.spans["relations"]
    if kind == "odd":
        doc.spans["relations"] = list(group)[:3]
        doc.spans["relations"].attrs["labels"] = ["job"]
    elif kind == "labels":
        group.attrs.clear()
    elif kind == "scores":
        group.attrs["scores"] = [1.0]
    elif kind == "no entity":
        set_relations(doc, [Relation(doc[0:1], doc[1:2], "job")])
    else:
        group.attrs["labels"] = [3, "in"]
    head = trained.get_pipe("multitask").heads["relations"]
    example = Example(blank(doc), doc)
    assert head.find_mistake(example).startswith("head 'relations': ")
    with pytest.raises(ValueError, match=BAD[kind]):
        trained.update([example])
    with pytest.raises(ValueError, match=BAD[kind]):
        make(lambda nlp: [*make_examples(nlp), example])


def test_an_unknown_label_is_named(trained):
    examples = make_examples(trained, [(*TEXTS[0][:2], [(0, "hates", 1)])])
    with pytest.raises(
        ValueError, match=r"label 'hates' in doc.*was not seen at initialisation; add it with add_label"
    ):
        trained.update(examples)


def test_relations_that_no_pair_stands_for_are_counted(caplog):
    """An entity related to itself, and one that is too far."""
    texts = [*TEXTS, ("Anna likes Anna", [(0, 1, "PER")], [(0, "knows", 0)])]
    with caplog.at_level(logging.WARNING, logger="spacy"):
        nlp = make(lambda nlp: make_examples(nlp, texts))
        assert "1 of 6 gold relations can't be learned or found" in caplog.text
        assert "'knows' from 'Anna' to 'Anna'" in caplog.text
        caplog.clear()
        make(max_distance=1)
    assert "'job' from 'Anna' to 'Siemens'" in caplog.text
    assert "with 2 tokens in between, where max_distance is 1" in caplog.text
    train(nlp, lambda: make_examples(nlp, texts), steps=60)
    scores = nlp.evaluate(make_examples(nlp, texts))
    assert scores["relations_p"] == 1.0
    assert scores["relations_r"] < 1.0


def test_nested_arguments_are_learned_from(trained):
    """An argument inside of an entity can't be in `doc.ents`, but is a candidate in training."""
    doc = make_doc(trained.vocab, *TEXTS[3])
    set_relations(doc, [Relation(doc[0:1], Span(doc, 3, 4, label="PER"), "near")], with_scores=False)
    rows, _ = gradient_of(trained, [Example(blank(doc), doc)])
    assert sorted(rows) == [(0, 2), (0, 3), (2, 0), (2, 3), (3, 0), (3, 2)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5; it must be from 0 to 1"),
        ({"found_entities": -0.1}, "found_entities is -0.1"),
        ({"max_distance": -1}, "max_distance is -1, expected a number of tokens"),
        ({"max_pairs": 0}, "max_pairs is 0; it must be at least 1"),
        ({"types": {"job": [["PER"]]}}, r"types has \['PER'\] for 'job', expected a list of pairs"),
        ({"types": {"job": ["PER", "ORG"]}}, "types has 'PER' for 'job', expected a list of pairs"),
        ({"types": {"hates": [["PER", "PER"]]}}, r"types names \['hates'\], but the labels are"),
        ({"symmetric": ["hates"]}, r"symmetric names \['hates'\], but the labels are"),
        ({"depends_on": "nobody"}, "depends_on names 'nobody', but the heads are"),
        ({"depends_on": "relations"}, "depends_on names the head itself"),
    ],
    ids=str,
)
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_heads_that_depend_on_each_other_are_refused():
    heads = joint(depends_on="other") | heads_config(
        other={"kind": "RelationExtractor", "depends_on": "relations", "key": "other"}
    )
    with pytest.raises(ValueError, match="go round in a circle"):
        make(heads=heads)


def test_a_head_that_finds_no_entities_is_refused():
    heads = joint(depends_on="tag") | heads_config(tag={"kind": "Tagger", "attr": "tag"})
    with pytest.raises(ValueError, match="depends_on names 'tag', but a Tagger finds no entities"):
        make(heads=heads)


@pytest.mark.parametrize("weighting", ["Static", "UPGrad", "GradNorm", "Uncertainty"])
def test_it_learns_with_weightings(weighting):
    settings = {"weighting": {"@mtl_weightings": f"spacy_mtl.{weighting}.v1"}}
    nlp = make_nlp(joint(), examples=make_examples, tok2vec=FAST_ENCODER, **settings)
    train(nlp, lambda: make_examples(nlp), steps=100)
    assert nlp.evaluate(make_examples(nlp))["relations_f"] == 1.0


def test_alone_it_reaches_the_encoder():
    """Docs with gold relations alone move the encoder: its arguments are the candidates."""
    nlp = make()
    examples = make_examples(nlp)
    for eg in examples:
        eg.reference.set_ents([], default="missing")
    pipe = nlp.get_pipe("multitask")
    before = {key: node.copy() for key, node in weights_of(pipe).items()}
    nlp.update(examples, sgd=nlp.create_optimizer())
    n_encoder = sum(1 for _ in pipe.encoder.walk())
    moved = [key for key, value in weights_of(pipe).items() if not np.array_equal(value, before[key])]
    assert any(place < n_encoder for place, _ in moved)


def test_a_pickled_pipeline_finds_the_same(trained):
    nlp = pickle.loads(pickle.dumps(trained))
    assert found_in(nlp(TEXTS[0][0])) == EXPECTED


def test_the_extension_is_registered_once():
    spacy_mtl.relation.register_extension()
    assert Doc.has_extension("relations")
    doc = spacy.blank("en")("no relations here")
    assert doc._.relations == []


def test_types_and_relations_are_decided_together():
    """An entity that could be either type gets the one that its relation needs, if that is asked for."""
    found = {}
    for together in (False, True):
        nlp = make(joint=together, types={"job": [["PER", "ORG"]], "in": [["ORG", "LOC"]]})
        train(nlp, lambda nlp=nlp: make_examples(nlp))
        pipe = nlp.get_pipe("multitask")
        finder, decode = pipe.heads["ents"], pipe.heads["ents"].decode
        assert finder.labels == ("LOC", "ORG", "PER")

        def doubt(docs, scores, decode=decode):
            """A recognizer that finds "Siemens" a place, and an organisation hardly less likely."""
            spans = decode(docs, scores)
            spans.labels[1] = 0
            type_scores = np.array([[-9.0, -9.0, 0.0], [0.0, -0.1, -9.0], [0.0, -9.0, -9.0]])
            spans.rank_types = lambda: type_scores
            return spans

        finder.decode = doubt
        doc = nlp(TEXTS[0][0])
        found[together] = ([ent.label_ for ent in doc.ents], found_in(doc))
        assert [span.label_ for span in doc.spans["relations"]][1::2] == (["ORG", "LOC"] if together else [])
        assert 0.0 < pipe.confidences([nlp.make_doc(TEXTS[0][0])])["relations"][0] <= 1.0
    assert found[False] == (["PER", "LOC", "LOC"], [])
    assert found[True] == (["PER", "ORG", "LOC"], EXPECTED)


def test_deciding_together_changes_nothing_that_is_certain(tmp_path):
    for spans_key in (None, "sc"):
        heads = joint(joint=True) | heads_config(ents=ENTS | {"spans_key": spans_key})
        nlp = make(heads=heads)
        train(nlp, lambda nlp=nlp: make_examples(nlp))
        doc = nlp(TEXTS[0][0])
        assert found_in(doc) == EXPECTED
        assert nlp.evaluate(make_examples(nlp))["multitask_exact"] == 1.0
        nlp.to_disk(tmp_path / "model")
        assert found_in(spacy.load(tmp_path / "model")(TEXTS[0][0])) == EXPECTED


def test_only_one_head_decides_about_the_types():
    with pytest.raises(ValueError, match="depends_on must name the head that finds the entities"):
        make_relation_extractor_v1(joint=True)
    heads = joint(joint=True) | heads_config(
        other={"kind": "RelationExtractor", "depends_on": "ents", "key": "other", "joint": True}
    )
    with pytest.raises(ValueError, match=r"annotation of 'ents' together with its own, as head .* does; only one can"):
        make(heads=heads)


def test_scores_with_gold_entities(trained):
    """The component runs the head on gold entities too, which teaches nothing and changes no prediction."""
    texts = [("Dora works for Acme in Paris", [(0, 1, "PER"), (3, 4, "ORG"), (5, 6, "LOC")], TEXTS[0][2])]
    pipe = trained.get_pipe("multitask")
    head = pipe.heads["relations"]
    examples = make_examples(trained, texts)
    finder = pipe.heads["ents"]
    nothing = Doc(trained.vocab, words=["nothing"])
    decode = finder.decode
    finder.decode = lambda docs, scores: finder.__class__.decode(
        finder, [nothing], pipe.model.predict([nothing])["ents"]
    )
    seen = list(head.model.attrs["seen"])
    try:
        scores = trained.evaluate([*examples, *make_examples(trained, texts, has_relations=False)])
    finally:
        finder.decode = decode
    assert scores["relations_f"] == 0.0
    assert scores["relations_gold_entities_r"] > 0.0
    assert scores["relations_gold_entities_f"] <= 1.0
    new = [(*texts[0][:2], [(2, "knows", 0)])]
    trained.evaluate(make_examples(trained, new))
    assert head.model.attrs["seen"] == seen
    assert head.score(make_examples(trained, texts))["gold_entities_f"] is None
    assert trained.evaluate(make_examples(trained))["relations_gold_entities_macro_f"] == 1.0


@pytest.mark.parametrize("settings", [{}, {"exclusive": True, "joint": True}, {"symmetric": ["knows"], "types": None}])
def test_nothing_mixes_arrays_of_a_gpu_with_numpys(strict_device, settings):  # noqa: F811
    nlp = spacy.blank("en")
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": FAST_ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": joint(**settings), "readout_every": 0})

    def examples():
        return make_examples(nlp, TEXTS[:3])

    nlp.initialize(examples)
    optimizer = nlp.resume_training()
    for _ in range(2):
        losses = nlp.update(examples(), sgd=optimizer, drop=0.1, losses={})
    nlp.rehearse(examples(), sgd=optimizer, losses=losses)
    assert np.isfinite(list(losses.values())).all()
    assert nlp.evaluate(examples())["relations_f"] is not None
    waits = []
    for n_docs in (8, 64):
        strict_device.clear()
        list(nlp.pipe([TEXTS[0][0]] * n_docs, batch_size=64))
        waits.append(strict_device.total())
    assert waits[0] == waits[1]
