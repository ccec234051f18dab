"""How each disk of a pass is read: the best way that its pool offers, by what each made so far, and why. Decisions only (R12)."""

from typing import NamedTuple

from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport
from xo_warmig.replication.measured import NOTHING_MEASURED, Rates, faster_by_export

# Over all disks of a pass: what one of them begins with shrinks with their number, as a host takes few connections.
_CONNECTIONS = 8
USUAL_CONNECTIONS = 4  # of one disk: more did not read faster from storage that was fast
MOST_CONNECTIONS = 16  # of one disk whose storage is slow, over all hosts that serve it


class Offer(NamedTuple):
    """What speaks against a way, in words; "" when nothing does. ``cbt``: against listing changes since the base."""

    nbd: str = ""
    cbt: str = ""


class Chosen(NamedTuple):
    """A way, and why it and no better one. ``no_other``: none may be taken instead."""

    way: Way
    reason: str
    no_other: bool = False


def choose_way(
    *, full: bool, transport: Transport, offer: Offer, size_bytes: int = 0, rates: Rates = NOTHING_MEASURED
) -> Chosen:
    """The way for one disk of one pass.

    Args:
        full: all that is allocated is copied; else what changed since the base.
        size_bytes: of the disk; 0 for one that a VHD can hold.
        rates: what each way made so far.

    Returns:
        Where no other way may be taken and the changes are not listed, ``Way.NBD`` although ``full`` is False: copied whole.
    """
    if transport is Transport.VHD:
        return Chosen(Way.VHD, "transport vhd was asked for")
    if needs_nbd(size_bytes):
        return _way_by_blocks("no VHD can hold the disk", full, offer)
    if transport is Transport.NBD:
        return _way_by_blocks("transport nbd was asked for", full, offer)
    if offer.nbd:
        return Chosen(Way.VHD, f"not over NBD: {offer.nbd}")
    if not full and offer.cbt:
        return Chosen(Way.VHD, f"no changed block tracking: {offer.cbt}")
    if faster := faster_by_export(rates, full=full):
        return Chosen(Way.VHD, faster)
    if full:
        return Chosen(Way.NBD, "the pool serves the disk over NBD")
    return Chosen(Way.CBT, "the pool tracks the disk's changes and serves it over NBD")


def _way_by_blocks(why: str, full: bool, offer: Offer) -> Chosen:
    """What speaks against NBD now is met again when the disk is opened: there is no other way."""
    if full:
        return Chosen(Way.NBD, why, no_other=True)
    if offer.cbt:
        return Chosen(Way.NBD, f"{why}, and no changed block tracking: {offer.cbt}", no_other=True)
    return Chosen(Way.CBT, f"{why}, and the pool tracks the disk's changes", no_other=True)


def by_blocks_only(transport: Transport, size_bytes: int) -> bool:
    """Whether a disk's data may not come from an export."""
    return transport is Transport.NBD or needs_nbd(size_bytes)


def connections_for(disks: int) -> int:
    """How many connections each of so many disks begins with that are copied side by side."""
    return max(1, min(USUAL_CONNECTIONS, _CONNECTIONS // max(1, disks)))


def needs_nbd(size_bytes: int) -> bool:
    """Whether a VHD cannot hold the disk."""
    return size_bytes > MOST_SIZE_BYTES
