"""What a pass will do."""

import msgspec
import pytest

from xo_warmig.model.passes import PassKind, Way
from xo_warmig.model.plans import TargetDisk
from xo_warmig.model.vm import Disk
from xo_warmig.replication.choosing import Chosen
from xo_warmig.replication.plan import kind_of, plan_pass

DISK = Disk(
    vdi="disk-0", sr="sr-source", device="0", mode="RW", bootable=True, unpluggable=True, virtual_size_bytes=4096,
    physical_bytes=4096, name_label="root", name_description="",
)  # fmt: skip
FRESH = TargetDisk(vdi="copy-0", sr="sr-target")


@pytest.mark.parametrize(
    ("target", "zeroed", "skip"),
    [
        (FRESH, ["sr-target"], True),
        (FRESH, [], False),
        (msgspec.structs.replace(FRESH, written=True), ["sr-target"], False),
        (msgspec.structs.replace(FRESH, written=True, base="snap"), ["sr-target"], False),
        (msgspec.structs.replace(FRESH, base="snap"), ["sr-target"], False),
    ],
)
@pytest.mark.parametrize("kind", list(PassKind))
def test_r20_zeros_are_skipped_only_on_disks_that_still_read_as_zero(
    target: TargetDisk, zeroed: list[str], skip: bool, kind: PassKind
) -> None:
    """Never written to by us, on an SR whose new disks read as zeros, and not in a delta; any other full pass writes all of the disk."""
    plan = plan_pass(
        number=1,
        kind=kind,
        disks=[DISK],
        read={"disk-0": "snap-1"},
        targets={"disk-0": target},
        zeroed_srs=zeroed,
        chosen={"disk-0": Chosen(Way.VHD, "")},
    )
    assert plan.disks[0].skip_zeros is skip
    assert plan.disks[0].zero_unallocated is (target.base is None and not skip)


def test_a_plan_says_what_is_read_from_where_to_where() -> None:
    """Snapshot, base, target."""
    target = msgspec.structs.replace(FRESH, written=True, base="snap-1")
    plan = plan_pass(
        number=2,
        kind=PassKind.DELTA,
        disks=[DISK],
        read={"disk-0": "snap-2"},
        targets={"disk-0": target},
        zeroed_srs=[],
        chosen={"disk-0": Chosen(Way.CBT, "it is tracked")},
    )
    (disk,) = plan.disks
    assert (disk.disk, disk.read_vdi, disk.base, disk.target_vdi) == ("disk-0", "snap-2", "snap-1", "copy-0")
    assert (disk.way, disk.reason, disk.connections) == (Way.CBT, "it is tracked", 4)
    assert disk.virtual_size_bytes == 4096


def test_a_pass_is_a_delta_only_when_every_disk_has_a_base() -> None:
    """One disk copied anew makes it a full one."""
    based = msgspec.structs.replace(FRESH, base="snap-1")
    assert kind_of({"a": based, "b": based}) is PassKind.DELTA
    assert kind_of({"a": based, "b": FRESH}) is PassKind.FULL
