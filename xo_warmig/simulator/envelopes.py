"""Requests and answers as they stand in HTTP bodies: XML-RPC, JSON-RPC 1 and 2, and the older plain JSON.

XAPI never uses an XML-RPC fault: a failure is a struct of Status and ErrorDescription. Parsing of XML is the standard library's.
"""

import xmlrpc.client
from collections.abc import Sequence
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

import msgspec

from xo_warmig.simulator.dispatcher import Answer
from xo_warmig.simulator.encoding import escape, xml
from xo_warmig.simulator.failure import XapiFailure

_XML_HEAD = '<?xml version="1.0"?><methodResponse><params><param>'
_XML_TAIL = "</param></params></methodResponse>"


class Malformed(ValueError):
    """A body that is no request at all: answered with a page, not with an error of the protocol."""


class Wanted(NamedTuple):
    """A call as a body asks for it. ``version`` is that of JSON-RPC; ``id`` is its request id."""

    method: str
    params: Sequence[Any]
    version: int = 1
    id: str | int = 0


def read_xml(body: bytes) -> Wanted:
    """The call in an XML-RPC body. INVALID_VALUE for text that is not UTF-8; Malformed."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise XapiFailure("INVALID_VALUE", "Invalid UTF-8 string in parameter", body.decode(errors="replace")) from None
    try:
        params, method = xmlrpc.client.loads(text)
    except (ExpatError, xmlrpc.client.Error, LookupError, TypeError, ValueError) as error:
        raise Malformed(f"no XML-RPC call: {error}") from error
    if method is None:
        raise Malformed("no methodName")
    return Wanted(method, params)


def success_xml(answer: Answer) -> bytes:
    value = xml(answer.type, answer.value)
    if not answer.bare:
        status = "<member><name>Status</name><value>Success</value></member>"
        value = f"<value><struct>{status}<member><name>Value</name>{value}</member></struct></value>"
    return f"{_XML_HEAD}{value}{_XML_TAIL}".encode()


def failure_xml(details: Sequence[str]) -> bytes:
    items = "".join(f"<value>{escape(detail)}</value>" for detail in details)
    description = f"<value><array><data>{items}</data></array></value>"
    status = "<member><name>Status</name><value>Failure</value></member>"
    error = f"<member><name>ErrorDescription</name>{description}</member>"
    return f"{_XML_HEAD}<value><struct>{status}{error}</struct></value>{_XML_TAIL}".encode()


def read_json(body: bytes) -> Wanted:
    """The call in a JSON-RPC body of version 1 or 2; no notifications, no batches. Malformed."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"no JSON: {error}") from error
    match request:
        case {"method": str(method), "params": list(params), "id": int() | str() as number}:
            return Wanted(method, params, 2 if request.get("jsonrpc") == "2.0" else 1, number)
    raise Malformed("no JSON-RPC request: it needs method, params (an array) and id")


def success_json(wanted: Wanted, answer: Answer) -> bytes:
    value = "" if answer.value is None else answer.value
    if wanted.version == 2:
        return msgspec.json.encode({"jsonrpc": "2.0", "result": value, "id": wanted.id})
    return msgspec.json.encode({"result": value, "error": None, "id": wanted.id})


def failure_json(wanted: Wanted, details: Sequence[str]) -> bytes:
    if wanted.version == 2:
        error = {"code": 1, "message": details[0], "data": list(details[1:])}
        return msgspec.json.encode({"jsonrpc": "2.0", "error": error, "id": wanted.id})
    return msgspec.json.encode({"result": None, "error": list(details), "id": wanted.id})


def read_old_json(body: bytes) -> Wanted:
    """The call in a body of ``/json``: method and params alone. Malformed."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"no JSON: {error}") from error
    match request:
        case {"method": str(method), "params": list(params)}:
            return Wanted(method, params)
    raise Malformed("no request: it needs method and params (an array)")


def success_old_json(answer: Answer) -> bytes:
    return msgspec.json.encode({"Status": "Success", "Value": "" if answer.value is None else answer.value})


def failure_old_json(details: Sequence[str]) -> bytes:
    return msgspec.json.encode({"Status": "Failure", "ErrorDescription": list(details)})
