"""Orders to storage repositories, on a simulated pool."""

import pytest

from xo_warmig.errors import NoSuchObject
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi import objects
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.pool import Pool
from xo_warmig.xapi.srs import Srs


async def test_one_is_scanned_and_renamed(site: Site, directory: Directory, source: Pool) -> None:
    """What is not given stays."""
    srs, sr = Srs(directory), site.pools[0].srs[0].uuid
    await srs.scan(sr)
    _, before = await objects.record_of(source.calls, "SR", sr)
    await srs.rename(sr, name_label="renamed")
    _, now = await objects.record_of(source.calls, "SR", sr)
    assert (now["name_label"], now["name_description"]) == ("renamed", before["name_description"])
    await srs.rename(sr, name_label=before["name_label"])
    with pytest.raises(NoSuchObject):
        await srs.scan("nothing")
