"""Tasks that an earlier process of this server left on a pool: found by what was written on them, and cleared away.

A transfer's task is made by us, and its description names the disk, the configured server and the process. The task of an
asynchronous call is XAPI's own: there the same stands in ``other_config``, where XAPI (read in its source for 26.x, not tried on older
ones) puts what a header of the request says. One without either is nobody's that we know, and stays: pools drop ended tasks after
65 minutes themselves.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from xo_warmig.errors import WarmigError
from xo_warmig.xapi import objects, tasks
from xo_warmig.xapi.attachments import is_held
from xo_warmig.xapi.connection import Connection
from xo_warmig.xapi.rpc import ORIGIN_KEY

EXPORT_LABEL = "xo_warmig export"
IMPORT_LABEL = "xo_warmig import"
_DESCRIPTION = re.compile(r"disk (?P<disk>\S+) for (?P<server>\S+)/(?P<process>\S+)")

log = logging.getLogger(__name__)


class _Mark(NamedTuple):
    """Who made a task. ``disk``: uuid, of a transfer's."""

    server: str
    process: str
    disk: str | None


def description_of(disk: str, origin: str) -> str:
    """The description of a transfer's task; ``origin``: see ``Connection.origin``."""
    return f"disk {disk} for {origin}"


async def clear_left_tasks(connection: Connection) -> bool:
    """Clear away what earlier processes of this server left and nobody works on; False when something of theirs still runs.

    Tasks of the present process, of other servers and of anybody else are not touched. What cannot be cleared away harms nobody.
    """
    if connection.read_only:
        return True
    done = True
    try:
        records: dict[str, dict[str, Any]] = await connection.call("task.get_all_records")
        for ref, record in records.items():
            mark = _mark_of(record)
            if mark is None or mark.server != connection.server_id or mark.process == connection.process:
                continue
            if record["status"] not in tasks.PENDING:
                await tasks.forget(connection, ref)
            elif mark.disk is not None and not await _is_worked_on(connection, mark.disk):
                await tasks.drop(connection, ref)
            else:
                done = False
    except WarmigError as error:
        log.info("the tasks that an earlier process left on %s stay: %s", connection.pool_name, error)
        return False
    return done


def _mark_of(record: Mapping[str, Any]) -> _Mark | None:
    if record["name_label"] in (EXPORT_LABEL, IMPORT_LABEL):
        found = _DESCRIPTION.fullmatch(record["name_description"])
        return _Mark(found["server"], found["process"], found["disk"]) if found else None
    server, slash, process = record["other_config"].get(ORIGIN_KEY, "").rpartition("/")
    return _Mark(server, process, None) if slash else None


async def _is_worked_on(connection: Connection, disk: str) -> bool:
    """Whether the handler of a transfer still has its disk: a task that was never begun looks like one that runs."""
    ref = await objects.ref_or_none(connection, "VDI", disk)
    return ref is not None and await is_held(connection, [ref])
