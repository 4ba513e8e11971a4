"""The body of a request, read no farther than it may go."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any

from .deadline import Deadline
from .refusal import Refusal

ReceiveT = Callable[[], Awaitable[MutableMapping[str, Any]]]
# A client that is sending sees the refusal only if it may go on for a while: a connection that is closed while data
# arrives is reset.
DRAINED = 64_000_000
DRAIN_SECONDS = 2.0


class ClientGone(Exception):
    """The client has closed the connection before its request was complete."""


def check_type(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Raise a Refusal for a body that does not call itself JSON. Pages of other origins can't send that without asking
    first, which is not answered.
    """
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if method == "POST" and kind != b"application/json":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type is {kind.decode('latin-1')!r}, expected 'application/json'",
        )


async def read_body(receive: ReceiveT, headers: Mapping[bytes, bytes], limit: int, timeout: float) -> bytes:
    """Read the whole body.

    limit (int): Maximum number of bytes. timeout (float): Maximum number of seconds.
    RAISES Refusal: It is longer, or slower.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_long(limit)
    with Deadline(timeout, partial(_too_slow, timeout)):
        return await _read(receive, limit)


async def drain(receive: ReceiveT, headers: Mapping[bytes, bytes]) -> bool:
    """Throw away the rest of a body, for a while. RETURNS (bool): Whether it is complete."""
    if b"expect" in headers:  # the client waits for a word, and does not send without it
        return False
    try:
        return await asyncio.wait_for(_throw_away(receive), DRAIN_SECONDS)
    except asyncio.TimeoutError:
        return False


async def _read(receive: ReceiveT, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        part, goes_on = await _next_part(receive)
        size += len(part)
        if size > limit:
            raise _too_long(limit)
        parts.append(part)
        if not goes_on:
            return b"".join(parts)


async def _throw_away(receive: ReceiveT) -> bool:
    size = 0
    while size < DRAINED:
        part, goes_on = await _next_part(receive)
        size += len(part)
        if not goes_on:
            return True
    return False


async def _next_part(receive: ReceiveT) -> tuple[bytes, bool]:
    """The next part of the body, and whether another one follows."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _too_long(limit: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limit:,} bytes; send fewer texts in a request",
    )


def _too_slow(timeout: float) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        f"the body was not complete after {timeout:g} seconds",
        headers={"Connection": "close"},
    )
