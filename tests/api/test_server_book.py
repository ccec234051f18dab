"""Configured pools: what is stored, what is restored, what is pinned."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.vault import Vault
from xo_warmig.api.xo_errors import XoError
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import pools
from xo_warmig.errors import InvalidRequest, NoSuchObject, PoolError, WarmigError

KEY = b"k" * 32
ASKED: dict[str, Any] = {
    "host": "https://north",
    "username": "root",
    "password": "hunter2",
    "label": "",
    "allow_unauthorized": True,
}


@pytest.fixture
def book(database: Database, fake_servers: Any) -> ServerBook:
    """An empty book."""
    return ServerBook(ServerStore(database, Vault(KEY)), fake_servers)


async def test_a_server_is_there_after_a_restart(
    book: ServerBook, database: Database, fake_servers: Any, at_rest: Callable[[], bytes]
) -> None:
    """With its password, which is sealed in the database."""
    id = await book.add(**ASKED, enabled=True)
    assert b"hunter2" not in at_rest()
    fake_servers.credentials.clear()
    await ServerBook(ServerStore(database, Vault(KEY)), fake_servers).restore()
    assert fake_servers.credentials[id].password == "hunter2"


async def test_a_pinned_certificate_is_stored(book: ServerBook, database: Database) -> None:
    """So that a restart does not trust anew."""
    await book.add(**ASKED, enabled=True)
    book.keep_pins()
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert stored.fingerprint == "AA:BB"


async def test_certificates_of_other_hosts_are_stored_too(
    book: ServerBook, database: Database, fake_servers: Any
) -> None:
    """All that were ever met, until the server is removed or has another address."""
    id = await book.add(**ASKED, enabled=True)
    fake_servers.meet(id, "two:443", "CC:DD")
    book.keep_pins()
    fake_servers.clear()
    again = ServerBook(ServerStore(database, Vault(KEY)), fake_servers)
    await again.restore()
    assert fake_servers.credentials[id].pins == {"two:443": "CC:DD"}
    fake_servers.meet(id, "three:443", "EE:FF")
    await again.disable(id)
    await again.change(id, password="new")
    assert fake_servers.credentials[id].pins == {"two:443": "CC:DD", "three:443": "EE:FF"}
    await again.change(id, host="south")
    assert fake_servers.credentials[id].pins == ServerStore(database, Vault(KEY)).get(id).pins == {}


@pytest.mark.parametrize("host", ["north", "NORTH/", "https://north/"])
async def test_an_address_is_registered_once(book: ServerBook, host: str) -> None:
    """Spelled either way."""
    await book.add(**ASKED, enabled=False)
    with pytest.raises(XoError) as refused:
        await book.add(**(ASKED | {"host": host}), enabled=False)
    assert refused.value.code == 16
    assert await book.add(**(ASKED | {"host": "http://north"}), enabled=False)


async def test_enabling_is_remembered_even_when_it_fails(book: ServerBook, database: Database) -> None:
    """As in XO: the server is wanted, and is tried again after a restart."""
    id = await book.add(**(ASKED | {"host": "down"}), enabled=False)
    with pytest.raises(WarmigError):
        await book.enable(id)
    assert book.states()[0].enabled
    await book.disable(id)
    assert not ServerStore(database, Vault(KEY)).all()[0].enabled


async def test_a_removed_server_is_forgotten(book: ServerBook, database: Database) -> None:
    """Everywhere; removing it again says that there is none."""
    id = await book.add(**ASKED, enabled=True)
    await book.remove(id)
    assert book.states() == []
    assert ServerStore(database, Vault(KEY)).all() == []
    with pytest.raises(NoSuchObject):
        await book.remove(id)


async def test_another_key_is_said_at_start(book: ServerBook, database: Database) -> None:
    """Before any pool is asked with nonsense."""
    await book.add(**ASKED, enabled=False)
    with pytest.raises(WarmigError, match="does not open"):
        ServerStore(database, Vault(b"o" * 32))


async def test_what_is_no_address_is_not_stored(book: ServerBook, database: Database) -> None:
    """Else the next start would find it."""
    with pytest.raises(InvalidRequest):
        await book.add(**(ASKED | {"host": "ftp://north"}), enabled=True)
    assert ServerStore(database, Vault(KEY)).all() == []


async def test_a_stored_server_that_is_refused_stops_no_start(
    book: ServerBook, database: Database, fake_servers: Any
) -> None:
    """It is shown with its error, and can be removed; the others work."""
    good, bad = [await book.add(**(ASKED | {"host": host}), enabled=True) for host in ("north", "south")]
    spoilt = update(pools).where(pools.c.id == bad).values(host="ftp://south")
    database.write(lambda connection: connection.execute(spoilt))
    fake_servers.clear()
    again = ServerBook(ServerStore(database, Vault(KEY)), fake_servers)
    await again.restore()
    shown = {state.id: state for state in again.states()}
    assert shown[good].status == "connected"
    assert (shown[bad].status, (shown[bad].error or {})["code"]) == ("disconnected", "INVALID_REQUEST")
    with pytest.raises(InvalidRequest):
        await again.enable(bad)
    await again.disable(bad)
    await again.remove(bad)
    assert [state.id for state in again.states()] == [good]


async def test_a_password_in_the_address_is_sealed_too(
    book: ServerBook, database: Database, at_rest: Callable[[], bytes]
) -> None:
    """The address is kept, shown and compared without it."""
    id = await book.add(**(ASKED | {"host": "https://admin:s%40cret@north"}), enabled=True)
    assert b"cret" not in at_rest()
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert (stored.id, stored.host, stored.username, stored.password) == (id, "https://north", "admin", "s@cret")
    with pytest.raises(XoError):
        await book.add(**ASKED, enabled=True)


async def test_a_server_that_cannot_be_stored_is_not_there(
    book: ServerBook, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither now nor after a restart."""

    def full(work: object) -> None:
        raise WarmigError("no room", code="STATE_UNUSABLE")

    monkeypatch.setattr(database, "write", full)
    with pytest.raises(WarmigError, match="no room"):
        await book.add(**ASKED, enabled=True)
    assert book.states() == []
    assert ServerStore(database, Vault(KEY)).all() == []


async def test_servers_stay_in_the_order_in_which_they_were_added(book: ServerBook) -> None:
    """Whatever was changed of them since."""
    added = [await book.add(**(ASKED | {"host": host}), enabled=False) for host in ("b", "a", "c")]
    await book.disable(added[1])
    assert [state.id for state in book.states()] == added


async def test_a_changed_server_is_stored(book: ServerBook, database: Database, fake_servers: Any) -> None:
    """With its new address its pinned certificate is another's; what is refused leaves all as it was."""
    id = await book.add(**ASKED, enabled=True)
    book.keep_pins()
    with pytest.raises(PoolError):
        await book.change(id, password="new")
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert (stored.password, stored.fingerprint) == ("hunter2", "AA:BB")
    await book.disable(id)
    await book.change(id, password="new", label="lab")
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert (stored.password, stored.label, stored.fingerprint) == ("new", "lab", "AA:BB")
    await book.change(id, host="south")
    stored = ServerStore(database, Vault(KEY)).get(id)
    assert (stored.host, stored.fingerprint, stored.enabled) == ("south", None, False)


async def test_a_stored_server_that_was_refused_is_mended(
    book: ServerBook, database: Database, fake_servers: Any
) -> None:
    """By giving it an address that is one."""
    id = await book.add(**ASKED, enabled=False)
    database.write(lambda connection: connection.execute(update(pools).values(host="ftp://north")))
    fake_servers.clear()
    again = ServerBook(ServerStore(database, Vault(KEY)), fake_servers)
    await again.restore()
    assert again.states()[0].error is not None
    await again.change(id, host="https://north")
    assert again.states()[0].error is None


LEARNT: dict[str, Any] = {**ASKED, "password": "new"}


async def test_a_server_that_is_learnt_is_added(book: ServerBook, fake_servers: Any) -> None:
    """Enabled; learning the same again changes nothing."""
    await book.learn(**LEARNT)
    await book.learn(**LEARNT)
    (state,) = book.states()
    assert (state.host, state.enabled) == ("https://north", True)
    assert fake_servers.credentials[state.id].password == "new"


async def test_a_password_that_is_learnt_connects_a_server_that_was_away(
    book: ServerBook, database: Database, fake_servers: Any
) -> None:
    """Stored, and used at once; its name and whether it is enabled stay."""
    id = await book.add(**(ASKED | {"label": "mine"}), enabled=False)
    await book.learn(**(LEARNT | {"host": "NORTH/", "username": "other"}))
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert (stored.id, stored.username, stored.password, stored.label, stored.enabled) == (
        id,
        "other",
        "new",
        "mine",
        False,
    )
    assert fake_servers.credentials[id].password == "new"


async def test_a_password_that_is_learnt_forgets_no_certificate(book: ServerBook, fake_servers: Any) -> None:
    """One that was pinned since pins were last kept is still the only one that is believed."""
    id = await book.add(**ASKED, enabled=True)
    await fake_servers.disconnect(id)
    await book.learn(**LEARNT)
    assert fake_servers.credentials[id].password == "new"
    assert fake_servers.credentials[id].fingerprint == "AA:BB"


async def test_a_password_that_is_learnt_disturbs_no_connection(
    book: ServerBook, database: Database, fake_servers: Any
) -> None:
    """It is stored, and used when the pool does not take the old one any more; once."""
    id = await book.add(**ASKED, enabled=True)
    await book.learn(**LEARNT)
    (stored,) = ServerStore(database, Vault(KEY)).all()
    assert stored.password == "new"
    await book.use_learnt()
    assert fake_servers.credentials[id].password == "hunter2"
    for code, password in (("POOL_UNREACHABLE", "hunter2"), ("SESSION_AUTHENTICATION_FAILED", "new")):
        fake_servers.lose(id, code)
        await book.use_learnt()
        assert fake_servers.credentials[id].password == password
    fake_servers.lose(id, "SESSION_AUTHENTICATION_FAILED")
    await book.use_learnt()
    assert fake_servers.states()[0].status == "disconnected"
    with pytest.raises(InvalidRequest):
        await book.learn(**(LEARNT | {"host": "ftp://x"}))
