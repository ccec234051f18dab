"""Since when a VM and its host run: while both stay the same, no host crashed under the VM (R21)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from xo_warmig.errors import NoSuchObject, PoolError
from xo_warmig.model.vm import Life
from xo_warmig.xapi import objects
from xo_warmig.xapi.connection import Calls


async def life_of(calls: Calls, vm: str) -> Life:
    """Of a running VM. Raises NoSuchObject; PoolError with HANDLE_INVALID when it has just stopped."""
    _, record = await objects.record_of(calls, "VM", vm)
    host, metrics = await asyncio.gather(
        calls.call("host.get_record", record["resident_on"]),
        calls.call("VM_metrics.get_record", record["metrics"]),
    )
    return Life(host=host["uuid"], host_booted=_booted(host), vm_started=str(metrics["start_time"]))


async def host_lives(calls: Calls, life: Life) -> bool:
    """Whether the host of that life is up, and was not started anew since."""
    try:
        _, host = await objects.record_of(calls, "host", life.host)
        live = await calls.call("host_metrics.get_live", host["metrics"])
    except NoSuchObject:
        return False
    except PoolError as error:
        if error.code in objects.GONE:
            return False
        raise
    return bool(live) and bool(_booted(host)) and _booted(host) == life.host_booted


def _booted(host: Mapping[str, Any]) -> str:
    return str(host["other_config"].get("boot_time", ""))
