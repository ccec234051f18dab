"""In which format storage keeps disks: what is chosen for an SR, what is asked for, what the records say, and what follows."""

from typing import Any

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.simulator.site import PoolConfig

TIB = 1 << 40
FEW = 16 << 20


def says(make: Any, vdi: str) -> dict[str, str]:
    """What its ``sm_config`` says of its image."""
    settings = make.field("VDI", vdi, "sm_config")
    return {key: settings[key] for key in ("image-format", "vdi_type", "type") if key in settings}


def kept_as(make: Any, vdi: str) -> str:
    return str(make.pool.storage.image(make.field("VDI", vdi, "uuid")).image_format)


@pytest.mark.parametrize(
    ("formats", "size_bytes", "asked", "image_format"),
    [
        (["vhd", "qcow2"], FEW, {}, "vhd"),
        (["vhd", "qcow2"], 3 * TIB, {}, "qcow2"),
        (["vhd", "qcow2"], FEW, {"image-format": "qcow2"}, "qcow2"),
        (["qcow2", "vhd"], FEW, {}, "qcow2"),
        (["qcow2", "vhd"], FEW, {"type": "vhd"}, "vhd"),
        (["qcow2"], FEW, {}, "qcow2"),
        (["qcow2"], FEW, {"image-format": "raw"}, "raw"),
    ],
)
def test_a_disk_is_made_as_asked_or_as_preferred(
    new_pool: Any, make_on: Any, formats: list[str], size_bytes: int, asked: dict[str, str], image_format: str
) -> None:
    """And says so."""
    make = make_on(new_pool("mine", image_formats=formats))
    vdi = make.vdi(size_bytes, sm_config=asked)
    assert (kept_as(make, vdi), says(make, vdi)["image-format"]) == (image_format, image_format)


def test_each_sr_has_a_choice_of_its_own(new_pool: Any, make_on: Any, refused: Any) -> None:
    """With its PBDs; one that is to make VHDs alone makes no larger disk."""
    pool = new_pool("mine", image_formats=["qcow2", "vhd"], second_image_formats=["vhd"])
    make = make_on(pool)
    (second,) = pool.db.find("SR", name_label="Second storage")
    assert kept_as(make, make.vdi()) == "qcow2"
    assert kept_as(make, make.vdi(SR=second)) == "vhd"
    record = {"SR": second, "type": "user", "sharable": False, "read_only": False, "other_config": {}}
    code, *_ = refused(make.client, "VDI.create", record | {"virtual_size": str(3 * TIB)})
    assert code == "SR_BACKEND_FAILURE_79"
    configs = {
        pool.db.row("PBD", pbd)["device_config"]["preferred-image-formats"] for pbd in pool.db.row("SR", second)["PBDs"]
    }
    assert configs == {"vhd"}
    drivers = [row for row in pool.db.rows("SM").values() if row["type"] == "ext"]
    assert drivers[0]["supported_image_formats"] == ["vhd", "qcow2", "raw"]


def test_a_format_that_nobody_knows_is_refused(new_pool: Any, make_on: Any, refused: Any) -> None:
    """As SM does."""
    make = make_on(new_pool("mine", image_formats=["vhd", "qcow2"]))
    record = {"SR": make.sr, "type": "user", "sharable": False, "read_only": False, "other_config": {}}
    more = {"virtual_size": str(FEW), "sm_config": {"image-format": "vmdk"}}
    assert refused(make.client, "VDI.create", record | more)[0] == "SR_BACKEND_FAILURE_66"


def test_a_snapshot_says_its_format_after_a_scan(new_pool: Any, make_on: Any) -> None:
    """Before, SM forgets it; the image is of that format in any case, and so is a clone."""
    make = make_on(new_pool("mine", image_formats=["qcow2"]))
    vdi = make.vdi()
    make.write(vdi, 0, b"x")
    snapshot, clone = make.client("VDI.snapshot", vdi), make.client("VDI.clone", vdi)
    assert [says(make, each) for each in (vdi, snapshot, clone)] == [{"image-format": "qcow2"}, {}, {}]
    assert {kept_as(make, each) for each in (vdi, snapshot, clone)} == {"qcow2"}
    make.client("SR.scan", make.sr)
    assert says(make, snapshot) == {"image-format": "qcow2"}


@pytest.mark.parametrize(
    ("sr_type", "formats", "of_disk", "of_snapshot"),
    [
        ("ext", ["vhd"], {}, {}),
        ("lvm", ["vhd"], {"vdi_type": "vhd"}, {"vdi_type": "vhd"}),
        ("lvm", ["qcow2"], {"vdi_type": "qcow2", "image-format": "qcow2"}, {"vdi_type": "qcow2"}),
    ],
)
def test_what_says_it_differs_by_kind_and_age_of_storage(
    new_pool: Any, make_on: Any, sr_type: str, formats: list[str], of_disk: dict[str, str], of_snapshot: dict[str, str]
) -> None:
    """LVM has always told; files have not before there was a choice."""
    make = make_on(new_pool("mine", sr_type=sr_type, image_formats=formats))
    vdi = make.vdi()
    snapshot = make.client("VDI.snapshot", vdi)
    assert (says(make, vdi), says(make, snapshot)) == (of_disk, of_snapshot)


def test_a_raw_file_takes_neither_snapshots_nor_tracking(make: Any, refused: Any) -> None:
    """In any release."""
    vdi = make.vdi(sm_config={"type": "raw"})
    assert (kept_as(make, vdi), says(make, vdi)) == ("raw", {"type": "raw"})
    assert refused(make.client, "VDI.snapshot", vdi)[0] == "SR_BACKEND_FAILURE_38"
    assert refused(make.client, "VDI.enable_cbt", vdi)[0] == "SR_BACKEND_FAILURE_66"


def test_a_raw_volume_becomes_a_vhd_by_its_first_snapshot(new_pool: Any, make_on: Any) -> None:
    """Its own blocks stay below, raw."""
    make = make_on(new_pool("mine", sr_type="lvm"))
    vdi = make.vdi(sm_config={"type": "raw"})
    assert says(make, vdi)["vdi_type"] == "aio"
    make.client("VDI.snapshot", vdi)
    assert (kept_as(make, vdi), says(make, vdi)["vdi_type"]) == ("vhd", "vhd")


def test_qcow2_images_can_be_tracked(new_pool: Any, make_on: Any) -> None:
    """As VHDs can."""
    make = make_on(new_pool("mine", image_formats=["qcow2"]))
    vdi = make.vdi()
    make.client("VDI.enable_cbt", vdi)
    assert make.field("VDI", vdi, "cbt_enabled") is True


@pytest.mark.parametrize("fields", [{"image_formats": ["qcow2"]}, {"second_image_formats": ["qcow2"]}])
def test_an_older_release_has_no_qcow2(fields: dict[str, Any]) -> None:
    """Neither kept nor exported."""
    with pytest.raises(InvalidRequest, match=r"release 8\.2"):
        PoolConfig(name="old", release="8.2", **fields)
    assert not PoolConfig(name="old", release="8.2").exports_qcow2
    assert PoolConfig(name="new").exports_qcow2
