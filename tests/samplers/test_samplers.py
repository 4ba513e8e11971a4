"""Samplers: their formulas, the docs that a reader draws with them, and the reaction to scores."""

from collections import Counter

import pytest
from multi import names_of, reader_of, texts_of
from spacy.language import Language
from spacy.util import registry

import spacy_mtl.registry  # noqa: F401
from spacy_mtl.protocols.sampler import Sampler, SamplingState

SIZES = {"big": 800, "mid": 150, "small": 50}
OPTIONS = {"spacy_mtl.Annealed.v1": {"n_docs": 1000}}
SAMPLERS = [name for name in registry.mtl_samplers.get_all() if name.startswith("spacy_mtl.")]


def make(kind, **settings):
    name = f"spacy_mtl.{kind}.v1"
    return registry.get("mtl_samplers", name)(**OPTIONS.get(name, {}) | settings)


def mix_of(sizes=SIZES, **settings):
    known = [size for size in sizes.values() if size is not None]
    given = {"epoch_size": sum(known) if len(known) == len(sizes) else None} | settings
    even = {"weights": dict.fromkeys(sizes, 1.0), "sizes": sizes, "drawn": dict.fromkeys(sizes, 0)}
    return SamplingState(**even | given)


def shares(chances):
    total = sum(chances.values())
    return {name: chance / total for name, chance in chances.items()}


def powers(alpha, sizes=SIZES):
    return shares({name: size**alpha for name, size in sizes.items()})


def drawn(sampler, n_passes=1, sizes=SIZES, **settings):
    """What a reader gives: the corpora's names in the order of the draw."""
    reader, nlp = reader_of(sizes, sampler, **settings)
    return [name for _ in range(n_passes) for name in names_of(reader(nlp))]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("sizes", [SIZES, {"big": 800, "new": None}, {"one": None, "two": None}])
def test_sampler_meets_the_protocol(name, sizes):
    sampler = registry.get("mtl_samplers", name)(**OPTIONS.get(name, {}))
    assert isinstance(sampler, Sampler)
    chances = sampler.probabilities(mix_of(sizes))
    assert set(chances) == set(sizes)
    assert all(chance >= 0 for chance in chances.values())
    assert sum(chances.values()) > 0


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_draw_is_repeated_by_the_same_seed_only(name):
    first, again = (drawn(registry.get("mtl_samplers", name)(**OPTIONS.get(name, {})), seed=3) for _ in range(2))
    assert first == again
    if "RoundRobin" not in name:
        assert first != drawn(registry.get("mtl_samplers", name)(**OPTIONS.get(name, {})), seed=4)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("Uniform", {}, powers(0.0)),
        ("Proportional", {}, powers(1.0)),
        ("Temperature", {"tau": 1.0}, powers(1.0)),
        ("Temperature", {"tau": 2.0}, powers(0.5)),
        ("Temperature", {"tau": 10.0}, powers(0.1)),
        ("Annealed", {}, powers(1.0)),
        ("Shortfall", {}, powers(0.0)),
    ],
)
def test_formula(kind, settings, expected):
    assert shares(make(kind, **settings).probabilities(mix_of())) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("Uniform", {}, powers(0.0)),
        ("Temperature", {"tau": 2.0}, powers(0.5)),
        ("Temperature", {"tau": 0.5}, powers(2.0)),
    ],
)
def test_what_is_drawn_follows_the_formula(kind, settings, expected):
    """Within four standard deviations of a binomial draw."""
    n = 6000
    counts = Counter(drawn(make(kind, **settings), epoch_size=n))
    for name, share in expected.items():
        assert abs(counts[name] - n * share) < 4 * (n * share * (1 - share)) ** 0.5


def test_weights_multiply():
    weights = {"big": 1.0, "mid": 2.0, "small": 4.0}
    for kind, base in (("Uniform", powers(0.0)), ("Proportional", powers(1.0)), ("Temperature", powers(0.5))):
        expected = shares({name: base[name] * weight for name, weight in weights.items()})
        assert shares(make(kind).probabilities(mix_of(weights=weights))) == pytest.approx(expected)


def test_proportional_gives_each_doc_once_in_each_pass_and_mixes_them():
    reader, nlp = reader_of(SIZES, make("Proportional"))
    for _ in range(2):
        examples = list(reader(nlp))
        assert Counter(names_of(examples)) == SIZES
        assert len(set(texts_of(examples))) == sum(SIZES.values())
        small = [place for place, name in enumerate(names_of(examples)) if name == "small"]
        assert 300 < sum(small) / len(small) < 700


def test_proportional_draws_exact_shares_of_another_epoch_size():
    assert Counter(drawn(make("Proportional"), epoch_size=100)) == {"big": 80, "mid": 15, "small": 5}


def test_passes_go_on_where_the_last_one_stopped():
    reader, nlp = reader_of(SIZES, make("Proportional"), epoch_size=100)
    texts = [text for _ in range(10) for text in texts_of(reader(nlp))]
    assert len(set(texts)) == len(texts) == 1000


def test_round_robin_takes_turns():
    assert drawn(make("RoundRobin"), epoch_size=6) == ["big", "mid", "small"] * 2
    order = drawn(make("RoundRobin"), epoch_size=8, corpora={"small": {"weight": 2.0}})
    assert Counter(order) == {"big": 2, "mid": 2, "small": 4}


def test_annealed_moves_from_start_to_end():
    sampler = make("Annealed", n_docs=1000, start=1.0, end=5.0)
    for total, alpha in ((0, 1.0), (500, 0.6), (1000, 0.2), (5000, 0.2)):
        assert shares(sampler.probabilities(mix_of(total=total))) == pytest.approx(powers(alpha))


def test_annealed_counts_over_all_passes():
    order = drawn(make("Annealed", n_docs=3000), n_passes=6)
    first, last = Counter(order[:1000]), Counter(order[-1000:])
    assert first["small"] < 100
    assert abs(last["small"] - 1000 * powers(0.2)["small"]) < 4 * (1000 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize("kind", ["Proportional", "Uniform", "Temperature", "RoundRobin"])
def test_a_stream_of_unknown_size_ends_when_each_corpus_has_been_read(kind):
    sizes = {"big": 60, "small": 20}
    reader, nlp = reader_of(sizes, make(kind), read_first=False)
    first = list(reader(nlp))
    counts = Counter(names_of(first))
    assert counts["big"] >= 60
    assert counts["small"] >= 20
    assert len(set(texts_of(first))) == 80
    if kind == "Proportional":
        assert counts == sizes
        assert Counter(names_of(reader(nlp))) == sizes


def lags(sampler, *evaluations):
    """The shares of the draw after these evaluations, which say corpus -> score of its head."""
    state = mix_of()
    for scores in evaluations:
        state.scores = {name: {f"head_of_{name}": score} for name, score in scores.items()}
        sampler.probabilities(state)
    return shares(sampler.probabilities(state))


def test_shortfall_by_hand():
    sampler = make("Shortfall", targets={"head_of_big": 0.8, "mid/head_of_mid": 0.9, "head_of_small": 0.5}, floor=0.3)
    result = lags(sampler, {"big": 0.4, "mid": 0.9, "small": 0.45})
    masses = {"big": 0.51, "mid": 0.01, "small": 0.11}
    expected = {name: 0.1 + 0.7 * mass / 0.63 for name, mass in masses.items()}
    assert result == pytest.approx(expected)


def test_shortfall_smooths_between_evaluations():
    sampler = make("Shortfall", targets={"head_of_big": 1.0}, smoothing=0.75, floor=0.0)
    lags(sampler, {"big": 0.0, "mid": 0.5, "small": 0.5}, {"big": 1.0, "mid": 0.5, "small": 0.5})
    assert sampler.lags == pytest.approx({"big": 0.75, "mid": 0.0, "small": 0.0})


def test_shortfall_without_targets_looks_at_what_got_worse():
    result = lags(make("Shortfall"), {"big": 0.9, "mid": 0.9, "small": 0.9}, {"big": 0.9, "mid": 0.3, "small": 0.95})
    assert result["mid"] > 0.7
    assert result["big"] == pytest.approx(result["small"])


def test_shortfall_keeps_a_floor():
    targets = {f"head_of_{name}": 1.0 for name in SIZES}
    result = lags(make("Shortfall", targets=targets, floor=0.3, power=5.0), {"big": 0.0, "mid": 1.0, "small": 1.0})
    assert min(result.values()) >= 0.1


def test_a_reader_draws_more_from_a_planted_laggard():
    class Pipe:
        main_scores = {"slots": 0.9}  # noqa: RUF012
        corpus_scores = {"big": {"slots": 0.9}, "small": {"slots": 0.2}}  # noqa: RUF012

        def __call__(self, doc):
            return doc

    Language.factory("scored", func=lambda nlp, name: Pipe())
    reader, nlp = reader_of(SIZES, make("Shortfall", targets={"slots": 0.9}), epoch_size=1000)
    before = Counter(names_of(reader(nlp)))
    nlp.add_pipe("scored")
    after = Counter(names_of(reader(nlp)))
    assert abs(before["small"] - 1000 / 3) < 60
    assert after["small"] > 500
    assert after["big"] > 60


@pytest.mark.parametrize(
    ("kind", "settings", "parts"),
    [
        ("Temperature", {"tau": 0.0}, r"Temperature\.v1: tau is 0\.0; .* above 0"),
        ("Temperature", {"tau": -1.0}, r"Temperature\.v1: tau is -1\.0"),
        ("Annealed", {"n_docs": 0}, r"Annealed\.v1: n_docs is 0"),
        ("Annealed", {"end": 0.0}, r"Annealed\.v1: end is 0\.0"),
        ("Shortfall", {"floor": 1.5}, r"Shortfall\.v1: floor is 1\.5"),
        ("Shortfall", {"smoothing": 1.0}, r"Shortfall\.v1: smoothing is 1\.0"),
        ("Shortfall", {"power": 0.0}, r"Shortfall\.v1: power is 0\.0"),
        ("Shortfall", {"targets": {"slots": 90.0}}, r"Shortfall\.v1: targets .*'slots': 90\.0"),
    ],
)
def test_settings_out_of_range(kind, settings, parts):
    with pytest.raises(ValueError, match=parts):
        make(kind, **settings)


def test_a_target_for_an_unknown_head():
    with pytest.raises(ValueError, match=r"Shortfall.*'solts'.*'big/head_of_big'"):
        lags(make("Shortfall", targets={"solts": 0.9}), {"big": 0.5})
