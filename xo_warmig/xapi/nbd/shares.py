"""Who has how many NBD connections to which host. Decisions only.

A host takes 16 from everybody, and backups want some of them. So this server has no more to each than a few, which all of its copies
share: each disk gets its first before any gets a second, those of a VM that is down go first, and those who came first otherwise.
Where there are more disks than connections they take turns.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

MOST_PER_HOST = 8
MORE_IF_URGENT = 2  # a part of the 16 that only VMs which are down have
TURN_SECONDS = 30.0  # so long a disk is read while others wait: an attach and a detach are little of it


class Wish(NamedTuple):
    """What one disk's copy would have: up to ``most`` connections, to any of ``servers``, the dearest first.

    ``held``: how many it has now, by server. ``urgent``: a VM is down meanwhile. ``round``: it waits behind all of a lower one.
    """

    servers: tuple[str, ...]
    most: int
    held: Counter[str]
    urgent: bool = False
    round: int = 0


class Limits(NamedTuple):
    """Of each host: ordinary connections, and how many more there may be for urgent ones."""

    most: int = MOST_PER_HOST
    more_if_urgent: int = MORE_IF_URGENT


LIMITS = Limits()


def share_out(wishes: Sequence[Wish], limits: Limits = LIMITS) -> list[Counter[str]]:
    """How many connections to each server everyone is to have, in the order of the wishes, which is that in which they came."""
    shares: list[Counter[str]] = [Counter() for _ in wishes]
    room = Room(limits)
    # Who has fewer hosts to choose from chooses first, but not before somebody whose turn it is.
    order = sorted(
        range(len(wishes)), key=lambda nth: (not wishes[nth].urgent, wishes[nth].round, len(wishes[nth].servers))
    )
    for turn in range(max((wish.most for wish in wishes), default=0)):
        for nth in order:
            wish = wishes[nth]
            if turn < wish.most and (server := _best(wish, shares[nth], room)) is not None:
                room.take(server, urgent=wish.urgent)
                shares[nth][server] += 1
    return shares


def turns_over(wishes: Sequence[Wish], held_seconds: Sequence[float], limits: Limits = LIMITS) -> list[int]:
    """The numbers of those who are to wait behind all others now, as some have waited for long enough to have a connection at all.

    Args:
        held_seconds: how long each has had one.
    """
    shares = share_out(wishes, limits)
    waiting = [wish for wish, share in zip(wishes, shares, strict=True) if wish.most and not share and not wish.urgent]
    having = [nth for nth, share in enumerate(shares) if share and not wishes[nth].urgent]
    over: list[int] = []
    for nth in sorted(having, key=lambda nth: -held_seconds[nth]):
        waiter = next((wish for wish in waiting if set(wish.servers) & set(wishes[nth].servers)), None)
        if waiter is not None and held_seconds[nth] >= TURN_SECONDS:
            waiting.remove(waiter)
            over.append(nth)
    return over


class Room:
    """What is left of each host's connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.all: Counter[str] = Counter()
        self._ordinary: Counter[str] = Counter()

    def take(self, server: str, count: int = 1, *, urgent: bool) -> None:
        """Somebody has so many more."""
        self.all[server] += count
        if not urgent:
            self._ordinary[server] += count

    def has(self, server: str, *, urgent: bool) -> bool:
        """Whether another one may be had."""
        limits = self._limits
        return self.all[server] < limits.most + limits.more_if_urgent and (
            urgent or self._ordinary[server] < limits.most
        )


def _best(wish: Wish, share: Counter[str], room: Room) -> str | None:
    """One that is open already costs nothing; else the host with the fewest."""
    free = [server for server in wish.servers if room.has(server, urgent=wish.urgent)]
    return min(free, key=lambda server: (share[server] >= wish.held[server], room.all[server]), default=None)
