"""Routes that take a JSON body and answer with JSON, without what FastAPI does for each request."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from .refusal import Refusal
from .request_body import ReceiveT

MAX_DETAILS = 20


class JsonRoute(APIRoute):
    """A POST route whose endpoint takes one model and returns JSON as bytes. FastAPI describes it in the OpenAPI page,
    and this class answers: one validation of the body, one message.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        """endpoint (Callable): Takes a model of pydantic, by the annotation of its one parameter."""
        super().__init__(path, endpoint, **settings)
        (model,) = (hint for name, hint in endpoint.__annotations__.items() if name != "return")
        self.app = JsonEndpoint(model, endpoint)


class JsonEndpoint:
    """ASGI application that answers a body. It stands behind the gate, which gives it the whole body in one message."""

    def __init__(self, model: type[BaseModel], answer: Callable[[Any], Awaitable[bytes]]) -> None:
        self._adapter = TypeAdapter(model)
        self._answer = answer

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: ReceiveT,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer a request. Raises a Refusal for a body that is not as it should be."""
        message = await receive()
        try:
            wanted = self._adapter.validate_json(message["body"])
        except ValidationError as error:
            raise refusal_of(error) from None
        body = await self._answer(wanted)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def refusal_of(error: ValidationError) -> Refusal:
    """Say what is wrong with which field, without repeating its value."""
    found = error.errors(include_url=False, include_context=True, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Refusal(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {found[0]['ctx']['error']}")
    details = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in found[:MAX_DETAILS]]
    first = details[0]
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, f"{first['field'] or 'the body'}: {first['message']}", details=details
    )
