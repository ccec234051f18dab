"""What a server tells unasked, for whoever iterates over it."""

import asyncio
from typing import Any, Final, Self, TypeVar

import msgspec

from xo_warmig.client.failures import ConnectionLost, UnexpectedAnswer

MAX_PENDING_NOTIFICATIONS: Final = 100_000

Kind = TypeVar("Kind")


class Notification(msgspec.Struct, frozen=True):
    """``method`` is ``warmMigration`` (a ``report`` and, with some, an ``event``) or XO's ``all`` (``type`` and ``items``)."""

    method: str
    params: dict[str, Any]

    def read(self, member: str, kind: type[Kind]) -> Kind:
        """A member of ``params`` as a type, such as ``read("report", MigrationReport)``.

        Raises:
            UnexpectedAnswer: it is none.
        """
        return read_as(kind, self.params.get(member), self.method)


def read_as(kind: type[Kind], value: Any, method: str) -> Kind:
    """JSON values as a type. Raises UnexpectedAnswer."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswer(
            f"{method} gave something else than was expected: {error}",
            evidence={"method": method},
            remedy="Use the client of the server's version.",
        ) from error


class Notifications:
    """The notifications from its creation on. It ends when the client is closed, and raises ConnectionLost when the server goes."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Notification | ConnectionLost | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification:
        match item := await self._queue.get():
            case None:
                self._queue.put_nowait(None)
                raise StopAsyncIteration
            case ConnectionLost():
                self._queue.put_nowait(item)
                raise item
            case _:
                return item

    def put(self, item: Notification) -> None:
        """For the connection: one more. Who does not read is told so after ``MAX_PENDING_NOTIFICATIONS`` of them."""
        if self._queue.qsize() < MAX_PENDING_NOTIFICATIONS:
            self._queue.put_nowait(item)
        elif self._queue.qsize() == MAX_PENDING_NOTIFICATIONS:
            message = f"more than {MAX_PENDING_NOTIFICATIONS} notifications were not read"
            self._queue.put_nowait(ConnectionLost(message, code="TOO_SLOW", remedy="Read them as they come."))

    def end(self, error: ConnectionLost | None) -> None:
        """For the connection: none will come any more; with an error, because the server went."""
        self._queue.put_nowait(error)
