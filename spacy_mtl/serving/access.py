"""Who may ask: the names that the server answers to, and the token."""

import hmac
from collections.abc import Collection, Mapping
from http import HTTPStatus
from ipaddress import ip_address

from .refusal import Refusal

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# What is answered without a token: the page, which then asks for it, and whether the server is up.
OPEN_PATHS = frozenset({"/", "/health", "/docs", "/openapi.json"})
OPEN_FOLDER = "/static/"


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def names_of(host: str, allowed: Collection[str]) -> frozenset[str] | None:
    """The names that requests may address the server by. None allows all, which is so where others reach it.

    A local server answers to local names alone: otherwise any page in the browser could give its own name the address
    127.0.0.1 and read the answers (DNS rebinding).

    allowed (Collection[str]): Further names.
    """
    if not is_local(host):
        return frozenset(name.lower() for name in allowed) or None
    return LOCAL_NAMES | {host, *(name.lower() for name in allowed)}


def check_name(headers: Mapping[bytes, bytes], names: frozenset[str] | None) -> None:
    """Raise a Refusal for a request to another name."""
    if names is None:
        return
    name = _host_name(headers.get(b"host", b"").decode("latin-1"))
    if name not in names:
        raise Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"this server does not answer to the name {name!r}; start it with --allowed-host {name or 'NAME'}",
        )


def check_token(path: str, headers: Mapping[bytes, bytes], token: str | None) -> None:
    """Raise a Refusal for a request without the token."""
    if token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
        return
    scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), token.encode()):
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "this server needs a token, as in the header 'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _host_name(value: str) -> str:
    """The name in a Host header, without the port and the brackets of IPv6."""
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.partition(":")[0].lower()
