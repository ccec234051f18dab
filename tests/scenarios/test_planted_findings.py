"""Findings that are planted in real records: what the plan says of pools that it has read over the wire, code by code.

That each code follows from what it should is a matter of values (tests/replication/test_findings.py); here it is seen that the records of
a pool say what those values say. One pair of pools holds many VMs, and each is planned once.
"""

import asyncio
from collections.abc import Mapping

from tests.scenarios.conftest import World, Worlds
from tests.scenarios.older_plants import MAKER, MIDDLE_PLANTS, MIDDLE_VMS, OLD_PLANTS, OLD_VMS
from tests.scenarios.planting import Bench, Plant, vm
from tests.scenarios.plants import ENDLESS, OTHER_SEED, PLANTS, SEED, VMS
from tests.scenarios.test_findings import ERRORS, NOTES, WARNINGS
from xo_warmig.model.finding_codes import CODES
from xo_warmig.model.rates import WrittenRates

# Planted in tests/scenarios/test_findings.py.
ELSEWHERE = ERRORS | WARNINGS | NOTES | {"NO_HOST_HAS_MEMORY"}
# What no simulated pool's records say: shown by values alone.
BY_HAND: Mapping[str, str] = {
    "CLOCK_SKEW": "all simulated hosts have this machine's clock",
    "COPY_NOT_REUSED": "follows from what the store knows of an earlier attempt: tests/engine/test_adoption.py",
    "COPY_REUSED": "follows from what the store knows of an earlier attempt: tests/engine/test_adoption.py",
    "WEAK_CERTIFICATE_SIGNATURE": "this library makes no certificates with SHA-1: tests/model/test_encryption.py",
}


def test_every_code_is_planted_or_said_to_be_shown_by_hand() -> None:
    """So a new one is put on one side, and none is on two."""
    planted = ELSEWHERE.union(*(plant.codes.split() for plant in (*PLANTS, *OLD_PLANTS, *MIDDLE_PLANTS)))
    assert planted | BY_HAND.keys() == CODES.keys()
    assert not planted & BY_HAND.keys()


async def missing(world: World, plants: list[Plant]) -> dict[str, list[str]]:
    """Codes that a plan was to tell and did not, with those that it told."""
    bench = await asyncio.to_thread(Bench, world.source, world.target)
    lacking = {}
    for plant in plants:
        await asyncio.to_thread(plant.plant, bench)
        asked = await asyncio.to_thread(plant.asked, bench)
        report = await world.plan(vm=bench.uuids[plant.vm], **asked)
        told = {finding["code"]: finding["severity"] for finding in report["findings"]}
        for code in plant.codes.split():
            if told.get(code) != str(CODES[code].severity):
                lacking[code] = sorted(told)
    return lacking


async def test_what_is_planted_in_a_pool_of_today_is_found(worlds: Worlds) -> None:
    """Each in the plan of the VM that has it."""
    rivals = [vm("rival", other_config=SEED), vm("idle", other_config=OTHER_SEED, vifs=0)]
    source = {"hosts": 2, "image_formats": ["vhd", "qcow2"], "gc_delay_seconds": 600.0, "superuser": False}
    licence = {f"restrict_{feature}": "true" for feature in ("vm_start", "vif_locking", "nested_virt")}
    target = {"hosts": 2, "second_sr_type": "nfs", "restrictions": licence, "vms": rivals, "delays": {"scan": ENDLESS}}
    async with worlds(VMS, source, target, rates={"amd-poll": WrittenRates(default="1GiB")}) as world:
        lacking = await missing(world, PLANTS)
        assert not lacking, lacking


async def test_what_is_planted_before_an_old_pool_is_found(worlds: Worlds) -> None:
    """The source serves NBD in clear, and its licence tracks no changes; the target is of 6.5."""
    source = {
        "https": True,
        "image_formats": ["vhd", "qcow2"],
        "nbd_purpose": "insecure_nbd",
        "restrictions": {"restrict_cbt": "true"},
    }
    target = {
        "https": True,
        "release": "6.5",
        "second_sr_type": "lvm",
        "lvm_vhd": False,
        "host_bios_strings": MAKER,
    }
    async with worlds(OLD_VMS, source, target) as world:
        lacking = await missing(world, OLD_PLANTS)
        assert not lacking, lacking


async def test_what_is_planted_between_two_pools_of_the_middle_is_found(worlds: Worlds) -> None:
    """From before the device model was replaced to a toolstack that asks a licence for the device of Windows Update."""
    target = {"release": "8.2", "restrictions": {"restrict_pci_device_for_auto_update": "true"}}
    async with worlds(MIDDLE_VMS, {"release": "7.1"}, target) as world:
        lacking = await missing(world, MIDDLE_PLANTS)
        assert not lacking, lacking
