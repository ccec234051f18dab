"""A VM read from records, as XML-RPC brings them."""

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.errors import NoSuchObject
from xo_warmig.model.vm import GuestAddress, PowerState
from xo_warmig.xapi.reading import is_booted, read_networks, read_vm, was_started
from xo_warmig.xapi.records import Origin, as_json, has_tools

ORIGIN = Origin("pool-1", "lab", (2, 21))


@pytest.fixture
def surroundings(pool: Any) -> dict[str, str]:
    """An SR, and a network on a VLAN."""
    sr = pool.add("SR", name_label="local")
    network = pool.add("network", name_label="eth0", PIFs=[])
    pif = pool.add("PIF", VLAN="7")
    pool.get("network", network)["PIFs"] = [pif]
    return {"sr": sr, "network": network}


async def read(pool: Any, ref: str) -> Any:
    return await read_vm(pool, ORIGIN, pool.get("VM", ref)["uuid"])


async def test_a_vm_is_read_with_its_disks_in_order(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """By device number, not by text; integers are numbers again."""
    vm = make_vm()
    for device, size in (("10", "4194304"), ("2", "2097152")):
        make_vbd(vm, make_vdi(SR=surroundings["sr"], virtual_size=size), userdevice=device)
    found = await read(pool, vm)
    assert [(disk.device, disk.virtual_size_bytes) for disk in found.disks] == [("2", 2097152), ("10", 4194304)]
    assert {disk.sr for disk in found.disks} == {pool.get("SR", surroundings["sr"])["uuid"]}
    assert found.memory_static_max_bytes == 536870912
    assert (found.pool, found.pool_name, found.power_state) == ("pool-1", "lab", PowerState.RUNNING)


async def test_reading_takes_one_call_for_each_class(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """However many disks there are."""
    vm = make_vm()
    for device in range(10):
        make_vbd(vm, make_vdi(), userdevice=str(device))
    await read(pool, vm)
    assert len(pool.log) == 8


async def test_cd_drives_are_no_disks(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """What was inserted is named."""
    vm = make_vm()
    iso = make_vdi()
    make_vbd(vm, iso, userdevice="3", type="CD", mode="RO")
    make_vbd(vm, "OpaqueRef:NULL", userdevice="4", type="CD", empty=True, bootable=False)
    found = await read(pool, vm)
    assert found.disks == []
    assert [(drive.device, drive.inserted_vdi) for drive in found.cd_drives] == [
        ("3", pool.get("VDI", iso)["uuid"]),
        ("4", None),
    ]
    assert [drive.bootable for drive in found.cd_drives] == [True, False]


async def test_a_vtpm_may_be_unique(pool: Any, surroundings: Any, make_vm: Callable[..., str]) -> None:
    """It is read only of a VM that has one: old releases cannot say."""
    vm = make_vm(VTPMs=[pool.add("VTPM", is_unique=True)])
    found = await read(pool, vm)
    assert (found.vtpms, found.vtpm_is_unique) == (1, True)
    await read(pool, make_vm())
    assert len(pool.calls("VTPM.get_is_unique")) == 1


async def test_other_users_of_a_disk_are_named(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """Control domains and snapshots are not users."""
    vm, other = make_vm(), make_vm(name_label="other")
    disk = make_vdi()
    for user in (vm, other, make_vm(is_control_domain=True), make_vm(is_a_snapshot=True)):
        make_vbd(user, disk)
    found = await read(pool, vm)
    assert found.disks[0].other_vms == [pool.get("VM", other)["uuid"]]


async def test_snapshots_of_the_vm_and_of_its_disks_are_named(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """A migration that deletes its source asks for them."""
    vm = make_vm()
    snapshot = make_vm(is_a_snapshot=True, snapshot_of=vm)
    vdi_snapshot = make_vdi()
    make_vbd(vm, make_vdi(snapshots=[vdi_snapshot, "OpaqueRef:gone"]))
    found = await read(pool, vm)
    assert found.snapshots == [pool.get("VM", snapshot)["uuid"]]
    assert found.disks[0].snapshots == [pool.get("VDI", vdi_snapshot)["uuid"]]


async def test_the_depth_of_a_chain_counts_its_images(
    pool: Any,
    surroundings: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
) -> None:
    """By the uuids in sm_config; a parent that is not shown counts still."""
    vm = make_vm()
    base = make_vdi(sm_config={"vhd-parent": "hidden"})
    make_vbd(vm, make_vdi(sm_config={"vhd-parent": pool.get("VDI", base)["uuid"]}))
    disk = (await read(pool, vm)).disks[0]
    assert (disk.chain_depth, disk.unmerged) == (3, 2)


async def test_an_image_whose_parent_has_another_child_is_not_to_be_merged(
    pool: Any,
    make_vm: Callable[..., str],
    make_vdi: Callable[..., str],
    make_vbd: Callable[..., str],
    surroundings: Any,
) -> None:
    """As that of a snapshot that is kept."""
    vm = make_vm()
    below = {"sm_config": {"vhd-parent": "hidden"}}
    make_vbd(vm, make_vdi(**below))
    make_vdi(**below)
    assert (await read(pool, vm)).disks[0].unmerged == 0


async def test_interfaces_come_with_their_networks(pool: Any, surroundings: Any, make_vm: Callable[..., str]) -> None:
    """The network's VLAN is that of its first PIF; fields that old releases lack have their defaults."""
    vm = make_vm()
    pool.add(
        "VIF",
        VM=vm,
        device="0",
        MAC="aa:bb:cc:00:00:01",
        MTU="1500",
        network=surroundings["network"],
        qos_algorithm_type="",
        qos_algorithm_params={},
    )
    found = await read(pool, vm)
    (vif,) = found.vifs
    assert (vif.mac, vif.mtu, vif.locking_mode) == ("aa:bb:cc:00:00:01", 1500, "network_default")
    assert found.networks[vif.network].vlan == 7
    assert not vif.is_addressed
    assert not vif.is_locked


async def test_an_address_that_the_pool_gives_is_read(
    pool: Any, surroundings: Any, make_vm: Callable[..., str]
) -> None:
    """The guest's tools set it; without a mode there is none, whatever stands there."""
    vm = make_vm()
    static = {"ipv4_configuration_mode": "Static", "ipv4_addresses": ["192.0.2.7/24"], "ipv4_gateway": "192.0.2.1"}
    none = {"ipv6_configuration_mode": "None", "ipv6_addresses": [""], "ipv6_gateway": ""}
    plain = {"VM": vm, "device": "0", "MAC": "aa:bb:cc:00:00:01", "MTU": "1500", "network": surroundings["network"]}
    pool.add("VIF", **plain, **static, **none, qos_algorithm_type="", qos_algorithm_params={})
    (vif,) = (await read(pool, vm)).vifs
    assert vif.ipv4 == GuestAddress(mode="Static", address="192.0.2.7/24", gateway="192.0.2.1")
    assert vif.ipv6 == GuestAddress()
    assert vif.is_addressed


async def test_metadata_is_json_with_the_release_it_is_from(
    pool: Any, surroundings: Any, make_vm: Callable[..., str]
) -> None:
    """It is stored, and read by the adapter that makes the target."""
    vm = make_vm(snapshot_time=xmlrpc.client.DateTime("20261123T01:02:03Z"))
    metadata = (await read(pool, vm)).metadata
    assert metadata["snapshot_time"] == "20261123T01:02:03Z"
    assert metadata["xo_warmig:api_version"] == "2.21"


async def test_a_vm_that_is_not_there_is_refused(pool: Any) -> None:
    """With its uuid and type."""
    with pytest.raises(NoSuchObject) as caught:
        await read_vm(pool, ORIGIN, "nowhere")
    assert caught.value.evidence == {"id": "nowhere", "type": "VM"}


async def test_a_network_without_a_pif_has_no_vlan(pool: Any, surroundings: Any) -> None:
    """It is internal to the pool's hosts."""
    pool.add("network", name_label="internal", PIFs=[])
    assert {network.name_label: network.vlan for network in await read_networks(pool)} == {"eth0": 7, "internal": None}


@pytest.mark.parametrize(
    ("metrics", "seen"),
    [
        (None, False),
        ({"PV_drivers_detected": False, "PV_drivers_version": {}}, False),
        ({"PV_drivers_detected": True, "PV_drivers_version": {}}, True),
        ({"PV_drivers_version": {"major": "6"}}, True),
    ],
)
def test_tools_are_seen_on_old_and_new_releases(metrics: Any, seen: bool) -> None:
    """Releases before 7.0 know no ``PV_drivers_detected``."""
    assert has_tools(metrics) is seen


async def test_booted_means_tools_where_they_are_expected(pool: Any, make_vm: Callable[..., str]) -> None:
    """A VM that only runs is booted when nothing more was to be expected."""
    vm = make_vm()
    uuid = pool.get("VM", vm)["uuid"]
    assert await is_booted(pool, uuid, expect_tools=False)
    assert not await is_booted(pool, uuid, expect_tools=True)
    metrics = pool.add("VM_guest_metrics", PV_drivers_detected=True, PV_drivers_version={})
    pool.get("VM", vm)["guest_metrics"] = metrics
    assert await is_booted(pool, uuid, expect_tools=True)
    pool.get("VM", vm)["power_state"] = "Halted"
    assert not await is_booted(pool, uuid, expect_tools=False)


async def test_what_was_started_is_told_by_the_time_of_its_last_start(pool: Any, make_vm: Callable[..., str]) -> None:
    """XAPI keeps that when the VM halts. Without metrics nothing is known, so it may have run."""
    vm = make_vm()
    record = pool.get("VM", vm)
    record["metrics"] = pool.add("VM_metrics", start_time="19700101T00:00:00Z")
    assert not await was_started(pool, record["uuid"])
    pool.get("VM_metrics", record["metrics"])["start_time"] = "20261123T03:07:56Z"
    assert await was_started(pool, record["uuid"])
    record["metrics"] = "OpaqueRef:NULL"
    assert await was_started(pool, record["uuid"])


def test_xmlrpc_dates_become_text_at_any_depth() -> None:
    """Nothing but JSON values is left."""
    assert as_json({"a": [xmlrpc.client.DateTime("19700101T00:00:00Z")], "b": True}) == {
        "a": ["19700101T00:00:00Z"],
        "b": True,
    }
