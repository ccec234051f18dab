"""In which format a pool keeps a disk, and would make one, from what its records say."""

from typing import Any

import pytest

from xo_warmig.xapi.image_formats import preferred, read_image_format
from xo_warmig.xapi.objects import NULL


@pytest.mark.parametrize(
    ("own", "of_disk", "kept_as"),
    [
        ({"image-format": "qcow2"}, {}, "qcow2"),
        ({"image-format": "vhd"}, {"image-format": "qcow2"}, "vhd"),
        ({}, {"image-format": "qcow2"}, "qcow2"),
        ({"vdi_type": "vhd"}, {}, "vhd"),
        ({"vdi_type": "aio"}, {}, "raw"),
        ({"type": "raw"}, {}, "raw"),
        ({}, {}, ""),
    ],
)
async def test_a_snapshot_may_have_to_ask_its_disk(pool: Any, own: Any, of_disk: Any, kept_as: str) -> None:
    """SM does not write the format on every snapshot, and what it writes has changed."""
    sr = pool.add("SR", type="nfs", sm_config={})
    disk = pool.add("VDI", sm_config=of_disk, snapshot_of=NULL, SR=sr)
    snapshot = pool.add("VDI", sm_config=own, snapshot_of=disk, SR=sr)
    assert await read_image_format(pool, pool.get("VDI", snapshot)["uuid"], {}) == kept_as


@pytest.mark.parametrize(
    ("sr", "kept_as"),
    [
        ({"type": "lvm", "sm_config": {"use_vhd": "true"}}, ""),
        ({"type": "lvm", "sm_config": {}}, "raw"),
        ({"type": "rawhba", "sm_config": {}}, "raw"),
        ({"type": "gfs2", "sm_config": {}}, "qcow2"),
    ],
)
async def test_storage_that_keeps_all_disks_alike_need_not_say_it(pool: Any, sr: Any, kept_as: str) -> None:
    """Its kind does."""
    disk = pool.add("VDI", sm_config={}, snapshot_of=NULL, SR=pool.add("SR", **sr))
    assert await read_image_format(pool, pool.get("VDI", disk)["uuid"], {}) == kept_as


async def test_a_storage_is_asked_for_once(pool: Any) -> None:
    """Its kind never changes, and a disk is asked for in every pass."""
    storages: dict[str, Any] = {}
    sr = pool.add("SR", type="gfs2", sm_config={})
    for _ in range(2):
        disk = pool.get("VDI", pool.add("VDI", sm_config={}, snapshot_of=NULL, SR=sr))
        assert await read_image_format(pool, disk["uuid"], storages) == "qcow2"
    assert pool.calls("SR.get_record") == ["SR.get_record"]


@pytest.mark.parametrize(
    ("configs", "supported", "formats"),
    [
        ([], [], []),
        ([{}], ["raw", "vhd"], ["vhd"]),
        ([{}], ["qcow2", "raw", "vhd"], ["vhd", "qcow2"]),
        ([{"preferred-image-formats": "qcow2, vhd"}], ["vhd", "qcow2"], ["qcow2", "vhd"]),
        ([{}, {"preferred-image-formats": "qcow2"}], [], ["qcow2"]),
        ([{"preferred-image-formats": "vmdk"}], ["vhd"], ["vhd"]),
    ],
)
def test_what_an_sr_makes_is_what_was_chosen_for_it(
    configs: list[dict[str, str]], supported: list[str], formats: list[str]
) -> None:
    """With its PBDs; else what SM takes by itself of what it has."""
    assert preferred([{"device_config": config} for config in configs], supported) == formats
