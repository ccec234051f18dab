"""Calls on hosts: time, memory, maintenance, and receiving migrations."""

import time
from typing import TYPE_CHECKING

from xo_warmig.simulator import tls
from xo_warmig.simulator.calls import outage, placement
from xo_warmig.simulator.calls.reach import assert_reached
from xo_warmig.simulator.clock import now, stamp
from xo_warmig.simulator.failure import XapiFailure

if TYPE_CHECKING:
    from xo_warmig.simulator.dispatch import Call


def get_servertime(call: "Call", host: str) -> str:
    """UTC."""
    call.pool.db.row("host", host)
    assert_reached(call.pool, host)
    return now()


def get_server_localtime(call: "Call", host: str) -> str:
    """The host's own time zone, in the same form."""
    call.pool.db.row("host", host)
    assert_reached(call.pool, host)
    return stamp(time.time() - time.timezone).removesuffix("Z")


def enable(call: "Call", host: str) -> None:
    assert_reached(call.pool, host)
    call.pool.db.set("host", host, enabled=True)


def disable(call: "Call", host: str, auto_enable: bool = True) -> None:
    """No VM starts on it any more; those that run stay."""
    assert_reached(call.pool, host)
    call.pool.db.set("host", host, enabled=False)


def compute_free_memory(call: "Call", host: str) -> int:
    return placement.free_memory_bytes(call.pool.db, host)


def compute_memory_overhead(call: "Call", host: str) -> int:
    return int(call.pool.db.row("host", host)["memory_overhead"])


def migrate_receive(call: "Call", host: str, network: str, options: dict[str, str]) -> dict[str, str]:
    """How another pool reaches this host: addresses, and a session for it."""
    assert_reached(call.pool, host)
    db, url = call.pool.db, call.pool.host_url(host)
    pifs = [db.row("PIF", pif) for pif in db.row("network", network)["PIFs"] if db.row("PIF", pif)["host"] == host]
    if not pifs:
        raise XapiFailure("HOST_CANNOT_ATTACH_NETWORK", host, network)
    session = call.pool.sessions.login(call.pool.config.username, "", host)
    return {
        "SM": f"{url}/services/SM?session_id={session}",
        "host": host,
        "xenops": f"{url}/services/xenops?session_id={session}",
        "session_id": session,
        "master": f"{call.pool.host_url(call.pool.master)}/",
    }


def get_vms_which_prevent_evacuation(call: "Call", host: str) -> dict[str, list[str]]:
    """Guests that no other host can take, and the error that says why."""
    db = call.pool.db
    others = [other for other in db.refs("host") if other != host]
    found: dict[str, list[str]] = {}
    for vm in db.field("host", host, "resident_VMs"):
        if db.row("VM", vm)["is_control_domain"]:
            continue
        failures = []
        for other in others:
            try:
                placement.assert_can_boot(db, vm, other)
            except XapiFailure as failure:
                failures.append(failure.details)
        if len(failures) == len(others):
            found[vm] = failures[0] if failures else ["NO_HOSTS_AVAILABLE"]
    return found


def assert_can_evacuate(call: "Call", host: str) -> None:
    for why in get_vms_which_prevent_evacuation(call, host).values():
        raise XapiFailure("CANNOT_EVACUATE_HOST", "|".join(why))


def get_management_interface(call: "Call", host: str) -> str:
    """The PIF that the API is on."""
    pifs = call.pool.db.find("PIF", host=host, management=True)
    if not pifs:
        raise XapiFailure("HOST_HAS_NO_MANAGEMENT_IP")
    return pifs[0]


def get_server_certificate(call: "Call", host: str) -> str:
    """As PEM."""
    assert_reached(call.pool, host)
    address = call.pool.db.row("host", host)["address"]
    return tls.certificate_text(tls.certificate_file(call.pool.directory, address, call.pool.release))


def declare_dead(call: "Call", host: str) -> None:
    """Somebody has seen that it has no power: its VMs are halted. HOST_IS_LIVE."""
    call.pool.db.row("host", host)
    outage.declare_dead(call.pool, host)


def call_plugin(call: "Call", host: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    """This host has no plugins."""
    call.pool.db.row("host", host)
    assert_reached(call.pool, host)
    raise XapiFailure("XENAPI_MISSING_PLUGIN", plugin)


def has_extension(call: "Call", host: str, name: str) -> bool:
    call.pool.db.row("host", host)
    assert_reached(call.pool, host)
    return False


CALLS = {
    "host.get_servertime": get_servertime,
    "host.get_server_localtime": get_server_localtime,
    "host.enable": enable,
    "host.disable": disable,
    "host.compute_free_memory": compute_free_memory,
    "host.compute_memory_overhead": compute_memory_overhead,
    "host.migrate_receive": migrate_receive,
    "host.get_vms_which_prevent_evacuation": get_vms_which_prevent_evacuation,
    "host.assert_can_evacuate": assert_can_evacuate,
    "host.get_management_interface": get_management_interface,
    "host.get_server_certificate": get_server_certificate,
    "host.declare_dead": declare_dead,
    "host.call_plugin": call_plugin,
    "host.has_extension": has_extension,
}
