"""XAPI's asynchronous calls and the tasks that they run in: started, awaited, read and cleared away."""

import asyncio
import contextlib
import logging
import math
import time
from typing import Any
from xml.etree import ElementTree

from xo_warmig.errors import PoolError, WarmigError
from xo_warmig.xapi import failures
from xo_warmig.xapi.connection import Calls
from xo_warmig.xapi.rpc import ORIGIN_KEY

FIRST_WAIT_SECONDS = 0.02
LONGEST_WAIT_SECONDS = 0.5
PENDING = ("pending", "cancelling")

log = logging.getLogger(__name__)


async def run(calls: Calls, method: str, *arguments: Any, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> str:
    """``Async.<method>``, awaited: its result, a reference mostly, "" for none.

    Raises:
        PoolError: what the task failed with; TASK_LOST when the pool forgot it (its toolstack was restarted), so that nobody knows.
    """
    task = await calls.call(f"Async.{method}", *arguments)
    return await result_of(calls, task, what=method, longest_wait_seconds=longest_wait_seconds)


async def result_of(
    calls: Calls,
    task: str,
    *,
    what: str,
    first_wait_seconds: float = FIRST_WAIT_SECONDS,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
) -> str:
    """Wait for a task to end, clear it away, and give its result."""
    record = await ended(
        calls, task, what=what, first_wait_seconds=first_wait_seconds, longest_wait_seconds=longest_wait_seconds
    )
    await forget(calls, task)
    if record["status"] != "success":
        details = record["error_info"] or ["TASK_CANCELLED" if record["status"] == "cancelled" else "INTERNAL_ERROR"]
        raise failures.from_details(details, call=what, pool=getattr(calls, "pool_name", ""))
    return parse_result(str(record["result"]))


async def ended(
    calls: Calls,
    task: str,
    *,
    what: str,
    first_wait_seconds: float = FIRST_WAIT_SECONDS,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
) -> dict[str, Any]:
    """The task's record, once it is no longer pending."""
    record = await ended_within(
        calls,
        task,
        math.inf,
        what=what,
        first_wait_seconds=first_wait_seconds,
        longest_wait_seconds=longest_wait_seconds,
    )
    assert record is not None
    return record


async def ended_within(
    calls: Calls,
    task: str,
    most_seconds: float,
    *,
    what: str,
    first_wait_seconds: float = FIRST_WAIT_SECONDS,
    longest_wait_seconds: float = LONGEST_WAIT_SECONDS,
) -> dict[str, Any] | None:
    """The same; None when it is pending after that time.

    The wait between two looks grows with the time that passed, so that little is lost of a short task and little is asked for of a
    long one.
    """
    started = time.monotonic()
    while True:
        record = await _record(calls, task, what)
        if record["status"] not in PENDING:
            return record
        passed = time.monotonic() - started
        if passed >= most_seconds:
            return None
        await asyncio.sleep(min(max(first_wait_seconds, passed / 20), longest_wait_seconds))


async def ended_ours(calls: Calls, method: str, *, most_seconds: float) -> bool:
    """Wait until no such call of this server, of whatever process, is under way; False when none was.

    Known by what its request said, where the pool writes that into tasks (see ``rpc.ORIGIN_KEY``).
    """
    ours = f"{getattr(calls, 'server_id', '')}/"
    deadline = time.monotonic() + most_seconds
    waited = False
    while time.monotonic() < deadline:
        records = (await calls.call("task.get_all_records")).values()
        if not any(
            record["name_label"] in (method, f"Async.{method}")
            and record["status"] in PENDING
            and record["other_config"].get(ORIGIN_KEY, "").startswith(ours)
            for record in records
        ):
            break
        waited = True
        await asyncio.sleep(0.1)
    return waited


async def cancel(calls: Calls, task: str) -> None:
    """Ask for it; many operations do not listen, and one that ended already does not mind."""
    with contextlib.suppress(PoolError):
        await calls.call("task.cancel", task)


async def forget(calls: Calls, task: str) -> None:
    """Clear the task away. Failing to do so harms nobody: pools drop old tasks themselves."""
    try:
        await calls.call("task.destroy", task)
    except WarmigError as error:
        log.debug("the task %s stays: %s", task, error)


async def drop(calls: Calls, task: str) -> None:
    """Clear away a task of our own that nobody works on: pending it would stay, as destroying it only marks it for its end.

    ``task.set_status`` is there since 7.2; before that the mark must do.
    """
    with contextlib.suppress(PoolError):
        await calls.call("task.set_status", task, "cancelled")
    await forget(calls, task)


def parse_result(text: str) -> str:
    """The value in a task's result: an XML-RPC fragment, a bare reference, or nothing.

    ``<value>OpaqueRef:...</value>`` since 7.0; 6.5 leaves void results empty.
    """
    text = text.strip()
    if not text.startswith("<"):
        return text
    try:
        return "".join(ElementTree.fromstring(text).itertext()).strip()
    except ElementTree.ParseError:
        return text


async def _record(calls: Calls, task: str, what: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = await calls.call("task.get_record", task)
    except PoolError as error:
        if error.code != "HANDLE_INVALID":
            raise
        raise PoolError(
            f"the pool lost the task of {what}: nobody can say how it ended",
            code=failures.TASK_LOST,
            evidence=error.evidence,
            remedy="look at the object itself; the pool's toolstack was restarted, most likely",
        ) from error
    return record
