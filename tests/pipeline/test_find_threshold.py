"""`spacy find-threshold` on a classifier whose classes are not exclusive, through spaCy's own function."""

import pytest
import spacy
from pipelines import heads_config, make_examples, make_nlp, train
from spacy.cli.find_threshold import find_threshold
from spacy.tokens import DocBin


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A pipeline that underrates all classes, and gold."""
    folder = tmp_path_factory.mktemp("threshold")
    nlp = make_nlp(
        heads_config(topics={"kind": "DocClassifier", "exclusive": False}, slots={"kind": "EntityRecognizer"})
    )
    train(nlp, make_examples(nlp), steps=40)
    nlp.get_pipe("multitask").heads["topics"].model.get_ref("output").get_param("b")[:] -= 3.0
    nlp.to_disk(folder / "model")
    DocBin(docs=[eg.reference for eg in make_examples(nlp)]).to_disk(folder / "dev.spacy")
    return folder / "model", folder / "dev.spacy"


@pytest.mark.parametrize("key", ["topics_macro_f", "multitask_score"])
def test_finds_the_best_threshold(paths, key):
    model, data = paths
    best, score, scores = find_threshold(str(model), data, "multitask", "heads.topics.threshold", key, n_trials=11)
    assert scores[best] == score == max(scores.values())
    assert len(set(scores.values())) > 2
    examples = make_examples(spacy.load(model))
    for threshold in (best, 0.5, 1.0):
        override = {"components": {"multitask": {"heads": {"topics": {"threshold": threshold}}}}}
        nlp = spacy.load(model, config=override)
        assert nlp.get_pipe("multitask").heads["topics"].threshold == threshold
        assert scores[threshold] == nlp.evaluate(examples)[key]


def test_what_was_found_can_be_saved(paths, tmp_path):
    model, _ = paths
    nlp = spacy.load(model, config={"components": {"multitask": {"heads": {"topics": {"threshold": 0.2}}}}})
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe("multitask").heads["topics"].threshold == 0.2
