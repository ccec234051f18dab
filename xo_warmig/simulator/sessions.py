"""Sessions of a pool: who may log in, how many and how long. Events and calls of a session are elsewhere."""

import hmac
import time
from collections import OrderedDict

from xo_warmig.simulator.clock import now
from xo_warmig.simulator.database import NULL, Database
from xo_warmig.simulator.failure import XapiFailure

MAX_PER_ORIGINATOR = 500
MAX_UNNAMED = 400
"""Limits of ocaml/xapi/db_gc_util.ml: sessions of root that name no originator share the smaller one."""


class Sessions:
    """The sessions of one pool, kept as records of class ``session``."""

    def __init__(
        self, db: Database, username: str, password: str, timeout_seconds: float = 86400.0, *, superuser: bool = True
    ) -> None:
        """``superuser``: the account is root of the hosts, and not one of a directory with a role."""
        self.db = db
        self.username = username
        self.password = password
        self.superuser = superuser
        self.timeout_seconds = timeout_seconds
        self._active: OrderedDict[str, float] = OrderedDict()
        self._local: set[str] = set()

    def authenticates(self, username: str, password: str) -> bool:
        given, known = f"{username}\0{password}".encode(), f"{self.username}\0{self.password}".encode()
        return hmac.compare_digest(given, known)

    def login(self, username: str, originator: str, host: str) -> str:
        """A new session of a user who has been authenticated. The longest idle one of the same group may go for it."""
        with self.db.lock:
            self.sweep()
            self._evict(originator)
            fields = {"this_host": host, "last_active": now(), "validation_time": now(), "auth_user_name": username}
            ref = self.db.create("session", is_local_superuser=self.superuser, originator=originator, **fields)
            self._active[ref] = time.monotonic()
            return ref

    def logout(self, ref: str) -> None:
        """Ends a session; calls that wait in it wake up."""
        with self.db.lock:
            if self.db.exists("session", ref):
                self.db.delete("session", ref)
            self._active.pop(ref, None)

    def valid(self, ref: str) -> bool:
        """Whether a session is there; it counts as active now."""
        with self.db.lock:
            if not self.db.exists("session", ref) or self._expired(ref):
                self.logout(ref)
                return False
            self._active[ref] = time.monotonic()
            self._active.move_to_end(ref)
            return True

    def require(self, ref: str) -> None:
        """SESSION_INVALID unless the session is there."""
        if not self.valid(ref):
            raise XapiFailure("SESSION_INVALID", ref)

    def local_login(self) -> str:
        """A session with one host alone, for when the pool's master is away. It is no record."""
        ref = f"OpaqueRef:{self.db.new_uuid()}"
        self._local.add(ref)
        return ref

    def is_local(self, ref: str) -> bool:
        return ref in self._local

    def local_logout(self, ref: str) -> None:
        self._local.discard(ref)

    def sweep(self) -> None:
        """Removes expired sessions."""
        for ref in list(self._active):
            if not self._expired(ref):
                break
            self.logout(ref)

    def evict(self, ref: str = NULL) -> int:
        """Removes one session or, with none named, all of them. Gives how many."""
        victims = [ref] if ref != NULL else self.db.refs("session")
        for victim in victims:
            self.logout(victim)
        return len(victims)

    def _expired(self, ref: str) -> bool:
        last = self._active.get(ref)
        return last is not None and time.monotonic() - last > self.timeout_seconds

    def _evict(self, originator: str) -> None:
        rows = self.db.rows("session")
        group = [ref for ref in self._active if ref in rows and rows[ref]["originator"] == originator]
        limit = MAX_PER_ORIGINATOR if originator else MAX_UNNAMED
        for ref in group[: max(0, len(group) - limit + 1)]:
            self.logout(ref)
