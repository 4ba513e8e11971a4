import pytest

from spacy_mtl.training.callbacks import make_callbacks_v1


def test_run_by_name_and_hand_on_the_pipeline():
    seen = []

    def replace(nlp):
        seen.append(("a", nlp))
        return "second"

    callback = make_callbacks_v1({"b": lambda nlp: seen.append(("b", nlp)), "a": replace})
    assert callback("first") == "second"
    assert seen == [("a", "first"), ("b", "second")]


def test_what_is_no_callback_is_refused_by_name():
    with pytest.raises(ValueError, match="'save' is 3"):
        make_callbacks_v1({"save": 3})
