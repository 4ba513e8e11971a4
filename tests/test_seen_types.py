"""What entity types go together, as far as training has shown."""

from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
from thinc.api import Model

from spacy_mtl.layers.seen_types import SeenTypes

CLASSES, LABELS = ("book", "play", "stop", "other"), ("artist", "city", "date", "new")


@pytest.fixture
def seen():
    seen = SeenTypes()
    seen.see("book", ["city", "date"])
    seen.see("book", ["city"])
    seen.see("play", ["artist", "artist", "date"])
    seen.see("stop", [])
    return seen


def test_what_was_seen_goes_together(seen):
    fit = seen.fit(CLASSES, LABELS)
    # "new" was never seen, and no doc of "other" was
    assert fit.possible.astype(int).tolist() == [[0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]]
    assert fit.together[0, 1:3, 1:3].astype(int).tolist() == [[0, 1], [1, 0]]
    assert fit.together[1][np.ix_([0, 2], [0, 2])].astype(int).tolist() == [[1, 1], [1, 0]]
    assert fit.together[:, 3].all()
    assert fit.together[:, :, 3].all()
    assert fit.together[3].all()


def test_what_is_seen_later_counts(seen):
    assert not seen.fit(CLASSES, LABELS).possible[0, 0]
    seen.see("book", ["artist", "new"])
    fit = seen.fit(CLASSES, LABELS)
    assert fit.possible[0, 0]
    assert fit.possible[:, 3].astype(int).tolist() == [1, 0, 0, 1]


def test_what_a_doc_of_unknown_class_has_goes_with_every_class(seen):
    seen.see(None, ["artist", "city"])
    fit = seen.fit(CLASSES, LABELS)
    assert fit.possible.astype(int).tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1], [1, 1, 0, 1]]
    assert fit.together[:, 0, 1].all()
    assert not fit.together[3, 0, 0]


def test_types_that_are_no_labels_are_passed_over(seen):
    assert seen.fit(CLASSES, LABELS[:2]).possible.shape == (4, 2)


@pytest.mark.parametrize("unknown_too", [False, True])
def test_shows_is_what_fit_says(seen, unknown_too):
    if unknown_too:
        seen.see(None, ["artist", "city"])
    fit = seen.fit(CLASSES, LABELS)
    for index, name in enumerate(CLASSES):
        for n_types in range(4):
            for places in combinations_with_replacement(range(len(LABELS)), n_types):
                expected = fit.possible[index, list(places)].all()
                expected &= all(fit.together[index, a, b] for a, b in combinations(places, 2))
                assert seen.shows(name, [LABELS[place] for place in places]) == expected


def test_it_is_saved_with_the_model(seen):
    seen.see(None, ["artist"])
    model = Model("x", lambda model, X, is_train: (X, lambda dY: dY), attrs={"seen_types": seen})
    other = Model("x", lambda model, X, is_train: (X, lambda dY: dY), attrs={"seen_types": SeenTypes()})
    other.from_bytes(model.to_bytes())
    assert other.attrs["seen_types"].classes == seen.classes
    assert other.to_bytes() == model.to_bytes()
