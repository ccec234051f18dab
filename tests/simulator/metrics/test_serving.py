"""``GET /rrd_updates`` of a simulated host."""

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from xo_warmig.model.units import MIB
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig
from xo_warmig.simulator.world_vms import build_vm

WROTE = 5 * MIB
Address = tuple[str, int]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


@pytest.fixture
def pool(new_pool: Callable[..., SimPool], request: pytest.FixtureRequest) -> SimPool:
    """Of the newest release, unless a test asks for another; it takes its readings when it is told to."""
    pool = new_pool(release=getattr(request, "param", "8.3"))
    pool.metrics.stop()
    return pool


@pytest.fixture
def running(pool: SimPool) -> str:
    """A VM with two disks, whose guest writes to the first one when it is told to; its uuid."""
    disks = [DiskConfig(size_bytes=32 * MIB)] * 2
    ref = build_vm(pool, VmConfig(name_label="vm", disks=disks, guest=GuestConfig(kind="blocks", rate=0, disks=[0])))
    at = int(time.time()) // 5 * 5
    pool.metrics.record(at - 5, 5.0)
    pool.guests.write_now(ref, WROTE)
    pool.metrics.record(at, 5.0)
    return str(pool.db.field("VM", ref, "uuid"))


@pytest.fixture
def ask(pool: SimPool, server: Address) -> Callable[..., Answer]:
    """A request with a session; arguments of None are left out."""
    session = pool.sessions.login("root", "tests", pool.master)

    def asked(headers: dict[str, str] | None = None, **arguments: Any) -> Answer:
        query = {"session_id": session, "start": "0", "cf": "AVERAGE", "interval": "5"} | arguments
        with closing(http.client.HTTPConnection(*server, timeout=10)) as connection:
            pairs = "&".join(f"{name}={value}" for name, value in query.items() if value is not None)
            connection.request("GET", f"/rrd_updates?{pairs}", headers=headers or {})
            answer = connection.getresponse()
            heads = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, heads, answer.read().decode())

    return asked


def test_what_a_guest_wrote_stands_there(running: str, ask: Callable[..., Answer]) -> None:
    """Bytes per second of each disk, as XML or, where it is asked for, JSON."""
    answer = ask(start=str(int(time.time()) - 500), vm_uuid=running)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    assert f"<entry>AVERAGE:vm:{running}:vbd_xvda_write</entry>" in answer.body
    assert f"<v>{MIB}</v><v>0.0</v>" in answer.body
    answer = ask(start=str(int(time.time()) - 500), json="true")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body)["data"][0]["values"] == [str(MIB), "0.0"]
    assert json.loads(ask({"Accept": "application/json"}).body)["meta"]["step"] == 60


@pytest.mark.parametrize("pool", ["6.5", "8.2"], indirect=True)
def test_older_releases_know_json_of_their_own(running: str, ask: Callable[..., Answer]) -> None:
    """And no header that asks for it."""
    answer = ask({"Accept": "application/json"})
    assert (answer.headers["content-type"], answer.body[:5]) == ("text/xml", "<?xml")
    answer = ask(json="true")
    assert "content-type" not in answer.headers
    assert answer.body.startswith("{meta: {start:")


def test_what_is_refused(running: str, ask: Callable[..., Answer]) -> None:
    """Without a session, without a time, and of a VM that is not there."""
    assert ask(session_id="OpaqueRef:none").status == 401
    assert ask(start=None).status == 400
    assert ask(start="then").status == 500
    assert ask(vm_uuid="another").status == 500
    assert ask(cf="MIN").status == 500


def test_a_vm_that_went_away_has_no_figures(pool: SimPool, running: str, ask: Callable[..., Answer]) -> None:
    """Its host keeps none."""
    pool.guests.stop_all()
    pool.metrics.record(int(time.time()) // 5 * 5 + 5, 5.0)
    assert ask(vm_uuid=running).status == 500
