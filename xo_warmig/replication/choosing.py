"""How each disk of a pass is read: the best way that its pool offers, by what each made so far, and why. Decisions only (R12)."""

from collections.abc import Iterable
from typing import NamedTuple

from xo_warmig.disks.climb import USUAL_CONNECTIONS
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport
from xo_warmig.model.vm import Disk
from xo_warmig.replication.exports import ALL_EXPORTS, Exports, exports_of_disk
from xo_warmig.replication.measured import NOTHING_MEASURED, Rates, faster_by_export

# Over all disks of a pass: what one of them begins with shrinks with their number, as a host takes few connections.
_CONNECTIONS = 8
MOST_CONNECTIONS = 16  # of one disk whose storage is slow, over all hosts that serve it


class Offer(NamedTuple):
    """What speaks against a way, in words; "" when nothing does. ``cbt``: against listing changes since the base."""

    nbd: str = ""
    cbt: str = ""


class Chosen(NamedTuple):
    """A way, and why it and no better one. ``no_other``: none may be taken instead.

    ``whole``: it is all of the disk that is read, as nothing lists what changed since the base.
    """

    way: Way
    reason: str
    no_other: bool = False
    whole: bool = False


def choose_way(
    *,
    full: bool,
    transport: Transport,
    offer: Offer,
    exports: Exports = ALL_EXPORTS,
    rates: Rates = NOTHING_MEASURED,
) -> Chosen:
    """The way for one disk of one pass.

    Args:
        full: all that is allocated is copied; else what changed since the base.
        exports: what speaks against exports of the disk.
        rates: what each way made so far.
    """
    if transport is Transport.VHD:
        return _way_by_export("transport vhd was asked for", full, exports)
    if exports.whole:
        return _way_by_blocks(exports.whole, full, offer)
    if transport is Transport.NBD:
        return _way_by_blocks("transport nbd was asked for", full, offer)
    if offer.nbd:
        return _way_by_export(f"not over NBD: {offer.nbd}", full, exports)
    if exports.delta and not full:
        return _way_by_blocks(exports.delta, full, offer)
    if not full and offer.cbt:
        return Chosen(Way.VHD, f"no changed block tracking: {offer.cbt}")
    # An export that reads all of the disk first is no match for reading it by blocks.
    if not exports.table and (faster := faster_by_export(rates, full=full)):
        return Chosen(Way.VHD, faster)
    if full:
        return Chosen(Way.NBD, "the pool serves the disk over NBD")
    return Chosen(Way.CBT, "the pool tracks the disk's changes and serves it over NBD")


def _way_by_export(why: str, full: bool, exports: Exports) -> Chosen:
    if exports.delta and not full:
        return Chosen(Way.VHD, f"{why}, and {exports.delta}", whole=True)
    return Chosen(Way.VHD, why)


def _way_by_blocks(why: str, full: bool, offer: Offer) -> Chosen:
    """What speaks against NBD now is met again when the disk is opened: there is no other way."""
    if full:
        return Chosen(Way.NBD, why, no_other=True)
    if offer.cbt:
        return Chosen(Way.NBD, f"{why}, and no changed block tracking: {offer.cbt}", no_other=True, whole=True)
    return Chosen(Way.CBT, f"{why}, and the pool tracks the disk's changes", no_other=True)


def by_blocks_only(transport: Transport, exports: Exports) -> bool:
    """Whether only changed block tracking can tell a disk's changes, and only NBD can read them."""
    return transport is Transport.NBD or bool(exports.delta)


def needs_clean_shutdown(transport: Transport, disks: Iterable[Disk]) -> bool:
    """R21: whether only the log tells the last changes of one of these, as it is believed after a clean shutdown alone.

    After a forced one the final pass would be refused, so the guest would have lost its power for nothing.
    """
    return any(by_blocks_only(transport, exports_of_disk(disk)) for disk in disks)


def connections_for(disks: int) -> int:
    """How many connections each of so many disks begins with that are copied side by side."""
    return max(1, min(USUAL_CONNECTIONS, _CONNECTIONS // max(1, disks)))
