"""A server for tests: the application in this process, asked by httpx without a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from spacy_mtl.serving.api import make_app
from spacy_mtl.serving.limits import Limits
from spacy_mtl.serving.served_pipeline import ServedPipeline

T = TypeVar("T")
LOCAL = "http://127.0.0.1:8000"


@asynccontextmanager
async def client_of(
    pipelines: Sequence[ServedPipeline], *, limits: Limits | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Start the application, and stop it at the end."""
    with ThreadPoolExecutor(1) as executor:
        app = make_app(pipelines, executor, limits=limits or Limits(), **settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL, timeout=60) as client:
                client.executor = executor  # type: ignore[attr-defined]
                yield client


def ask(pipelines: Sequence[ServedPipeline], talk: Callable[[httpx.AsyncClient], Awaitable[T]], **settings: Any) -> T:
    """Let a function talk to the application."""

    async def run() -> T:
        async with client_of(pipelines, **settings) as client:
            return await talk(client)

    return asyncio.run(run())


def post(pipelines: Sequence[ServedPipeline], path: str, body: Any, **settings: Any) -> httpx.Response:
    """Send a request on its own."""
    return ask(pipelines, lambda client: client.post(path, json=body), **settings)
