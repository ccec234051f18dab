"""What one who listens hears, and when."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.database import Database
from xo_warmig.simulator.events import Events, parse_subscription, read_token, write_token
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.sessions import Sessions


class Listener:
    """A session that calls ``event.from`` again and again with the token of the last time."""

    def __init__(self, db: Database) -> None:
        self.sessions = Sessions(db, "root", "password")
        self.events = Events(db, self.sessions)
        self.session = self.sessions.login("root", "tests", "OpaqueRef:NULL")
        self.token = ""

    def hear(self, *classes: str, timeout: float = 0.0) -> list[tuple[str, str, str]]:
        """(class, operation, reference) of each event since the last time."""
        batch = self.events.from_(self.session, classes, self.token, timeout)
        self.token = batch["token"]
        return [(event["class"], event["operation"], event["ref"]) for event in batch["events"]]


@pytest.fixture
def listener(database: Database) -> Listener:
    return Listener(database)


def in_a_while(action: Callable[[], Any]) -> threading.Timer:
    timer = threading.Timer(0.05, action)
    timer.start()
    return timer


def test_the_first_call_gives_everything(database: Database, listener: Listener) -> None:
    """As additions, with snapshots and counts of all classes."""
    vm, _ = database.create("VM", name_label="a"), database.create("SR")
    batch = listener.events.from_(listener.session, ["VM"], "", 5.0)
    (event,) = batch["events"]
    assert (event["class"], event["operation"], event["ref"]) == ("vm", "add", vm)
    assert event["snapshot"]["name_label"] == "a"
    assert set(event) == {"id", "timestamp", "class", "operation", "ref", "snapshot"}
    assert (batch["valid_ref_counts"]["vm"], batch["valid_ref_counts"]["sr"]) == (1, 1)


def test_the_counts_are_of_the_moment_that_the_events_tell_up_to(database: Database, listener: Listener) -> None:
    """Whatever happens meanwhile: who counts along is never off."""
    known: set[str] = set()
    storm = threading.Thread(target=_come_and_go, args=(database,))
    storm.start()
    token, over = "", False
    while not over:
        over = not storm.is_alive()
        batch = listener.events.from_(listener.session, ["task"], token, 0.0)
        token = batch["token"]
        for event in batch["events"]:
            (known.discard if event["operation"] == "del" else known.add)(event["ref"])
        assert batch["valid_ref_counts"]["task"] == len(known)
    storm.join()


def _come_and_go(database: Database) -> None:
    refs: list[str] = []
    for number in range(600):
        refs.append(database.create("task"))
        if number % 3:
            database.delete("task", refs.pop(0))


def test_changes_of_one_object_collapse(database: Database, listener: Listener) -> None:
    """One event, with the last state; nothing more the next time."""
    vm = database.create("VM")
    listener.hear("VM")
    database.set("VM", vm, name_label="a")
    database.set("VM", vm, name_label="b")
    assert listener.hear("VM") == [("vm", "mod", vm)]
    assert listener.hear("VM") == []


def test_an_object_that_came_and_went_is_not_told(database: Database, listener: Listener) -> None:
    """Nor is a change of one that is new anyhow."""
    listener.hear("VM")
    new, brief = database.create("VM"), database.create("VM")
    database.set("VM", new, name_label="x")
    database.delete("VM", brief)
    assert listener.hear("VM") == [("vm", "add", new)]


def test_a_deletion_has_no_snapshot(database: Database, listener: Listener) -> None:
    """There is nothing left to show."""
    vm = database.create("VM")
    listener.hear("VM")
    database.delete("VM", vm)
    batch = listener.events.from_(listener.session, ["VM"], listener.token, 0)
    assert batch["events"][0]["operation"] == "del"
    assert "snapshot" not in batch["events"][0]


def test_additions_come_before_changes_and_deletions(database: Database, listener: Listener) -> None:
    """Messages before all."""
    old, gone = database.create("VM"), database.create("VM")
    listener.hear("*")
    database.delete("VM", gone)
    database.set("VM", old, name_label="x")
    new, message = database.create("VM"), database.create("message")
    told = [("message", "add", message), ("vm", "add", new), ("vm", "mod", old), ("vm", "del", gone)]
    assert listener.hear("*") == told


def test_one_object_may_be_asked_for(database: Database, listener: Listener) -> None:
    """Changes of others do not wake the call."""
    a, b = database.create("VM"), database.create("VM")
    listener.hear(f"VM/{a}")
    database.set("VM", b, name_label="x")
    assert listener.hear(f"VM/{a}") == []
    database.set("VM", a, name_label="x")
    assert listener.hear(f"vm/{a}") == [("vm", "mod", a)]


def test_the_call_waits_for_an_event(database: Database, listener: Listener) -> None:
    """And ends soon after it, long before its timeout."""
    listener.hear("VM")
    started = time.monotonic()
    timer = in_a_while(lambda: database.create("VM"))
    assert [operation for _, operation, _ in listener.hear("VM", timeout=10.0)] == ["add"]
    assert time.monotonic() - started < 5
    timer.join()


def test_the_call_ends_at_its_timeout(listener: Listener) -> None:
    """With no events and a new token."""
    listener.hear("VM")
    started = time.monotonic()
    assert listener.hear("VM", timeout=0.1) == []
    assert 0.09 < time.monotonic() - started < 5


def test_a_logout_wakes_the_call(listener: Listener) -> None:
    """With SESSION_INVALID."""
    listener.hear("VM")
    timer = in_a_while(lambda: listener.sessions.logout(listener.session))
    with pytest.raises(XapiFailure, match="SESSION_INVALID"):
        listener.hear("VM", timeout=10.0)
    timer.join()


def test_sessions_make_no_events(database: Database, listener: Listener) -> None:
    """Nor do classes that nobody knows."""
    listener.hear("session", "flavour")
    database.create("session")
    assert listener.hear("session", "flavour") == []


def test_inject_gives_a_token_before_its_event(database: Database, listener: Listener) -> None:
    """So that a client that goes on from it hears of at least that object."""
    pool = database.create("pool")
    listener.token = listener.events.inject("pool", pool)
    assert listener.hear("pool") == [("pool", "mod", pool)]


def test_a_token_that_is_too_old_has_lost_events(database: Database, listener: Listener) -> None:
    """The client must start anew."""
    database.create("VM")
    database.history.start_at(1000)
    database.create("VM")
    with pytest.raises(XapiFailure, match="EVENTS_LOST"):
        listener.events.from_(listener.session, ["VM"], write_token(5), 0)


@pytest.mark.parametrize("text", ["rubbish", "1,2", "0" * 20])
def test_a_bad_token_is_refused(text: str) -> None:
    """With the token itself."""
    with pytest.raises(XapiFailure) as refused:
        read_token(text)
    assert refused.value.details == ["EVENT_FROM_TOKEN_PARSE_FAILURE", text]


@pytest.mark.parametrize("text", ["", "VM/", "VM/a/b"])
def test_a_bad_subscription_is_refused(text: str) -> None:
    """Nothing is listened to by guess."""
    with pytest.raises(XapiFailure, match="EVENT_SUBSCRIPTION_PARSE_FAILURE"):
        parse_subscription([text])


def test_the_older_calls_tell_the_same(database: Database, listener: Listener) -> None:
    """register, next and unregister, with the uuid of the object."""
    events, session = listener.events, listener.session
    with pytest.raises(XapiFailure, match="SESSION_NOT_REGISTERED"):
        events.next(session)
    events.register(session, ["VM"])
    vm = database.create("VM")
    (event,) = events.next(session)
    assert (event["operation"], event["ref"], event["obj_uuid"]) == ("add", vm, database.field("VM", vm, "uuid"))
    events.unregister(session, ["VM"])
    database.create("VM")
    assert events._collect(parse_subscription([]), 0)[0] == []
