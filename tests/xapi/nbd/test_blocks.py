"""Where a disk's blocks are served, and how many connections go where."""

from typing import Any

import pytest

from tests.xapi.conftest import FakePool
from xo_warmig.errors import PoolUnreachable
from xo_warmig.model.nbd import NO_PURPOSE, RELEASE_WITHOUT_NBD
from xo_warmig.xapi.nbd.blocks import BlockServers


class Serving:
    """A pool with a disk, and block servers that ask it."""

    def __init__(self) -> None:
        self.pool = FakePool()
        self.vdi = self.pool.get("VDI", self.pool.add("VDI"))["uuid"]
        self.pool.add("network", purpose=["insecure_nbd"])
        connection: Any = self.pool
        self.servers = BlockServers(connection, {})


async def test_a_pool_says_whether_it_serves_a_disk() -> None:
    serving = Serving()
    serving.pool.handlers["VDI.get_nbd_info"] = lambda _: [
        {"address": "10.0.0.1", "port": "10809", "exportname": "/disk", "cert": "", "subject": "xen1"}
    ]
    assert await serving.servers.against(serving.vdi) == ""
    serving.pool.handlers["VDI.get_nbd_info"] = lambda _: []
    assert "purpose" in await serving.servers.against(serving.vdi)


@pytest.mark.parametrize(
    ("network", "told"),
    [({"purpose": ["nbd"]}, ""), ({"purpose": []}, NO_PURPOSE), ({}, RELEASE_WITHOUT_NBD)],
)
async def test_a_release_without_nbd_is_told_from_a_pool_that_has_it_off(network: dict[str, Any], told: str) -> None:
    """Its networks have no purposes at all, and nobody can give them one."""
    connection: Any = FakePool()
    connection.add("network", **network)
    assert await BlockServers(connection, {}).against_all() == told


@pytest.mark.parametrize(
    ("standings", "places"),
    [
        ([(True, True), (True, True)], ["10.0.0.1", "10.0.0.2"]),
        ([(True, True), (False, True)], ["10.0.0.1"]),
        ([(True, False), (True, True)], ["10.0.0.2"]),
        ([(True, False), (False, True)], ["10.0.0.1"]),
        ([(False, True), (False, False)], []),
    ],
)
async def test_hosts_that_are_down_are_not_dialled(standings: list[tuple[bool, bool]], places: list[str]) -> None:
    """A pool names them, too. Disabled ones are for where there are no others."""
    serving, infos = Serving(), []
    for number, (live, enabled) in enumerate(standings, 1):
        metrics = serving.pool.add("host_metrics", live=live)
        host = serving.pool.add("host", metrics=metrics, enabled=enabled)
        serving.pool.add("PIF", host=host, IP=f"10.0.0.{number}", IPv6=[])
        infos.append({"address": f"10.0.0.{number}", "port": "10809", "exportname": "/disk", "cert": ""})
    serving.pool.handlers["VDI.get_nbd_info"] = lambda _: infos
    assert [place.host for place in await serving.servers.places("ref")] == places


@pytest.mark.parametrize(
    ("code", "told"),
    [("MESSAGE_METHOD_UNKNOWN", "release"), ("HOST_OFFLINE", "HOST_OFFLINE"), ("RBAC_PERMISSION_DENIED", "RBAC")],
)
async def test_what_stands_against_it_is_no_failure(code: str, told: str) -> None:
    """A host of the pool that is down is enough for XAPI to refuse the question; exports do without."""
    serving = Serving()

    def refuse(_: str) -> None:
        raise serving.pool.failure(code, "what")

    serving.pool.handlers["VDI.get_nbd_info"] = refuse
    assert told in await serving.servers.against(serving.vdi)


async def test_a_pool_that_is_away_is_not_taken_for_one_that_does_not() -> None:
    serving = Serving()

    def away(_: str) -> None:
        raise PoolUnreachable("it does not answer")

    serving.pool.handlers["VDI.get_nbd_info"] = away
    with pytest.raises(PoolUnreachable):
        await serving.servers.against(serving.vdi)
