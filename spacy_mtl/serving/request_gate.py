"""The gate before the API: it checks each request, reads its body within limits, counts it, and turns what goes wrong
into JSON that shows nothing of the inside.
"""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from .access import check_name, check_token
from .limits import Limits
from .metrics_page import ServerMetrics
from .refusal import Refusal, too_busy
from .request_body import ClientGone, ReceiveT, check_type, drain, read_body

MessageT = MutableMapping[str, Any]
SendT = Callable[[MessageT], Awaitable[None]]
AppT = Callable[[MutableMapping[str, Any], ReceiveT, SendT], Awaitable[None]]

logger = logging.getLogger("spacy_mtl.serving")
# The page runs its own scripts alone, asks this server alone, and is shown in no other page. Cytoscape and the page set
# styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


@dataclass
class RequestGate:
    """ASGI middleware. It stands inside the one that answers "Internal Server Error" to any exception.

    app (AppT): The API.
    metrics (ServerMetrics): Where requests are counted.
    paths (Collection[str]): What it answers; all other paths are counted as one.
    names (frozenset[str] | None): See `names_of`.
    token (str | None): What requests must carry.
    """

    app: AppT
    limits: Limits
    metrics: ServerMetrics
    paths: Collection[str]
    names: frozenset[str] | None = None
    token: str | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: ReceiveT, send: SendT) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        answer = Answer(send)
        self.metrics.in_progress += 1
        try:
            await self._let_in(scope, receive, answer)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except ClientGone:
            answer.status = 499  # as nginx counts it
        except Exception:
            number = secrets.token_hex(6)
            logger.exception("Request %s: %s %r failed", number, scope["method"], scope["path"])
            await answer.refuse(
                Refusal(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    f"something went wrong; the log of the server has more, under the number {number}",
                )
            )
        finally:
            self.metrics.in_progress -= 1
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.metrics.add_request(path, answer.status, time.perf_counter() - start)

    async def _let_in(self, scope: MutableMapping[str, Any], receive: ReceiveT, answer: "Answer") -> None:
        headers = dict(scope["headers"])
        try:
            self._check(scope, headers)
            body = await read_body(receive, headers, self.limits.max_body, self.limits.timeout)
        except Refusal as refusal:
            if "Connection" not in refusal.headers and not await drain(receive, headers):
                refusal.headers["Connection"] = "close"
            raise
        await self.app(scope, Replay(body, receive), answer)

    def _check(self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> None:
        """Raise a Refusal for what the headers show to be wrong."""
        check_name(headers, self.names)
        check_token(scope["path"], headers, self.token)
        if self.metrics.in_progress > self.limits.max_requests and scope["path"] != "/health":
            raise too_busy(f"{self.limits.max_requests} requests are in progress already; try again later")
        check_type(scope["method"], headers)


class Replay:
    """Gives the app the body that was read."""

    def __init__(self, body: bytes, receive: ReceiveT) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> MessageT:
        """The body, then whatever comes."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class Answer:
    """What is sent. status (int): The status of the answer, 0 before it has begun."""

    def __init__(self, send: SendT) -> None:
        self._send = send
        self.status = 0

    async def __call__(self, message: MessageT) -> None:
        """Send a part."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *SAFE_HEADERS]
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal, unless the answer has begun."""
        if self.status:
            return
        body = refusal.body()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": int(refusal.status), "headers": pairs})
        await self({"type": "http.response.body", "body": body})
