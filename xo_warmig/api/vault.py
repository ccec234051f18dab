"""Secrets at rest: one key, in a file of mode 0600 or a systemd credential, with which values are encrypted and tokens looked up.

Values are sealed with AES-256-GCM under a random nonce, and bound to a purpose, so that a sealed value copied to another place does not
open there. A token's keyed hash (HMAC-SHA-256) finds its record without decrypting any.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Table, select

from xo_warmig.api.state_file import write_private
from xo_warmig.engine.store.database import Database
from xo_warmig.engine.store.tables import pool_sessions, pools, tokens
from xo_warmig.errors import WarmigError

KEY_BYTES: Final = 32
KEY_FILE: Final = "key"
CREDENTIAL: Final = "xo-warmig-key"  # the name of the systemd credential that replaces the key file
_SEALED_IN: Final[tuple[Table, ...]] = (tokens, pools, pool_sessions)
_NONCE_BYTES: Final = 12


class Vault:
    """Seals and unseals text."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derive(key, b"seal"))
        self._hash_key = _derive(key, b"look up")

    def seal(self, text: str, *, purpose: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, *, purpose: str) -> str:
        """Raises WarmigError with code VAULT_LOCKED: another key sealed it, or it was changed, or it is for another purpose."""
        try:
            content = base64.b64decode(sealed, validate=True)
            opened = self._cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise WarmigError(
                f"a stored secret ({purpose}) does not open with this key",
                code="VAULT_LOCKED",
                evidence={"purpose": purpose},
                remedy="Put back the key file that belongs to this state directory, or remove the stored secrets.",
            ) from error
        return opened.decode()

    def look_up(self, secret: str) -> str:
        """The keyed hash under which ``secret`` is stored."""
        return hmac.new(self._hash_key, secret.encode(), hashlib.sha256).hexdigest()


def open_vault(state_dir: Path, database: Database, environment: Mapping[str, str] = os.environ) -> Vault:
    """The vault for ``database``, with the key of ``state_dir``. A new key is made only where nothing is sealed yet.

    Raises:
        WarmigError: codes KEY_MISSING, KEY_UNFIT.
    """
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return Vault(read_key(Path(credentials) / CREDENTIAL))
    path = state_dir / KEY_FILE
    try:
        return Vault(read_key(path))
    except FileNotFoundError:
        sealed = _sealed_in(database)
    if sealed:
        raise WarmigError(
            f"the key file {path} is missing, and what is stored under {' and '.join(sealed)} cannot be read without it",
            code="KEY_MISSING",
            evidence={"file": str(path), "sealed": sealed},
            remedy="Put back a copy of the key file, or move the database away to start with an empty one.",
        )
    return Vault(make_key(path))


def _sealed_in(database: Database) -> list[str]:
    """The tables that hold sealed values."""
    with database.reading() as connection:
        return [table.name for table in _SEALED_IN if connection.execute(select(table).limit(1)).first() is not None]


def read_key(path: Path) -> bytes:
    """The key in ``path``.

    Raises:
        FileNotFoundError: there is none.
        WarmigError: code KEY_UNFIT, the file is no key or others may read it.
    """
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        raise _unfit(
            path, "others than its owner have access to it", f"Run chmod 600 {path}, and consider its secrets known."
        )
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise _unfit(path, f"it does not hold {KEY_BYTES} bytes in base64", "Put back a copy of the file.")
    return key


def make_key(path: Path) -> bytes:
    """A new random key, stored in ``path``."""
    key = secrets.token_bytes(KEY_BYTES)
    write_private(path, base64.b64encode(key) + b"\n")
    return key


def _unfit(path: Path, reason: str, remedy: str) -> WarmigError:
    evidence = {"file": str(path)}
    return WarmigError(f"the key file {path} is refused: {reason}", code="KEY_UNFIT", evidence=evidence, remedy=remedy)


def _derive(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=b"xo-warmig " + use).derive(key)
