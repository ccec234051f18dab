"""Secrets at rest: what opens, what does not, and which key files are taken."""

import base64
import stat
from pathlib import Path

import pytest

from xo_warmig.api.pool_sessions import PoolSessions
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.tokens import TokenStore
from xo_warmig.api.vault import Vault, make_key, open_vault, read_key
from xo_warmig.engine.store.database import Database
from xo_warmig.errors import WarmigError
from xo_warmig.model.servers import ServerCredentials

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def test_what_was_sealed_opens() -> None:
    """And looks different each time."""
    vault = Vault(KEY)
    one, two = vault.seal("pässword", purpose="p"), vault.seal("pässword", purpose="p")
    assert one != two
    assert "word" not in base64.b64decode(one).decode("latin-1")
    assert Vault(KEY).unseal(one, purpose="p") == "pässword"


@pytest.mark.parametrize("how", ["other key", "other purpose", "changed", "cut", "no base64"])
def test_what_does_not_open(how: str) -> None:
    """One error for all, without the secret."""
    sealed = Vault(KEY).seal("secret", purpose="p")
    content = base64.b64decode(sealed)
    changed = base64.b64encode(content[:-1] + bytes([content[-1] ^ 1])).decode()
    text = {"changed": changed, "cut": base64.b64encode(content[:5]).decode(), "no base64": "%"}.get(how, sealed)
    vault = Vault(OTHER_KEY if how == "other key" else KEY)
    with pytest.raises(WarmigError) as refused:
        vault.unseal(text, purpose="q" if how == "other purpose" else "p")
    assert refused.value.code == "VAULT_LOCKED"


def test_looking_up_needs_the_key() -> None:
    """The same secret, the same hash; another key, another."""
    assert Vault(KEY).look_up("t") == Vault(KEY).look_up("t") != Vault(OTHER_KEY).look_up("t")


def test_a_key_file_is_private(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, and refused when others may read it."""
    path = tmp_path / "key"
    key = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path) == key
    path.chmod(0o640)
    with pytest.raises(WarmigError, match="others than its owner") as refused:
        read_key(path)
    assert refused.value.code == "KEY_UNFIT"


@pytest.mark.parametrize("content", ["", "short", base64.b64encode(b"x" * 31).decode()])
def test_what_is_no_key(tmp_path: Path, content: str) -> None:
    """A damaged file is not used as a weak key."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(WarmigError, match="32 bytes"):
        read_key(path)


def test_a_new_key_only_where_nothing_is_sealed(tmp_path: Path, database: Database) -> None:
    """A lost key is said, and not replaced silently."""
    sealed = open_vault(tmp_path, database, {}).seal("s", purpose="p")
    assert open_vault(tmp_path, database, {}).unseal(sealed, purpose="p") == "s"
    (tmp_path / "key").unlink()
    open_vault(tmp_path, database, {})  # nothing is lost yet


@pytest.mark.parametrize("kind", ["tokens", "pools", "pool_sessions"])
def test_a_lost_key_is_said(tmp_path: Path, database: Database, kind: str) -> None:
    """Whatever it was that is sealed, and no key is made."""
    vault = open_vault(tmp_path, database, {})
    match kind:
        case "tokens":
            TokenStore(database, vault).create("u", 0, lifetime_ms=None, description=None, client_id=None)
        case "pools":
            ServerStore(database, vault).put(ServerCredentials(id="p", host="h", username="u", password="p"))
        case _:
            PoolSessions(database, vault).opened("p", "OpaqueRef:1")
    (tmp_path / "key").unlink()
    with pytest.raises(WarmigError, match=f"under {kind} cannot be read without it") as refused:
        open_vault(tmp_path, database, {})
    assert (refused.value.code, refused.value.evidence["sealed"]) == ("KEY_MISSING", [kind])
    assert not (tmp_path / "key").exists()


def test_a_systemd_credential_replaces_the_file(tmp_path: Path, database: Database) -> None:
    """No key is written beside it."""
    make_key(tmp_path / "credentials" / "xo-warmig-key")
    state = tmp_path / "state"
    open_vault(state, database, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
    assert not state.exists()
