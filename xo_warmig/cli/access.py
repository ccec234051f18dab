"""Where the server is and how to sign in: options and variables, else what a local server left in its state directory."""

import os
from pathlib import Path
from typing import NoReturn

import msgspec

from xo_warmig.errors import WarmigError

FILE_NAME = "access.json"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A URL and a token for it. ``ca_file`` (PEM) is trusted for it."""

    url: str
    token: str
    ca_file: str | None = None


def leave(state_dir: Path, access: Access) -> None:
    """Leave ``access`` for commands of the same user on this machine, in a file that only this user can read."""
    new = state_dir / f"{FILE_NAME}.new"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(access))
    new.replace(state_dir / FILE_NAME)


def remove(state_dir: Path) -> None:
    """Nobody serves there any more."""
    (state_dir / FILE_NAME).unlink(missing_ok=True)


def find(state_dir: Path, *, url: str | None, token: str | None, ca_file: str | None) -> Access:
    """What was given, completed by what the server in ``state_dir`` left; its token is never sent to another URL.

    Raises:
        WarmigError: code NO_SERVER or NO_TOKEN.
    """
    if url is not None and token is not None:
        return Access(url=url, token=token, ca_file=ca_file)
    left = _read(state_dir / FILE_NAME)
    if left is None and url is None:
        _refuse(
            "NO_SERVER",
            f"no server is running with the state directory {state_dir}",
            "Start one with `xo-warmig serve`, or give --url and --token (XO_WARMIG_URL, XO_WARMIG_TOKEN).",
        )
    if left is None or url not in (None, left.url):
        _refuse("NO_TOKEN", f"no token for {url}", "Give --token or set XO_WARMIG_TOKEN.")
    return Access(url=left.url, token=token or left.token, ca_file=ca_file or left.ca_file)


def _read(path: Path) -> Access | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _refuse("NO_SERVER", f"{path} cannot be used: {error}", "Start the server again, or give --url and --token.")


def _refuse(code: str, message: str, remedy: str) -> NoReturn:
    raise WarmigError(message, code=code, remedy=remedy)
