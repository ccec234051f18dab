"""The side door for tests and demonstrations, over a pair of sockets."""

import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xo_warmig.simulator import control
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.request import HttpRequest
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig
from xo_warmig.simulator.storage import BLOCK

Ask = Callable[..., Any]


@pytest.fixture
def pool(new_pool: Callable[..., SimPool]) -> SimPool:
    """A pool with a running VM whose guest writes when it is told to."""
    disk = DiskConfig(size_bytes=8 * BLOCK, name_label="disk")
    vm = VmConfig(name_label="vm", disks=[disk], guest=GuestConfig(kind="blocks", rate=0, cluster=65536))
    return new_pool(vms=[vm])


@pytest.fixture
def ask(pool: SimPool) -> Ask:
    """``ask("GET", "state", hash="1")``: the answer's JSON. A body makes it fail unless the status is 200."""

    def ask(method: str, path: str, body: Any = None, status: int = 200, **args: str) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        ours, theirs = socket.socketpair()
        rfile = theirs.makefile("rb")
        request = HttpRequest(
            pool=pool,
            host=pool.master,
            method=method,
            path=f"/_sim/{path}",
            args=args,
            headers={"content-length": str(len(data))},
            rfile=rfile,
            connection=theirs,
            session=None,
        )
        with ours, theirs, rfile:
            ours.sendall(data)
            reader = threading.Thread(target=_serve, args=(request, theirs), daemon=True)
            reader.start()
            answer = b""
            while piece := ours.recv(1 << 20):
                answer += piece
            reader.join()
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert int(head.split()[1]) == status, answer
        return json.loads(rest)

    return ask


def _serve(request: HttpRequest, connection: socket.socket) -> None:
    control.serve(request)
    connection.shutdown(socket.SHUT_WR)


@pytest.fixture
def vm(pool: SimPool) -> str:
    """uuid of the VM."""
    (ref,) = pool.db.find("VM", name_label="vm")
    return str(pool.db.field("VM", ref, "uuid"))


@pytest.fixture
def vdi(pool: SimPool) -> str:
    """uuid of its disk."""
    (ref,) = pool.db.find("VDI", name_label="disk")
    return str(pool.db.field("VDI", ref, "uuid"))


def test_the_state_shows_vms_and_disks(ask: Ask, vm: str, vdi: str) -> None:
    """By uuid, with what a test of a migration looks at."""
    state = ask("GET", "state")
    (shown,) = [one for one in state["vms"] if one["uuid"] == vm]
    assert shown["power_state"] == "Running"
    assert [vbd["vdi"] for vbd in shown["vbds"] if vbd["type"] == "Disk"] == [vdi]
    (disk,) = [one for one in state["vdis"] if one["uuid"] == vdi]
    assert (disk["virtual_size"], disk["managed"], disk["chain"]) == (8 * BLOCK, True, [])
    assert state["dom0_vbds"] == []


def test_the_hash_is_as_documented(ask: Ask, pool: SimPool, vdi: str) -> None:
    """Size, then offset and data of each 64 KiB that is not zero; allocated zeros make no difference."""
    piece = b"x".ljust(65536, b"\0")
    with pool.storage.open(vdi, writable=True) as disk:
        disk.pwrite(3 * BLOCK + 65536, piece)
        disk.pwrite(5 * BLOCK, bytes(4096))
    want = hashlib.sha256(struct.pack("<Q", 8 * BLOCK) + struct.pack("<Q", 3 * BLOCK + 65536) + piece).hexdigest()
    raw = hashlib.sha256(bytes(3 * BLOCK + 65536) + piece + bytes(5 * BLOCK - 2 * 65536)).hexdigest()
    for kind, expected in (("1", want), ("raw", raw)):
        state = ask("GET", "state", hash=kind, vdi=vdi)
        assert [one["hash"] for one in state["vdis"] if one["uuid"] == vdi] == [expected]


def test_a_guest_writes_when_told(ask: Ask, vm: str, vdi: str, pool: SimPool) -> None:
    """And says what it has written."""
    assert ask("POST", "guest", {"vm": vm, "write": 3 * 65536})["written"] == 3 * 65536
    assert ask("POST", "guest", {"vm": vm, "write": None, "files": 2})["written"] == 2 * 65536
    shown = ask("GET", "guest", vm=vm)
    assert (shown["running"], shown["bytes"], shown["error"]) == (True, 5 * 65536, None)
    assert pool.storage.allocated_blocks(vdi) != []


def test_the_rate_is_changed_and_stopped(ask: Ask, vm: str) -> None:
    """Bytes a second."""
    assert ask("POST", "guest", {"vm": vm, "rate": 1000})["rate"] == 1000
    assert ask("POST", "guest", {"vm": vm, "stop": True})["rate"] == 0


def test_a_guest_that_halts_leaves_a_halted_vm(ask: Ask, vm: str) -> None:
    """As when somebody shuts it down from inside."""
    assert ask("POST", "guest", {"vm": vm, "halt": True})["running"] is False
    (shown,) = [one for one in ask("GET", "state")["vms"] if one["uuid"] == vm]
    assert shown["power_state"] == "Halted"


def test_faults_are_armed_shown_and_cleared(ask: Ask) -> None:
    """In both ways that there are to clear them."""
    for clear in (("DELETE", "faults"), ("POST", "faults", {"clear": True})):
        number = ask("POST", "faults", {"kind": "fail", "match": "VDI.snapshot", "at": 2})["number"]
        (armed,) = ask("GET", "faults")["faults"]
        assert (armed["number"], armed["order"]["match"], armed["left"]) == (number, "VDI.snapshot", 1)
        ask(*clear)
        assert ask("GET", "faults")["faults"] == []


def test_an_order_that_is_none_is_refused(ask: Ask) -> None:
    """With a word about what is wrong."""
    assert "kind" in ask("POST", "faults", {"kind": "explode", "match": "*"}, status=400)["error"]
    assert "times" not in ask("POST", "faults", {"knid": "fail"}, status=400)
    assert "UUID_INVALID" in ask("GET", "guest", vm="nobody", status=400)["error"]
    ask("GET", "nothing", status=404)


def test_an_image_is_a_sparse_file(ask: Ask, pool: SimPool, vdi: str, tmp_path: Path) -> None:
    """For tools that look at file systems."""
    with pool.storage.open(vdi, writable=True) as disk:
        disk.pwrite(BLOCK, b"data")
    path = tmp_path / "image.raw"
    ask("POST", "image", {"vdi": vdi, "path": str(path)})
    assert path.read_bytes() == bytes(BLOCK) + b"data" + bytes(7 * BLOCK - 4)
    assert path.stat().st_blocks * 512 < BLOCK


def test_space_can_be_taken(ask: Ask, pool: SimPool) -> None:
    """By something that is no disk."""
    sr = pool.db.row("pool", pool.pool_ref)["default_SR"]
    uuid = pool.db.field("SR", sr, "uuid")
    before = pool.space.free_bytes(sr)
    assert ask("POST", "space", {"sr": uuid, "used": 1 << 30})["free"] == before - (1 << 30)


def test_garbage_is_collected_now(ask: Ask, pool: SimPool, vdi: str) -> None:
    """Without waiting for the collector's own time."""
    with pool.storage.open(vdi, writable=True) as disk:
        disk.pwrite(0, b"x")
    pool.storage.snapshot(vdi, "snapshot", "base")
    pool.storage.destroy("snapshot")
    assert [step["kind"] for step in ask("POST", "collect")["steps"]] == ["leaf"]


def test_the_trace_can_be_asked_for_what_is_new(ask: Ask, pool: SimPool) -> None:
    """By the number of the last entry."""
    pool.trace.call("VM.start", [], 1.0, 2.0, True, None)
    number = ask("GET", "trace")["number"]
    assert ask("GET", "trace", since=str(number)) == {"number": number, "calls": [], "transfers": [], "power": []}


def test_a_host_crashes(ask: Ask, pool: SimPool, vm: str) -> None:
    """Its VM is halted, and sessions and tasks go with the master; the answer comes all the same."""
    (host,) = pool.db.rows("host").values()
    pool.sessions.login("root", "tests", pool.master)
    pool.tasks.create("task")
    assert ask("POST", "host", {"host": host["uuid"]}) == {"boot_time": "0."}
    assert ask("POST", "host", {"host": host["uuid"], "crash": True})["boot_time"] != "0."
    state = ask("GET", "state")
    assert [one["power_state"] for one in state["vms"] if one["uuid"] == vm] == ["Halted"]
    assert (state["sessions"], state["tasks"]) == (0, [])
    assert ask("GET", "trace")["power"][-1]["power_state"] == "Halted"
    ask("POST", "host", {"host": "nobody", "crash": True}, status=400)


def test_all_sessions_end(ask: Ask, pool: SimPool) -> None:
    """Whoever has them."""
    session = pool.sessions.login("root", "somebody", pool.master)
    assert ask("POST", "sessions", {"end": True})["ended"] >= 1
    assert not pool.sessions.valid(session)
    assert ask("POST", "sessions", {}) == {"ended": 0}


def test_a_record_says_what_no_call_sets(pool: SimPool, ask: Ask, vdi: str) -> None:
    """As the storage would, and new objects as the hardware would bring them."""
    ask("POST", "record", {"class": "VDI", "uuid": vdi, "fields": {"missing": True}})
    assert pool.db.field("VDI", pool.db.by_uuid("VDI", vdi), "missing") is True
    made = ask("POST", "record", {"class": "VMSS", "fields": {"name_label": "daily"}})
    assert pool.db.field("VMSS", made["ref"], "uuid") == made["uuid"]
    ask("POST", "record", {"class": "VDI", "uuid": "nobody", "fields": {}}, status=400)
