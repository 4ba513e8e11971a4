"""The parser writes what spaCy's parser writes, learns from what is set, and finds one root for each sentence."""

import numpy as np
import pytest
import spacy
from pipelines import ENCODER, heads_config, train
from spacy import displacy
from spacy.matcher import DependencyMatcher
from spacy.pipeline.dep_parser import parser_score
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import fix_random_seed
from thinc.types import Ragged

from spacy_mtl.heads.dependency_parser.arc_losses import tree_loss
from spacy_mtl.heads.dependency_parser.arc_scores import ArcScores, score_arcs, score_labels
from spacy_mtl.heads.dependency_parser.dependency_parser import make_dependency_parser_v1
from spacy_mtl.heads.dependency_parser.parse_decoding import ParseDecoder
from spacy_mtl.heads.dependency_parser.sentence_pieces import Pieces, buckets, cut_pieces, read_tokens, window_starts
from spacy_mtl.protocols.head import HeadInput

# words, heads, labels; the second one has crossing arcs
TREES = [
    (
        "the old man saw a small dog".split(),
        [2, 2, 3, 3, 6, 6, 3],
        ["det", "amod", "nsubj", "ROOT", "det", "amod", "dobj"],
    ),
    (
        "a hearing is scheduled on it today".split(),
        [1, 3, 3, 3, 5, 1, 3],
        ["det", "nsubj", "aux", "ROOT", "case", "nmod", "advmod"],
    ),
    ("go .".split(), [0, 0], ["ROOT", "punct"]),
]


def gold_doc(nlp, *trees, deps=None):
    """A doc of several sentences."""
    words, heads, labels = [], [], []
    for own_words, own_heads, own_labels in trees:
        heads += [len(words) + head for head in own_heads]
        words += own_words
        labels += own_labels
    return Doc(nlp.vocab, words=words, heads=heads, deps=deps or labels)


def blank(doc, vocab=None):
    return Doc(vocab or doc.vocab, words=[token.text for token in doc])


def example(gold):
    return Example(blank(gold), gold)


def make(*golds, steps=0, heads=None, **settings):
    """A pipeline that has learned from docs, and the examples."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    own = {"parser": {"kind": "DependencyParser", **settings}} | (heads or {})
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": ENCODER}
    nlp.add_pipe("multitask", config={"model": model, "heads": heads_config(**own)})
    docs = [gold(nlp) for gold in golds] or [gold_doc(nlp, tree) for tree in TREES]
    examples = [example(doc) for doc in docs]
    nlp.initialize(lambda: examples)
    if steps:
        train(nlp, examples, steps=steps)
    return nlp, examples


def several(nlp):
    return gold_doc(nlp, *TREES)


def sentences_with_one_root(doc):
    """The sentences of a parsed doc. Checks that each is one tree."""
    assert doc.has_annotation("DEP")
    for sentence in doc.sents:
        (root,) = [token for token in sentence if token.head == token]
        for token in sentence:
            assert sentence.start <= token.head.i < sentence.end
            assert token == root or root in token.ancestors
    return [sentence.text for sentence in doc.sents]


def scores_of(head, tokvecs, docs):
    return head.model.predict(HeadInput(docs, tokvecs, [], None))


def random_scores(rng, n_tokens, *, width=5, label_width=3, n_labels=4, docs=(), starts=None):
    shapes = [(n_tokens, width), (n_tokens, width), (width,), (n_tokens, 18), (n_tokens, 18)]
    shapes += [(n_tokens, 2), (n_tokens, 4), (n_tokens, 4)]
    shapes += [(n_tokens, label_width), (n_tokens, label_width), (label_width,), (18, label_width)]
    shapes.append((n_labels, *[label_width + 1] * 2))
    return ArcScores(*(rng.normal(size=shape).astype("f") for shape in shapes), docs=docs, starts=starts)


@pytest.mark.parametrize("settings", [{}, {"context_width": 8}], ids=str)
def test_learns_writes_and_survives_reloading(settings, tmp_path):
    nlp, examples = make(steps=80, **settings)
    nlp.to_disk(tmp_path)
    for pipeline in (nlp, spacy.load(tmp_path)):
        for eg in examples:
            doc = pipeline(blank(eg.reference, pipeline.vocab))
            assert [token.head.i for token in doc] == [token.head.i for token in eg.reference]
            assert [token.dep_ for token in doc] == [token.dep_ for token in eg.reference]
            assert [token.is_sent_start for token in doc] == [token.is_sent_start for token in eg.reference]
    doc = nlp(blank(examples[0].reference))
    for token in doc:
        token.pos_ = "NOUN" if token.text in ("man", "dog") else "VERB"
    assert [chunk.text for chunk in doc.noun_chunks] == ["the old man", "a small dog"]
    matcher = DependencyMatcher(nlp.vocab)
    pattern = [
        {"RIGHT_ID": "verb", "RIGHT_ATTRS": {"ORTH": "saw"}},
        {"LEFT_ID": "verb", "REL_OP": ">", "RIGHT_ID": "subject", "RIGHT_ATTRS": {"DEP": "nsubj"}},
    ]
    matcher.add("seen", [pattern])
    assert [tokens for _, tokens in matcher(doc)] == [[3, 2]]
    assert "nsubj" in displacy.render(doc, style="dep", jupyter=False)


def test_scores_equal_those_of_spacys_parser():
    nlp, examples = make(steps=25)
    split = Doc(nlp.vocab, words=["the", "old", "man", "s", "aw", "a", "small", "dog"], spaces=[1, 1, 1, 0, 1, 1, 1, 0])
    merged = Doc(nlp.vocab, words=["a", "hearing", "is", "scheduled on", "it", " ", "today"])
    examples[0] = Example(split, examples[0].reference)
    examples[1] = Example(merged, examples[1].reference)
    ours = nlp.evaluate(examples)
    theirs = parser_score([Example(nlp(eg.predicted.copy()), eg.reference) for eg in examples])
    assert 0 < theirs["dep_las"] <= theirs["dep_uas"] < 1
    assert {key: ours[key] for key in theirs} == theirs
    assert ours["parser_las"] == ours["dep_las"]


def test_missing_gold_is_not_scored_and_the_next_doc_is():
    """spaCy's scorer keeps the places of missing gold for all docs behind."""
    nlp, examples = make(steps=80)
    expected = nlp.evaluate(examples[1:])["dep_las"]
    deps = [token.dep_ for token in examples[0].reference]
    deps[1:] = [""] * (len(deps) - 1)
    partial = example(gold_doc(nlp, TREES[0], deps=deps))
    scores = nlp.evaluate([partial, *examples[1:]])
    assert scores["dep_las"] == expected == 1.0
    nothing = Doc(nlp.vocab, words=["go", "."])
    assert nlp.evaluate([example(nothing)])["dep_las"] is None


def step_to(distance):
    """The column of a distance."""
    edges = (1, 2, 3, 4, 5, 7, 10, 15, 25)
    column = max((i for i, edge in enumerate(edges) if abs(distance) >= edge), default=0)
    return column + (0 if distance > 0 else 9)


def plain_loss(scores, pieces, heads, labels):
    """One token at a time, with no padding."""
    loss = 0.0
    start = 0
    for length in pieces.lengths.tolist():
        own = pieces.tokens[start : start + length].tolist()
        start += length
        for place, token in enumerate(own):
            if labels[token] < 0 or (heads[token] != token and heads[token] not in own):
                continue
            options = [scores.dependents[token] @ scores.root]
            for other, head in enumerate(own):
                extra = scores.distances[token, step_to(other - place)]
                extra += scores.head_distances[head, step_to(place - other)]
                amounts = scores.between[own[min(place, other) + 1 : max(place, other)]].sum(axis=0)
                side = slice(0, 2) if other > place else slice(2, 4)
                extra += (scores.passing[token, side] + scores.passed[head, side]) @ amounts
                score = scores.dependents[token] @ scores.heads[head] + extra
                options.append(-np.inf if head == token else score)
            gold = 0 if heads[token] == token else own.index(heads[token]) + 1
            options = np.array(options, dtype="d")
            loss -= options[gold] - np.log(np.exp(options).sum())
            theirs = scores.label_root
            if gold != 0:
                theirs = scores.label_heads[heads[token]] + scores.label_distances[step_to(heads[token] - token)]
            mine, theirs = np.append(scores.label_dependents[token], 1), np.append(theirs, 1)
            logits = np.array([mine @ weights @ theirs for weights in scores.label_weights], dtype="d")
            loss -= logits[labels[token]] - np.log(np.exp(logits).sum())
    return loss


def random_case(rng):
    """Scores, pieces with white space between their words, and gold that is partly missing or in another piece."""
    lengths = np.array([3, 1, 40, 7, 6])
    tokens = np.sort(rng.choice(70, size=int(lengths.sum()), replace=False))
    pieces = Pieces(tokens, lengths)
    heads = np.arange(70)
    heads[tokens] = tokens[rng.integers(0, len(tokens), size=len(tokens))]
    firsts = np.cumsum(lengths) - lengths
    for first, length in zip(firsts.tolist(), lengths.tolist(), strict=True):
        own = tokens[first : first + length]
        inner = rng.random(length) < 0.8
        heads[own[inner]] = own[rng.integers(0, length, size=int(inner.sum()))]
    labels = np.full(70, -1)
    labels[tokens] = rng.integers(-1, 4, size=len(tokens))
    return random_scores(rng, 70), pieces, heads, labels


def test_loss_equals_a_plain_loop_over_tokens():
    for seed in range(3):
        scores, pieces, heads, labels = random_case(np.random.default_rng(seed))
        loss, _ = tree_loss(scores, pieces, heads, labels)
        assert loss == pytest.approx(plain_loss(scores, pieces, heads, labels), rel=1e-5)


def test_gradient_of_the_loss_equals_finite_differences():
    rng = np.random.default_rng(0)
    scores, pieces, heads, labels = random_case(rng)
    _, gradient = tree_loss(scores, pieces, heads, labels)
    for index, (array, d_array) in enumerate(zip(scores.potentials, gradient.potentials, strict=True)):
        direction = rng.normal(size=array.shape)
        sides = []
        for sign in (1, -1):
            moved = [part.astype("d") for part in scores.potentials]
            moved[index] = moved[index] + sign * 1e-4 * direction
            sides.append(tree_loss(scores.with_potentials(moved), pieces, heads, labels)[0])
        assert (d_array * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-4, rel=1e-4), index


def test_tokens_without_gold_have_exactly_no_gradient():
    nlp, examples = make()
    head = nlp.get_pipe("multitask").heads["parser"]
    deps = [label if place in (2, 6) else "" for place, label in enumerate(TREES[0][2])]
    partial = example(gold_doc(nlp, TREES[0], deps=deps))
    batch = [examples[1], partial, example(Doc(nlp.vocab, words=["nothing", "here"]))]
    docs = [eg.predicted for eg in batch]
    tokvecs = nlp.get_pipe("multitask").encoder.predict(docs)
    _, gradient = head.get_loss(batch, scores_of(head, tokvecs, docs))
    first, n_partial = len(docs[0]), len(docs[1])
    for name in ("dependents", "distances", "label_dependents"):
        d_rows = getattr(gradient, name)
        learned = d_rows.any(axis=1)
        assert learned[:first].all()
        assert learned[first : first + n_partial].tolist() == [bool(dep) for dep in deps]
    assert not gradient.heads[first + n_partial :].any()
    assert not gradient.label_heads[first + n_partial :].any()
    # the loss is that of the two tokens alone
    both = head.get_loss(
        [partial], scores_of(head, Ragged(tokvecs.dataXd[first : first + 7], np.array([7])), docs[1:2])
    )
    assert both[0] > 0


def test_partial_trees_train():
    deps = [[label if place % 2 == parity else "" for place, label in enumerate(TREES[0][2])] for parity in (0, 1)]
    nlp, _ = make(*(lambda nlp, own=own: gold_doc(nlp, TREES[0], deps=own) for own in deps), steps=80)
    doc = nlp(Doc(nlp.vocab, words=TREES[0][0]))
    assert [token.head.i for token in doc] == TREES[0][1]
    assert [token.dep_ for token in doc] == TREES[0][2]


def test_gold_of_other_tokens_is_aligned_as_in_spacy():
    nlp, examples = make()
    head = nlp.get_pipe("multitask").heads["parser"]
    reference = examples[0].reference
    words = ["the", "old", "man", "s", "aw", " ", "a small", "dog"]
    predicted = Doc(nlp.vocab, words=words, spaces=[1, 1, 1, 0, 1, 0, 1, 0])
    eg = Example(predicted, reference)
    heads, labels = eg.get_aligned_parse(projectivize=False)
    known = [head is not None and bool(label) for head, label in zip(heads, labels, strict=True)]
    assert known == [True, True, False, False, False, False, False, False]
    tokvecs = nlp.get_pipe("multitask").encoder.predict([predicted])
    _, gradient = head.get_loss([eg], scores_of(head, tokvecs, [predicted]))
    assert gradient.dependents.any(axis=1).tolist() == known
    merged = Doc(nlp.vocab, words=["".join(TREES[2][0])])
    split = Doc(nlp.vocab, words=TREES[2][0], spaces=[False, False], heads=[0, 0], deps=["ROOT", "punct"])
    tokvecs = nlp.get_pipe("multitask").encoder.predict([merged])
    assert head.get_loss([Example(merged, split)], scores_of(head, tokvecs, [merged])) == (0.0, None)


@pytest.mark.parametrize("projective", [False, True])
def test_sentences_come_from_roots_and_each_has_one(projective):
    nlp, (eg,) = make(several, steps=120, projective=projective)
    doc = nlp(blank(eg.reference))
    assert sentences_with_one_root(doc) == [" ".join(words) for words, _, _ in TREES]
    same = [token.head.i for token in doc] == [token.head.i for token in eg.reference]
    assert same == (not projective)


def test_sentences_that_the_doc_has_already_are_parsed():
    nlp, (eg,) = make(several, steps=60)
    starts = [place in (0, 4, 5, 11) for place in range(len(eg.reference))]
    doc = Doc(nlp.vocab, words=[token.text for token in eg.reference], sent_starts=starts)
    doc = nlp(doc)
    sentences_with_one_root(doc)
    assert [sentence.start for sentence in doc.sents] == [0, 4, 5, 11]


def test_sentences_come_from_another_head():
    sents = {"starts": {"kind": "Tagger", "attr": "sent_start"}}
    nlp, (eg,) = make(several, steps=120, heads=sents, sents="starts")
    assert nlp.get_pipe("multitask").heads["parser"].depends_on == ("starts",)
    doc = nlp(blank(eg.reference))
    assert sentences_with_one_root(doc) == [" ".join(words) for words, _, _ in TREES]
    assert [token.head.i for token in doc] == [token.head.i for token in eg.reference]
    scores = nlp.evaluate([eg])
    assert scores["dep_las"] == scores["sents_f"] == scores["starts_f"] == 1.0


def test_a_head_that_finds_no_sentences_is_refused():
    with pytest.raises(ValueError, match=r"head 'parser': sents names 'tags', which finds no sentences; name a Tagger"):
        make_with_tags(sents="tags")
    with pytest.raises(ValueError, match=r"head 'parser': depends_on names 'absent', but the heads are"):
        make(sents="absent")
    starts = {"starts": {"kind": "Tagger", "attr": "sent_start"}}
    with pytest.raises(ValueError, match=r"token.sent_start is also predicted by head 'parser'; keep one of them"):
        make(several, heads={**starts})


def make_with_tags(**settings):
    def gold(nlp):
        doc = several(nlp)
        for token in doc:
            token.tag_ = token.dep_
        return doc

    nlp, (eg,) = make(gold, heads={"tags": {"kind": "Tagger"}}, **settings)
    return nlp(blank(eg.reference))


def test_trees_are_the_best_under_random_scores():
    """Without sentences, windows overlap and memory is bounded; with sentences, each has one root."""
    nlp = spacy.blank("en")
    rng = np.random.default_rng(0)
    words = [[" " if rng.random() < 0.1 else "w" for _ in range(size)] for size in (0, 1, 5, 90, 33)]
    docs = [Doc(nlp.vocab, words=own, spaces=[False] * len(own)) for own in words]
    for token in docs[3]:
        token.is_sent_start = token.i % 11 == 0
    size = sum(map(len, docs))
    for projective in (False, True):
        for scale in (0.3, 3.0):
            scores = random_scores(rng, size, docs=docs) * scale
            parses = ParseDecoder(scores, projective=projective, max_length=20, root_label=0).decode()
            head = make_dependency_parser_v1()
            for label in ("ROOT", "a", "b", "c"):
                head.add_label(label)
            copies = [doc.copy() for doc in docs]
            head.set_annotations(copies, parses)
            for doc, before in zip(copies, docs, strict=True):
                if len(doc):
                    sentences_with_one_root(doc)
                assert all((token.head == token) == (token.dep_ == "ROOT") for token in doc)
                assert all(token.dep_ == "dep" or token.head == token for token in doc if token.is_space)
                if before.has_annotation("SENT_START"):
                    given = {token.i for token in before if token.is_sent_start}
                    assert given <= {sentence.start for sentence in doc.sents}


def test_a_long_doc_is_parsed_in_bounded_memory():
    nlp, (eg,) = make(several, steps=20)
    words = [token.text for token in eg.reference] * 100
    doc = nlp(Doc(nlp.vocab, words=words))
    sentences_with_one_root(doc)
    scores = random_scores(np.random.default_rng(0), len(words))
    for known in (True, False):
        tokens = read_tokens([Doc(nlp.vocab, words=words)], None)
        tokens.starts[:: 17 if known else 1] = True
        pieces = cut_pieces(tokens.is_space, window_starts(tokens, max_length=300), max_length=300)
        assert pieces.lengths.max() <= 300
        assert pieces.lengths.sum() == len(words)
        for bucket in buckets(pieces):
            arcs, _ = score_arcs(scores, bucket)
            assert arcs.size <= 2**21


def test_buckets_hold_every_piece_once():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, size=200)
    pieces = Pieces(np.arange(lengths.sum()) + 3, lengths)
    seen = np.concatenate([bucket.pieces for bucket in buckets(pieces)])
    assert sorted(seen.tolist()) == list(range(200))
    for bucket in buckets(pieces):
        for row, piece in enumerate(bucket.pieces.tolist()):
            first = int(lengths[:piece].sum()) + 3
            assert bucket.tokens[row, : bucket.lengths[row]].tolist() == list(range(first, first + lengths[piece]))
    padding = sum(bucket.inside.size - bucket.inside.sum() for bucket in buckets(pieces))
    assert padding < 0.2 * lengths.sum()


def test_label_scores_are_biaffine_and_roots_have_their_own():
    rng = np.random.default_rng(0)
    scores = random_scores(rng, 6)
    logits, _ = score_labels(scores, np.array([2, 4]), np.array([-1, 1]))
    # three words to the left
    other = scores.label_heads[1] + scores.label_distances[9 + 2]
    for row, (token, theirs) in enumerate(((2, scores.label_root), (4, other))):
        mine, theirs = np.append(scores.label_dependents[token], 1), np.append(theirs, 1)
        assert np.allclose(logits[row], [mine @ weights @ theirs for weights in scores.label_weights], atol=1e-5)


def test_heads_in_a_circle_are_an_error_that_names_them():
    nlp = spacy.blank("en")

    def circle(nlp):
        return Doc(nlp.vocab, words=["a", "b", "c", "d"], heads=[1, 2, 0, 3], deps=["x", "y", "x", "ROOT"])

    message = (
        r"head 'parser': in doc 'a b c d ?' the heads of 3 tokens go round in a circle, beginning with token 0: "
        r"'a' <- 'b', 'b' <- 'c', 'c' <- 'a' \(token <- head\); make one of them a root"
    )
    with pytest.raises(ValueError, match=message):
        make(circle)
    nlp, _ = make(lambda nlp: Doc(nlp.vocab, words=["d"], heads=[0], deps=["ROOT"]), several)
    head = nlp.get_pipe("multitask").heads["parser"]
    for label in ("x", "y"):
        head.add_label(label)
    with pytest.raises(ValueError, match=message):
        nlp.update([example(circle(nlp))])
    assert head.find_mistake(example(circle(nlp))) is not None
    assert head.find_mistake(example(several(nlp))) is None


def test_several_roots_and_arcs_between_sentences_are_learned():
    """The trees of two roots cross; spaCy marks a sentence start inside, and an arc leads over it."""

    def crossing(nlp):
        return Doc(nlp.vocab, words=["a", "b", "c", "d"], heads=[0, 2, 2, 0], deps=["ROOT", "x", "ROOT", "y"])

    for heads, settings in (({}, {}), ({"starts": {"kind": "Tagger", "attr": "sent_start"}}, {"sents": "starts"})):
        nlp, (eg,) = make(crossing, heads=heads, **settings)
        head = nlp.get_pipe("multitask").heads["parser"]
        tokvecs = nlp.get_pipe("multitask").encoder.predict([eg.predicted])
        _, gradient = head.get_loss([eg], scores_of(head, tokvecs, [eg.predicted]))
        assert gradient.dependents.any(axis=1).all()
    train(nlp, [eg], steps=40)
    doc = nlp(blank(eg.reference))
    sentences_with_one_root(doc)


def test_an_unknown_label_is_an_error_that_names_it():
    nlp, _ = make()
    strange = gold_doc(nlp, TREES[2], deps=["ROOT", "strange"])
    message = r"head 'parser': dep 'strange' in doc 'go \. ?' was not seen at initialisation; add it with add_label"
    with pytest.raises(ValueError, match=message):
        nlp.update([example(strange)])
    nlp.get_pipe("multitask").add_label("strange", head="parser")
    nlp.update([example(strange)], sgd=nlp.create_optimizer())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arc_width": 0}, "arc_width is 0; it must be at least 1"),
        ({"label_width": 0}, "label_width is 0; it must be at least 1"),
        ({"max_length": 1}, "max_length is 1; it must be at least 2"),
        ({"mlp_dropout": 1.0}, "mlp_dropout is 1.0; it must be at least 0 and less than 1"),
        ({"context_width": -1}, "context_width is -1; it must be at least 0"),
        ({"context_depth": 0}, "context_depth is 0; it must be at least 1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=f"DependencyParser: {message}"):
        make_dependency_parser_v1(**settings)


def test_two_processes_and_docs_of_other_vocabs():
    nlp, examples = make(steps=60)
    texts = [blank(eg.reference) for eg in examples] * 4
    one = [doc.to_array(["HEAD", "DEP"]).tolist() for doc in nlp.pipe([doc.copy() for doc in texts])]
    two = [doc.to_array(["HEAD", "DEP"]).tolist() for doc in nlp.pipe(texts, n_process=2, batch_size=3)]
    assert one == two
    head = nlp.get_pipe("multitask")
    docs = [blank(eg.reference, Vocab()) for eg in examples]
    head.set_annotations(docs, head.predict(docs))
    assert [doc[0].dep_ for doc in docs] == [eg.reference[0].dep_ for eg in examples]


def test_labels_can_be_renamed_and_dropped():
    nlp, examples = make()
    head = nlp.get_pipe("multitask").heads["parser"]
    source = examples[0].reference
    target = source.copy()
    head.rename_labels(source, target, {"amod": "mod", "det": None})
    assert [token.dep_ for token in target] == ["", "mod", "nsubj", "ROOT", "", "mod", "dobj"]
    assert [token.head.i for token in target][2:4] == [3, 3]


def test_predictions_become_gold_and_know_how_sure_they_are():
    nlp, examples = make(steps=80)
    pipe = nlp.get_pipe("multitask")
    head = pipe.heads["parser"]
    docs = [nlp(blank(eg.reference)) for eg in examples]
    copies = [blank(doc, Vocab()) for doc in docs]
    for doc, copy in zip(docs, copies, strict=True):
        assert not head.same_annotation(doc, copy)
        head.copy_annotation(doc, copy)
        assert head.same_annotation(doc, copy)
        assert [token.dep_ for token in copy] == [token.dep_ for token in doc]
    sure = pipe.confidences([blank(doc) for doc in [*docs, Doc(nlp.vocab)]])["parser"]
    assert ((sure > 0.2) & (sure <= 1)).all()
    assert sure[-1] == 1
    unsure = pipe.confidences([Doc(nlp.vocab, words=["never", "seen", "this", "before"])])["parser"]
    assert unsure[0] < sure[:3].min()


def test_a_wrong_head_is_two_decisions():
    nlp, examples = make()
    head = nlp.get_pipe("multitask").heads["parser"]
    gold = examples[2].reference
    found = Doc(nlp.vocab, words=["go", "."], heads=[0, 1], deps=["ROOT", "ROOT"])
    decisions = head.decisions([Example(found, gold)])
    names = [*decisions.names, None]
    rows = {(names[g], names[p]) for g, p in zip(decisions.gold, decisions.predicted, strict=True)}
    assert rows == {("ROOT", "ROOT"), ("punct", None), (None, "ROOT")}
