"""Sessions: who gets in, and who has to leave."""

import time

import pytest

from xo_warmig.simulator import sessions as module
from xo_warmig.simulator.database import NULL, Database
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.sessions import Sessions


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database, "root", "password", timeout_seconds=60.0)


def test_user_and_password_must_both_be_right(sessions: Sessions) -> None:
    """Nothing else gets in."""
    assert sessions.authenticates("root", "password")
    assert not sessions.authenticates("root", "Password")
    assert not sessions.authenticates("admin", "password")


def test_a_session_is_a_record(sessions: Sessions) -> None:
    """With the originator that the client gave."""
    ref = sessions.login("root", "tests", NULL)
    assert sessions.db.field("session", ref, "originator") == "tests"
    sessions.logout(ref)
    with pytest.raises(XapiFailure, match=f"SESSION_INVALID: \\[ {ref} \\]"):
        sessions.require(ref)


def test_an_idle_session_expires(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A used one does not."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    used, idle = sessions.login("root", "a", NULL), sessions.login("root", "b", NULL)
    clock[0] += 40
    assert sessions.valid(used)
    clock[0] += 40
    assert sessions.valid(used)
    assert not sessions.valid(idle)
    assert not sessions.db.exists("session", idle)


def test_the_longest_idle_of_a_group_goes_for_a_new_one(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other groups keep theirs."""
    monkeypatch.setattr(module, "MAX_PER_ORIGINATOR", 2)
    other = sessions.login("root", "other", NULL)
    first, second = sessions.login("root", "tool", NULL), sessions.login("root", "tool", NULL)
    sessions.valid(first)
    third = sessions.login("root", "tool", NULL)
    assert [sessions.valid(ref) for ref in (other, first, second, third)] == [True, True, False, True]


def test_all_sessions_can_be_ended(sessions: Sessions) -> None:
    """As a restart of the toolstack does."""
    for _ in range(3):
        sessions.login("root", "", NULL)
    assert sessions.evict() == 3
    assert sessions.db.refs("session") == []
