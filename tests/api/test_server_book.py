"""Configured pools: what is stored, what is restored, what is pinned."""

from pathlib import Path
from typing import Any

import pytest

from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.vault import Vault
from xo_warmig.api.xo_errors import XoError
from xo_warmig.errors import NoSuchObject, WarmigError

KEY = b"k" * 32
ASKED: dict[str, Any] = {
    "host": "https://north",
    "username": "root",
    "password": "hunter2",
    "label": "",
    "allow_unauthorized": True,
}


@pytest.fixture
def book(tmp_path: Path, fake_servers: Any) -> ServerBook:
    """An empty book."""
    return ServerBook(ServerStore(tmp_path / "servers.json", Vault(KEY)), fake_servers)


async def test_a_server_is_there_after_a_restart(book: ServerBook, tmp_path: Path, fake_servers: Any) -> None:
    """With its password, which is sealed in the file."""
    id = await book.add(**ASKED, enabled=True)
    assert "hunter2" not in (tmp_path / "servers.json").read_text()
    fake_servers.credentials.clear()
    await ServerBook(ServerStore(tmp_path / "servers.json", Vault(KEY)), fake_servers).restore()
    assert fake_servers.credentials[id].password == "hunter2"


async def test_a_pinned_certificate_is_stored(book: ServerBook, tmp_path: Path) -> None:
    """So that a restart does not trust anew."""
    await book.add(**ASKED, enabled=True)
    book.keep_pins()
    (stored,) = ServerStore(tmp_path / "servers.json", Vault(KEY)).all()
    assert stored.fingerprint == "AA:BB"


@pytest.mark.parametrize("host", ["north", "NORTH/", "https://north/"])
async def test_an_address_is_registered_once(book: ServerBook, host: str) -> None:
    """Spelled either way."""
    await book.add(**ASKED, enabled=False)
    with pytest.raises(XoError) as refused:
        await book.add(**(ASKED | {"host": host}), enabled=False)
    assert refused.value.code == 16
    assert await book.add(**(ASKED | {"host": "http://north"}), enabled=False)


async def test_enabling_is_remembered_even_when_it_fails(book: ServerBook, tmp_path: Path) -> None:
    """As in XO: the server is wanted, and is tried again after a restart."""
    id = await book.add(**(ASKED | {"host": "down"}), enabled=False)
    with pytest.raises(WarmigError):
        await book.enable(id)
    assert book.states()[0].enabled
    await book.disable(id)
    assert not ServerStore(tmp_path / "servers.json", Vault(KEY)).all()[0].enabled


async def test_a_removed_server_is_forgotten(book: ServerBook, tmp_path: Path) -> None:
    """Everywhere; removing it again says that there is none."""
    id = await book.add(**ASKED, enabled=True)
    await book.remove(id)
    assert book.states() == []
    assert ServerStore(tmp_path / "servers.json", Vault(KEY)).all() == []
    with pytest.raises(NoSuchObject):
        await book.remove(id)


async def test_another_key_is_said_at_start(book: ServerBook, tmp_path: Path) -> None:
    """Before any pool is asked with nonsense."""
    await book.add(**ASKED, enabled=False)
    with pytest.raises(WarmigError, match="does not open"):
        ServerStore(tmp_path / "servers.json", Vault(b"o" * 32))
