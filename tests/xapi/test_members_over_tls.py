"""Hosts of a pool beside the configured one, over TLS: believed by whose word, and remembered. Of a release whose master tells nothing."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.pools import control, start_site
from tests.xapi.test_directory import make_vdi
from xo_warmig.errors import PoolError
from xo_warmig.model.servers import ServerCredentials, ServerState
from xo_warmig.simulator.launch import Pool as SimulatedPool
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import PoolConfig, SiteConfig
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.trust import fingerprint_of_pem, place_of

ServerOf = Callable[..., ServerCredentials]
LOG_IN = "session.login_with_password"


@pytest.fixture
def old(request: pytest.FixtureRequest) -> Iterator[SimulatedPool]:
    """Two hosts of a release before 8.2, which has no class of certificates."""
    with start_site(SiteConfig(pools=[PoolConfig(name="old", release="7.6", https=True, hosts=2)])) as site:
        yield site.pools[0]


def shown_by(pool: SimulatedPool, host: int) -> str:
    """The fingerprint of its certificate."""
    fingerprint = fingerprint_of_pem((pool.directory / f"xapi-ssl-{pool.hosts[host].address}.pem").read_text())
    assert fingerprint is not None
    return fingerprint


def place(pool: SimulatedPool, host: int) -> str:
    return place_of(pool.hosts[host].address, pool.config.port)


def url_of(pool: SimulatedPool, host: int) -> str:
    return f"https://{pool.hosts[host].address}:{pool.config.port}"


def give_other_certificate(pool: SimulatedPool, host: int) -> None:
    pool.kill()
    (pool.directory / f"xapi-ssl-{pool.hosts[host].address}.pem").unlink()
    pool.restart()


def log_ins(pool: SimulatedPool) -> list[str | None]:
    """The codes of their errors."""
    return [call["error"] for call in control(pool, "trace")["calls"] if call["method"] == LOG_IN]


@asynccontextmanager
async def connected(server: ServerCredentials) -> AsyncIterator[Directory]:
    """As a new process of ours. Raises PoolError."""
    directory = Directory()
    try:
        await directory.add(server)
        await directory.connect(server.id)
        yield directory
    finally:
        await directory.close()


def as_kept(server: ServerCredentials, state: ServerState) -> dict[str, Any]:
    """What is stored of a connection."""
    return {"fingerprint": state.fingerprint, "pins": state.pins, "allow_unauthorized": server.allow_unauthorized}


async def test_a_member_leads_to_its_master_over_tls(old: SimulatedPool, server_of: ServerOf) -> None:
    """HOST_IS_SLAVE is followed; where unknown hosts are allowed, both are pinned, and remembered."""
    server = server_of(old, host=url_of(old, 1), allow_unauthorized=True)
    async with connected(server) as directory:
        state = directory.state("old")
        assert state.fingerprint == shown_by(old, 1)
        assert state.pins == {place(old, 0): shown_by(old, 0)}
        assert state.encryption is not None
        assert (state.encryption.protocol, state.encryption.forward_secrecy) == ("TLSv1.2", False)
    kept = as_kept(server, state) | {"allow_unauthorized": False}
    async with connected(server_of(old, host=url_of(old, 1), **kept)) as directory:
        assert directory.state("old").pins == state.pins
    give_other_certificate(old, 0)
    before = len(log_ins(old))
    with pytest.raises(PoolError) as caught:
        async with connected(server_of(old, host=url_of(old, 1), **as_kept(server, state))):
            pass
    assert caught.value.code == "CERTIFICATE_CHANGED"
    assert caught.value.evidence["host"] == old.hosts[0].address
    assert log_ins(old)[before:] == ["HOST_IS_SLAVE"]


async def test_a_thumbprint_that_was_given_says_nothing_of_the_master(old: SimulatedPool, server_of: ServerOf) -> None:
    """A member that shows it is believed; the master that it names has to be known, too, before it is told the password."""
    with pytest.raises(PoolError) as caught:
        async with connected(server_of(old, host=url_of(old, 1), fingerprint=shown_by(old, 1))):
            pass
    assert (caught.value.code, caught.value.evidence["host"]) == ("CERTIFICATE_UNKNOWN", old.hosts[0].address)
    assert log_ins(old) == ["HOST_IS_SLAVE"]
    pins = {place(old, 0): shown_by(old, 0)}
    async with connected(server_of(old, host=url_of(old, 1), fingerprint=shown_by(old, 1), pins=pins)) as directory:
        assert directory.state("old").master == old.hosts[0].uuid


async def test_another_thumbprint_than_the_given_one_is_told_nothing(old: SimulatedPool, server_of: ServerOf) -> None:
    """Not even the password, whatever is allowed."""
    given = {"fingerprint": shown_by(old, 0), "allow_unauthorized": True}
    with pytest.raises(PoolError) as caught:
        async with connected(server_of(old, host=url_of(old, 1), **given)):
            pass
    assert caught.value.code == "CERTIFICATE_CHANGED"
    for fingerprint in (shown_by(old, 0), shown_by(old, 1)):
        assert fingerprint in caught.value.message
    assert log_ins(old) == []


async def test_a_host_that_speaks_old_tls_alone_has_to_be_pinned(server_of: ServerOf) -> None:
    """Without, it is not spoken to at all, and what to do is said; the log-in is not tried again by itself."""
    with start_site(SiteConfig(pools=[PoolConfig(name="oldest", release="6.5", https=True)])) as site:
        (pool,) = site.pools
        with pytest.raises(PoolError) as caught:
            async with connected(server_of(pool)):
                pass
        assert caught.value.code == "TLS_TOO_OLD"
        assert "unauthorized" in caught.value.remedy
        async with connected(server_of(pool, fingerprint=shown_by(pool, 0))) as directory:
            found = directory.state("oldest").encryption
            assert found is not None
            assert found.protocol == "TLSv1"


async def test_a_member_that_was_met_is_remembered(old: SimulatedPool, server_of: ServerOf) -> None:
    """By its storage: after a restart of ours it is asked with the certificate that it had, and refused with another."""
    sr = old.srs[2].uuid  # the second host's own
    server = server_of(old, allow_unauthorized=True)
    async with connected(server) as directory:
        pool = await directory.pool_of_sr(sr)
        assert directory.state("old").pins == {}
        vdi = await make_vdi(pool, sr)
        await write(pool, vdi)
        state = directory.state("old")
        assert state.pins == {place(old, 1): shown_by(old, 1)}
    give_other_certificate(old, 1)
    async with connected(server_of(old, **as_kept(server, state))) as directory:
        with pytest.raises(PoolError) as caught:
            await write(await directory.pool_of_sr(sr), vdi)
        assert caught.value.code == "CERTIFICATE_CHANGED"
        assert caught.value.evidence["pinned"] == state.pins[place(old, 1)]
        assert caught.value.evidence["seen"] == shown_by(old, 1)
    async with connected(server) as directory:  # removed and added again
        await write(await directory.pool_of_sr(sr), vdi)


async def write(pool: Pool, vdi: str) -> None:
    imported = await pool.open_import(vdi)
    imported.stream.writev([bytes(12)])
    await imported.finish()


async def test_members_that_the_master_tells_of_are_not_kept(server_of: ServerOf) -> None:
    """Since 8.2: so a certificate that was replaced there is believed after a restart of ours."""
    with start_site(SiteConfig(pools=[PoolConfig(name="new", https=True, hosts=2)])) as site:
        assert await pins_of_a_migration(site, server_of) == {}


async def pins_of_a_migration(site: Site, server_of: ServerOf) -> dict[str, str]:
    pool, sr = site.pools[0], site.pools[0].srs[2].uuid
    async with connected(server_of(pool, allow_unauthorized=True)) as directory:
        found = await directory.pool_of_sr(sr)
        await write(found, await make_vdi(found, sr))
        return directory.state(pool.name).pins
