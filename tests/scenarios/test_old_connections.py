"""From the oldest release, in the ways that it can be spoken to: everything arrives, and the operator sees what is weak about it."""

from typing import Any

import pytest

from tests.pools import tiny_vm
from tests.scenarios.conftest import World, Worlds
from tests.scenarios.test_migration import hashes
from tests.scenarios.waiting import ended
from xo_warmig.simulator.launch import Pool

WEAK_IN_TLS = ["OLD_TLS", "NO_FORWARD_SECRECY", "WEAK_HOST_KEY"]
WEAK_IN_CLEAR = ["POOL_IN_CLEAR"]
WEAK = set(WEAK_IN_TLS + WEAK_IN_CLEAR)


async def server_of(world: World, pool: Pool) -> dict[str, Any]:
    """As ``server.getAll`` has it."""
    (found,) = [each for each in await world.client.call("server.getAll") if each["host"] == pool.url]
    return dict(found)


@pytest.mark.parametrize(
    ("https", "expected"), [(True, WEAK_IN_TLS), (False, WEAK_IN_CLEAR)], ids=["TLS 1.0", "plain HTTP"]
)
async def test_a_vm_leaves_a_pool_of_6_5(worlds: Worlds, https: bool, expected: list[str]) -> None:
    """Every byte arrives on a pool of today; plan, servers and report tell what is weak about the way, and of whom."""
    async with worlds(
        vms=[tiny_vm("web-1")], source={"release": "6.5", "https": https}, target={"https": True}
    ) as world:
        old, new = await server_of(world, world.source), await server_of(world, world.target)
        assert [each["code"] for each in old["weaknesses"]] == expected
        assert new["weaknesses"] == []
        assert new["encryption"]["protocol"] == "TLSv1.2"
        assert old["encryption"] == (OF_6_5 if https else {"protocol": "none"})
        assert ("fingerprint" in old) is https

        findings = (await world.plan(startDestinationVm=False))["findings"]
        weak = [each for each in findings if each["code"] in WEAK]
        assert [each["code"] for each in weak] == expected
        for each in weak:
            assert (each["severity"], each["needsForce"], each["object"]) == ("warning", False, old["poolId"])
            assert "intel-pool" in each["message"]
            assert each["remedy"]

        target = await world.migrate(startDestinationVm=False)
        report = await ended(world)
        assert report["phase"] == "done", report["error"]
        assert [each["code"] for each in report["warnings"] if each["code"] in WEAK] == expected
        assert await hashes(world, world.source, world.vm) == await hashes(world, world.target, target)


OF_6_5 = {"protocol": "TLSv1", "cipher": "AES256-SHA", "keyType": "RSA", "keyBits": 1024, "signatureHash": "sha256"}
