"""Storage repositories, by their records."""

from typing import Any

import pytest

from xo_warmig.xapi.storage import read_sr, sr_from


def record(**fields: Any) -> dict[str, Any]:
    return {
        "uuid": "sr-1",
        "name_label": "local",
        "type": "ext",
        "content_type": "user",
        "physical_size": "1000",
        "physical_utilisation": "400",
        "shared": False,
        "sm_config": {},
        **fields,
    }


@pytest.mark.parametrize(
    ("fields", "thin", "reads_as_zero"),
    [
        ({"type": "ext"}, True, True),
        ({"type": "lvm", "sm_config": {"allocation": "thick", "use_vhd": "true"}}, False, True),
        ({"type": "lvmoiscsi"}, False, False),
        ({"type": "rawhba"}, False, False),
    ],
)
def test_a_driver_s_kind_says_how_its_disks_behave(fields: dict[str, Any], thin: bool, reads_as_zero: bool) -> None:
    """A bare volume on LVM holds what its last owner left in it."""
    sr = sr_from(record(**fields), plugged=True, driver=None)
    assert (sr.thin, sr.reads_as_zero) == (thin, reads_as_zero)


@pytest.mark.parametrize(
    ("fields", "features", "allowed"),
    [
        ({}, {"VDI_CREATE": "1"}, True),
        ({}, {"VDI_ATTACH": "1"}, False),
        ({}, None, True),
        ({"content_type": "iso", "type": "nfs"}, {"VDI_CREATE": "1"}, False),
        ({"type": "udev"}, {}, False),
    ],
)
def test_not_every_sr_takes_new_disks(fields: dict[str, Any], features: Any, allowed: bool) -> None:
    """By its driver's features and by its content."""
    driver = None if features is None else {"features": features}
    assert sr_from(record(**fields), plugged=True, driver=driver).allows_create is allowed


@pytest.mark.parametrize(
    ("driver", "most"),
    [
        (None, None),
        ({"features": {}}, None),
        ({"features": {}, "supported_image_formats": []}, None),
        ({"features": {}, "supported_image_formats": ["raw"]}, None),
        ({"features": {}, "supported_image_formats": ["vhd", "raw"]}, 2040 << 30),
        ({"features": {}, "supported_image_formats": ["vhd", "qcow2"]}, 16 << 40),
    ],
)
def test_how_large_disks_may_be_is_known_where_the_driver_says_its_formats(driver: Any, most: int | None) -> None:
    """It does since xapi 26.15."""
    assert sr_from(record(), plugged=True, driver=driver).most_disk_bytes == most


async def test_an_sr_is_plugged_when_a_live_host_has_it(pool: Any) -> None:
    """A host that died may still look attached."""
    metrics = pool.add("host_metrics", live=False)
    host = pool.add("host", metrics=metrics, address="10.0.0.1")
    pbd = pool.add("PBD", host=host, currently_attached=True)
    pool.records["SM"] = {}
    sr = pool.add("SR", **{key: value for key, value in record().items() if key != "uuid"}, PBDs=[pbd])
    uuid = pool.get("SR", sr)["uuid"]
    assert (await read_sr(pool, uuid)).plugged is False
    pool.get("host_metrics", metrics)["live"] = True
    found = await read_sr(pool, uuid)
    assert (found.plugged, found.free_bytes) == (True, 600)


def test_what_is_done_to_an_sr_and_may_be() -> None:
    """By the kinds of its operations; a record without them tells nothing."""
    busy = record(current_operations={"OpaqueRef:t": "scan"}, allowed_operations=["vdi_destroy", "plug"])
    sr = sr_from(busy, plugged=True, driver=None)
    assert (sr.current_operations, sr.allowed_operations) == (["scan"], ["plug", "vdi_destroy"])
    assert sr_from(record(), plugged=True, driver=None).allowed_operations == []
