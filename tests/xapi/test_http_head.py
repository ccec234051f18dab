"""Requests to disk handlers, heads of their answers, and their error pages."""

import pytest

from xo_warmig.errors import TransferError
from xo_warmig.xapi.address import Address
from xo_warmig.xapi.http_head import LONGEST_REQUEST_BYTES, failure_text, parse_head, request_bytes

HOST = Address("http", "10.0.0.1", 80)
REF = "OpaqueRef:990969ca-bc2f-0866-a2b4-35cdcc506e27"


def test_a_request_with_all_its_references_fits() -> None:
    """References are not percent-encoded, which would cost space."""
    request = request_bytes(
        "GET", "/export_raw_vdi", {"session_id": REF, "task_id": REF, "vdi": REF, "base": REF, "format": "vhd"}, HOST
    )
    assert len(request) < LONGEST_REQUEST_BYTES / 2
    assert f"vdi={REF}&".encode() in request
    assert b"content-length" not in request.lower()


def test_a_request_that_pools_would_refuse_is_not_sent() -> None:
    """They take less than a kibibyte."""
    with pytest.raises(TransferError) as caught:
        request_bytes("GET", "/x", {"a": "b" * 1000}, HOST)
    assert caught.value.code == "REQUEST_TOO_LONG"


def test_a_real_head_is_read() -> None:
    """XAPI leaves the space after the colon out of some headers."""
    head = parse_head(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n"
        b"task-id:OpaqueRef:990969ca\r\ncontent-type:application/vhd\r\n\r\n"
    )
    assert (head.status, head.reason) == (200, "OK")
    assert head.headers["task-id"] == "OpaqueRef:990969ca"
    assert head.headers["connection"] == "close"


def test_a_head_without_a_reason_is_read() -> None:
    """Some stunnel versions send none."""
    assert parse_head(b"HTTP/1.0 404").status == 404


@pytest.mark.parametrize("block", [b"", b"conectix", b"HTTP/1.1 OK", b"HTTP/2 200 OK"])
def test_what_is_no_head_is_refused(block: bytes) -> None:
    """A tap on the wrong port, for instance."""
    with pytest.raises(TransferError) as caught:
        parse_head(block)
    assert caught.value.code == "BAD_ANSWER"


def test_an_error_page_is_reduced_to_its_words() -> None:
    """A whole answer, as it arrives inside the body of a 200."""
    page = (
        b"HTTP/1.1 500 Internal Error\r\ncontent-type: text/html\r\n\r\n<html><head><title>x</title></head><body>"
        b"<h1>HTTP 500 internal server error</h1>Additional information: <pre>VDI_IN_USE: [ a; &lt;b&gt; ]</pre></body></html>"
    )
    assert failure_text(page) == "HTTP 500 internal server error Additional information: VDI_IN_USE: [ a; <b> ]"


def test_a_page_without_words_gives_its_first_line() -> None:
    """A 404 for an unknown format has an empty body."""
    assert failure_text(b"HTTP/1.0 404 Not Found\r\nx: y\r\n\r\n") == "HTTP/1.0 404 Not Found"
