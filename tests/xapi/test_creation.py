"""Making a target, once and again."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from xo_warmig.errors import NoSuchObject, PoolError, SafetyError
from xo_warmig.model.vm import CdDrive, Disk, Vif, Vm
from xo_warmig.xapi import creation
from xo_warmig.xapi.disposal import discard_vm
from xo_warmig.xapi.reading import read_vm
from xo_warmig.xapi.records import Origin

BLOCKED = {"start": "xo_warmig: not yet", "destroy": "xo_warmig: not yet"}


@pytest.fixture
async def source(pool: Any, make_vm: Callable[..., str]) -> Vm:
    for cls in ("network", "PIF", "SR", "VIF", "VBD", "VDI"):
        pool.records.setdefault(cls, {})
    ref = make_vm(other_config={"mac_seed": "s", "auto_poweron": "true"}, ha_restart_priority="restart")
    return await read_vm(pool, Origin("p", "lab", (2, 21)), pool.get("VM", ref)["uuid"])


@pytest.fixture
def disk() -> Disk:
    return Disk(
        vdi="vdi-1",
        sr="sr-1",
        device="0",
        mode="RO",
        bootable=True,
        unpluggable=False,
        virtual_size_bytes=8 << 30,
        physical_bytes=0,
        name_label="root",
        name_description="d",
        read_only=True,
        tags=["t"],
        vdi_other_config={"content_id": "c", "xo_warmig:self": "vdi-1", "kept": "k"},
        vbd_other_config={"owner": ""},
    )


async def create(pool: Any, source: Vm) -> str:
    return await creation.create_vm(pool, source, migration="m-1", epoch=1, blocked=BLOCKED, api_version=(2, 21))


async def test_a_target_is_a_template_until_it_is_blocked(pool: Any, source: Vm) -> None:
    """So that there is no moment in which it could be started (R1)."""
    blocked_when_freed: list[dict[str, str]] = []

    def free(ref: str, value: bool) -> str:
        blocked_when_freed.append(dict(pool.get("VM", ref)["blocked_operations"]))
        pool.get("VM", ref)["is_a_template"] = value
        return ""

    pool.handlers["VM.set_is_a_template"] = free
    await create(pool, source)
    assert blocked_when_freed == [BLOCKED]


async def test_a_second_try_finds_the_first_target(pool: Any, source: Vm) -> None:
    """And finishes what the first left undone."""
    first = await create(pool, source)
    ref = pool._by_uuid("VM", first)
    pool.get("VM", ref).update(is_a_template=True, blocked_operations={})
    assert await create(pool, source) == first
    assert pool.get("VM", ref)["is_a_template"] is False
    assert pool.get("VM", ref)["blocked_operations"] == BLOCKED


async def test_a_clone_of_a_target_is_not_taken_for_it(pool: Any, source: Vm) -> None:
    """XAPI copies our tags along (R11)."""
    first = await create(pool, source)
    ref = pool._by_uuid("VM", first)
    pool.get("VM", ref)["uuid"] = "somebody's clone"
    assert await create(pool, source) not in (first, "somebody's clone")


async def test_a_disk_is_created_writable_and_attached_as_it_was(pool: Any, source: Vm, disk: Disk) -> None:
    """An import writes it; the guest may only read it still."""
    sr = pool.add("SR")
    vm = await create(pool, source)
    vdi = await creation.create_disk(pool, disk, sr=pool.get("SR", sr)["uuid"], migration="m-1", epoch=1)
    await creation.attach_disk(pool, vm, vdi, disk)
    record = pool.get("VDI", pool._by_uuid("VDI", vdi))
    assert (record["read_only"], record["virtual_size"], record["SR"]) == (False, str(8 << 30), sr)
    assert record["other_config"] == {
        "kept": "k",
        "xo_warmig:migration": "m-1",
        "xo_warmig:role": "disk:vdi-1",
        "xo_warmig:epoch": "1",
        "xo_warmig:self": vdi,
    }
    (vbd,) = pool.records["VBD"].values()
    assert (vbd["mode"], vbd["userdevice"], vbd["bootable"], vbd["unpluggable"]) == ("RO", "0", True, False)
    assert vbd["other_config"] == {"owner": ""}


async def test_disks_and_devices_are_made_once(pool: Any, source: Vm, disk: Disk) -> None:
    """However often it is asked."""
    sr, network = pool.add("SR"), pool.add("network")
    vif = Vif(uuid="v", device="0", mac="aa:bb:cc:00:00:01", mtu=1500, network="n", locking_mode="locked")
    for _ in range(2):
        vm = await create(pool, source)
        vdi = await creation.create_disk(pool, disk, sr=pool.get("SR", sr)["uuid"], migration="m-1", epoch=1)
        await creation.attach_disk(pool, vm, vdi, disk)
        await creation.create_cd_drive(pool, vm, CdDrive(device="3", bootable=True))
        await creation.create_vif(pool, vm, vif, network=pool.get("network", network)["uuid"])
    assert {cls: len(pool.records[cls]) for cls in ("VDI", "VBD", "VIF")} == {"VDI": 1, "VBD": 2, "VIF": 1}
    (drive,) = (vbd for vbd in pool.records["VBD"].values() if vbd["type"] == "CD")
    assert (drive["userdevice"], drive["bootable"], drive["empty"]) == ("3", True, True)
    (made,) = pool.records["VIF"].values()
    assert (made["MAC"], made["MTU"], made["locking_mode"]) == ("aa:bb:cc:00:00:01", "1500", "locked")


async def test_locking_is_only_named_where_the_source_has_it(pool: Any, source: Vm) -> None:
    """Old editions ask a licence for it."""
    network = pool.add("network")
    vif = Vif(uuid="v", device="0", mac="aa:bb:cc:00:00:01", mtu=1500, network="n")
    await creation.create_vif(pool, await create(pool, source), vif, network=pool.get("network", network)["uuid"])
    (made,) = pool.records["VIF"].values()
    assert "locking_mode" not in made


async def test_an_address_that_the_pool_makes_is_made_once(pool: Any, source: Vm) -> None:
    """Asked for as XAPI takes it, and found again by its device and network."""
    network = pool.add("network")
    vif = Vif(uuid="v", device="0", mac="", mtu=1500, network="n")
    vm = await create(pool, source)
    for made in ("", "62:00:00:00:00:01"):
        await creation.create_vif(pool, vm, vif, network=pool.get("network", network)["uuid"])
        (record,) = pool.records["VIF"].values()
        assert record["MAC"] == made
        record["MAC"] = "62:00:00:00:00:01"


async def test_an_unknown_sr_is_refused_before_anything_is_made(pool: Any, source: Vm, disk: Disk) -> None:
    """As an object that does not exist."""
    with pytest.raises(NoSuchObject):
        await creation.create_disk(pool, disk, sr="nowhere", migration="m-1", epoch=1)
    assert pool.records["VDI"] == {}


async def test_ha_and_auto_power_on_come_back_as_they_were(pool: Any, source: Vm) -> None:
    """Twice is as good as once (R13)."""
    vm = await create(pool, source)
    for _ in range(2):
        await creation.restore_ha(pool, vm, source)
    record = pool.get("VM", pool._by_uuid("VM", vm))
    assert (record["ha_restart_priority"], record["other_config"]["auto_poweron"]) == ("restart", "true")


async def test_a_vtpm_is_made_where_the_source_has_one(pool: Any, source: Vm) -> None:
    """Empty, until the source is halted."""
    pool.handlers["VTPM.create"] = lambda vm, _: pool.get("VM", vm)["VTPMs"].append(pool.add("VTPM")) or "OpaqueRef:v"
    for _ in range(2):
        await create(pool, msgspec.structs.replace(source, vtpms=1))
    assert len(pool.records["VTPM"]) == 1


async def test_a_unique_vtpm_stays_one(pool: Any, source: Vm) -> None:
    """XAPI never copies what is in it."""
    asked: list[bool] = []
    pool.handlers["VTPM.create"] = lambda _, is_unique: asked.append(is_unique)
    await create(pool, msgspec.structs.replace(source, vtpms=1, vtpm_is_unique=True))
    assert asked == [True]


def with_strings(source: Vm, **strings: str) -> Vm:
    named = {key.replace("_", "-"): text for key, text in strings.items()}
    return msgspec.structs.replace(source, metadata=source.metadata | {"bios_strings": named})


async def test_bios_strings_are_set_where_they_can_be(pool: Any, source: Vm) -> None:
    """A serial number beside generic ones, too; an earlier try's stay."""
    given: list[dict[str, str]] = []

    def set_once(_: str, strings: dict[str, str]) -> str:
        if given:
            raise pool.failure("VM_BIOS_STRINGS_ALREADY_SET")
        given.append(strings)
        return ""

    pool.handlers["VM.set_bios_strings"] = set_once
    vm = with_strings(source, bios_vendor="Xen", system_product_name="HVM domU", system_serial_number="ds=nocloud")
    for _ in range(2):
        await create(pool, vm)
    assert given == [{"system-serial-number": "ds=nocloud"}]


@pytest.mark.parametrize(("maker", "lent"), [("Dell Inc.", True), ("HP", False)])
async def test_before_7_3_a_host_of_the_same_maker_lends_its_own(pool: Any, source: Vm, maker: str, lent: bool) -> None:
    """That which is most like the VM; a host of another maker does not."""
    of_maker = {"bios-vendor": maker, "system-manufacturer": maker}
    pool.add("host", bios_strings=of_maker)
    alike = pool.add("host", bios_strings=of_maker | {"bios-version": "1.5.1"})
    asked: list[tuple[str, ...]] = []
    pool.handlers["VM.copy_bios_strings"] = lambda *arguments: asked.append(arguments)
    vm = with_strings(source, bios_vendor="Dell Inc.", system_manufacturer="Dell Inc.", bios_version="1.5.1")
    await creation.create_vm(pool, vm, migration="m-1", epoch=1, blocked=BLOCKED, api_version=(2, 6))
    assert [host for _, host in asked] == ([alike] if lent else [])
    assert pool.calls("VM.set_bios_strings") == []


async def test_caching_is_allowed_where_it_was(pool: Any, source: Vm, disk: Disk) -> None:
    """Once."""
    sr = pool.get("SR", pool.add("SR"))["uuid"]
    vm = await create(pool, source)
    vdi = await creation.create_disk(pool, disk, sr=sr, migration="m-1", epoch=1)
    await creation.attach_disk(pool, vm, vdi, disk)
    record = pool.get("VDI", pool._by_uuid("VDI", vdi))
    record["allow_caching"] = False
    cached = msgspec.structs.replace(source, disks=[msgspec.structs.replace(disk, allow_caching=True)])
    for _ in range(2):
        await creation.allow_caching(pool, vm, cached)
    assert record["allow_caching"] is True
    assert pool.calls("VDI.set_allow_caching") == ["VDI.set_allow_caching"]


async def test_a_discarded_target_is_gone_and_stays_gone(pool: Any, source: Vm) -> None:
    """Its own block does not stand in the way."""
    vm = await create(pool, source)
    await discard_vm(pool, vm)
    await discard_vm(pool, vm)
    assert len(pool.records["VM"]) == 1


async def test_a_vm_that_we_did_not_make_is_never_discarded(pool: Any, source: Vm) -> None:
    """Whatever it looks like (R8)."""
    with pytest.raises(SafetyError) as caught:
        await discard_vm(pool, source.uuid)
    assert caught.value.code == "NOT_OURS"


async def test_a_running_target_is_not_discarded(pool: Any, source: Vm) -> None:
    """It may hold what the source does not."""
    vm = await create(pool, source)
    pool.get("VM", pool._by_uuid("VM", vm))["power_state"] = "Running"
    with pytest.raises(SafetyError) as caught:
        await discard_vm(pool, vm)
    assert caught.value.code == "NOT_HALTED"


async def make(pool: Any, source: Vm, disk: Disk, cls: str) -> str:
    """The target, or its disk."""
    if cls == "VM":
        return await create(pool, source)
    sr = next(iter(pool.records["SR"].values()), None) or pool.get("SR", pool.add("SR"))
    return await creation.create_disk(pool, disk, sr=sr["uuid"], migration="m-1", epoch=1)


def unclaim(pool: Any, cls: str, uuid: str) -> dict[str, Any]:
    """As after a crash between its birth and its claim; the record."""
    record: dict[str, Any] = pool.get(cls, pool._by_uuid(cls, uuid))
    del record["other_config"]["xo_warmig:self"]
    return record


@pytest.mark.parametrize("cls", ["VM", "VDI"])
async def test_what_was_made_just_before_a_crash_is_claimed(pool: Any, source: Vm, disk: Disk, cls: str) -> None:
    """It has our tags from its birth (R11)."""
    made = await make(pool, source, disk, cls)
    record = unclaim(pool, cls, made)
    assert await make(pool, source, disk, cls) == made
    assert record["other_config"]["xo_warmig:self"] == made


@pytest.mark.parametrize("origin", ["server-1/before", "server-1/now"])
async def test_what_is_still_being_made_is_waited_for(pool: Any, source: Vm, disk: Disk, origin: str) -> None:
    """The answer to our call was lost, or its process killed, and the pool works on it: there must not be two."""
    made = await make(pool, source, disk, "VDI")
    unclaim(pool, "VDI", made)
    records = pool.records["VDI"]
    pool.records["VDI"] = {}
    whose = {"http:xo_warmig": origin}
    task = pool.get("task", pool.add("task", name_label="Async.VDI.create", status="pending", other_config=whose))

    def looked_at() -> dict[str, Any]:
        tasks = dict(pool.records["task"])
        tasks["OpaqueRef:task"] = dict(task)
        task["status"], pool.records["VDI"] = "success", records
        return tasks

    pool.handlers["task.get_all_records"] = looked_at
    assert await make(pool, source, disk, "VDI") == made
    assert len(pool.records["VDI"]) == 1


async def test_a_call_of_somebody_else_is_not_waited_for(pool: Any, source: Vm, disk: Disk) -> None:
    """Nor one that says nothing."""
    for whose in ({}, {"http:xo_warmig": "server-2/now"}):
        pool.add("task", name_label="Async.VDI.create", status="pending", other_config=whose)
    assert await make(pool, source, disk, "VDI")
    assert len(pool.calls("task.get_all_records")) == 1


@pytest.mark.parametrize("cls", ["VM", "VDI"])
async def test_of_two_that_may_be_ours_none_is_taken(pool: Any, source: Vm, disk: Disk, cls: str) -> None:
    """One of them is a copy that a user made; both are named."""
    made = await make(pool, source, disk, cls)
    record = unclaim(pool, cls, made)
    copy = pool.get(cls, pool.add(cls, **{**record, "uuid": "copy", "other_config": dict(record["other_config"])}))
    with pytest.raises(SafetyError) as caught:
        await make(pool, source, disk, cls)
    assert (caught.value.code, caught.value.evidence["objects"]) == ("AMBIGUOUS_OBJECTS", sorted([made, "copy"]))
    assert "xo_warmig:self" not in record["other_config"] | copy["other_config"]


@pytest.mark.parametrize("cls", ["VM", "VDI"])
async def test_a_snapshot_of_what_was_not_claimed_is_not_taken_for_it(
    pool: Any, source: Vm, disk: Disk, cls: str
) -> None:
    """Its tags are copies."""
    made = await make(pool, source, disk, cls)
    unclaim(pool, cls, made)["is_a_snapshot"] = True
    assert await make(pool, source, disk, cls) != made


@pytest.mark.parametrize("cls", ["VM", "VDI"])
async def test_what_cannot_be_claimed_is_destroyed(pool: Any, source: Vm, disk: Disk, cls: str) -> None:
    """Without its own uuid on it nobody would find it again: it would stay for ever."""

    def refuse(*_: Any) -> None:
        raise pool.failure("INTERNAL_ERROR", "no")

    pool.handlers[f"{cls}.add_to_other_config"] = refuse
    sr = pool.get("SR", pool.add("SR"))["uuid"]
    before = set(pool.records[cls])
    made = create(pool, source) if cls == "VM" else creation.create_disk(pool, disk, sr=sr, migration="m-1", epoch=1)
    with pytest.raises(PoolError, match="INTERNAL_ERROR"):
        await made
    assert set(pool.records[cls]) == before
