"""Pools as processes on the wire: what a kill and a stop leave of traces, faults, transfers and what VMs have changed about themselves."""

import base64
import http.client
import json
import random
import socket
import struct
import threading
import time
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.pools import start_site
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

MIB = 1 << 20


class Client:
    """A client of a pool's process: XML-RPC, transfers and ``/_sim/``."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        url = urlsplit(pool.url)
        self.address = (url.hostname or "", url.port or 0)
        self.session = self.raw("session.login_with_password", pool.username, pool.password)
        self.vm = self.call("VM.get_by_uuid", pool.vms[0].uuid)

    def raw(self, method: str, *params: Any) -> Any:
        with xmlrpc.client.ServerProxy(self.pool.url) as proxy:
            answer: Any = getattr(proxy, method)(*params)
        assert answer["Status"] == "Success", answer
        return answer["Value"]

    def call(self, method: str, *params: Any) -> Any:
        return self.raw(method, self.session, *params)

    def sim(self, path: str, order: Any = None) -> Any:
        data = None if order is None else json.dumps(order).encode()
        with urllib.request.urlopen(f"{self.pool.url}/_sim/{path}", data, timeout=60) as answer:
            return json.load(answer)

    def disk(self) -> str:
        (vbd,) = [ref for ref in self.call("VM.get_VBDs", self.vm) if self.call("VBD.get_type", ref) == "Disk"]
        return str(self.call("VBD.get_VDI", vbd))

    def new_disk(self, size_bytes: int = 64 * MIB) -> str:
        record = {"type": "user", "sharable": False, "read_only": False, "other_config": {}, "name_label": "new"}
        sr = self.call("SR.get_by_uuid", self.pool.srs[0].uuid)
        return str(self.call("VDI.create", record | {"SR": sr, "virtual_size": str(size_bytes)}))

    def begin(self, line: str, **args: str) -> socket.socket:
        """A transfer that has been answered with 200."""
        connection = socket.create_connection(self.address, timeout=30)
        connection.sendall(f"{line}?{urlencode({'session_id': self.session} | args)} HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
        return connection


@pytest.fixture
def pool() -> Iterator[Pool]:
    """A pool with a UEFI guest that writes."""
    vm = VmConfig(
        name_label="vm",
        firmware="uefi",
        vtpm=True,
        NVRAM={"EFI-variables": base64.b64encode(b"v" * 600).decode()},
        disks=[DiskConfig(size_bytes=1024 * MIB, allocated_bytes=8 * MIB)],
        guest=GuestConfig(kind="blocks", rate=1 * MIB, span=512 * MIB),
    )
    with start_site(SiteConfig(pools=[PoolConfig(name="one", vms=[vm])])) as site:
        yield site.pools[0]


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def chunk(offset: int, data: bytes) -> bytes:
    return struct.pack("<QI", offset, len(data)) + data


def test_a_running_vm_changes_its_own_state(pool: Pool) -> None:
    """As clients see it; what it was last outlives the pool's process, and a halted VM changes nothing."""
    client = Client(pool)

    def seen() -> tuple[str | None, str, str]:
        record = client.call("VM.get_record", client.vm)
        contents = client.call("VTPM.get_contents", record["VTPMs"][0])
        return record["platform"].get("timeoffset"), record["NVRAM"]["EFI-variables"], contents

    first = seen()
    until(lambda: all(one != two for one, two in zip(first, seen(), strict=True)))
    running = seen()
    client.call("VM.clean_shutdown", client.vm)
    last = seen()
    assert all(one != two for one, two in zip(running, last, strict=True)), "not once more at the end"
    (shown,) = client.sim("state")["vms"]
    assert (shown["platform"]["timeoffset"], shown["NVRAM"]["EFI-variables"]) == last[:2]
    power = client.sim("trace")["power"]
    assert [entry["power_state"] for entry in power][-2:] == ["Running", "Halted"]
    assert power[-1]["own_state"] == shown["own_state"] != power[-2]["own_state"]
    pool.restart()
    client = Client(pool)
    time.sleep(2.5)
    assert seen() == last
    assert client.sim("state")["vms"][0]["own_state"] == shown["own_state"]


def test_the_trace_survives_a_kill(pool: Pool) -> None:
    """Calls, transfers and power states, with their numbers, which go on. What had not ended is not in it."""
    client = Client(pool)
    vdi = client.new_disk()
    with client.begin("PUT /import_raw_vdi", vdi=vdi, chunked="1") as connection:
        connection.sendall(chunk(0, b"x" * MIB) + bytes(12))
        connection.recv(1 << 20)
        until(lambda: client.sim("trace")["transfers"])
    with client.begin("PUT /import_raw_vdi", vdi=vdi, chunked="1") as connection:
        before = client.sim("trace")
        pool.restart()
    client = Client(pool)
    after = client.sim("trace")
    for kind in ("calls", "transfers", "power"):
        assert after[kind][: len(before[kind])] == before[kind]
    assert [entry["number"] for entry in after["calls"]][-1] == after["number"] > before["number"]
    assert after["transfers"] == before["transfers"]
    assert [entry["power_state"] for entry in after["power"]] == ["Halted", "Running"]
    client.call("VM.hard_shutdown", client.vm)
    client.call("VM.start", client.vm, True, False)
    later = client.sim(f"trace?since={after['number']}")["power"]
    assert [(entry["vm"], entry["power_state"]) for entry in later] == [
        (pool.vms[0].uuid, "Halted"),
        (pool.vms[0].uuid, "Paused"),
    ]
    assert before["power"][-1]["time"] < later[0]["time"] <= later[1]["time"] <= time.time()


@pytest.mark.parametrize("end", ["restart", "stop"])
def test_what_hangs_does_not_keep_a_pool_from_ending(pool: Pool, end: str) -> None:
    """Neither calls nor transfers; none of them happens after all, and a pool that runs again has no faults."""
    client = Client(pool)
    vdi = client.new_disk()
    for match, at in (("VM.set_name_label", 0), ("SR.scan", 0), ("import_raw_vdi", 12 + MIB), ("export_raw_vdi", 5000)):
        client.sim("faults", {"kind": "hang", "match": match, "at": at})
    client.sim("faults", {"kind": "corrupt", "match": "import_raw_vdi", "at": 100, "times": 9})
    client.call("Async.SR.scan", client.call("SR.get_by_uuid", pool.srs[0].uuid))
    snapshot = client.call("VDI.snapshot", client.disk())
    with (
        client.begin("PUT /import_raw_vdi", vdi=vdi, chunked="1") as upload,
        client.begin("GET /export_raw_vdi", vdi=snapshot, format="vhd") as download,
        closing(http.client.HTTPConnection(*client.address, timeout=30)) as call,
    ):
        upload.sendall(chunk(0, b"x" * MIB) + chunk(MIB, b"y" * MIB) + bytes(12))
        body = xmlrpc.client.dumps((client.session, client.vm, "renamed"), "VM.set_name_label")
        call.request("POST", "/", body)
        until(lambda: [fault["left"] for fault in client.sim("faults")["faults"]] == [0, 0, 0, 0, 8])
        begun = time.monotonic()
        getattr(pool, end)()
        assert time.monotonic() - begun < 8
        if end == "stop":
            assert (pool.directory / "log").read_text() == ""
            pool.start()
            pool.wait_ready()
        for connection in (upload, download, call.sock):
            assert connection is not None
            _drain(connection)
    client = Client(pool)
    assert client.sim("faults")["faults"] == []
    assert client.call("VM.get_name_label", client.vm) == "vm"
    data = random.Random(1).randbytes(MIB)
    with client.begin("PUT /import_raw_vdi", vdi=client.new_disk(), chunked="1") as connection:
        connection.sendall(chunk(0, data) + bytes(12))
        _drain(connection)
    assert client.sim("trace")["transfers"][-1]["error"] is None


def _drain(connection: socket.socket) -> None:
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionResetError:
        return  # how the connections of a killed process may end


def test_an_hour_of_writing_passes_in_a_moment(pool: Pool) -> None:
    """256 MiB at once, while a snapshot is exported: the export does not change, and the pool goes on answering."""
    client = Client(pool)
    disk = client.disk()
    client.sim("guest", {"vm": pool.vms[0].uuid, "stop": True, "write": 32 * MIB})
    snapshot = client.call("VDI.snapshot", disk)
    uuid = client.call("VDI.get_uuid", snapshot)
    before = next(vdi["hash"] for vdi in client.sim(f"state?hash=1&vdi={uuid}")["vdis"] if vdi["uuid"] == uuid)
    done: list[Any] = []
    client.sim("faults", {"kind": "hang", "match": "export_raw_vdi", "at": 4 * MIB})
    with client.begin("GET /export_raw_vdi", vdi=snapshot, format="vhd") as connection:
        order = {"vm": pool.vms[0].uuid, "write": 256 * MIB}
        writer = threading.Thread(target=lambda: done.append(client.sim("guest", order)))
        begun = time.monotonic()
        writer.start()
        client.call("VM.get_record", client.vm)
        client.sim("faults", {"clear": True})
        received = 0
        while data := connection.recv(1 << 20):
            received += len(data)
        writer.join()
        print(f"256 MiB written in {time.monotonic() - begun:.1f} s beside an export of {received >> 20} MiB")
    assert done[0]["written"] == 256 * MIB
    assert received > 32 * MIB
    shown = client.sim(f"state?hash=1&vdi={uuid}")["vdis"]
    assert next(vdi["hash"] for vdi in shown if vdi["uuid"] == uuid) == before
    client.sim("guest", {"vm": pool.vms[0].uuid, "rate": 200 * MIB})
    begun, first = time.monotonic(), client.sim(f"guest?vm={pool.vms[0].uuid}")["bytes"]
    time.sleep(1)
    rate = (client.sim(f"guest?vm={pool.vms[0].uuid}")["bytes"] - first) / (time.monotonic() - begun)
    print(f"asked for 200 MiB/s: {rate / MIB:.0f} MiB/s")
    assert rate > 20 * MIB


def test_a_kill_leaves_logs_of_changes_and_the_vbds_of_nbd(pool: Pool) -> None:
    """The guest's writes are listed all the same. A VBD that was left has to be unplugged and destroyed before the disk can go."""
    client = Client(pool)
    disk = client.disk()
    client.call("VDI.enable_cbt", disk)
    first = client.call("VDI.snapshot", disk)
    network = next(ref for ref, row in client.call("network.get_all_records").items() if row["PIFs"])
    client.call("network.add_purpose", network, "insecure_nbd")
    (info,) = client.call("VDI.get_nbd_info", first)
    assert f"{info['address']}:{info['port']}" == pool.ready.nbd
    with open_nbd(info):
        client.sim("guest", {"vm": pool.vms[0].uuid, "write": 8 * MIB})
        pool.restart()
    client = Client(pool)
    client.call("VM.hard_shutdown", client.vm)
    assert sum(map(int.bit_count, base64.b64decode(client.call("VDI.list_changed_blocks", first, disk)))) > 50
    (left,) = client.sim("state")["dom0_vbds"]
    assert (left["vdi"], left["mode"], left["currently_attached"]) == (client.call("VDI.get_uuid", first), "RO", True)
    vbd = client.call("VBD.get_by_uuid", left["uuid"])
    client.call("VBD.unplug", vbd)
    client.call("VBD.destroy", vbd)
    client.call("VDI.destroy", first)


def test_a_crash_of_the_host_breaks_its_connections(pool: Pool) -> None:
    """Of transfers both ways, and of calls; the next ones need another session."""
    client = Client(pool)
    network = next(ref for ref, row in client.call("network.get_all_records").items() if row["PIFs"])
    client.call("network.add_purpose", network, "insecure_nbd")
    vdi = client.new_disk()
    (info,) = client.call("VDI.get_nbd_info", vdi)
    with open_nbd(info) as nbd, client.begin("PUT /import_raw_vdi", vdi=client.new_disk(), chunked="1") as upload:
        client.sim("host", {"host": pool.hosts[0].uuid, "crash": True})
        for connection in (nbd, upload):
            _drain(connection)
    until(lambda: len(client.sim("trace")["transfers"]) == 2)
    again = Client(pool)
    assert again.session != client.session
    assert again.call("VM.get_power_state", again.vm) == "Halted"
    assert again.sim("state")["dom0_vbds"] == []
    again.call("VM.start", again.vm, False, False)


def open_nbd(info: dict[str, Any]) -> socket.socket:
    """A connection that has the disk open."""
    connection = socket.create_connection((info["address"], int(info["port"])), timeout=30)
    name = info["exportname"].encode()
    connection.sendall(struct.pack(">IQII", 1, 0x49484156454F5054, 1, len(name)) + name)
    left = 18 + 134  # the greeting, and what describes the export
    while left and (data := connection.recv(left)):
        left -= len(data)
    assert left == 0
    return connection
