"""Sites as processes: what they say, what a kill leaves, and that nothing stays behind."""

import os
import signal
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from xo_warmig.errors import WarmigError
from xo_warmig.simulator.launch import Pool, Site, start_site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig, default_pools

MIB = 1 << 20

SMALL = VmConfig(
    name_label="small",
    disks=[DiskConfig(size_bytes=64 * MIB, allocated_bytes=4 * MIB)],
    guest=GuestConfig(kind="none"),
)


class Xapi:
    """A logged-in client of a pool, by Python's own XML-RPC alone."""

    def __init__(self, pool: Pool) -> None:
        self.proxy = xmlrpc.client.ServerProxy(pool.url)
        self.session = self.value(self.proxy.session.login_with_password(pool.username, pool.password))

    def value(self, answer: Any) -> Any:
        assert answer["Status"] == "Success", answer
        return answer["Value"]

    def __call__(self, method: str, *args: Any) -> Any:
        cls, name = method.split(".")
        return self.value(getattr(getattr(self.proxy, cls), name)(self.session, *args))

    def __enter__(self) -> "Xapi":
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy("close")()


@pytest.fixture
def site() -> Iterator[Site]:
    with start_site(SiteConfig(pools=[PoolConfig(name="one", vms=[SMALL])])) as site:
        yield site


def test_a_pool_says_what_is_in_it(site: Site) -> None:
    """One line of JSON for the whole site, by which clients find everything."""
    told = msgspec.json.decode(site.ready_line())["pools"][0]
    assert told["url"] == site.pools[0].url
    assert told["nbd"] == f"{site.pools[0].hosts[0].address}:10809"
    assert (told["username"], told["password"], told["release"]) == ("root", "password", "8.3")
    assert [(vm["name_label"], vm["power_state"]) for vm in told["vms"]] == [("small", "Running")]
    assert [sr["name_label"] for sr in told["srs"]] == ["Local storage", "Second storage", "ISO library"]
    assert "Pool-wide network associated with eth0" in [network["name_label"] for network in told["networks"]]
    with Xapi(site.pools[0]) as xapi:
        assert xapi("VM.get_by_uuid", told["vms"][0]["uuid"])


def test_a_killed_pool_comes_back_as_it_was(site: Site) -> None:
    """At the same address, with its VMs as they were; sessions and tasks are gone."""
    (pool,) = site.pools
    with Xapi(pool) as before:
        vm = before("VM.get_by_uuid", pool.vms[0].uuid)
        before("VM.set_name_label", vm, "renamed")
        before("task.create", "label", "")
        records, url, pid, old_session = before("VDI.get_all_records"), pool.url, pool.pid, before.session
        pool.kill()
        assert not pool.running
        pool.restart()
        answer: Any = before.proxy.VM.get_all(old_session)
        assert answer["ErrorDescription"] == ["SESSION_INVALID", old_session]
    assert (pool.url, pool.pid == pid) == (url, False)
    with Xapi(pool) as after:
        assert after("VM.get_name_label", vm) == "renamed"
        assert after("VM.get_power_state", vm) == "Running"
        assert after("task.get_all") == []
        assert set(after("VDI.get_all_records")) == set(records)


def test_a_site_with_a_directory_goes_on_the_next_time(tmp_path: Path) -> None:
    """What was done to it is still done."""
    config = SiteConfig(pools=[PoolConfig(name="one", vms=[SMALL])], directory=tmp_path)
    with start_site(config) as site, Xapi(site.pools[0]) as xapi:
        url = site.pools[0].url
        xapi("VM.hard_shutdown", xapi("VM.get_by_uuid", site.pools[0].vms[0].uuid))
    with start_site(config) as site:
        assert site.pools[0].url == url
        assert [vm.power_state for vm in site.pools[0].vms] == ["Halted"]


def test_the_same_seed_makes_the_same_pool() -> None:
    """Down to uuids and data; another name makes another pool."""
    pools = [PoolConfig(name="one", vms=[SMALL]), PoolConfig(name="two", vms=[SMALL])]
    uuids = []
    for _ in range(2):
        with start_site(SiteConfig(pools=pools)) as site:
            uuids.append([pool.vms[0].uuid for pool in site.pools])
    assert uuids[0] == uuids[1]
    assert uuids[0][0] != uuids[0][1]


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """Neither processes nor the temporary directory."""
    with start_site(SiteConfig(pools=[PoolConfig(name="one")])) as site:
        pid, directory = site.pools[0].pid, site.pools[0].directory
        assert directory.exists()
    assert not directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_pool_ends_with_the_process_that_started_it(site: Site) -> None:
    """Its standard input ends then."""
    process = site.pools[0]._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0


def test_a_signal_ends_a_pool_in_good_order(site: Site) -> None:
    """As the command line does."""
    os.kill(site.pools[0].pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while site.pools[0].running and time.monotonic() < end:
        time.sleep(0.01)
    assert not site.pools[0].running
    assert (site.pools[0].directory / "log").read_text() == ""


def test_pools_have_processors_between_which_nothing_moves() -> None:
    """That is what a warm migration is for."""
    with start_site(SiteConfig(pools=[msgspec.structs.replace(pool, vms=[]) for pool in default_pools()])) as site:
        vendors, networks = [], []
        for pool in site.pools:
            with Xapi(pool) as xapi:
                (host,) = xapi("host.get_all")
                vendors.append(xapi("host.get_cpu_info", host)["vendor"])
            networks.append({network.name_label: network.uuid for network in pool.networks})
    name = "Pool-wide network associated with eth0"
    assert vendors == ["GenuineIntel", "AuthenticAMD"]
    assert networks[0][name] != networks[1][name]


def test_a_pool_that_cannot_start_tells_why(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    config = PoolConfig(name="one", vms=[msgspec.structs.replace(SMALL, disks=[DiskConfig(sr=17)])])
    with pytest.raises(WarmigError, match="IndexError"), start_site(SiteConfig(pools=[config])):
        pytest.fail("it must not be ready")


def test_an_unknown_release_is_refused() -> None:
    """With those that there are."""
    with (
        pytest.raises(WarmigError, match=r"release 5\.0"),
        start_site(SiteConfig(pools=[PoolConfig(name="one", release="5.0")])),
    ):
        pytest.fail("it must not be ready")
