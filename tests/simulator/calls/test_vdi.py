"""Calls on VDIs."""

import threading
from typing import Any

import pytest

from xo_warmig.simulator import attach

NULL = "OpaqueRef:NULL"
MIB, GIB = 1 << 20, 1 << 30


def test_sizes_are_rounded_up_to_whole_blocks(make: Any) -> None:
    """Of 2 MiB, one at least."""
    assert [make.field("VDI", make.vdi(size), "virtual_size") // MIB for size in (0, 3 * MIB + 5)] == [2, 4]


def test_a_disk_can_be_too_large(make: Any, client: Any, refused: Any) -> None:
    """2040 GiB is the most."""
    record = {"SR": make.sr, "type": "user", "sharable": False, "read_only": False, "other_config": {}}
    code, empty, text, _ = refused(client, "VDI.create", record | {"virtual_size": str(2041 * GIB)})
    assert (code, empty) == ("SR_BACKEND_FAILURE_79", "")
    assert "VDI Invalid size" in text


def test_storage_with_qcow2_makes_larger_disks(new_pool: Any, make_on: Any, refused: Any) -> None:
    """Up to 16 TiB, and says in which format; a snapshot does not, which is a known mistake."""
    pool = new_pool("qcow2", image_formats=["vhd", "qcow2"])
    make = make_on(pool)
    assert make.field("VDI", make.vdi(2040 * GIB), "sm_config") == {"image-format": "vhd"}
    vdi = make.vdi(6 << 40)
    assert make.field("VDI", vdi, "sm_config") == {"image-format": "qcow2"}
    snapshot = make.client("VDI.snapshot", vdi)
    assert "image-format" not in make.field("VDI", snapshot, "sm_config")
    assert make.field("VDI", snapshot, "virtual_size") == 6 << 40
    make.client("VDI.resize", vdi, str(16 << 40))
    assert refused(make.client, "VDI.resize", vdi, str((16 << 40) + 1))[0] == "SR_BACKEND_FAILURE_79"


def test_a_disk_is_not_believed_what_it_says_of_its_image(make: Any) -> None:
    """Keys copied from another disk's ``sm_config`` are dropped, others kept."""
    vdi = make.vdi(sm_config={"vhd-parent": "x", "host_OpaqueRef:y": "RW", "mine": "z"})
    assert make.field("VDI", vdi, "sm_config") == {"mine": "z"}


def test_a_snapshot_hangs_on_a_base_copy(make: Any, client: Any) -> None:
    """With the disk itself; the base is hidden and hangs on the former parent."""
    vdi, db = make.vdi(name_label="disk"), make.pool.db
    bases = []
    for n in range(2):
        make.write(vdi, n * 2 * MIB, b"x")
        snapshot = client("VDI.snapshot", vdi)
        parent = make.field("VDI", vdi, "sm_config")["vhd-parent"]
        assert make.field("VDI", snapshot, "sm_config") == {"vhd-parent": parent}
        bases.append(db.row("VDI", db.by_uuid("VDI", parent)))
    assert [base["managed"] for base in bases] == [False, False]
    assert bases[1]["sm_config"] == {"vhd-parent": bases[0]["uuid"]}
    assert bases[0]["name_label"] == "base copy"
    row = db.row("VDI", snapshot)
    assert (row["is_a_snapshot"], row["snapshot_of"], row["name_label"], row["managed"]) == (True, vdi, "disk", True)
    assert "content_id" in row["other_config"]


def test_an_empty_disk_needs_no_base_copy(make: Any, client: Any) -> None:
    """Its snapshot hangs where it hangs."""
    vdi = make.vdi()
    snapshot = client("VDI.snapshot", vdi)
    assert make.field("VDI", snapshot, "sm_config") == {}
    assert len(make.field("SR", make.sr, "VDIs")) == 2


def test_a_chain_can_be_too_long(make: Any, client: Any, refused: Any) -> None:
    """After thirty images there is no more snapshot."""
    vdi = make.vdi()
    for _ in range(29):
        make.write(vdi, 0, b"x")
        client("VDI.snapshot", vdi)
    make.write(vdi, 0, b"x")
    assert refused(client, "VDI.snapshot", vdi) == ["SR_BACKEND_FAILURE_109", "", "The snapshot chain is too long", ""]


def test_an_attached_disk_can_be_snapshotted_and_cloned(make: Any, client: Any, refused: Any) -> None:
    """And nothing else."""
    vdi = make.vdi()
    make.running(vdi)
    client("VDI.snapshot", vdi)
    client("VDI.clone", vdi)
    for method, op, args in (
        ("VDI.destroy", "destroy", ()),
        ("VDI.resize", "resize", (str(GIB),)),
        ("VDI.forget", "forget", ()),
    ):
        assert refused(client, method, vdi, *args) == ["VDI_IN_USE", vdi, op]


def test_destroying_removes_the_vbds_too(make: Any, client: Any) -> None:
    """And the image."""
    vdi = make.vdi()
    vm, uuid = make.vm(vdi), make.field("VDI", vdi, "uuid")
    client("VDI.destroy", vdi)
    assert make.field("VM", vm, "VBDs") == []
    assert not make.pool.storage.exists(uuid)


def test_a_base_copy_is_nobodys(make: Any, client: Any, refused: Any) -> None:
    """It cannot be destroyed, snapshotted or attached."""
    vdi = make.vdi()
    make.write(vdi, 0, b"x")
    client("VDI.snapshot", vdi)
    base = make.pool.db.by_uuid("VDI", make.field("VDI", vdi, "sm_config")["vhd-parent"])
    assert refused(client, "VDI.destroy", base) == ["VDI_NOT_MANAGED", base]
    assert refused(client, "VDI.snapshot", base) == ["VDI_NOT_MANAGED", base]


def test_resizing_grows(make: Any, client: Any, refused: Any) -> None:
    """And never shrinks."""
    vdi = make.vdi(8 * MIB)
    client("VDI.resize", vdi, str(9 * MIB))
    assert make.field("VDI", vdi, "virtual_size") == 10 * MIB
    code, _, text, _ = refused(client, "VDI.resize", vdi, str(2 * MIB))
    assert (code, text) == ("SR_BACKEND_FAILURE_79", "VDI Invalid size [opterr=shrinking not allowed]")


def test_a_forgotten_disk_can_be_introduced_again(make: Any, client: Any, refused: Any) -> None:
    """With its data, under its old uuid."""
    vdi = make.vdi()
    make.write(vdi, 0, b"kept")
    uuid = make.field("VDI", vdi, "uuid")
    client("VDI.forget", vdi)
    args: tuple[Any, ...] = (uuid, "back", "", make.sr, "user", False, False, {}, uuid)
    again = client("VDI.introduce", *args)
    assert make.field("VDI", again, "uuid") == uuid
    assert make.read(again, 0, 4) == b"kept"
    assert refused(client, "VDI.introduce", *args) == ["VDI_LOCATION_MISSING", make.sr, uuid]


def test_the_sr_counts_what_it_holds(make: Any, client: Any) -> None:
    """By virtual size, base copies left out."""
    vdi = make.vdi(32 * MIB)
    make.write(vdi, 0, b"x")
    client("VDI.snapshot", vdi)
    assert make.field("SR", make.sr, "virtual_allocation") == 64 * MIB
    client("VDI.destroy", vdi)
    assert make.field("SR", make.sr, "virtual_allocation") == 32 * MIB


def test_an_sr_without_the_feature_refuses(make: Any, client: Any, refused: Any) -> None:
    """What its driver cannot do."""
    vdi = make.vdi()
    iso = next(ref for ref, row in make.pool.db.rows("SR").items() if row["type"] == "iso")
    make.pool.db.set("VDI", vdi, SR=iso)
    assert refused(client, "VDI.snapshot", vdi) == ["SR_OPERATION_NOT_SUPPORTED", iso]


def test_a_copy_has_the_content_and_nothing_else(make: Any, client: Any) -> None:
    """On an SR, or into a disk that is there."""
    vdi, into = make.vdi(), make.vdi()
    make.write(vdi, 3 * MIB, b"data")
    copied = client("VDI.copy", vdi, make.sr)
    assert client("VDI.copy", vdi, NULL, NULL, into) == into
    assert [make.read(each, 3 * MIB, 4) for each in (copied, into)] == [b"data", b"data"]
    assert make.field("VDI", copied, "VBDs") == []


def test_a_delta_copy_has_the_changed_blocks_only(make: Any, client: Any) -> None:
    """Those since the base."""
    vdi, into = make.vdi(), make.vdi()
    make.write(vdi, 0, b"old")
    base = client("VDI.snapshot", vdi)
    make.write(vdi, 4 * MIB, b"new")
    client("VDI.copy", vdi, NULL, base, into)
    assert (make.read(into, 0, 3), make.read(into, 4 * MIB, 3)) == (bytes(3), b"new")


def test_copies_refuse_targets_that_do_not_fit(make: Any, client: Any, refused: Any) -> None:
    """Too small or read-only; and sources that somebody writes. Whether somebody has the target is not looked at."""
    vdi, small, fixed, used = make.vdi(), make.vdi(2 * MIB), make.vdi(read_only=True), make.vdi()
    make.running(used)
    assert refused(client, "VDI.copy", vdi, NULL, NULL, small) == ["VDI_TOO_SMALL", small, str(16 * MIB)]
    assert refused(client, "VDI.copy", vdi, NULL, NULL, fixed) == ["VDI_READONLY", fixed]
    assert client("VDI.copy", vdi, NULL, NULL, used) == used
    assert refused(client, "VDI.copy", used, make.sr) == ["VDI_IN_USE", used, "copy"]


def test_disks_of_one_sr_are_made_one_after_the_other(new_pool: Any, make_on: Any) -> None:
    """Calls that come together all succeed; none sees the other's half."""
    make = make_on(new_pool("slow", delays={"create": 0.02}))
    threads = [threading.Thread(target=make.vdi) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(make.field("SR", make.sr, "VDIs")) == 5


@pytest.mark.parametrize(("mine", "other", "code"), [("RW", "RO", "SR_BACKEND_FAILURE_46"), ("RO", "RO", "")])
def test_disks_between_hosts(new_pool: Any, make_on: Any, mine: str, other: str, code: str) -> None:
    """Readers may be many; a writer is alone."""
    pool = new_pool("two", hosts=2, sr_type="nfs", addresses=["127.0.0.1", "127.0.0.2"])
    vdi = make_on(pool).vdi()
    first, second = pool.db.refs("host")
    with attach.attached(pool, vdi, first, mine):
        if not code:
            with attach.attached(pool, vdi, second, other):
                assert set(pool.db.row("VDI", vdi)["sm_config"]) == {f"host_{first}", f"host_{second}"}
        else:
            with pytest.raises(Exception, match=code), attach.attached(pool, vdi, second, other):
                raise AssertionError("attached")
    assert (pool.db.row("VDI", vdi)["sm_config"], pool.db.row("VDI", vdi)["VBDs"]) == ({}, [])
