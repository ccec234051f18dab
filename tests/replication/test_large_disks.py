"""Disks that no VHD can hold: read by NBD or not at all, their changes by tracking or not at all, and said beforehand."""

from typing import Any

import pytest

from tests.replication.test_preflight import disks, look
from xo_warmig.errors import WarmigError
from xo_warmig.model.images import QCOW2
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport, Verify
from xo_warmig.model.units import GIB, TIB
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.choosing import Offer, choose_way
from xo_warmig.replication.exports import exports_of

LARGE = disks(virtual_size_bytes=6 * TIB, image_format=QCOW2)
HALTED = {"power_state": PowerState.HALTED}


def errors(vm: dict[str, Any], **changes: Any) -> list[WarmigError]:
    return look(LARGE | vm, **changes).errors


def test_one_that_is_served_over_nbd_goes() -> None:
    """With nothing to say about it where its image tells what it stores."""
    found = look(LARGE)
    assert (found.errors, found.warnings) == ([], [])


def test_where_only_exports_read_it_is_refused() -> None:
    """With the reason that the pool gave, and what to do."""
    (error,) = errors({}, around_more={"against_blocks": {"disk-0": "no network of the pool has the purpose nbd"}})
    assert error.code == "DISK_TOO_LARGE"
    assert "no network of the pool has the purpose nbd" in str(error)
    assert "purpose nbd" in error.remedy
    assert error.evidence["disk"] == "disk-0"
    assert (error.evidence["actual"], error.evidence["most"]) == (6 * TIB, 2040 * GIB)


def test_what_speaks_against_nbd_is_nothing_to_other_disks() -> None:
    """2040 GiB is the most that a VHD holds."""
    against = {"against_blocks": {"disk-0": "no NBD", "disk-1": "no NBD"}}
    assert look(disks(virtual_size_bytes=2040 * GIB), around_more=against).errors == []


def test_transport_vhd_is_refused() -> None:
    """At the parameter that asks for it."""
    (error,) = errors({}, transport=Transport.VHD)
    assert (error.code, error.evidence["instancePath"]) == ("DISK_TOO_LARGE", "/transport")


def test_a_running_vm_without_tools_is_refused_and_a_halted_one_is_not() -> None:
    """After a power cut the log of changes is not believed (R21), and there is no other list of them."""
    assert [error.code for error in errors({"tools": False})] == ["LARGE_DISK_NEEDS_TOOLS"]
    assert errors({"tools": False} | HALTED) == []


def test_that_all_of_it_is_read_is_told() -> None:
    """It takes hours, and costs no downtime."""
    (warning,) = look(disks(virtual_size_bytes=6 * TIB)).warnings
    assert (warning.code, warning.evidence["bytes"]) == ("WHOLE_DISK_READ", 6 * TIB)
    assert "its pool keeps it as an image of an unknown format" in warning.message


def test_what_only_nbd_could_read_back_is_refused_or_told() -> None:
    """All of it is asked for in vain; a sample is left out."""
    (error,) = errors({}, against_read_back="no network serves it", verify=Verify.FULL)
    assert (error.code, error.evidence["instancePath"]) == ("READ_BACK_NEEDS_NBD", "/verify")
    found = look(LARGE, against_read_back="no network serves it")
    assert (found.errors, [each.code for each in found.warnings]) == ([], ["NOT_READ_BACK"])


@pytest.mark.parametrize(("most", "refused"), [(None, False), (16 * TIB, False), (2040 * GIB, True)])
def test_a_target_that_makes_no_such_disks_is_refused(most: int | None, refused: bool) -> None:
    """Where its pool says so; else the creation of the disk tells."""
    found = errors({}, sr={"most_disk_bytes": most})
    assert [error.code for error in found] == (["DISK_TOO_LARGE_FOR_SR"] if refused else [])
    if refused:
        assert found[0].evidence["instancePath"] == "/sr"


@pytest.mark.parametrize(
    ("full", "offer", "way"),
    [
        (True, Offer(), Way.NBD),
        (True, Offer(nbd="it broke in the pass before"), Way.NBD),
        (False, Offer(), Way.CBT),
        (False, Offer(nbd="it broke in the pass before"), Way.CBT),
        (False, Offer(cbt="the log does not lead back"), Way.NBD),
    ],
)
def test_no_way_leads_to_an_export(full: bool, offer: Offer, way: Way) -> None:
    """A delta that nothing lists is the whole disk over NBD."""
    chosen = choose_way(full=full, transport=Transport.AUTO, offer=offer, exports=exports_of(2041 * GIB, QCOW2))
    assert chosen.way is way
    if offer.cbt:
        assert offer.cbt in chosen.reason
