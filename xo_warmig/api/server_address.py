"""The text of a server's address as a client gave it: what is kept of it, and when two are the same. Its grammar is the pools' matter."""

from typing import NamedTuple
from urllib.parse import unquote


class GivenAddress(NamedTuple):
    """``host`` is fit to be shown and stored; None where the text holds no user or no password."""

    host: str
    username: str | None
    password: str | None


def without_credentials(text: str) -> GivenAddress:
    """Take ``user:password@`` out of ``[scheme://][user[:password]@]host[:port][/path]``: a password is not part of an address."""
    scheme, separator, rest = text.strip().rpartition("://")
    authority, slash, path = rest.partition("/")
    credentials, _, host = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    return GivenAddress(f"{scheme}{separator}{host}{slash}{path}", unquote(username) or None, unquote(password) or None)


def key_of(host: str) -> str:
    """The same for two spellings of one address."""
    return host.casefold().removeprefix("https://").rstrip("/")
