"""Actions that go on after their answer, as XO's tasks: ``{"taskId"}`` is where to look what became of them.

They are kept in memory, the latest of them: an action is one call, and what it did is on the pool and in the audit.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from xo_warmig.api.connection import Calls
from xo_warmig.api.xo_errors import NO_DATA, XoError
from xo_warmig.xo.objects import XoObject

MOST_KEPT: Final = 1000
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

Told = Callable[[str, XoObject | None], None]


class Actions:
    """``now_ms``: the clock."""

    def __init__(self, calls: Calls, now_ms: Callable[[], int]) -> None:
        self._calls = calls
        self._now_ms = now_ms
        self._tasks: dict[str, XoObject] = {}
        self._ends: dict[str, asyncio.Future[Any]] = {}
        self._listeners: set[Told] = set()

    def run(self, work: Coroutine[Any, Any, Any], **properties: Any) -> str:
        """Begin; the id of its task. ``work`` raises XoError and nothing else."""
        now = self._now_ms()
        id = f"{_base36(now).zfill(9)}-{_base36(secrets.randbits(32))}"
        properties = {"type": "xo:rest-api:action", **properties}
        self._ends[id] = asyncio.get_running_loop().create_future()
        self._put({"id": id, "properties": properties, "start": now, "status": "pending", "updatedAt": now})
        self._calls.start(self._run(id, work))
        return id

    def result(self, id: str) -> Awaitable[Any]:
        """To be waited for: what comes of it. Raises its XoError."""
        return asyncio.shield(self._ends[id])

    def all(self) -> list[XoObject]:
        return list(self._tasks.values())

    def get(self, id: str) -> XoObject | None:
        return self._tasks.get(id)

    def forget(self, id: str) -> None:
        """One that is known."""
        del self._tasks[id], self._ends[id]
        self._tell(id, None)

    def subscribe(self, told: Told) -> Callable[[], None]:
        """``told`` is called with each task that changes, or its id and None, until the returned is called."""
        self._listeners.add(told)
        return lambda: self._listeners.discard(told)

    async def _run(self, id: str, work: Coroutine[Any, Any, Any]) -> None:
        end = self._ends[id]
        try:
            result = await work
        except XoError as error:
            end.set_exception(error)
            end.exception()  # nobody has to ask
            self._ended(id, "failure", _shown(error))
        except asyncio.CancelledError:
            end.cancel()
            self._ended(id, "interrupted", None)
            raise
        else:
            end.set_result(result)
            self._ended(id, "success", result)

    def _ended(self, id: str, status: str, result: Any) -> None:
        if id in self._tasks:
            now = self._now_ms()
            ended = {"status": status, "end": now, "updatedAt": now}
            self._put(self._tasks[id] | ended | ({} if result is None or result is True else {"result": result}))
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        over = [id for id, end in self._ends.items() if end.done()]
        for id in over[: max(0, len(self._tasks) - MOST_KEPT)]:
            self.forget(id)

    def _put(self, task: XoObject) -> None:
        self._tasks[task["id"]] = task
        self._tell(task["id"], task)

    def _tell(self, id: str, task: XoObject | None) -> None:
        for told in list(self._listeners):
            told(id, task)


def _shown(error: XoError) -> dict[str, Any]:
    shown = {"name": "XoError", "code": error.code, "message": error.message}
    return shown if error.data is NO_DATA else shown | {"data": error.data}


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"
