"""Events: ``event.from`` with its tokens, ``event.inject``, and the older ``register``, ``next`` and ``unregister``.

What changed when is known to the database's history; here it becomes what one subscriber is to hear (ocaml/xapi/xapi_event.ml).
"""

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.database import Database
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.sessions import Sessions

SILENT = frozenset(
    {"session", "event", "user", "auth", "role", "data_source", "vdi_nbd_server_info", "probe_result", "sr_stat"}
)
"""Classes that make no events."""

BATCH_SECONDS = 0.05
"""How long the first event of a batch waits for company, unless only tasks are asked for."""

_TOKEN = re.compile(r"(\d{20}),(\d{20})$")


def write_token(generation: int) -> str:
    """Database generation and message generation; messages are in the database here, so the second is always 0."""
    return f"{generation:020d},{0:020d}"


def read_token(token: str) -> int | None:
    """The generation of a token, None for the empty one of a first call. EVENT_FROM_TOKEN_PARSE_FAILURE."""
    if not token:
        return None
    parts = _TOKEN.match(token)
    if parts is None:
        raise XapiFailure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(parts[1])


@dataclass
class Subscription:
    """Classes listened to, each with the references wanted of it (None: all)."""

    wanted: dict[str, set[str] | None] = field(default_factory=dict)

    def add(self, text: str) -> None:
        """Takes ``*``, a class in any case or ``class/reference``. EVENT_SUBSCRIPTION_PARSE_FAILURE for anything else."""
        if text == "*":
            self.wanted = {cls: None for cls in datamodel.load().classes if cls not in SILENT}
            return
        cls, slash, ref = text.partition("/")
        if not cls or "/" in ref or (slash and not ref):
            raise XapiFailure("EVENT_SUBSCRIPTION_PARSE_FAILURE", text)
        name = datamodel.event_classes().get(cls.lower())
        if name is None or name in SILENT:
            return
        refs = self.wanted.get(name, set())
        self.wanted[name] = refs | {ref} if slash and refs is not None else None

    def remove(self, text: str) -> None:
        """Stops listening to a class, or to everything."""
        if text == "*":
            self.wanted = {}
        self.wanted.pop(datamodel.event_classes().get(text.lower(), ""), None)

    @property
    def only_tasks(self) -> bool:
        return set(self.wanted) <= {"task"}

    def wants(self, cls: str, ref: str) -> bool:
        refs = self.wanted[cls]
        return refs is None or ref in refs


def parse_subscription(classes: Iterable[str]) -> Subscription:
    subscription = Subscription()
    for text in classes:
        subscription.add(text)
    return subscription


@dataclass
class _Registration:
    """What a session of the older calls listens to, and up to which generation it has heard."""

    subscription: Subscription
    heard: int


class _Heard(NamedTuple):
    """Events, the generation up to which they tell, and how many objects of each class there were then."""

    events: list[dict[str, Any]]
    generation: int
    counts: dict[str, int]


class Events:
    """The event calls of one pool."""

    def __init__(self, db: Database, sessions: Sessions) -> None:
        self.db = db
        self.sessions = sessions
        self.stopping = threading.Event()
        self._registered: dict[str, _Registration] = {}

    def from_(self, session: str, classes: Iterable[str], token: str, timeout: float) -> dict[str, Any]:
        """``event.from``: waits until something that is listened to has happened after the token, or for the timeout."""
        subscription, since = parse_subscription(classes), read_token(token)
        heard = self._wait(session, lambda: self._collect(subscription, since), timeout, subscription.only_tasks)
        return {"events": heard.events, "valid_ref_counts": heard.counts, "token": write_token(heard.generation)}

    def inject(self, cls: str, ref: str) -> str:
        """An event for an object that did not change. The token is from just before it, so that ``from`` reports it."""
        name = datamodel.event_classes().get(cls.lower(), cls)
        with self.db.lock:
            if name not in datamodel.load().classes:
                raise XapiFailure("HANDLE_INVALID", cls, ref)
            before = self.db.generation
            self.db.touch(name, ref)
            return write_token(before)

    def register(self, session: str, classes: Iterable[str]) -> None:
        with self.db.lock:
            known = self._registered.setdefault(session, _Registration(Subscription(), self.db.generation))
            for text in classes:
                known.subscription.add(text)

    def unregister(self, session: str, classes: Iterable[str]) -> None:
        with self.db.lock:
            for text in classes:
                self._registration(session).subscription.remove(text)

    def next(self, session: str) -> list[dict[str, Any]]:
        """``event.next``: waits without end for what happened since the last time."""
        registration = self._registration(session)

        def collect() -> tuple[list[dict[str, Any]], int]:
            return self._collect(registration.subscription, registration.heard)

        heard = self._wait(session, collect, None, registration.subscription.only_tasks)
        registration.heard = heard.generation
        return [self._legacy(event) for event in heard.events]

    def forget(self, session: str) -> None:
        """A session has ended."""
        with self.db.lock:
            self._registered.pop(session, None)

    def _registration(self, session: str) -> _Registration:
        try:
            return self._registered[session]
        except KeyError:
            raise XapiFailure("SESSION_NOT_REGISTERED", session) from None

    def _wait(
        self,
        session: str,
        collect: Callable[[], tuple[list[dict[str, Any]], int]],
        timeout: float | None,
        at_once: bool,
    ) -> _Heard:
        deadline = None if timeout is None else time.monotonic() + timeout
        waited = False
        while True:
            with self.db.changed:
                self.sessions.require(session)
                events, generation = collect()
                left = None if deadline is None else deadline - time.monotonic()
                over = self.stopping.is_set() or (left is not None and left <= 0)
                if over or (events and (at_once or not waited)):
                    return _Heard(events, generation, self._counts())
                if not events:
                    self.db.changed.wait(left)
                    waited = True
                    continue
            time.sleep(BATCH_SECONDS)
            waited = False

    def _collect(self, subscription: Subscription, since: int | None) -> tuple[list[dict[str, Any]], int]:
        """Events after a generation, and the generation up to which they tell. Messages first, then what came, changed, went."""
        history, floor = self.db.history, since if since is not None else -1
        added: list[tuple[int, dict[str, Any]]] = []
        changed: list[tuple[int, dict[str, Any]]] = []
        gone: list[tuple[int, dict[str, Any]]] = []
        for cls in subscription.wanted:
            if history.last_change(cls) <= floor:
                continue
            if since is not None and not history.remembers(cls, since):
                raise XapiFailure("EVENTS_LOST")
            for change in history.changed_since(cls, floor):
                if subscription.wants(cls, change.ref):
                    new = change.created > floor
                    event = _event(cls, change.ref, "add" if new else "mod", change.modified)
                    event["snapshot"] = self.db.row(cls, change.ref)
                    (added if new else changed).append((change.modified, event))
            for deleted in history.deleted_since(cls, floor) if since is not None else ():
                if deleted.created <= floor and subscription.wants(cls, deleted.ref):
                    gone.append((deleted.deleted, _event(cls, deleted.ref, "del", deleted.deleted)))
        ordered = [event for kind in (added, changed, gone) for _, event in sorted(kind, key=lambda pair: pair[0])]
        ordered.sort(key=lambda event: event["class"] != "message")
        return ordered, history.generation

    def _counts(self) -> dict[str, int]:
        """Of all classes, at the very moment that the events tell up to: clients compare the two."""
        return {cls.lower(): self.db.count(cls) for cls in datamodel.load().classes}

    def _legacy(self, event: dict[str, Any]) -> dict[str, Any]:
        """The same event as ``event.next`` writes it, with the uuid of the object."""
        snapshot = event.pop("snapshot", None)
        event |= {"id": str(event["id"]), "obj_uuid": snapshot["uuid"] if snapshot else ""}
        return event | ({"snapshot": snapshot} if snapshot else {})


def _event(cls: str, ref: str, operation: str, generation: int) -> dict[str, Any]:
    return {
        "id": str(generation),
        "timestamp": "0.0",
        "class": cls.lower(),
        "operation": operation,
        "ref": ref,
    }
