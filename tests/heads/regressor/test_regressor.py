"""The regressor: numbers of docs, read from `cats` or an extension attribute, scored as scipy scores them."""

import numpy as np
import pytest
import spacy
from pipelines import heads_config, make_nlp, train
from scipy.stats import pearsonr, spearmanr
from spacy.tokens import Doc, DocBin
from spacy.training import Example

from spacy_mtl.heads.regressor.regressor import make_regressor_v1

TEXTS = ["a very good film", "a bad film", "good", "rather bad and long", "so so", "very very good"]
VALUES = [
    {"V": 4.5, "A": 30.0},
    {"V": 1.0, "A": 20.0},
    {"V": 4.0},
    {"V": 1.5, "A": 10.0},
    {"A": 15.0},
    {"V": 5.0, "A": 40.0},
]
HEADS = heads_config(mood={"kind": "Regressor", "numbers": ["V", "A"]})


def make_examples(nlp, values=VALUES):
    """Gold numbers in `cats`."""
    found = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in TEXTS]
    for eg, each in zip(found, values, strict=True):
        eg.reference.cats = dict(each)
    return found


@pytest.fixture
def nlp():
    return make_nlp(HEADS, examples=make_examples)


def head_of(nlp):
    return nlp.get_pipe("multitask").heads["mood"]


def test_numbers_are_standardised_by_all_gold(nlp):
    head = head_of(nlp)
    v = [4.5, 1.0, 4.0, 1.5, 5.0]
    assert head.model.attrs["means"]["V"] == pytest.approx(np.mean(v))
    assert head.model.attrs["deviations"]["V"] == pytest.approx(np.std(v))
    predicted = head.decode([], np.array([[0.0, 1.0]], dtype="f"))[0]
    a = [30.0, 20.0, 10.0, 15.0, 40.0]
    assert predicted == pytest.approx([np.mean(v), np.mean(a) + np.std(a)])


@pytest.mark.parametrize(("loss", "delta"), [("squared", 1.0), ("huber", 0.5)])
def test_loss_equals_the_formula(loss, delta):
    nlp = make_nlp(
        heads_config(mood={"kind": "Regressor", "numbers": ["V"], "loss": loss, "delta": delta}), examples=make_examples
    )
    head = head_of(nlp)
    scores = np.array([[0.1], [3.0], [0.0], [-0.7], [9.0], [0.0]], dtype="f")
    gold = (np.array([4.5, 1.0, 4.0, 1.5, np.nan, 5.0]) - head.model.attrs["means"]["V"]) / head.model.attrs[
        "deviations"
    ]["V"]
    error = np.abs(scores[:, 0] - gold)
    each = error**2 / 2 if loss == "squared" else np.where(error < delta, error**2 / 2, delta * (error - delta / 2))
    found, gradient = head.get_loss(make_examples(nlp), scores)
    assert found == pytest.approx(np.nansum(each) / 6, rel=1e-5)
    assert gradient[4, 0] == 0.0
    for row in (0, 1, 2, 3, 5):
        moved = []
        for sign in (1, -1):
            other = scores.astype("d")
            other[row] += sign * 1e-3
            moved.append(head.get_loss(make_examples(nlp), other)[0])
        assert gradient[row, 0] == pytest.approx((moved[0] - moved[1]) / 2e-3, abs=1e-3)


def test_learns_and_survives_reloading(nlp, tmp_path):
    train(nlp, make_examples(nlp), steps=100)
    scores = nlp.evaluate(make_examples(nlp))
    assert scores["mood_pearson"] > 0.99
    assert scores["mood_by_number"]["A"]["mae"] < 2.0
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    expected = [doc._.numbers for doc in nlp.pipe(TEXTS)]
    assert [doc._.numbers for doc in loaded.pipe(TEXTS)] == expected
    assert [doc._.numbers for doc in loaded.pipe(TEXTS, n_process=2)] == expected
    copied = make_nlp(HEADS, examples=make_examples).from_bytes(nlp.to_bytes())
    assert [doc._.numbers for doc in copied.pipe(TEXTS)] == expected
    assert not nlp(TEXTS[0]).cats


def test_scores_equal_scipys(nlp):
    rng = np.random.default_rng(0)
    gold, predicted = rng.normal(size=(2, 6, 2)).round(1) * [1.0, 30.0] + [1990.0, 0.0]
    gold[2, 1] = np.nan
    examples = make_examples(nlp, [{k: v for k, v in zip("VA", row, strict=True) if not np.isnan(v)} for row in gold])
    for eg, row in zip(examples, predicted, strict=True):
        eg.predicted._.numbers = dict(zip("VA", row, strict=True))
    head = head_of(nlp)
    scores, table = head.score(examples), head.score(examples)["by_number"]
    for column, name in enumerate("VA"):
        known = ~np.isnan(gold[:, column])
        g, p = gold[known, column], predicted[known, column]
        assert table[name]["pearson"] == pytest.approx(pearsonr(g, p).statistic)
        assert table[name]["spearman"] == pytest.approx(spearmanr(g, p).statistic)
        assert table[name]["mae"] == pytest.approx(np.abs(g - p).mean())
        assert table[name]["rmse"] == pytest.approx(np.sqrt(((g - p) ** 2).mean()))
    assert scores["pearson"] == pytest.approx(np.mean([max(0.0, table[name]["pearson"]) for name in "VA"]))
    assert scores["spearman"] == pytest.approx(np.mean([table[name]["spearman"] for name in "VA"]))
    counts = head.judge(examples)
    assert head.main_score_of(counts.sum(axis=0)) == pytest.approx(scores["pearson"])
    part = head.verdicts(examples).scores(np.array([0, 1, 3]))
    assert part["pearson"] == pytest.approx(head.score([examples[i] for i in (0, 1, 3)])["pearson"])


def test_a_constant_prediction_scores_0_and_no_gold_none(nlp):
    examples = make_examples(nlp)
    for eg in examples:
        eg.predicted._.numbers = {"V": 3.2, "A": 7.0}
    assert head_of(nlp).score(examples)["pearson"] == 0.0
    for eg in examples:
        eg.reference.cats = {}
    assert set(head_of(nlp).score(examples).values()) == {None}


@pytest.mark.parametrize("value", ["high", None, float("nan"), float("inf")])
def test_gold_that_is_no_number_is_an_error(nlp, value):
    examples = make_examples(nlp)
    examples[1].reference.cats["V"] = value
    message = rf"head 'mood': 'V' has the value {value!r} in doc 'a bad film'; expected a finite number"
    with pytest.raises(ValueError, match=message):
        nlp.update(examples)
    assert head_of(nlp).find_mistake(examples[0]) is None
    assert "'V'" in head_of(nlp).find_mistake(examples[1])
    with pytest.raises(ValueError, match=message):
        make_nlp(HEADS, examples=lambda _: examples)


def test_gold_in_the_attribute_comes_first_and_a_wrong_attribute_is_named(nlp):
    (eg, *_) = make_examples(nlp)
    eg.reference._.numbers = {"V": 2.0, "other": "x"}
    assert head_of(nlp)._values(eg.reference) == {"V": 2.0, "A": 30.0}
    eg.reference._.numbers = 3.0
    with pytest.raises(ValueError, match=r"doc\._\.numbers of doc 'a very good film' is 3\.0; expected a dict"):
        nlp.update([eg])


def test_a_prefix_collects_the_names():
    values = [{f"mood={key}": value for key, value in each.items()} | {"film": 1.0, "book": 0.0} for each in VALUES]
    heads = heads_config(
        mood={"kind": "Regressor", "label_prefix": "mood=", "attribute": "mood"}, topic={"kind": "DocClassifier"}
    )
    nlp = make_nlp(heads, examples=lambda nlp: make_examples(nlp, values))
    assert nlp.get_pipe("multitask").label_data == {"mood": ["A", "V"], "topic": ["book", "film"]}
    assert set(nlp("good")._.mood) == {"A", "V"}


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_classifier_beside_it_leaves_the_numbers_alone(exclusive, tmp_path):
    values = [each | {"film": 1.0, "book": 0.0} for each in VALUES]
    values[0] |= {"film": 0.0, "book": 1.0}
    heads = HEADS | heads_config(topic={"kind": "DocClassifier", "exclusive": exclusive})
    nlp = make_nlp(heads, examples=lambda nlp: make_examples(nlp, values))
    assert nlp.get_pipe("multitask").label_data == {"mood": ["V", "A"], "topic": ["book", "film"]}
    train(nlp, make_examples(nlp, values), steps=60)
    scores = nlp.evaluate(make_examples(nlp, values))
    assert scores["topic_acc"] == scores["multitask_exact"] == 1.0
    assert scores["multitask_score"] == pytest.approx(
        (scores["mood_pearson"] + scores[f"topic_{'acc' if exclusive else 'macro_f'}"]) / 2
    )
    assert set(nlp("good").cats) == {"book", "film"}
    nlp.to_disk(tmp_path)
    train(spacy.load(tmp_path), make_examples(nlp, values), steps=1)


def test_two_of_it_need_attributes_or_names_of_their_own():
    with pytest.raises(
        ValueError, match="label 'V' is also predicted by head 'mood'; give one of them another attribute"
    ):
        make_nlp(HEADS | heads_config(other={"kind": "Regressor", "numbers": ["V"]}), examples=make_examples)
    heads = HEADS | heads_config(other={"kind": "Regressor", "numbers": ["V"], "attribute": "other"})
    nlp = make_nlp(heads, examples=make_examples)
    doc = nlp("good")
    assert (set(doc._.numbers), set(doc._.other)) == ({"V", "A"}, {"V"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delta": 0.0}, "delta is 0.0"),
        ({"pooling": []}, "pooling is empty"),
        ({"numbers": ["V", "V"]}, "name each number once"),
        ({"numbers": []}, "name each number once"),
        ({"attribute": "a b"}, "attribute is 'a b'"),
    ],
)
def test_settings_that_can_not_be(settings, message):
    with pytest.raises(ValueError, match=message):
        make_regressor_v1(**settings)


def test_label_map_renames_and_drops_numbers(nlp):
    head, source, target = head_of(nlp), nlp.make_doc("x"), nlp.make_doc("x")
    source.cats, source._.numbers = {"V": -2.0, "A": 3.0}, {"V": 1.0, "A": 2.0}
    head.rename_labels(source, target, {"V": "valence", "A": None})
    assert target.cats == {"valence": -2.0}
    assert target._.numbers == {"valence": 1.0}


def test_predictions_survive_a_docbin(nlp):
    doc = nlp("good")
    stored = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (loaded,) = DocBin().from_bytes(stored).get_docs(nlp.vocab)
    assert loaded._.numbers == doc._.numbers
    assert isinstance(loaded, Doc)


def test_equal_gold_has_the_deviation_1():
    nlp = make_nlp(HEADS, examples=lambda nlp: make_examples(nlp, [{"V": 3.0, "A": 1.0}] * 6))
    assert head_of(nlp).model.attrs["deviations"] == {"V": 1.0, "A": 1.0}
    assert nlp.evaluate(make_examples(nlp, [{"V": 3.0}] * 6))["mood_pearson"] == 0.0
