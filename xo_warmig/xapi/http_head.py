"""HTTP as XAPI's disk handlers speak it: the request that opens a transfer, and the head of the answer. Pure."""

import html
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from xo_warmig.errors import TransferError
from xo_warmig.xapi.address import Address

LONGEST_REQUEST_BYTES = 1024  # xapi since 22.30 refuses more with 431
LONGEST_HEAD_BYTES = 16 * 1024
END_OF_HEAD = b"\r\n\r\n"
FAILURE_PREFIX = b"HTTP/"  # of a failure that arrives inside the body of a 200
_LONGEST_SHOWN = 500


class Head(NamedTuple):
    """The head of an answer; header names in lower case."""

    status: int
    reason: str
    headers: dict[str, str]


def request_bytes(method: str, path: str, query: Mapping[str, str], address: Address) -> bytes:
    """A request without a body's length: the handlers know by the stream itself where it ends.

    Raises:
        TransferError: it is longer than pools accept.
    """
    target = f"{path}?{urlencode(query, safe=':/')}" if query else path
    request = f"{method} {target} HTTP/1.1\r\nHost: {address.authority}\r\nConnection: close\r\n\r\n".encode("latin-1")
    if len(request) >= LONGEST_REQUEST_BYTES:
        raise TransferError(
            f"the request for {path} is {len(request)} bytes long, and pools take less than {LONGEST_REQUEST_BYTES}",
            code="REQUEST_TOO_LONG",
        )
    return request


def parse_head(block: bytes) -> Head:
    """Read a head, its empty line left out or not; XAPI writes some headers without a space after the colon.

    Raises:
        TransferError: it is none.
    """
    first, *lines = block.split(END_OF_HEAD, 1)[0].decode("latin-1").split("\r\n")
    match = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: (.*))?", first)
    if match is None:
        raise TransferError(
            f"the pool does not answer in HTTP: {first[:80]!r}", code="BAD_ANSWER", evidence={"answer": first[:200]}
        )
    headers = {}
    for line in lines:
        name, colon, text = line.partition(":")
        if colon:
            headers[name.strip().lower()] = text.strip()
    return Head(int(match[1]), match[2] or "", headers)


def failure_text(page: bytes) -> str:
    """The words of one of XAPI's error pages, complete or cut off, head included or not."""
    text = page.decode("utf-8", "replace")
    if END_OF_HEAD.decode() in text and text.startswith("HTTP/"):
        head, _, body = text.partition(END_OF_HEAD.decode())
        text = body if body.strip() else head.partition("\r\n")[0]
    text = re.sub(r"<(head|style|script)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return " ".join(text.split())[:_LONGEST_SHOWN]
