"""``PUT /import_raw_vdi`` (ocaml/xapi/import_raw_vdi.ml): raw, sparse or VHD data onto a disk that exists, or raw data onto a new one."""

import ssl
from typing import TYPE_CHECKING

from xo_warmig.simulator.attach import attached
from xo_warmig.simulator.calls import disks
from xo_warmig.simulator.dispatch import Call
from xo_warmig.simulator.release import at_least
from xo_warmig.simulator.transfer import answers
from xo_warmig.simulator.transfer.handling import (
    Refusal,
    Transfer,
    handled,
    logged_in,
    missing,
    require_here,
    vdi_named,
)
from xo_warmig.simulator.transfer.receivers import Target, receive_raw, receive_sparse
from xo_warmig.simulator.transfer.tar_stream import receive_tar
from xo_warmig.simulator.transfer.vhd_intake import receive_vhd
from xo_warmig.simulator.transfer.wire import Inlet

if TYPE_CHECKING:
    from xo_warmig.simulator.request import HttpRequest


def serve_import(request: "HttpRequest") -> None:
    """Write the whole answer. Success is an answer without a body; the connection ends after the task."""
    if not logged_in(request, "import_raw_vdi", "put"):
        return
    with handled(request, "import_raw_vdi", "Importing raw VDI") as transfer:
        _refuse_what_cannot_be(transfer)
        vdi = _target(transfer)
        transfer.vdi = transfer.uuid(vdi)
        sr = transfer.pool.db.field("VDI", vdi, "SR")
        require_here(transfer, sr)
        if at_least(transfer.pool.release, "8.0"):
            _answer(transfer)
        try:
            _import(transfer, vdi)
        finally:
            transfer.pool.space.refresh(sr)
        transfer.pool.round_trip()
        result = f"<value>{vdi}</value>" if at_least(transfer.pool.release, "7.1") else ""
        transfer.pool.tasks.succeed(transfer.task, result)


def _refuse_what_cannot_be(transfer: Transfer) -> None:
    if not at_least(transfer.pool.release, "7.1"):
        _refuse_as_before(transfer)
    headers, args = transfer.request.headers, transfer.request.args
    if transfer.format not in _formats(transfer):
        raise Refusal(answers.not_found(), ["INTERNAL_ERROR", f"Unknown format {transfer.format}"])
    if "chunked" in args and transfer.format != "raw":
        raise Refusal(answers.not_found(), ["INTERNAL_ERROR", "Cannot handle chunked VHD"])
    if encoding := headers.get("transfer-encoding"):
        raise Refusal(answers.not_found(), ["INTERNAL_ERROR", f"Cannot handle encoding: {encoding}"])
    if "vdi" in args:
        return
    if "sr_id" not in args and "sr_uuid" not in args:
        raise Refusal(answers.bad_request(), ["VDI_MISSING"])
    if transfer.format != "raw":
        text = f"Importing a {transfer.format.upper()} directly into an SR not yet supported"
        raise Refusal(answers.bad_request(), ["INTERNAL_ERROR", text])
    if _length(transfer) is None:
        raise Refusal(answers.bad_request(), ["INTERNAL_ERROR", "Not enough info supplied to import"])


def _formats(transfer: Transfer) -> tuple[str, ...]:
    """What the pool's release imports."""
    return ("raw", "vhd", "tar") if at_least(transfer.pool.release, "8.0") else ("raw", "vhd")


def _refuse_as_before(transfer: Transfer) -> None:
    """What 6.5 refused otherwise: it makes no disk, it says nothing to a chunked VHD and calls that a success, and forbids encodings."""
    if "vdi" not in transfer.request.args:
        raise Refusal(answers.internal_error('Failure("Missing vdi query parameter")'), None)
    if transfer.format == "vhd" and "chunked" in transfer.request.args:
        transfer.pool.tasks.succeed(transfer.task)
        raise Refusal(b"", None)
    encoding = transfer.request.headers.get("transfer-encoding")
    if encoding and transfer.format in _formats(transfer):
        text = f'Failure("import code cannot handle encoding: {encoding}")'
        raise Refusal(answers.forbidden() + answers.internal_error(text), ["INTERNAL_ERROR", text])


def _target(transfer: Transfer) -> str:
    """The disk that is meant, or a new one of the length of the body."""
    args, pool = transfer.request.args, transfer.pool
    if "vdi" in args:
        return vdi_named(transfer, "vdi")
    named = args.get("sr_id") or args.get("sr_uuid") or ""
    sr = pool.db.resolve("SR", named)
    if sr is None:
        raise missing("SR", named)
    require_here(transfer, sr)
    call = Call(
        pool=pool,
        method=transfer.name,
        session=transfer.request.session or "",
        task=transfer.task,
        host=transfer.request.host,
    )
    return disks.create(call, sr, _length(transfer) or 0, name_label="Imported VDI", type="user")


def _answer(transfer: Transfer) -> None:
    """The head: since 8.0 before the disk is attached, up to 7.6 after it."""
    if not transfer.answered:
        transfer.answer(answers.import_head(transfer.task))


def _import(transfer: Transfer, vdi: str) -> None:
    pool = transfer.pool
    linger = pool.delays.seconds("linger")
    with (
        attached(pool, vdi, transfer.request.host, "RW", linger_seconds=linger),
        pool.storage.open(transfer.vdi, writable=True) as disk,
    ):
        _answer(transfer)
        faults = pool.faults.for_transfer(transfer.name, [transfer.vdi])
        inlet = Inlet(transfer.request.rfile, pool.bandwidth, faults, lambda received: None)
        target = Target(inlet, disk, faults.most_dropped_bytes)
        transfer.count = lambda: (inlet.received_bytes, target.written_bytes)
        lost_bytes = 0
        try:
            _receive(transfer, target)
        except (EOFError, ConnectionError, ssl.SSLError):
            lost_bytes = faults.lost_bytes()
            raise
        finally:
            target.settle(lost_bytes)


def _receive(transfer: Transfer, target: Target) -> None:
    if transfer.format == "vhd":
        receive_vhd(target, _length(transfer))
    elif transfer.format == "tar":
        receive_tar(target)
    elif "chunked" in transfer.request.args:
        transfer.format = "sparse"
        receive_sparse(target)
    else:
        receive_raw(target, _length(transfer))


def _length(transfer: Transfer) -> int | None:
    text = transfer.request.headers.get("content-length", "")
    return int(text) if text.isdigit() else None
