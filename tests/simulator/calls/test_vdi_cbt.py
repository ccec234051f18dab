"""Changed block tracking as clients see it."""

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator import attach
from xo_warmig.simulator.calls import vdi_cbt
from xo_warmig.simulator.faults import FaultKind, FaultOrder

MIB, GRAIN = 1 << 20, 1 << 16
SIZE = 16 * MIB
NULL = "OpaqueRef:NULL"


def numbers(text: str) -> list[int]:
    """The blocks that an answer of ``list_changed_blocks`` names."""
    bits = base64.b64decode(text, validate=True)
    return [8 * at + bit for at, byte in enumerate(bits) for bit in range(8) if byte >> (7 - bit) & 1]


@pytest.fixture
def disk(make: Any, client: Any) -> str:
    """A tracked disk."""
    vdi = make.vdi(SIZE)
    client("VDI.enable_cbt", vdi)
    return str(vdi)


@pytest.fixture
def changed(client: Any) -> Callable[[str, str], list[int]]:
    return lambda first, second: numbers(client("VDI.list_changed_blocks", first, second))


def messages(make: Any) -> list[tuple[str, str]]:
    return [(row["name"], row["obj_uuid"]) for row in make.pool.db.rows("message").values()]


def test_a_snapshot_is_tracked_like_its_disk(make: Any, client: Any, disk: str, changed: Any) -> None:
    """And what is written after it is listed, in blocks of 64 KiB, for the disk and for the next snapshot."""
    client("VDI.enable_cbt", disk)
    first = client("VDI.snapshot", disk)
    assert [make.field("VDI", vdi, "cbt_enabled") for vdi in (disk, first)] == [True, True]
    make.write(disk, 9 * GRAIN + 512, b"x" * 512)
    make.write(disk, 22 * GRAIN - 1, b"xy")
    second = client("VDI.snapshot", disk)
    assert changed(first, second) == changed(first, disk) == [9, 21, 22]
    assert changed(second, disk) == []
    assert len(client("VDI.list_changed_blocks", first, disk)) == -(-SIZE // GRAIN // 8 // 3) * 4


def test_copies_are_not_tracked(make: Any, client: Any, disk: str) -> None:
    """Neither clones nor full copies, of disks or snapshots."""
    snapshot = client("VDI.snapshot", disk)
    made = [client("VDI.clone", disk), client("VDI.clone", snapshot), client("VDI.copy", disk, make.sr)]
    made.append(client("VDI.copy", snapshot, make.sr))
    assert not any(make.field("VDI", vdi, "cbt_enabled") for vdi in made)
    assert not any(make.pool.storage.logs.exists(make.field("VDI", vdi, "uuid")) for vdi in made)


def test_a_copy_into_a_tracked_disk_is_a_change(make: Any, client: Any, disk: str, changed: Any) -> None:
    """As everything is that is written to it."""
    source = make.vdi(SIZE)
    make.write(source, 2 * MIB, b"x")
    first = client("VDI.snapshot", disk)
    client("VDI.copy", source, NULL, NULL, disk)
    assert changed(first, disk) == list(range(32, 64))


def test_what_cannot_be_listed(make: Any, client: Any, disk: str, refused: Any) -> None:
    """The same twice, the wrong way round, unrelated disks, and those of another SR."""
    first = client("VDI.snapshot", disk)
    for pair in ((disk, disk), (disk, first), (first, make.vdi())):
        details = refused(client, "VDI.list_changed_blocks", *pair)
        assert details[:2] == ["SR_BACKEND_FAILURE_460", ""]
        assert details[2].startswith(
            "Failed to calculate changed blocks for given VDIs. [opterr=Source and target VDI "
        )
    second_sr = next(ref for ref, row in make.pool.db.rows("SR").items() if row["name_label"] == "Second storage")
    details = refused(client, "VDI.list_changed_blocks", first, make.vdi(SR=second_sr))
    assert details[0] == "INTERNAL_ERROR"
    assert "No_VDI" in details[1]


def test_a_snapshot_that_was_grown_contradicts_its_disk(make: Any, client: Any, disk: str, refused: Any) -> None:
    """There is an error for that, too."""
    first, second = client("VDI.snapshot", disk), client("VDI.snapshot", disk)
    client("VDI.resize", second, str(2 * SIZE))
    details = refused(client, "VDI.list_changed_blocks", first, disk)
    assert details[0] == "SR_BACKEND_FAILURE_459"


def test_a_disk_that_grows_is_still_tracked(make: Any, client: Any, disk: str, changed: Any) -> None:
    """The answer is as long as the second disk needs."""
    first = client("VDI.snapshot", disk)
    client("VDI.resize", disk, str(2 * SIZE))
    make.write(disk, SIZE, b"x")
    assert changed(first, disk) == [SIZE // GRAIN]
    assert len(base64.b64decode(client("VDI.list_changed_blocks", first, disk))) == 2 * SIZE // GRAIN // 8


def test_an_attached_disk_is_tracked_but_not_listed(
    make: Any, client: Any, disk: str, changed: Any, refused: Any
) -> None:
    """Its snapshots are; and to turn tracking on or off nothing has to be stopped."""
    first = client("VDI.snapshot", disk)
    vm = make.running(disk)
    make.write(disk, 0, b"x")
    second = client("VDI.snapshot", disk)
    assert refused(client, "VDI.list_changed_blocks", first, disk) == ["VDI_IN_USE", disk, "list_changed_blocks"]
    assert changed(first, second) == [0]
    client("VDI.disable_cbt", disk)
    client("VDI.enable_cbt", disk)
    client("VM.hard_shutdown", vm)
    assert refused(client, "VDI.list_changed_blocks", first, disk)[0] == "SR_BACKEND_FAILURE_460"
    assert changed(first, second) == [0]


def test_the_vbd_of_a_checkpoint_is_in_nobodys_way(make: Any, client: Any, disk: str, changed: Any) -> None:
    """Though it says that it is attached."""
    first = client("VDI.snapshot", disk)
    checkpoint = client("VM.checkpoint", make.running(disk), "checkpoint")
    (vbd,) = make.field("VM", checkpoint, "VBDs")
    make.pool.db.set("VBD", vbd, currently_attached=True)
    assert changed(first, make.field("VBD", vbd, "VDI")) == []


def test_who_may_be_tracked(make: Any, client: Any, disk: str, refused: Any) -> None:
    """No snapshot, no other type, no disk that is reset at boot, no raw one, none of an SR without the feature."""
    snapshot, metadata, reset = client("VDI.snapshot", disk), make.vdi(type="metadata"), make.vdi()
    raw = make.vdi(sm_config={"type": "raw"})
    make.pool.db.set("VDI", reset, on_boot="reset")
    for call in ("VDI.enable_cbt", "VDI.disable_cbt"):
        assert refused(client, call, snapshot) == ["OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {snapshot}"]
        assert refused(client, call, metadata) == ["VDI_INCOMPATIBLE_TYPE", metadata, "metadata"]
        assert refused(client, call, reset) == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
    assert refused(client, "VDI.enable_cbt", raw)[0] == "SR_BACKEND_FAILURE_66"
    driver = next(ref for ref, row in make.pool.db.rows("SM").items() if row["type"] == "ext")
    features = {name: v for name, v in make.field("SM", driver, "features").items() if name != "VDI_CONFIG_CBT"}
    make.pool.db.set("SM", driver, features=features)
    assert refused(client, "VDI.enable_cbt", make.vdi()) == ["SR_OPERATION_NOT_SUPPORTED", make.sr]


def test_the_licence_may_forbid_it(new_pool: Any, make_on: Any, refused: Any) -> None:
    """To turn it on, also where it is on; not to turn it off."""
    make = make_on(new_pool("restricted", restrictions={"restrict_cbt": "true"}))
    vdi = make.vdi()
    assert refused(make.client, "VDI.enable_cbt", vdi) == ["LICENCE_RESTRICTION", "CBT"]
    make.client("VDI.disable_cbt", vdi)


def test_tracked_disks_stay_where_they_are(make: Any, client: Any, disk: str, refused: Any) -> None:
    """No storage migration, and no other way to boot."""
    vm = make.vm(disk)
    other = {"host": make.pool.master}
    details = refused(client, "VM.migrate_send", vm, other, True, {disk: make.sr}, {}, {})
    assert details == ["VDI_CBT_ENABLED", disk]
    assert refused(client, "VDI.set_on_boot", disk, "reset") == ["VDI_CBT_ENABLED", disk]


def test_the_log_outlives_the_data(make: Any, client: Any, disk: str, changed: Any, refused: Any) -> None:
    """What held the data goes, the record stays, and it serves for nothing but lists."""
    make.write(disk, 0, b"x" * 4 * MIB)
    first = client("VDI.snapshot", disk)
    make.write(disk, 5 * GRAIN, b"y")
    second = client("VDI.snapshot", disk)
    uuid = make.field("VDI", first, "uuid")
    used = make.field("SR", make.sr, "virtual_allocation")
    client("VDI.data_destroy", first)
    client("VDI.data_destroy", first)
    row = make.pool.db.row("VDI", first)
    assert (row["type"], row["managed"], row["uuid"], row["cbt_enabled"]) == ("cbt_metadata", True, uuid, True)
    assert used - make.field("SR", make.sr, "virtual_allocation") == SIZE
    assert not make.pool.storage.exists(uuid)
    assert changed(first, disk) == changed(first, second) == [5]
    vm, expected = make.vm(), ["VDI_INCOMPATIBLE_TYPE", first, "cbt_metadata"]
    for call in ("VDI.clone", "VDI.snapshot", "VDI.get_nbd_info", "VDI.enable_cbt"):
        assert refused(client, call, first) == expected
    assert refused(client, "VDI.copy", first, make.sr) == expected
    assert refused(client, "VDI.resize", first, str(2 * SIZE)) == expected
    with pytest.raises(Exception, match="VDI_INCOMPATIBLE_TYPE"):
        make.vbd(vm, first)
    with (
        pytest.raises(Exception, match="VDI_INCOMPATIBLE_TYPE"),
        attach.attached(make.pool, first, make.pool.master, "RO"),
    ):
        raise AssertionError("attached")
    client("VDI.destroy", first)
    assert changed(second, disk) == []


def test_the_chain_is_shorter_without_the_data(make: Any, client: Any, disk: str) -> None:
    """The collector has something to do, which it has not while the snapshot is there."""
    make.write(disk, 0, b"x")
    snapshot, uuid = client("VDI.snapshot", disk), make.field("VDI", disk, "uuid")
    make.write(disk, 0, b"y")
    make.pool.collector.collect()
    assert make.pool.storage.depth(uuid) == 2
    client("VDI.data_destroy", snapshot)
    make.pool.collector.collect()
    assert make.pool.storage.depth(uuid) == 1
    assert make.read(disk, 0, 1) == b"y"


def test_a_scan_sees_a_log_as_a_small_disk(make: Any, client: Any, disk: str, changed: Any) -> None:
    """That is what SM finds; so the size of such a record is not that of its disk any more."""
    make.write(disk, 0, b"x")
    snapshot = client("VDI.snapshot", disk)
    client("VDI.data_destroy", snapshot)
    assert make.field("VDI", snapshot, "virtual_size") == SIZE
    client("SR.scan", make.sr)
    row = make.pool.db.row("VDI", snapshot)
    assert (row["virtual_size"], row["physical_utilisation"], row["sm_config"]) == (48 + 32, 48 + 32, {})
    assert len(client("VDI.list_changed_blocks", snapshot, disk)) == 44


def test_data_of_what_cannot_be_destroyed(make: Any, client: Any, disk: str, refused: Any) -> None:
    """Disks, and snapshots without a log."""
    plain = make.vdi()
    assert refused(client, "VDI.data_destroy", disk) == ["OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {disk}"]
    snapshot = client("VDI.snapshot", plain)
    assert refused(client, "VDI.data_destroy", snapshot) == ["VDI_NO_CBT_METADATA", snapshot]


@pytest.mark.parametrize("patience", [0.05, 10.0])
def test_data_destroy_waits_for_vbds(
    make: Any, client: Any, disk: str, refused: Any, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """For those of a snapshot VM in vain; when it is destroyed in time the data goes. No VBD is made meanwhile."""
    monkeypatch.setattr(vdi_cbt, "VBDS_GONE_SECONDS", patience)
    snapshot_vm = client("VM.snapshot", make.vm(disk), "snapshot")
    (vbd,) = make.field("VM", snapshot_vm, "VBDs")
    vdi = make.field("VBD", vbd, "VDI")
    if patience < 1:
        assert refused(client, "VDI.data_destroy", vdi) == ["VDI_IN_USE", vdi, "data_destroy"]
        assert make.field("VDI", vdi, "type") == "user"
        return
    caller = threading.Thread(target=client, args=("VDI.data_destroy", vdi))
    caller.start()
    with make.pool.db.changed:
        assert make.pool.db.changed.wait_for(lambda: make.field("VDI", vdi, "type") == "cbt_metadata", 10)
    with pytest.raises(Exception, match="VDI_INCOMPATIBLE_TYPE"):
        make.vbd(make.vm(), vdi)
    client("VM.destroy", snapshot_vm)
    caller.join(10)
    assert not make.pool.storage.exists(make.field("VDI", vdi, "uuid"))


@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.FULL])
def test_tracking_ends_when_a_log_cannot_be_made(
    make: Any, client: Any, disk: str, refused: Any, kind: FaultKind
) -> None:
    """The snapshot is there, and a message says what is not."""
    first = client("VDI.snapshot", disk)
    make.pool.faults.add(FaultOrder(kind=kind, match="cbt.snapshot"))
    second = client("VDI.snapshot", disk)
    assert [make.field("VDI", vdi, "cbt_enabled") for vdi in (first, second, disk)] == [True, True, False]
    assert messages(make) == [("VDI_CBT_SNAPSHOT_FAILED", make.field("VDI", disk, "uuid"))]
    assert numbers(client("VDI.list_changed_blocks", first, second)) == []
    assert refused(client, "VDI.list_changed_blocks", second, disk)[0] == "SR_BACKEND_FAILURE_460"
    client("VDI.enable_cbt", disk)


def test_tracking_ends_when_a_log_cannot_grow(make: Any, client: Any, disk: str) -> None:
    """The disk has grown all the same."""
    make.pool.faults.add(FaultOrder(kind=FaultKind.FAIL, match="cbt.resize"))
    client("VDI.resize", disk, str(2 * SIZE))
    assert (make.field("VDI", disk, "virtual_size"), make.field("VDI", disk, "cbt_enabled")) == (2 * SIZE, False)
    assert messages(make) == [("VDI_CBT_RESIZE_FAILED", make.field("VDI", disk, "uuid"))]


def test_the_operations_are_never_listed(make: Any, disk: str) -> None:
    """As on a real pool, where they would confuse older ones."""
    assert not any("cbt" in op or "changed" in op for op in make.field("VDI", disk, "allowed_operations"))


def test_a_forgotten_disk_comes_back_tracked(make: Any, client: Any, disk: str, changed: Any) -> None:
    """Its log is beside its image."""
    first, uuid = client("VDI.snapshot", disk), make.field("VDI", disk, "uuid")
    make.write(disk, GRAIN, b"x")
    client("VDI.forget", disk)
    again = client("VDI.introduce", uuid, "back", "", make.sr, "user", False, False, {}, uuid)
    assert make.field("VDI", again, "cbt_enabled")
    assert changed(first, again) == [1]
