"""Connections as uvicorn has them, but for two things: they are closed if the head of a request takes too long, and an
answer is sent in one piece.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
)
BODY = b'{"status": 408, "error": "Request Timeout", "message": "the head of the request was not complete in time"}'


# Bytes of the head of a request, as uvicorn has it.
MAX_HEAD = 65_536


class WholeAnswers(h11.Connection):
    """Keeps the head of an answer until the first part of its body: one call of the system instead of two, after each
    of which the thread waits for the one of the pipelines.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD)
        self._head = b""

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]
        """Convert an event to bytes for the client."""
        data = super().send(event)
        if isinstance(event, h11.Response):
            self._head = data or b""
            return b""
        if self._head and data is not None:
            head, self._head = self._head, b""
            return head + data
        return data


def protocol_with_deadline(seconds: float) -> type[asyncio.Protocol]:
    """Make a protocol for uvicorn.

    seconds (float): For the head of a request, from the opening of the connection, or from its first byte.
    """

    class Protocol(H11Protocol):
        deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.conn = WholeAnswers()
            self.deadline = self.loop.call_later(seconds, self.give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self.forget()
            elif self.deadline is None and not self.transport.is_closing():
                self.deadline = self.loop.call_later(seconds, self.give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self.forget()
            super().connection_lost(exc)

        def forget(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

        def give_up(self) -> None:
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.write(ANSWER % (len(BODY), BODY))
                self.transport.close()

    return Protocol
