"""numpy's matrix library uses one thread inside the context, and as many as before outside of it."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from spacy_mtl.threads.blas_threads import MIN_TOKENS, one_blas_thread


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_inside_and_as_before_outside() -> None:
    pytest.importorskip("torch")
    if not blas_threads():
        pytest.skip("numpy's matrix library is none that threadpoolctl knows")
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread(MIN_TOKENS):
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        with one_blas_thread(MIN_TOKENS - 1):
            assert blas_threads() == before
