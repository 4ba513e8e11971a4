"""Batches with docs of one corpus only, sized by words."""

from itertools import pairwise

import pytest
from multi import names_of, reader_of, texts_of
from spacy.training import Example
from spacy.util import registry

from spacy_mtl.samplers.proportional import make_proportional_v1
from spacy_mtl.samplers.uniform import make_uniform_v1

SIZES = {"big": 90, "small": 30}


def make_batcher(**settings):
    return registry.resolve({"batcher": {"@batchers": "spacy_mtl.batch_by_corpus.v1"} | settings})["batcher"]


def drawn(sampler=None):
    reader, nlp = reader_of(SIZES, sampler or make_proportional_v1())
    return list(reader(nlp))


def words(batch):
    return sum(len(eg) for eg in batch)


def test_each_batch_has_one_corpus_and_no_doc_is_lost():
    examples = drawn()
    batches = list(make_batcher(size=50)(examples))
    assert all(len(set(names_of(batch))) == 1 for batch in batches)
    assert sorted(texts_of(eg for batch in batches for eg in batch)) == sorted(texts_of(examples))
    # Docs have four words: twelve fit.
    full = [batch for batch in batches if len(batch) == 12]
    assert len(full) == 90 // 12 + 30 // 12
    assert len(batches) == len(full) + 2


def test_corpora_take_turns_as_the_sampler_has_them():
    names = [names_of(batch)[0] for batch in make_batcher(size=20)(drawn(make_uniform_v1()))]
    assert 0.35 < names.count("small") / len(names) < 0.65
    assert sum(a != b for a, b in pairwise(names)) > 8


def test_a_schedule_sizes_one_batch_after_another():
    batches = list(make_batcher(size=[4, 8, 16, 1000])(drawn()))
    assert [len(batch) for batch in batches[:3]] == [1, 2, 4]


def test_docs_larger_than_a_batch_come_alone_or_not_at_all():
    reader, nlp = reader_of(SIZES, None)
    long = nlp.make_doc("word " * 30)
    examples = [*reader(nlp), Example(long, long)]
    alone = list(make_batcher(size=20)(examples))
    assert [len(batch) for batch in alone if words(batch) > 20] == [1]
    without = list(make_batcher(size=20, discard_oversize=True)(examples))
    assert all(words(batch) <= 20 for batch in without)
    assert sum(map(len, without)) == sum(map(len, alone)) - 1
    tolerated = list(make_batcher(size=20, discard_oversize=True, tolerance=0.5)(examples))
    assert sum(map(len, tolerated)) == len(examples)


def test_docs_of_no_corpus_are_a_corpus():
    reader, nlp = reader_of(SIZES, None)
    plain = [Example(eg.predicted, nlp.make_doc(eg.text)) for eg in reader(nlp)]
    batches = list(make_batcher(size=50)(plain))
    assert set().union(*map(names_of, batches)) == {None}
    assert sum(map(len, batches)) == 120


def test_sizes_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"batch_by_corpus\.v1: size is 0"):
        make_batcher(size=0)
    with pytest.raises(ValueError, match=r"batch_by_corpus\.v1: tolerance is -1"):
        make_batcher(size=10, tolerance=-1.0)
