"""Whether the format in which a pool keeps a disk lets an export tell quickly what it stores."""

from typing import Any

import pytest

from xo_warmig.xapi.image_formats import against_qcow2
from xo_warmig.xapi.objects import NULL


@pytest.mark.parametrize(
    ("own", "of_disk", "words"),
    [
        ({"image-format": "qcow2"}, {}, ""),
        ({"image-format": "vhd"}, {"image-format": "qcow2"}, "keeps it as vhd"),
        ({}, {"image-format": "qcow2"}, ""),
        ({}, {}, "an image of an unknown format"),
    ],
)
async def test_a_snapshot_may_have_to_ask_its_disk(pool: Any, own: Any, of_disk: Any, words: str) -> None:
    """SM does not write the format on every snapshot."""
    disk = pool.add("VDI", sm_config=of_disk, snapshot_of=NULL)
    snapshot = pool.add("VDI", sm_config=own, snapshot_of=disk)
    why = await against_qcow2(pool, pool.get("VDI", snapshot)["uuid"])
    assert words in why
    assert bool(why) is bool(words)


async def test_a_disk_of_no_known_format_tells_so(pool: Any) -> None:
    """Of older releases, or other kinds of storage."""
    disk = pool.add("VDI", sm_config={}, snapshot_of=NULL)
    assert "unknown format" in await against_qcow2(pool, pool.get("VDI", disk)["uuid"])
