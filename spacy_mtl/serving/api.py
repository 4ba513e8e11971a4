"""The HTTP API and the page, as an application of FastAPI."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from .. import __version__
from ..explanations.explain import METHODS
from ..protocols.cannot_explain import CannotExplain
from .api_models import ExplainRequest, ParseRequest
from .deadline import Deadline
from .json_route import JsonRoute
from .limits import Limits
from .metrics_page import ServerMetrics
from .micro_batches import MicroBatches
from .refusal import Refusal, too_busy
from .request_gate import RequestGate
from .serve_page import STATIC, api_page, main_page, static_file
from .served_pipeline import ServedPipeline, TextToExplain, TextToRead, encode

JSON = "application/json"
# Explanations that wait; each takes many passes.
MAX_EXPLAINED = 16
PATHS = ("/", "/docs", "/openapi.json", "/health", "/metrics", "/api/models", "/api/parse", "/api/explain")
DESCRIPTION = (
    "Trained pipelines of spacy-mtl. POST bodies are JSON. Errors are JSON too: `status`, `error`, `message`, and "
    "`details` if fields are wrong."
)


@dataclass
class Queues:
    """The two queues of a pipeline: texts to read, and texts to explain."""

    pipeline: ServedPipeline
    reads: MicroBatches[TextToRead, bytes]
    explains: MicroBatches[TextToExplain, dict[str, Any]]


class Api:
    """The endpoints."""

    def __init__(
        self, pipelines: Sequence[ServedPipeline], executor: Executor, limits: Limits, metrics: ServerMetrics
    ) -> None:
        """executor (Executor): With the one thread that uses the pipelines."""
        self.limits = limits
        self.metrics = metrics
        self.queues = {one.name: self._queues(one, executor) for one in pipelines}
        metrics.queues = {name: partial(len, own.reads) for name, own in self.queues.items()}
        self.described = encode(
            {
                "models": [one.describe() for one in pipelines],
                "methods": list(METHODS),
                "limits": {"texts": limits.max_texts, "characters": limits.max_characters},
                "explained_characters": limits.max_explained,
            }
        )

    def _queues(self, pipeline: ServedPipeline, executor: Executor) -> Queues:
        limits = self.limits
        reads: MicroBatches[TextToRead, bytes] = MicroBatches(
            pipeline.read,
            executor,
            batch_size=limits.batch_size,
            delay=limits.batch_delay,
            limit=limits.max_queue,
            seen=partial(self.metrics.add_batch, pipeline.name),
        )
        explains: MicroBatches[TextToExplain, dict[str, Any]] = MicroBatches(
            partial(_explain_all, pipeline), executor, batch_size=1, delay=0.0, limit=MAX_EXPLAINED
        )
        return Queues(pipeline, reads, explains)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Read as long as the server runs, and at its end what still waits."""
        batches = [queue for own in self.queues.values() for queue in (own.reads, own.explains)]
        for queue in batches:
            queue.start()
        yield
        for queue in batches:
            await queue.stop()

    async def parse(self, wanted: ParseRequest) -> bytes:
        """Read texts: what each head finds in each of them.

        `docs` has an object for each text, with its `tokens` (places are in characters) and `heads`. What a head found
        has a `form`: `classes` (probabilities of all, and those that apply), `tokens` (a label for each token), `spans`
        and `pairs` (of token indices; `end` is exclusive), `tree` (the index of each token's head, and the label of the
        arc) or `numbers`. `confidence` is how sure the head is of all that it found in the text. `set` has the
        `outcomes` that are likely enough: for a share of texts of `coverage`, the truth is among them, unless
        `complete` is false. If `answered` is false, the text should go to a person.
        """
        own = self._choose(wanted.model)
        self._check_texts(wanted.texts)
        items = [TextToRead(text, wanted.confidence, wanted.sets) for text in wanted.texts]
        with self._in_time():
            found = await own.reads.submit(items, [len(text) for text in wanted.texts])
        return b'{"model":%s,"docs":[%s]}' % (encode(own.pipeline.name), b",".join(found))

    async def explain(self, wanted: ExplainRequest) -> bytes:
        """Explain a prediction: what each token adds to it.

        `targets` are the predictions of the head, and `explanation` has the `scores` of the `tokens`, in the `unit` of
        the `value` that is explained.
        """
        own = self._choose(wanted.model)
        if len(wanted.text) > self.limits.max_explained:
            raise _unprocessable(
                f"the text has {len(wanted.text):,} characters; at most {self.limits.max_explained:,} are explained",
                "text",
            )
        item = TextToExplain(wanted.text, wanted.head, wanted.target, wanted.method)
        try:
            with self._in_time():
                (found,) = await own.explains.submit([item], [len(wanted.text)])
        except CannotExplain as error:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        return encode({"model": own.pipeline.name, **found})

    async def models(self) -> Response:
        """List the pipelines, their heads and labels, the methods of explanation, and the limits of requests."""
        return Response(self.described, media_type=JSON)

    async def health(self) -> dict[str, str]:
        """Say that the server is up."""
        return {"status": "ok"}

    async def show_metrics(self) -> Response:
        """Count requests, errors, texts and batches, in the format of Prometheus."""
        return Response(self.metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _in_time(self) -> Deadline:
        seconds = self.limits.timeout
        message = f"the answer was not ready after {seconds:g} seconds; send fewer or shorter texts, or try again later"
        return Deadline(seconds, partial(too_busy, message))

    def _choose(self, name: str | None) -> Queues:
        if name is None:
            return next(iter(self.queues.values()))
        if name not in self.queues:
            raise _unprocessable(f"there is no pipeline {name!r}; there are {list(self.queues)}", "model")
        return self.queues[name]

    def _check_texts(self, texts: Sequence[str]) -> None:
        if len(texts) > self.limits.max_texts:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the request has {len(texts):,} texts; at most {self.limits.max_texts:,} are taken",
            )
        for place, text in enumerate(texts):
            if len(text) > self.limits.max_characters:
                name = "the text" if len(texts) == 1 else f"text {place}"
                raise Refusal(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"{name} has {len(text):,} characters; at most {self.limits.max_characters:,} are taken",
                )


def make_app(
    pipelines: Sequence[ServedPipeline],
    executor: Executor,
    *,
    limits: Limits,
    names: frozenset[str] | None = None,
    token: str | None = None,
) -> FastAPI:
    """Make the application.

    pipelines (Sequence[ServedPipeline]): One, or two to be compared. The first one is used where none is named.
    executor (Executor): With the one thread that uses the pipelines.
    names (frozenset[str] | None): The names that the server answers to; None for all.
    token (str | None): What requests must carry, if anything.
    """
    metrics = ServerMetrics()
    api = Api(pipelines, executor, limits, metrics)
    gate = Middleware(RequestGate, limits=limits, metrics=metrics, paths=PATHS, names=names, token=token)
    app = FastAPI(
        title="spacy-mtl",
        description=DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=api.lifespan,
        middleware=[gate],
    )
    app.add_exception_handler(HTTPException, _answer_http)
    responses: Mapping[int | str, dict[str, Any]] = {
        400: {"description": "The body is not JSON"},
        401: {"description": "The token is missing or wrong"},
        408: {"description": "The body came too slowly"},
        413: {"description": "The body, the number of texts or a text is too large"},
        415: {"description": "The body does not call itself JSON"},
        422: {"description": "A field is missing or wrong"},
        500: {"description": "Something went wrong; the message has the number under which the log says more"},
        503: {"description": "The server is busy, or the answer took too long"},
    }
    posts: list[tuple[str, Callable[..., Any], str]] = [
        ("/api/parse", api.parse, "Read texts"),
        ("/api/explain", api.explain, "Explain a prediction"),
    ]
    for path, function, summary in posts:
        app.router.add_api_route(
            path,
            function,
            methods=["POST"],
            summary=summary,
            responses=dict(responses),
            response_model=None,
            route_class_override=JsonRoute,
        )
    gets: list[tuple[str, Callable[..., Any], str]] = [
        ("/api/models", api.models, "List pipelines and heads"),
        ("/health", api.health, "Check that the server is up"),
        ("/metrics", api.show_metrics, "Show metrics"),
    ]
    for path, function, summary in gets:
        app.add_api_route(path, function, methods=["GET"], summary=summary)
    _add_pages(app, needs_token=token is not None)
    return app


def _add_pages(app: FastAPI, *, needs_token: bool) -> None:
    async def show_page() -> Response:
        return Response(main_page(needs_token=needs_token), media_type="text/html; charset=utf-8")

    async def show_docs(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        page = api_page(app.openapi(), base=base, needs_token=needs_token)
        return Response(page, media_type="text/html; charset=utf-8")

    async def show_static(name: str) -> Response:
        if name not in STATIC:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(static_file(name), media_type=STATIC[name])

    for path, function in (("/", show_page), ("/docs", show_docs), ("/static/{name}", show_static)):
        app.add_api_route(path, function, methods=["GET"], include_in_schema=False)


def _explain_all(pipeline: ServedPipeline, items: Sequence[TextToExplain]) -> list[dict[str, Any] | Exception]:
    found: list[dict[str, Any] | Exception] = []
    for item in items:
        try:
            found.append(pipeline.explain(item))
        except Exception as error:
            found.append(error)
    return found


def _unprocessable(message: str, field: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, message, details=[{"field": field, "message": message}])


async def _answer_http(request: Request, error: Exception) -> Response:
    """Say that a path or a method does not exist."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    message = f"{request.method} {request.url.path[:200]}: {error.detail}"
    raise Refusal(status, message, headers=dict(error.headers or {}))
