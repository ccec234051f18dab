"""How each disk of a pass is read: the best way that its pool offers, and why. Decisions only (R12)."""

from typing import NamedTuple

from xo_warmig.formats.vhd import MOST_SIZE_BYTES
from xo_warmig.model.passes import Way
from xo_warmig.model.requests import Transport

# Over all disks of a pass: what one of them gets shrinks with their number, as a host takes few connections.
_CONNECTIONS = 8
MOST_CONNECTIONS = 4  # of one disk: more did not read faster


class Offer(NamedTuple):
    """What speaks against a way, in words; "" when nothing does. ``cbt``: against listing changes since the base."""

    nbd: str = ""
    cbt: str = ""


class Chosen(NamedTuple):
    """A way, and why it and no better one."""

    way: Way
    reason: str


def choose_way(*, full: bool, transport: Transport, offer: Offer, size_bytes: int = 0) -> Chosen:
    """The way for one disk of one pass.

    Args:
        full: all that is allocated is copied; else what changed since the base.
        size_bytes: of the disk; 0 for one that a VHD can hold. One that none can hold is copied whole over NBD where its changes are not
            listed: ``Way.NBD`` although ``full`` is False.
    """
    if transport is Transport.VHD:
        return Chosen(Way.VHD, "transport vhd was asked for")
    if needs_nbd(size_bytes):
        return _way_of_large(full, offer)
    if offer.nbd:
        return Chosen(Way.VHD, f"not over NBD: {offer.nbd}")
    if full:
        return Chosen(Way.NBD, "the pool serves the disk over NBD")
    if offer.cbt:
        return Chosen(Way.VHD, f"no changed block tracking: {offer.cbt}")
    return Chosen(Way.CBT, "the pool tracks the disk's changes and serves it over NBD")


def _way_of_large(full: bool, offer: Offer) -> Chosen:
    """What speaks against NBD now is met again when the disk is opened: there is no other way."""
    if full:
        return Chosen(Way.NBD, "no VHD can hold the disk, so only NBD reads it")
    if offer.cbt:
        return Chosen(Way.NBD, f"no VHD can hold the disk, and no changed block tracking: {offer.cbt}")
    return Chosen(Way.CBT, "the pool tracks the disk's changes and serves it over NBD")


def connections_for(disks: int) -> int:
    """How many connections each of so many disks gets that are copied side by side."""
    return max(1, min(MOST_CONNECTIONS, _CONNECTIONS // max(1, disks)))


def needs_nbd(size_bytes: int) -> bool:
    """Whether a VHD cannot hold the disk."""
    return size_bytes > MOST_SIZE_BYTES
