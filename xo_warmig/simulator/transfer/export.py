"""``GET /export_raw_vdi`` (ocaml/xapi/export_raw_vdi.ml): a disk, or its difference to another, as raw bytes or as VHD."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from xo_warmig.simulator.attach import attached
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.release import at_least
from xo_warmig.simulator.site import LARGEST_VHD_BYTES
from xo_warmig.simulator.storage import BLOCK, Disk
from xo_warmig.simulator.storage.images import nonzero_on
from xo_warmig.simulator.storage.index import VHD
from xo_warmig.simulator.transfer import answers, qcow2_layout
from xo_warmig.simulator.transfer.handling import Refusal, Transfer, handled, logged_in, require_here, vdi_named
from xo_warmig.simulator.transfer.tar_stream import entries
from xo_warmig.simulator.transfer.vhd_layout import delta_layout, full_layout
from xo_warmig.simulator.transfer.wire import Outlet, hang_up

if TYPE_CHECKING:
    from xo_warmig.simulator.request import HttpRequest

_ZEROS = bytes(BLOCK)


def serve_export(request: "HttpRequest") -> None:
    """Write the whole answer, head and body."""
    if not logged_in(request, "export_raw_vdi", "get"):
        return
    with handled(request, "export_raw_vdi", "Exporting raw VDI") as transfer:
        if "vdi" not in request.args:
            text = 'Failure("Missing vdi query parameter")'
            raise Refusal(answers.internal_error(text), ["INTERNAL_ERROR", text])
        vdi = vdi_named(transfer, "vdi")
        base = vdi_named(transfer, "base") if "base" in request.args else None
        transfer.vdi = transfer.uuid(vdi)
        transfer.base = transfer.uuid(base) if base else None
        if transfer.format not in _formats(transfer):
            raise Refusal(answers.not_found(), ["INTERNAL_ERROR", f"Unknown format {transfer.format}"])
        require_here(transfer, transfer.pool.db.field("VDI", vdi, "SR"))
        if at_least(transfer.pool.release, "8.0"):
            _answer(transfer)
        _export(transfer, vdi, base)
        transfer.pool.tasks.succeed(transfer.task)


def _answer(transfer: Transfer) -> None:
    """The head: since 8.0 before the disk is attached, so that a refusal comes in the body; up to 7.6 after it."""
    if not transfer.answered:
        transfer.answer(answers.export_head(transfer.task, transfer.format, transfer.vdi))


def _formats(transfer: Transfer) -> set[str]:
    """What the pool's release exports."""
    lacking = set() if transfer.pool.config.exports_qcow2 else {"qcow2"}
    if not at_least(transfer.pool.release, "8.0"):
        lacking |= {"tar"}
    return set(answers.CONTENT_TYPES) - lacking


def _export(transfer: Transfer, vdi: str, base: str | None) -> None:
    """The body. Its end is seen before the disks are let go, and those are let go before the task ends."""
    pool, host = transfer.pool, transfer.request.host
    vhd_knows_its_limit = at_least(pool.release, "8.0")
    if (
        vhd_knows_its_limit
        and transfer.format == "vhd"
        and pool.db.field("VDI", vdi, "virtual_size") > LARGEST_VHD_BYTES
    ):
        raise XapiFailure("VDI_TOO_LARGE", vdi, str(LARGEST_VHD_BYTES))
    if transfer.format == "qcow2" and base is not None:
        raise XapiFailure("INTERNAL_ERROR", "differences as qcow2 are not simulated")
    with ExitStack() as stack:
        if base is not None:
            stack.enter_context(attached(pool, base, host, "RO"))
        stack.enter_context(attached(pool, vdi, host, "RO", linger_seconds=pool.delays.seconds("linger")))
        disk = stack.enter_context(pool.storage.open(transfer.vdi))
        _answer(transfer)
        if transfer.format == "vhd":
            _send_vhd(transfer, disk, base)
        elif transfer.format == "qcow2":
            _send_qcow2(transfer, disk)
        elif transfer.format == "tar":
            _send_tar(transfer, disk)
        else:
            _send_raw(transfer, disk)
        hang_up(transfer.request.connection)


def _send_raw(transfer: Transfer, disk: Disk) -> None:
    outlet = _outlet(transfer, disk.size_bytes)
    for block in range(disk.size_bytes // BLOCK):
        _send_block(outlet, disk, block)
    outlet.finish()


def _send_vhd(transfer: Transfer, disk: Disk, base: str | None) -> None:
    storage = transfer.pool.storage
    if base is not None and transfer.base is not None:
        _require_vhds(transfer, transfer.base)
        blocks = storage.changed_blocks(transfer.vdi, transfer.base)
        sr_uuid = transfer.pool.db.field("SR", transfer.pool.db.field("VDI", base, "SR"), "uuid")
        layout = delta_layout(disk.size_bytes, blocks, transfer.base, f"/run/sr-mount/{sr_uuid}/{transfer.base}.vhd")
    else:
        blocks = _stored_blocks(transfer, disk)
        layout = full_layout(disk.size_bytes, blocks)
    outlet = _outlet(transfer, layout.length_bytes)
    outlet.send(layout.head, more=True)
    for block in blocks:
        outlet.send(layout.bitmap, more=True)
        _send_block(outlet, disk, block)
    outlet.send(layout.tail)
    outlet.finish()


def _require_vhds(transfer: Transfer, base_uuid: str) -> None:
    """vhd-tool finds differences in the tables of VHDs alone (ocaml/xapi/vhd_tool_wrapper.ml)."""
    for uuid, why in (
        (transfer.vdi, "Cannot compute differences on non-VHD images"),
        (base_uuid, "Vhd_tool_wrapper.send: base VDI is not a vhd; cannot compute differences: Driver_mismatch"),
    ):
        if transfer.pool.storage.image(uuid).image_format != VHD:
            raise XapiFailure("INTERNAL_ERROR", f'Failure("{why}")')


def _stored_blocks(transfer: Transfer, disk: Disk) -> list[int]:
    """By the tables of VHDs; of any other image by reading all of it: those that are not zero."""
    storage = transfer.pool.storage
    blocks = storage.allocated_blocks(transfer.vdi)
    if storage.image(transfer.vdi).image_format == VHD:
        return blocks
    return [block for block in blocks if any(True for _ in nonzero_on(disk, block))]


def _send_qcow2(transfer: Transfer, disk: Disk) -> None:
    """The clusters that hold anything but zeros; xapi's tool finds these in the image's tables, or by reading the disk."""
    clusters = [
        offset // qcow2_layout.CLUSTER
        for block in transfer.pool.storage.allocated_blocks(transfer.vdi)
        for offset, _ in nonzero_on(disk, block)
    ]
    head = qcow2_layout.head(disk.size_bytes, clusters)
    outlet = _outlet(transfer, len(head) + len(clusters) * qcow2_layout.CLUSTER)
    outlet.send(head, more=True)
    for cluster in clusters:
        outlet.send(disk.pread(cluster * qcow2_layout.CLUSTER, qcow2_layout.CLUSTER))
    outlet.finish()


def _send_tar(transfer: Transfer, disk: Disk) -> None:
    outlet = _outlet(transfer, disk.size_bytes)
    for entry in entries(disk, ".xxhash" if at_least(transfer.pool.release, "8.2") else ".checksum"):
        outlet.send(entry)
    outlet.finish()


def _send_block(outlet: Outlet, disk: Disk, block: int) -> None:
    segment = disk.segment(block)
    if segment is None:
        outlet.send(_ZEROS)
    else:
        outlet.send_file(*segment, BLOCK)


def _outlet(transfer: Transfer, total_bytes: int) -> Outlet:
    pool = transfer.pool
    faults = pool.faults.for_transfer(transfer.name, [transfer.vdi, *([transfer.base] if transfer.base else [])])

    def progress(sent_bytes: int) -> None:
        pool.tasks.set_progress(transfer.task, min(1.0, sent_bytes / total_bytes))

    outlet = Outlet(transfer.request.connection, pool.bandwidth, faults, progress)
    transfer.count = lambda: (outlet.sent_bytes, 0)
    return outlet
