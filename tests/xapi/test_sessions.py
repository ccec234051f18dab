"""Sessions beyond the process: remembered before they are used, and ended by the next process (R16). Against the simulator."""

import asyncio
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from xo_warmig.errors import PoolError
from xo_warmig.model.servers import ServerCredentials, ServerStatus
from xo_warmig.simulator.launch import Pool as SimulatedPool
from xo_warmig.simulator.launch import Site
from xo_warmig.xapi.directory import Directory
from xo_warmig.xapi.sessions import NoSessionBook, SessionBook

ServerOf = Callable[..., ServerCredentials]


class Book:
    """Fits ``SessionBook``. ``left``: what earlier processes left; ``open``: what this one opened."""

    def __init__(self, *left: str) -> None:
        self.left = list(left)
        self.open: list[str] = []
        self.closed_: list[str] = []
        self.refuses = False

    def older(self, server_id: str) -> list[str]:
        assert server_id == "pool-0"
        return list(self.left)

    def opened(self, server_id: str, session: str) -> None:
        assert server_id == "pool-0"
        if self.refuses:
            raise PoolError("the disk is full", code="NO_STORE")
        self.open.append(session)

    def closed(self, server_id: str, session: str) -> None:
        assert server_id == "pool-0"
        self.closed_.append(session)
        for sessions in (self.left, self.open):
            if session in sessions:
                sessions.remove(session)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def directory(book: Book) -> AsyncIterator[Directory]:
    """Nothing connected yet, with the book."""
    found = Directory(book)
    yield found
    await found.close()


def raw(pool: SimulatedPool, method: str, *arguments: Any) -> Any:
    """One call by somebody else."""
    with xmlrpc.client.ServerProxy(pool.url) as proxy:
        return getattr(proxy, method)(*arguments)


def log_in(pool: SimulatedPool) -> str:
    session: str = raw(pool, "session.login_with_password", pool.username, pool.password)["Value"]
    return session


def is_valid(pool: SimulatedPool, session: str) -> bool:
    return bool(raw(pool, "session.get_uuid", session, session)["Status"] == "Success")


async def test_a_session_is_in_the_book_as_long_as_it_is_open(
    site: Site, book: Book, directory: Directory, server_of: ServerOf
) -> None:
    """From before its first use to our own log-out."""
    pool = site.pools[0]
    await directory.add(server_of(pool))
    await directory.connect("pool-0")
    (session,) = book.open
    assert is_valid(pool, session)
    await directory.disconnect("pool-0")
    assert (book.open, book.closed_) == ([], [session])
    assert not is_valid(pool, session)


async def test_sessions_of_earlier_processes_are_ended_before_a_server_is_connected(
    site: Site, book: Book, directory: Directory, server_of: ServerOf
) -> None:
    """One that the pool forgot already counts as ended."""
    pool = site.pools[0]
    older, of_somebody_else = log_in(pool), log_in(pool)
    book.left = [older, "OpaqueRef:forgotten"]
    await directory.add(server_of(pool))
    await directory.connect("pool-0")
    assert book.left == []
    assert not is_valid(pool, older)
    assert is_valid(pool, of_somebody_else)
    raw(pool, "session.logout", of_somebody_else)


async def test_a_server_is_not_connected_while_an_older_session_may_live(
    site: Site, book: Book, directory: Directory, server_of: ServerOf, ask: Any, eventually: Any
) -> None:
    """The pool refuses the log-out; the next try makes it good."""
    pool = site.pools[0]
    older = log_in(pool)
    book.left = [older]
    ask(pool, "faults", kind="fail", match="session.logout", times=1)
    await directory.add(server_of(pool, enabled=False))
    with pytest.raises(PoolError):
        await directory.connect("pool-0")
    assert (book.left, directory.state("pool-0").status) == ([older], ServerStatus.DISCONNECTED)
    await eventually(lambda: directory.state("pool-0").status is ServerStatus.CONNECTED)
    assert not is_valid(pool, older)


async def test_a_server_that_is_left_before_it_is_connected_leaves_no_session(
    site: Site, book: Book, directory: Directory, server_of: ServerOf, ask: Any, eventually: Any
) -> None:
    """Its log-in is under way, or done while something else stands in the way."""
    pool = site.pools[0]
    before = ask(pool, "state")["sessions"]
    for milliseconds in range(0, 12, 2):
        await directory.add(server_of(pool))
        await asyncio.sleep(milliseconds / 1000)
        await directory.remove("pool-0")
    book.left = [log_in(pool)]
    ask(pool, "faults", kind="fail", match="session.logout", times=1)
    await directory.add(server_of(pool, enabled=False))
    with pytest.raises(PoolError):
        await directory.connect("pool-0")
    await directory.remove("pool-0")
    raw(pool, "session.logout", *book.left)
    await eventually(lambda: ask(pool, "state")["sessions"] == before)
    assert book.open == []


async def test_a_session_that_nobody_could_remember_is_not_used(
    site: Site, book: Book, directory: Directory, server_of: ServerOf, ask: Any
) -> None:
    """It is logged out again at once."""
    pool = site.pools[0]
    before = ask(pool, "state")["sessions"]
    book.refuses = True
    await directory.add(server_of(pool, enabled=False))
    with pytest.raises(PoolError, match="the disk is full"):
        await directory.connect("pool-0")
    assert ask(pool, "state")["sessions"] == before


async def test_a_lost_session_is_replaced_for_whoever_changes_something_again(
    site: Site, book: Book, directory: Directory, server_of: ServerOf, eventually: Any
) -> None:
    """The call itself fails, and logs in no more; but it sets off what does, so that trying again is enough."""
    pool = site.pools[0]
    await directory.add(server_of(pool))
    await directory.connect("pool-0")
    calls = (await directory.pool_of_vm(pool.vms[0].uuid)).calls
    ref = await calls.call("VM.get_by_uuid", pool.vms[0].uuid)
    (lost,) = book.open
    raw(pool, "session.logout", lost)
    with pytest.raises(PoolError) as caught:
        await calls.call("VM.set_name_description", ref, "changed")
    assert caught.value.code == "SESSION_INVALID"

    codes = set()

    async def changes() -> bool:
        try:
            await calls.call("VM.set_name_description", ref, "changed")
        except PoolError as error:
            codes.add(error.code)
            return False
        return True

    await eventually(changes, 3)
    assert codes <= {"SESSION_INVALID"}
    (session,) = book.open
    assert (book.closed_, session != lost) == ([lost], True)


def test_books_fit() -> None:
    """The type checker is the judge."""
    books: list[SessionBook] = [Book(), NoSessionBook()]
    assert books[1].older("pool-0") == []
