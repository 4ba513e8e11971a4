"""What the server refuses, as JSON."""

import json
from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """A request that is not answered. The message is for the client.

    status (HTTPStatus): The status of the answer.
    details (list[dict[str, str]]): What is wrong with each field, if that is the reason.
    headers (dict[str, str]): Headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        details: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details or []
        self.headers = headers or {}

    def body(self) -> bytes:
        """The answer: status, the name of the status, message, and details if there are any."""
        error: dict[str, Any] = {"status": int(self.status), "error": self.status.phrase, "message": self.message}
        if self.details:
            error["details"] = self.details
        return json.dumps(error, ensure_ascii=False).encode()


def too_busy(message: str) -> Refusal:
    """Refuse what the server has no room for now."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, message, headers={"Retry-After": "1"})
