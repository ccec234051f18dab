"""Where a pool or one of its hosts answers: the grammar of a server's ``host`` as Xen Orchestra reads it."""

from typing import NamedTuple, Self
from urllib.parse import SplitResult, unquote, urlsplit

from xo_warmig.errors import InvalidRequest

DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A scheme, a host name or IP literal (IPv6 without brackets) and a port."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """``https://[::1]:8443``; the port is left out when it is the scheme's own."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """As in a ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    def on(self, host: str) -> Self:
        """The same scheme and port on another host of the pool."""
        return self._replace(host=host.strip("[]"))


class ParsedHost(NamedTuple):
    """A server's address, with the credentials where they stood in the text."""

    address: Address
    username: str | None
    password: str | None


def parse_host(text: str) -> ParsedHost:
    """Read ``[http[s]://][user[:password]@]host[:port][/path]``; https unless it says otherwise, the path is ignored.

    Raises:
        InvalidRequest: it is not of that form.
    """
    text = text.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        address = _address(parts)
    except ValueError as error:
        raise _refused(text, str(error)) from error
    if address is None:
        raise _refused(
            text, "it names no host" if parts.scheme in DEFAULT_PORTS else "its scheme is neither http nor https"
        )
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return ParsedHost(address, username, password)


def parse_location(text: str) -> tuple[Address, str]:
    """Where a redirect leads: the address, and the path with its query.

    Raises:
        ValueError: it is no absolute http or https URL.
    """
    parts = urlsplit(_with_bracketed_ipv6(text))
    address = _address(parts)
    if address is None:
        raise ValueError(f"not an absolute URL: {text[:200]!r}")
    return address, f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _address(parts: SplitResult) -> Address | None:
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return Address(parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])


def _with_bracketed_ipv6(text: str) -> str:
    """Releases before XCP-ng 8.3 send IPv6 literals without brackets; such a URL never carries a port."""
    scheme, separator, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    if not authority.startswith("[") and authority.count(":") > 1:
        authority = f"[{authority}]"
    return f"{scheme}{separator}{authority}{slash}{path}"


def _refused(text: str, why: str) -> InvalidRequest:
    shown = text.rpartition("@")[2]  # what stands before it may be a password
    return InvalidRequest(
        f"{shown!r} is not the address of a server: {why}",
        code="BAD_SERVER_ADDRESS",
        evidence={"host": shown},
        remedy="give it as [http[s]://]host[:port]",
    )
