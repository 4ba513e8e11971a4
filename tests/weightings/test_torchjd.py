"""The same factors as TorchJD, on random Gramians; skipped where the extra `oracle` is not installed.

TorchJD gives the mean where we give the sum. Its UPGrad and NashMTL need solvers under the GPL: UPGrad gets another
solver here, without a regulariser, and NashMTL is tested by its equation alone.
"""

import numpy as np
import pytest
from balancing import random_gramians

from spacy_mtl.protocols.weighting import Step
from spacy_mtl.weightings.aligned_mtl import make_aligned_mtl_v1
from spacy_mtl.weightings.cagrad import make_cagrad_v1
from spacy_mtl.weightings.imtlg import make_imtlg_v1
from spacy_mtl.weightings.mgda import make_mgda_v1
from spacy_mtl.weightings.pcgrad import project_pairwise
from spacy_mtl.weightings.upgrad import make_upgrad_v1

torch = pytest.importorskip("torch")
aggregation = pytest.importorskip("torchjd.aggregation")
N_SEEDS = 300
# the Gramian of the example in its README: gradients (-4, 1, 1) and (6, 1, 1)
PUBLISHED = np.array([[18.0, -22.0], [-22.0, 38.0]])
GRAMIANS = [PUBLISHED, *random_gramians(N_SEEDS, independent=True)]


@pytest.fixture
def cp(monkeypatch):
    """The solver of convex problems, as exact as it can be."""
    cp = pytest.importorskip("cvxpy")
    solve, settings = cp.Problem.solve, dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11)
    monkeypatch.setattr(cp.Problem, "solve", lambda self, solver: solve(self, solver=solver, **settings))
    return cp


def theirs(weighting, gramian):
    return weighting(torch.tensor(gramian)).numpy()


def ours(weighting, gramian):
    return weighting.solve(gramian / gramian.diagonal().mean(), np.ones(len(gramian)), Step(0)) / len(gramian)


def test_imtlg():
    for gramian in GRAMIANS:
        assert ours(make_imtlg_v1(), gramian) == pytest.approx(theirs(aggregation.IMTLGWeighting(), gramian), rel=1e-5)


def test_aligned_mtl():
    for gramian in GRAMIANS:
        expected = theirs(aggregation.AlignedMTLWeighting(), gramian)
        assert ours(make_aligned_mtl_v1(), gramian) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_pcgrad(monkeypatch):
    """In the same order, which theirs draws for each gradient in turn."""
    for seed, gramian in enumerate(GRAMIANS):
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(len(gramian)) for _ in gramian]
        drawn = iter(orders)
        monkeypatch.setattr(torch, "randperm", lambda _, drawn=drawn: torch.tensor(next(drawn)))
        expected = theirs(aggregation.PCGradWeighting(), gramian)
        assert project_pairwise(gramian, orders).sum(axis=0) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_mgda():
    """Theirs comes near the minimum in small steps (Frank and Wolfe), ours is the minimum."""
    weighting = aggregation.MGDAWeighting(epsilon=1e-9, max_iters=300)
    for gramian in GRAMIANS[:30]:
        gramian = gramian / gramian.diagonal().mean()
        found, expected = ours(make_mgda_v1(), gramian), theirs(weighting, gramian)
        assert found @ gramian @ found <= expected @ gramian @ expected + 1e-9
        if len(gramian) == 2:
            assert found == pytest.approx(expected, abs=1e-5)
        assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
def test_cagrad(c, cp):
    """The interior-point solver that theirs calls knows the factors to 1e-4 at best; the updates agree to 1e-5."""
    weighting = aggregation.CAGradWeighting(c=c)
    for gramian in GRAMIANS[: N_SEEDS // 4]:
        found, expected = ours(make_cagrad_v1(c=c), gramian), theirs(weighting, gramian)
        assert found == pytest.approx(expected, abs=1e-4)
        difference = found - expected
        length = difference @ gramian @ difference / gramian.diagonal().mean()
        assert np.sqrt(max(length, 0.0)) < 1e-5


def test_upgrad():
    """Theirs, with each projection solved by scipy as a problem of least squares."""
    optimize = pytest.importorskip("scipy.optimize")

    class Projector:
        def __call__(self, U, G):
            root = np.linalg.cholesky((G / G.diagonal().sum()).numpy()).T
            return U + torch.tensor(np.stack([optimize.nnls(root, -root @ u)[0] for u in U.numpy()]))

    weighting = aggregation.UPGradWeighting(projector=Projector())
    for gramian in GRAMIANS:
        assert ours(make_upgrad_v1(), gramian) == pytest.approx(theirs(weighting, gramian), abs=1e-5, rel=1e-5)
