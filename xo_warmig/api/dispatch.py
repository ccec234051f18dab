"""From a message to the text of its answer, through jsonrpcserver and an explicit table of methods.

jsonrpcserver looks the method up, calls it and shapes the response. What it would do in a way that XO's clients do not know is decided
before (``framing``) or in the table: an unknown name gives XO's own error, arguments are checked by schema and not by Python signature,
and no exception but ``JsonRpcError`` ever reaches it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from jsonrpcserver import JsonRpcError, Result, Success, async_dispatch_to_serializable

from xo_warmig.api import xo_errors
from xo_warmig.api.framing import Ignored, Message, Refused, Request
from xo_warmig.api.invocation import Context, invoke
from xo_warmig.api.method import Method, Services
from xo_warmig.api.session import Session
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import NO_DATA, XoError

Bound = Callable[..., Awaitable[Result]]


class MethodTable(dict[str, Bound]):
    """jsonrpcserver's table, made from ours."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        super().__init__({name: _bind(method) for name, method in methods.items()})

    def __missing__(self, name: str) -> Bound:
        async def unknown(context: Context, /, *positional: Any, **named: Any) -> Result:
            raise _as_rpc_error(xo_errors.method_not_found(name))

        return unknown


def _bind(method: Method) -> Bound:
    async def call(context: Context, /, *positional: Any, **named: Any) -> Result:
        try:
            return Success(await invoke(method, context, list(positional) or named))
        except XoError as error:
            raise _as_rpc_error(error) from error

    return call


def _as_rpc_error(error: XoError) -> JsonRpcError:
    if error.data is NO_DATA:
        return JsonRpcError(error.code, error.message)
    return JsonRpcError(error.code, error.message, error.data)


class Dispatcher:
    """Answers messages."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = MethodTable(services.methods)

    async def answer(self, message: Message | list[Message], session: Session) -> str | None:
        """The text to send back; None where nothing is to be answered."""
        if not isinstance(message, list):
            one = await self._answer_one(message, session)
            return None if one is None else to_json(one)
        answers = await asyncio.gather(*(self._answer_one(item, session) for item in message))
        given = [answer for answer in answers if answer is not None]
        return to_json(given) if given else None

    async def _answer_one(self, message: Message, session: Session) -> Any:
        match message:
            case Ignored():
                return None
            case Refused():
                return refusal(message.id, message.code, message.message)
            case Request():
                return await self._call(message, session)

    async def _call(self, request: Request, session: Session) -> Any:
        answer = await async_dispatch_to_serializable(
            {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params},
            methods=self._table,
            context=Context(self._services, session),
            deserializer=lambda message: message,
            validator=lambda message: message,
        )
        try:
            return msgspec.Raw(msgspec.json.encode(answer))
        except (TypeError, ValueError, RecursionError):
            error = xo_errors.opaque()
            return refusal(request.id, error.code, f"{error.message}: the result of {request.method} is not JSON")


def refusal(id: msgspec.Raw, code: int, message: str, data: Any = NO_DATA) -> dict[str, Any]:
    """An error response."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not NO_DATA:
        error["data"] = data
    return {"jsonrpc": "2.0", "error": error, "id": id}
