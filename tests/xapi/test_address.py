"""The grammar of a server's host."""

import pytest

from xo_warmig.errors import InvalidRequest
from xo_warmig.xapi.address import Address, parse_host, parse_location


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pool.example.org", Address("https", "pool.example.org", 443)),
        ("http://127.0.0.1:8080", Address("http", "127.0.0.1", 8080)),
        ("127.0.0.1:8080", Address("https", "127.0.0.1", 8080)),
        ("https://[fd00::1]:8443/some/path", Address("https", "fd00::1", 8443)),
        ("[fd00::1]", Address("https", "fd00::1", 443)),
        (" http://h/ ", Address("http", "h", 80)),
    ],
)
def test_hosts_are_read_as_xen_orchestra_reads_them(text: str, address: Address) -> None:
    """Scheme, host and port, https unless it says otherwise."""
    assert parse_host(text).address == address


def test_credentials_in_the_text_are_taken_out() -> None:
    """They may be percent-encoded."""
    parsed = parse_host("https://root:p%40ss@h")
    assert (parsed.username, parsed.password, parsed.address.host) == ("root", "p@ss", "h")


@pytest.mark.parametrize("text", ["", "ftp://h", "http://", "h:port", "http://h:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the code that clients know it by."""
    with pytest.raises(InvalidRequest) as caught:
        parse_host(text)
    assert caught.value.code == "BAD_SERVER_ADDRESS"


def test_a_refusal_does_not_show_the_password() -> None:
    """It may reach a log."""
    with pytest.raises(InvalidRequest) as caught:
        parse_host("https://root:secret@h:port")
    assert "secret" not in str(caught.value) + str(caught.value.evidence)


@pytest.mark.parametrize(
    ("address", "authority", "url"),
    [
        (Address("https", "h", 443), "h", "https://h"),
        (Address("http", "h", 443), "h:443", "http://h:443"),
        (Address("http", "fd00::1", 80), "[fd00::1]", "http://[fd00::1]"),
    ],
)
def test_an_address_is_written_without_its_own_port(address: Address, authority: str, url: str) -> None:
    """IPv6 literals in brackets."""
    assert (address.authority, address.url) == (authority, url)


def test_another_host_of_the_pool_has_the_same_scheme_and_port() -> None:
    """XAPI names hosts by bare addresses, sometimes with brackets."""
    assert Address("http", "a", 8080).on("[fd00::2]") == Address("http", "fd00::2", 8080)


@pytest.mark.parametrize(
    ("text", "address", "path"),
    [
        ("https://10.0.0.2/export_raw_vdi?vdi=x&a=b", Address("https", "10.0.0.2", 443), "/export_raw_vdi?vdi=x&a=b"),
        ("https://fd00::2/import_raw_vdi?x", Address("https", "fd00::2", 443), "/import_raw_vdi?x"),
        ("http://[fd00::2]:81/p", Address("http", "fd00::2", 81), "/p"),
    ],
)
def test_a_redirect_says_where_to_go_on(text: str, address: Address, path: str) -> None:
    """Old releases leave the brackets of IPv6 literals out."""
    assert parse_location(text) == (address, path)


def test_a_redirect_to_no_url_is_refused() -> None:
    """A relative one never comes from a pool."""
    with pytest.raises(ValueError, match="absolute"):
        parse_location("/elsewhere")
