"""Disks in the control domain, as transfers have them."""

import threading
import time
from typing import Any

import pytest

from xo_warmig.simulator.attach import attached
from xo_warmig.simulator.failure import XapiFailure

RECORD = {"type": "user", "sharable": False, "read_only": False, "other_config": {}, "virtual_size": "4194304"}


@pytest.fixture
def vdi(client: Any, pool: Any) -> str:
    return str(client("VDI.create", RECORD | {"SR": pool.db.row("pool", pool.pool_ref)["default_SR"]}))


def test_the_disk_is_seen_in_dom0_for_as_long(pool: Any, client: Any, vdi: str) -> None:
    """A plugged VBD, a key of the host, and no destruction meanwhile; nothing of it afterwards."""
    with attached(pool, vdi, pool.master, "RW") as vbd:
        row = pool.db.row("VBD", vbd)
        assert (row["VM"], row["mode"], row["currently_attached"]) == (pool.dom0(pool.master), "RW", True)
        assert pool.db.row("VDI", vdi)["sm_config"] == {f"host_{pool.master}": "RW"}
        with pytest.raises(XapiFailure, match="VDI_IN_USE"):
            client("VDI.destroy", vdi)
    assert not pool.db.exists("VBD", vbd)
    assert pool.db.row("VDI", vdi)["sm_config"] == {}
    client("VDI.destroy", vdi)


def test_an_error_inside_lets_go_as_well(pool: Any, vdi: str) -> None:
    """Whatever went wrong."""
    with pytest.raises(OSError, match="cut"), attached(pool, vdi, pool.master, "RO"):
        raise OSError("cut")
    assert pool.db.row("VDI", vdi)["VBDs"] == []


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [("RO", "RO", ""), ("RW", "RO", ""), ("RW", "RW", ""), ("RO", "RW", "INTERNAL_ERROR")],
)
def test_two_at_once_on_one_host(pool: Any, vdi: str, first: str, second: str, code: str) -> None:
    """Reading is no trouble beside anything, and nobody keeps two from writing; a reader's disk is not made writable."""
    with attached(pool, vdi, pool.master, first):
        if code:
            with pytest.raises(XapiFailure, match=code), attached(pool, vdi, pool.master, second):
                raise AssertionError("attached")
        else:
            with attached(pool, vdi, pool.master, second):
                assert len(pool.db.row("VDI", vdi)["VBDs"]) == 2
            assert pool.db.row("VDI", vdi)["sm_config"] == {f"host_{pool.master}": first}


def test_what_cannot_be_attached(pool: Any, vdi: str) -> None:
    """Hidden images, disks of other kinds, read-only ones for writing."""
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"managed": False}, "RO", "VDI_NOT_MANAGED"),
        ({"type": "cbt_metadata"}, "RO", "VDI_INCOMPATIBLE_TYPE"),
    ]
    for fields, mode, code in [*cases, ({"read_only": True}, "RW", "VDI_READONLY")]:
        before = {name: pool.db.row("VDI", vdi)[name] for name in fields}
        pool.db.set("VDI", vdi, **fields)
        with pytest.raises(XapiFailure, match=code), attached(pool, vdi, pool.master, mode):
            raise AssertionError("attached")
        pool.db.set("VDI", vdi, **before)
    assert pool.db.row("VDI", vdi)["VBDs"] == []


def test_the_vbd_lingers(pool: Any, vdi: str) -> None:
    """For a moment after the transfer, which is when clients trip over it."""
    done = threading.Event()

    def transfer() -> None:
        with attached(pool, vdi, pool.master, "RO", linger_seconds=0.2):
            done.set()

    thread = threading.Thread(target=transfer)
    thread.start()
    assert done.wait(10)
    time.sleep(0.02)
    assert len(pool.db.row("VDI", vdi)["VBDs"]) == 1
    thread.join(10)
    assert pool.db.row("VDI", vdi)["VBDs"] == []


def test_a_client_may_be_quicker(pool: Any, client: Any, vdi: str) -> None:
    """While the disk is open nobody takes it; one that unplugs and destroys the VBD after that leaves nothing to do."""
    opened, ended = threading.Event(), threading.Event()
    vbds: list[str] = []

    def transfer() -> None:
        with attached(pool, vdi, pool.master, "RO", linger_seconds=1.0) as vbd:
            vbds.append(vbd)
            opened.set()
            ended.wait(10)

    thread = threading.Thread(target=transfer)
    thread.start()
    opened.wait(10)
    with pytest.raises(XapiFailure, match="DEVICE_DETACH_REJECTED"):
        client("VBD.unplug", vbds[0])
    ended.set()
    while vbds[0] in pool.open_vbds:
        time.sleep(0.01)
    client("VBD.unplug", vbds[0])
    client("VBD.destroy", vbds[0])
    thread.join()
    assert pool.db.row("VDI", vdi)["sm_config"] == {}


def test_a_busy_disk_is_waited_for(pool: Any, client: Any, vdi: str) -> None:
    """A transfer begins when the snapshot is done."""
    pool.db.set("VDI", vdi, current_operations={"OpaqueRef:task": "snapshot"})
    timer = threading.Timer(0.1, lambda: pool.db.set("VDI", vdi, current_operations={}))
    timer.start()
    started = time.monotonic()
    with attached(pool, vdi, pool.master, "RO"):
        assert time.monotonic() - started >= 0.05
    timer.join()
