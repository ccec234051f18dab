"""``/_sim/``: what a test or a demonstration may see and do beside XAPI. Not part of what a pool offers its clients.

==========================  ==================================================================================================
``GET state``               VMs, VDIs, snapshots, tasks and dom0 VBDs; ``?hash=1`` or ``?hash=raw`` adds a sha256 per managed VDI
                            (``&vdi=uuid`` restricts the hashing to one)
``GET trace``               calls, transfers and power states; ``?since=number`` what came after
``GET faults``              what is armed
``POST faults``             one fault, see ``FaultOrder``; ``{"clear": true}`` removes all, as ``DELETE faults`` does
``GET guest?vm=uuid``       what the guest has written, and how it is; of one with files each file with its sha256, and which of those
                            found when it started were ``damaged``
``POST guest``              ``{"vm": uuid}`` and any of ``"rate": bytes a second``, ``"stop": true`` (writes no more), ``"write": bytes``,
                            ``"files": count`` (now), ``"change_state": true`` (the VM's own state), ``"halt": true`` (shuts
                            itself down)
``POST image``              ``{"vdi": uuid, "path": file of this machine}``: the disk as a sparse raw file
``POST collect``            ``{}``: garbage collection, now
``POST space``              ``{"sr": uuid, "used": bytes}``: so much of the SR is taken by something that is no disk
``POST host``               ``{"host": uuid, "crash": true}``: it loses its power and is up again at once; with ``"down": true`` a member
                            stays down, and the master has missed it unless ``"missed": false``, until ``"up": true``
``POST record``             ``{"class": name, "uuid": uuid, "fields": {...}}``: what no call sets, but storage, hardware or an operation in
                            progress; without a uuid a new object has them. References are written as references
``POST sessions``           ``{"end": true}``: all of them end, as when they expire or somebody who may logs them out
==========================  ==================================================================================================
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from xo_warmig.errors import InvalidRequest, WarmigError
from xo_warmig.simulator.calls.outage import bring_up, miss, take_down
from xo_warmig.simulator.calls.vm_power import guest_halted
from xo_warmig.simulator.crash import crash_host
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.faults import FaultOrder
from xo_warmig.simulator.state import hashes, state

if TYPE_CHECKING:
    from xo_warmig.simulator.pool import SimPool
    from xo_warmig.simulator.request import HttpRequest

_MOST_BODY_BYTES = 1 << 20


class GuestOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a guest is to do: done in the order of the fields."""

    vm: str
    rate: float | None = None
    write: int | None = None
    files: int | None = None
    change_state: bool = False
    stop: bool = False
    halt: bool = False


class ImageOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which disk, and where to."""

    vdi: str
    path: str


class SpaceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of an SR is taken by something else."""

    sr: str
    used: int


class HostOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to a host."""

    host: str
    crash: bool = False
    down: bool = False
    missed: bool = True
    up: bool = False


class RecordOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a record says from now on."""

    cls: str = msgspec.field(name="class")
    uuid: str = ""
    fields: dict[str, Any]


class SessionsOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to all sessions."""

    end: bool = False


def serve(request: "HttpRequest") -> None:
    """Answer with JSON: 200 and a value, or 400, 404 and ``{"error"}``."""
    for listener in request.pool.listeners:
        listener.connections.discard(request.connection)  # which is no part of what a crash breaks
    handler = _HANDLERS.get((request.method, request.path.removeprefix("/_sim").strip("/")))
    if handler is None:
        _reply(request, 404, {"error": f"no {request.method} {request.path}"})
        return
    try:
        value = handler(request.pool, request.args, _body(request))
    except (WarmigError, XapiFailure, msgspec.MsgspecError, ValueError, OSError) as error:
        _reply(request, 400, {"error": str(error)})
        return
    _reply(request, 200, value)


def _state(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    value = state(pool)
    if kind := args.get("hash"):
        found = hashes(pool, raw=kind == "raw", only=args.get("vdi"))
        for vdi in value["vdis"]:
            vdi["hash"] = found.get(vdi["uuid"])
    return value


def _trace(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    return pool.trace.since(int(args.get("since", "0")))


def _show_faults(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    return {"faults": pool.faults.show()}


def _add_fault(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    if msgspec.json.decode(body) == {"clear": True}:
        return _clear_faults(pool, args, body)
    return {"number": pool.faults.add(msgspec.json.decode(body, type=FaultOrder))}


def _clear_faults(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    pool.faults.clear()
    return {}


def _show_guest(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    return pool.guests.report(_vm(pool, args.get("vm", "")))


def _order_guest(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=GuestOrder)
    vm = _vm(pool, order.vm)
    if order.rate is not None or order.stop:
        pool.guests.set_rate(vm, 0 if order.stop else order.rate or 0)
    wanted = (order.write or 0) + (order.files or 0) * pool.guests.config(vm).cluster
    written = pool.guests.write_now(vm, wanted) if wanted else 0
    if order.change_state:
        pool.guests.change_state(vm)
    if order.halt:
        pool.guests.halt(vm)
        guest_halted(pool, vm)
    return {"written": written} | pool.guests.report(vm)


def _image(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=ImageOrder)
    pool.storage.save_image(order.vdi, Path(order.path))
    return {"path": order.path, "bytes": pool.storage.virtual_size_bytes(order.vdi)}


def _collect(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    return {"steps": pool.collector.collect()}


def _space(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=SpaceOrder)
    sr = pool.db.by_uuid("SR", order.sr)
    pool.space.fill(sr, order.used)
    return {"free": pool.space.free_bytes(sr)}


def _host(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=HostOrder)
    host = pool.db.by_uuid("host", order.host)
    if order.crash:
        crash_host(pool, host)
    if order.down and host not in pool.down:
        take_down(pool, host)
    if order.down and order.missed:
        miss(pool, host)
    if order.up and host in pool.down:
        bring_up(pool, host)
    return {"boot_time": pool.db.row("host", host)["other_config"]["boot_time"]}


def _record(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=RecordOrder)
    with pool.db.lock:
        if order.uuid:
            ref = pool.db.by_uuid(order.cls, order.uuid)
            pool.db.set(order.cls, ref, **order.fields)
        else:
            ref = pool.db.create(order.cls, **order.fields)
    return {"ref": ref, "uuid": pool.db.field(order.cls, ref, "uuid")}


def _sessions(pool: "SimPool", args: dict[str, str], body: bytes) -> Any:
    order = msgspec.json.decode(body, type=SessionsOrder)
    return {"ended": pool.sessions.evict() if order.end else 0}


_HANDLERS: dict[tuple[str, str], Callable[["SimPool", dict[str, str], bytes], Any]] = {
    ("GET", "state"): _state,
    ("GET", "trace"): _trace,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "guest"): _show_guest,
    ("POST", "guest"): _order_guest,
    ("POST", "image"): _image,
    ("POST", "collect"): _collect,
    ("POST", "space"): _space,
    ("POST", "host"): _host,
    ("POST", "record"): _record,
    ("POST", "sessions"): _sessions,
}


def _vm(pool: "SimPool", uuid: str) -> str:
    return pool.db.by_uuid("VM", uuid)


def _body(request: "HttpRequest") -> bytes:
    length = int(request.headers.get("content-length", "0") or "0")
    if length > _MOST_BODY_BYTES:
        raise InvalidRequest(f"a body of {length} bytes is too long")
    return request.rfile.read(length)


def _reply(request: "HttpRequest", status: int, value: Any) -> None:
    body = msgspec.json.encode(value)
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request.connection.sendall(head.encode() + body)
