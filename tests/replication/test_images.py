"""Disks that are kept as anything but VHD: which ways lead to them, what is refused, and what is told."""

from typing import Any

import pytest

from tests.replication.test_preflight import disks, look
from xo_warmig.errors import WarmigError
from xo_warmig.model.images import QCOW2, RAW, VHD
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport, Verify
from xo_warmig.model.units import GIB
from xo_warmig.model.vm import PowerState
from xo_warmig.replication.choosing import Offer, choose_way
from xo_warmig.replication.exports import exports_of
from xo_warmig.replication.measured import Rate

OTHER = disks(image_format=QCOW2)
HALTED = {"power_state": PowerState.HALTED}
NO_NBD: dict[str, Any] = {"around_more": {"against_blocks": {"disk-0": "no network of the pool has the purpose nbd"}}}
FAST_EXPORT = {Way.VHD: Rate(900e6, "before"), Way.NBD: Rate(100e6, "before"), Way.CBT: Rate(100e6, "before")}


def errors(vm: dict[str, Any], **changes: Any) -> list[WarmigError]:
    return look(OTHER | vm, **changes).errors


@pytest.mark.parametrize(
    ("full", "transport", "offer", "way", "whole"),
    [
        (True, Transport.AUTO, Offer(), Way.NBD, False),
        (True, Transport.AUTO, Offer(nbd="no network"), Way.VHD, False),
        (False, Transport.AUTO, Offer(), Way.CBT, False),
        (False, Transport.AUTO, Offer(cbt="it crashed"), Way.NBD, True),
        (False, Transport.AUTO, Offer(nbd="no network"), Way.VHD, True),
        (False, Transport.VHD, Offer(), Way.VHD, True),
        (False, Transport.NBD, Offer(), Way.CBT, False),
    ],
)
def test_no_way_leads_to_an_export_of_differences(
    full: bool, transport: Transport, offer: Offer, way: Way, whole: bool
) -> None:
    """What changed is listed by the log, or the disk is copied whole. However fast exports were."""
    exports = exports_of(20 * GIB, QCOW2)
    chosen = choose_way(full=full, transport=transport, offer=offer, exports=exports, rates=FAST_EXPORT)
    assert (chosen.way, chosen.whole) == (way, whole)
    if not full:
        assert chosen.no_other is (way is not Way.VHD), "a broken connection must not lead there either"


@pytest.mark.parametrize("image_format", [VHD, ""])
def test_a_vhd_has_every_way(image_format: str) -> None:
    """And so has what is not known to be anything else, as on releases that do not say."""
    exports = exports_of(2040 * GIB, image_format)
    assert exports == ("", "", "")
    chosen = choose_way(full=False, transport=Transport.AUTO, offer=Offer(nbd="no network"), exports=exports)
    assert (chosen.way, chosen.whole) == (Way.VHD, False)


def test_one_that_is_served_over_nbd_goes() -> None:
    """With nothing to say about it."""
    found = look(OTHER)
    assert (found.errors, found.warnings, found.notes) == ([], [], [])


def test_without_nbd_a_running_vm_is_refused_with_reason_and_remedy() -> None:
    """Its first pass would go, and no other."""
    (error,) = errors({}, **NO_NBD)
    assert error.code == "IMAGE_NEEDS_NBD"
    assert "qcow2" in str(error)
    assert "no network of the pool has the purpose nbd" in str(error)
    assert "purpose nbd" in error.remedy
    assert "halted" in error.remedy


def test_transport_vhd_is_refused_at_its_parameter() -> None:
    """For a running VM alone."""
    (error,) = errors({}, transport=Transport.VHD)
    assert (error.code, error.evidence["instancePath"]) == ("IMAGE_NEEDS_NBD", "/transport")
    assert errors(HALTED, transport=Transport.VHD) == []


def test_without_nbd_a_halted_vm_goes_in_one_pass_and_its_length_is_told() -> None:
    """The pool reads all of the disk before it sends a byte."""
    found = look(OTHER | HALTED, **NO_NBD)
    assert found.errors == []
    (warning,) = found.warnings
    assert (warning.code, warning.evidence["bytes"]) == ("WHOLE_DISK_READ", 20 * GIB)
    assert "before it has read all" in warning.message
    assert {note.code for note in found.notes} == {"ONE_PASS", "NO_NBD"}


def test_without_tools_a_running_vm_is_refused() -> None:
    """R21: the log is not believed after a power cut."""
    assert [error.code for error in errors({"tools": False})] == ["IMAGE_NEEDS_TOOLS"]
    assert errors({"tools": False} | HALTED) == []


def test_tracking_that_is_not_allowed_is_refused() -> None:
    """Where a VHD has exports instead."""
    assert [error.code for error in errors({}, source_sr={"tracks_changes": False})] == ["TRACKING_NEEDED"]


@pytest.mark.parametrize(
    ("vm", "sr", "code"),
    [
        ({}, {"takes_snapshots": False}, "SNAPSHOT_NOT_SUPPORTED"),
        ({}, {"takes_snapshots": False, "reads_as_zero": False, "type": "lvm"}, "SNAPSHOT_NOT_SUPPORTED"),
        (disks(image_format=RAW), {"takes_snapshots": True}, "SNAPSHOT_NOT_SUPPORTED"),
        (disks(image_format=RAW), {"takes_snapshots": True, "type": "zfs-vol"}, "TRACKING_NEEDED"),
    ],
)
def test_what_cannot_be_frozen_or_tracked_is_refused_while_it_runs(
    vm: dict[str, Any], sr: dict[str, Any], code: str
) -> None:
    """And copied in one pass when it is halted."""
    found = look(vm, source_sr=sr)
    assert {error.code for error in found.errors} == {code}
    assert found.errors[0].evidence["disk"] == "disk-0"
    assert look(vm | HALTED, source_sr=sr).errors == []


def test_a_sample_of_a_copy_that_is_no_vhd_is_left_out_without_nbd() -> None:
    """By the format that the target makes; all of it is read where that was asked for, and the time of that is told."""
    more: dict[str, Any] = {"sr": {"image_formats": [QCOW2, VHD]}, "against_read_back": "no network serves it"}
    assert {each.code for each in look(**more).warnings} == {"NOT_READ_BACK"}
    (warning,) = look(**more, verify=Verify.FULL).warnings
    assert (warning.code, warning.evidence["bytes"]) == ("READ_BACK_IN_DOWNTIME", 40 * GIB)
    more["sr"] = {"image_formats": [VHD, QCOW2]}
    assert look(**more).warnings == []


def test_that_the_format_changes_is_told() -> None:
    """Where both are known."""
    (note,) = look(OTHER, sr={"image_formats": [VHD]}).notes
    assert (note.code, note.evidence["source"], note.evidence["target"]) == ("IMAGE_FORMAT_CHANGES", QCOW2, VHD)
    assert look(OTHER, sr={"image_formats": [QCOW2]}).notes == []
    assert look(sr={"image_formats": [QCOW2]}).notes == []
