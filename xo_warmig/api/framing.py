"""Frames of the websocket to JSON-RPC messages: everything about them that is decided before a method is looked up.

The rules are those of npm's json-rpc-peer and json-rpc-protocol, which Xen Orchestra's server and clients use: an id is a number or a
string and comes back as it was written; a message without ``jsonrpc`` is JSON-RPC 1.0 and has ``params`` as an array; a client's own
notifications and answers are accepted and ignored. XO leaves a malformed message unanswered and a batch with garbage; here both get
what JSON-RPC 2.0 says.
"""

from typing import Any, Final, NamedTuple

import msgspec

from xo_warmig.api.xo_errors import INVALID_JSON, INVALID_REQUEST

MOST_IN_A_BATCH: Final = 1000
_NULL: Final = msgspec.Raw(b"null")


class Request(NamedTuple):
    """A call to be answered. ``id`` is the JSON text that the client wrote."""

    id: msgspec.Raw
    method: str
    params: dict[str, Any] | list[Any]


class Refused(NamedTuple):
    """A message that is none: it is answered with an error, and the socket lives."""

    id: msgspec.Raw
    code: int
    message: str


class Ignored(NamedTuple):
    """A client's notification or answer."""


Message = Request | Refused | Ignored


def parse(frame: str | bytes) -> Message | list[Message]:
    """The message of a frame, or the messages of a batch. Never raises."""
    try:
        outer = msgspec.json.decode(frame, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _outside(frame)
    if isinstance(outer, dict):
        return _message(outer)
    if not 0 < len(outer) <= MOST_IN_A_BATCH:
        return Refused(
            _NULL, INVALID_REQUEST, f"invalid batch: {len(outer)} messages, 1 to {MOST_IN_A_BATCH} are allowed"
        )
    return [_batched(item) for item in outer]


def _outside(frame: str | bytes) -> Refused:
    """Neither an object nor an array: JSON of another type, or no JSON."""
    try:
        msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Refused(_NULL, INVALID_JSON, "invalid JSON")
    return Refused(_NULL, INVALID_REQUEST, "invalid message: neither an object nor an array")


def _batched(item: msgspec.Raw) -> Message:
    try:
        return _message(msgspec.json.decode(item, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError):
        return Refused(_NULL, INVALID_REQUEST, "invalid message: not an object")


def _message(members: dict[str, msgspec.Raw]) -> Message:
    given = {name: raw for name in ("jsonrpc", "id", "method", "params") if (raw := members.get(name)) is not None}
    try:
        values = {name: msgspec.json.decode(raw) for name, raw in given.items()}
    except (msgspec.DecodeError, RecursionError):
        return Refused(_NULL, INVALID_JSON, "invalid JSON")
    id_is_valid = isinstance(values.get("id"), int | float | str) and not isinstance(values["id"], bool)
    id_or_null = given["id"] if id_is_valid else _NULL
    version = values.get("jsonrpc", "1.0")
    if "jsonrpc" in values and version != "2.0":
        return Refused(id_or_null, INVALID_REQUEST, "invalid version: neither absent nor '2.0'")
    if not isinstance(values.get("method"), str):
        is_answer = "method" not in values and ("result" in members or "error" in members)
        return Ignored() if is_answer else Refused(id_or_null, INVALID_REQUEST, "invalid method: not a string")
    if not _params_fit(values, version):
        wanted = "undefined, array or object" if version == "2.0" else "array"
        return Refused(id_or_null, INVALID_REQUEST, f"invalid params: not {wanted}")
    if _is_notification(values, version):
        return Ignored()
    if not id_is_valid:
        return Refused(_NULL, INVALID_REQUEST, "invalid identifier: neither a number nor a string")
    return Request(given["id"], values["method"], values.get("params", {}))


def _params_fit(values: dict[str, Any], version: str) -> bool:
    if version == "2.0":
        return "params" not in values or isinstance(values["params"], list | dict)
    return isinstance(values.get("params"), list)


def _is_notification(values: dict[str, Any], version: str) -> bool:
    return "id" not in values if version == "2.0" else "id" in values and values["id"] is None
