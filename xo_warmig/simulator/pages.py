"""Answers that are no calls: heads of HTTP responses and the HTML pages of xapi's small web server (ocaml/libs/http-lib)."""

import html
from collections.abc import Mapping

_REASONS = {
    200: "OK",
    401: "Unauthorised",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Error",
    501: "Method not implemented",
}

NO_CACHE = {"cache-control": "no-cache, no-store"}
CROSS_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-Requested-With"}


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The status line and headers of a response, up to the empty line."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(body: bytes, content_type: str, *, keep_alive: bool) -> bytes:
    """A whole successful response to a call."""
    connection = "keep-alive" if keep_alive else "close"
    start = {"content-length": str(len(body)), "connection": connection}
    return head(200, start | NO_CACHE | {"content-type": content_type} | CROSS_ORIGIN) + body


def page(status: int, text: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole error response; the connection ends with it. ``text`` is shown as additional information."""
    reason = _REASONS[status]
    detail = f"<h1>Additional information</h1>{html.escape(text)}" if text else ""
    body = f"<html><body><h1>HTTP {status} {reason}</h1>{_SAYS.get(status, '')}{detail}</body></html>".encode()
    start = {"content-length": str(len(body)), "connection": "close", "content-type": "text/html"}
    return head(status, start | NO_CACHE | dict(headers or {})) + body


def unauthorised(realm: str) -> bytes:
    """The answer to a request without a valid session."""
    return page(401, headers={"WWW-Authenticate": f'Basic realm="{realm}"'})


def welcome(pool_name: str, *, keep_alive: bool) -> bytes:
    """What a browser sees at ``/``."""
    body = f"<html><head><title>{html.escape(pool_name)}</title></head><body>A simulated pool.</body></html>"
    return reply(body.encode(), "text/html", keep_alive=keep_alive)


_SAYS = {
    403: "Access to the requested resource is forbidden.",
    408: "The request took too long to arrive.",
    431: "The request line and headers are larger than this server takes.",
    500: "An unexpected error occurred; please wait a while and try again. If the problem persists, please contact support.",
    501: "The requested method is not supported by this server.",
}
