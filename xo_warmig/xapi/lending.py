"""XML-RPC connections to a pool's master, each lent to one call at a time and kept for the next. Thread-safe."""

import threading

from xo_warmig.xapi.address import Address
from xo_warmig.xapi.rpc import RpcSession
from xo_warmig.xapi.trust import Trust


class Lending:
    """The connections of one configured server. Shut until it is opened: then none is kept."""

    def __init__(self, trust: Trust, *, origin: str, most_idle: int) -> None:
        """``origin`` is written on the tasks of asynchronous calls; so many connections are kept while nobody uses them."""
        self._trust = trust
        self._origin = origin
        self._most_idle = most_idle
        self._lock = threading.Lock()  # guards the two below
        self._idle: list[tuple[Address, RpcSession]] = []
        self._busy: set[RpcSession] = set()
        self.is_shut = True

    def open(self) -> None:
        self.is_shut = False

    def shut(self) -> None:
        """Close what is idle; calls that wait for their answer fail, and so do those that would begin."""
        with self._lock:
            self.is_shut = True
            idle, self._idle = self._idle, []
        for _, rpc in idle:
            rpc.close()
        self.interrupt()

    def interrupt(self) -> None:
        """Calls that wait for their answer fail."""
        with self._lock:
            busy = list(self._busy)
        for rpc in busy:
            rpc.interrupt()

    def take(self, address: Address) -> RpcSession:
        """A connection to this very address; not connected yet, when it is new."""
        with self._lock:
            while self._idle:
                where, rpc = self._idle.pop()
                if where == address:
                    break
                rpc.close()
            else:
                rpc = RpcSession(address, self._trust, origin=self._origin)
            self._busy.add(rpc)
            if self.is_shut:
                rpc.interrupt()
            return rpc

    def give_back(self, address: Address, rpc: RpcSession, *, reusable: bool) -> None:
        with self._lock:
            self._busy.discard(rpc)
            if reusable and not self.is_shut and not rpc.interrupted and len(self._idle) < self._most_idle:
                self._idle.append((address, rpc))
                return
        rpc.close()
