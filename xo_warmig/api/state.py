"""Opens what the API keeps in the state directory: the key, the accounts, the configured servers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from xo_warmig.api.accounts import Accounts
from xo_warmig.api.ports import Servers
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.vault import Vault, make_key, read_key
from xo_warmig.errors import WarmigError

KEY_FILE: Final = "key"
CREDENTIAL: Final = "xo-warmig-key"  # the name of the systemd credential that replaces the key file
SEALED_FILES: Final = ("tokens.json", "servers.json")


class ApiState(NamedTuple):
    """What ``build_app`` needs beside the engine."""

    accounts: Accounts
    servers: ServerBook


def open_state(state_dir: Path, servers: Servers, environment: Mapping[str, str] = os.environ) -> ApiState:
    """The state in ``state_dir``, made where it is missing.

    Raises:
        WarmigError: KEY_MISSING, KEY_UNFIT, VAULT_LOCKED, STATE_UNREADABLE.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    vault = open_vault(state_dir, environment)
    store = ServerStore(state_dir / "servers.json", vault)
    return ApiState(accounts=Accounts(state_dir, vault), servers=ServerBook(store, servers))


def open_vault(state_dir: Path, environment: Mapping[str, str] = os.environ) -> Vault:
    """With the key from a systemd credential, else from the key file; a new key only where nothing is sealed yet."""
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return Vault(read_key(Path(credentials) / CREDENTIAL))
    path = state_dir / KEY_FILE
    try:
        return Vault(read_key(path))
    except FileNotFoundError:
        sealed = [name for name in SEALED_FILES if (state_dir / name).exists()]
        if sealed:
            raise WarmigError(
                f"the key file {path} is missing, and {' and '.join(sealed)} cannot be read without it",
                code="KEY_MISSING",
                evidence={"file": str(path), "sealed": sealed},
                remedy="Put back a copy of the key file, or move those files away to start without them.",
            ) from None
        return Vault(make_key(path))
