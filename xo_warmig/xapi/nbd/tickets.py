"""The NBD connections of this process, shared by all of its copies as ``shares`` decides."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from xo_warmig.xapi.nbd.shares import LIMITS, Limits, Room, Wish, share_out, turns_over


class Sharing:
    """By host. Thread-safe."""

    def __init__(self, limits: Limits = LIMITS, now: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._limits = limits
        self._now = now
        self._tickets: list[Ticket] = []
        self._next = itertools.count()

    def ask(self, servers: Iterable[str], most: int, news: Callable[[], None], *, urgent: bool = False) -> "Ticket":
        """Queue for up to so many connections.

        Args:
            servers: of the hosts that serve the disk; another one is tried first each time, as one of them may be down.
            news: called, from any thread, when it may be worth looking again.
        """
        names = list(dict.fromkeys(servers))
        first = next(self._next) % max(1, len(names))
        ticket = Ticket(self, (*names[first:], *names[:first]), most, news, urgent=urgent)
        with self._lock:
            others = list(self._tickets)
            ticket.round = max((each.round for each in others), default=0)
            self._tickets.append(ticket)
        for each in others:
            each.news()
        return ticket

    def take(self, ticket: "Ticket") -> str | None:
        """For ``Ticket``."""
        with self._lock:
            share, room = self._share_of(ticket), Room(self._limits)
            for each in self._tickets:
                for server, count in each.held.items():
                    room.take(server, count, urgent=each.urgent)
            for server in ticket.servers:
                if share[server] > ticket.held[server] and room.has(server, urgent=ticket.urgent):
                    if not ticket.held.total():
                        ticket.since = self._now()
                    ticket.held[server] += 1
                    return server
            return None

    def surplus(self, ticket: "Ticket") -> list[str]:
        """For ``Ticket``."""
        with self._lock:
            return list((ticket.held - self._share_of(ticket)).elements())

    def take_turns(self) -> None:
        """See that nobody waits for ever while others read: to be called now and then by who does."""
        with self._lock:
            now = self._now()
            held_seconds = [now - each.since if each.held.total() else 0.0 for each in self._tickets]
            over = turns_over(self._wishes(), held_seconds, self._limits)
            last = max((each.round for each in self._tickets), default=0)
            for ticket in [self._tickets[nth] for nth in over]:
                ticket.round = last + 1
                self._tickets.remove(ticket)
                self._tickets.append(ticket)
        if over:
            self._tell()

    def give_back(self, ticket: "Ticket", server: str) -> None:
        """For ``Ticket``."""
        with self._lock:
            ticket.held[server] -= 1
        self._tell()

    def change(self, ticket: "Ticket", *, most: int | None = None, servers: Iterable[str] = ()) -> None:
        """For ``Ticket``."""
        with self._lock:
            ticket.most = ticket.most if most is None else most
            ticket.servers = tuple(dict.fromkeys(servers)) or ticket.servers
        self._tell()

    def withdraw(self, ticket: "Ticket") -> None:
        """For ``Ticket``."""
        with self._lock:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
        self._tell()

    def _share_of(self, ticket: "Ticket") -> Counter[str]:
        if ticket not in self._tickets:
            return Counter()
        return share_out(self._wishes(), self._limits)[self._tickets.index(ticket)]

    def _wishes(self) -> list[Wish]:
        return [Wish(each.servers, each.most, each.held, each.urgent, each.round) for each in self._tickets]

    def _tell(self) -> None:
        with self._lock:
            tickets = list(self._tickets)
        for ticket in tickets:
            ticket.news()


class Ticket:
    """One disk's place among those who share.

    ``held``: its connections by server, also those that are being opened or closed; ``since``: when it got the first of them, in
    monotonic seconds; ``round``: those of a lower one come first.
    """

    def __init__(
        self, sharing: Sharing, servers: tuple[str, ...], most: int, news: Callable[[], None], *, urgent: bool
    ) -> None:
        self.servers = servers
        self.most = most
        self.news = news
        self.urgent = urgent
        self.held: Counter[str] = Counter()
        self.since = 0.0
        self.round = 0
        self._sharing = sharing

    def take(self) -> str | None:
        """A server to which one more may be opened now; it counts from here on. None: not now."""
        return self._sharing.take(self)

    def surplus(self) -> list[str]:
        """Servers to which it has more than its share, each as often as that is so: others wait for those."""
        return self._sharing.surplus(self)

    def give_back(self, server: str) -> None:
        """One is closed, or did not open."""
        self._sharing.give_back(self, server)

    def take_turns(self) -> None:
        """See ``Sharing``."""
        self._sharing.take_turns()

    def want(self, most: int) -> None:
        """Up to so many from now on."""
        if most != self.most:
            self._sharing.change(self, most=most)

    def move(self, servers: Iterable[str]) -> None:
        """Other hosts serve the disk now, or they are to be tried in another order."""
        self._sharing.change(self, servers=servers)

    def withdraw(self) -> None:
        """It has none, and wants none. May be called twice."""
        self._sharing.withdraw(self)
