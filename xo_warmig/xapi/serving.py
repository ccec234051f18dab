"""The hosts that serve transfers: one that lost its power, or was started again, has no handler any more, and says so to nobody.

A task that was made for a transfer belongs to the pool's master, which cancels only those of the host that comes back
(ocaml/xapi/cancel_tasks.ml): it stays pending for a day. The control domain's VBD stays until the host is back (dbsync_slave.ml).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from xo_warmig.errors import PoolError, PoolUnreachable
from xo_warmig.xapi import failures
from xo_warmig.xapi.attachments import held_by
from xo_warmig.xapi.connection import Calls, Connection
from xo_warmig.xapi.dial import connect

Answers: TypeAlias = Callable[[dict[str, Any]], Awaitable[bool]]
"""Whether the host of a record, with its ``ref``, takes a connection."""


def started_at(host: Mapping[str, Any]) -> str:
    """By the host's record: another text after each start of the host or of its toolstack."""
    known = host["other_config"]
    return f"{known.get('boot_time', '')} {known.get('agent_start_time', '')}"


async def see_served(calls: Calls, host: str, start: str, answers: Answers) -> None:
    """See that the host of this reference is still the one that began to serve.

    ``start``: ``started_at`` as it was then. ``answers`` says whether the host of a record does: its master takes it for live for ten
    minutes after its last heartbeat.

    Raises:
        PoolUnreachable: it is down. PoolError: TASK_LOST, it was started again, or is not in the pool any more.
    """
    try:
        record = await calls.call("host.get_record", host)
        lives = await _lives(calls, record, host, answers)
    except PoolError as error:
        if error.code != "HANDLE_INVALID":
            raise
        raise _forgotten("the host is not in its pool any more, and took the transfer with it") from error
    if not lives:
        raise PoolUnreachable(
            f"the host {record['name_label']} is down, which serves the disk",
            evidence={"host": record["name_label"], "objectId": record["uuid"]},
            remedy="start the host, or remove it from its pool when it will not come back",
        )
    if started_at(record) != start:
        raise _forgotten(f"the host {record['name_label']} was started again, and has forgotten the transfer")


async def held_by_dead_hosts_only(calls: Calls, vdi_refs: Iterable[str], answers: Answers) -> bool:
    """Whether the control domains that have these disks are all of hosts that are down: those read and write nothing any more, and
    nobody can have them let go before they are back. ``answers``: see ``see_served``.
    """
    for host in await _holding(calls, vdi_refs):
        if await _lives(calls, await calls.call("host.get_record", host), host, answers):
            return False
    return True


async def answers_at(connection: Connection, host: dict[str, Any]) -> bool:
    """Whether a host, given as its record with ``ref``, takes a connection."""
    address = connection.address_of(host)
    try:
        (await asyncio.to_thread(connect, address.host, address.port)).close()
    except OSError:
        return False
    return True


async def _holding(calls: Calls, vdi_refs: Iterable[str]) -> list[str]:
    """The hosts whose control domains have the disks, each once."""
    hosts: dict[str, None] = {}
    for vbd in await held_by(calls, vdi_refs):
        try:
            domain = await calls.call("VBD.get_VM", vbd)
            hosts[await calls.call("VM.get_resident_on", domain)] = None
        except PoolError as error:
            if error.code != "HANDLE_INVALID":  # it has let go meanwhile
                raise
    return list(hosts)


async def _lives(calls: Calls, record: Mapping[str, Any], host: str, answers: Answers) -> bool:
    live = await calls.call("host_metrics.get_live", record["metrics"])
    return bool(live) and await answers({**record, "ref": host})


def _forgotten(why: str) -> PoolError:
    return PoolError(why, code=failures.TASK_LOST)
