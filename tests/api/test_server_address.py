"""Addresses as clients write them."""

import pytest

from xo_warmig.api.server_address import key_of, without_credentials


@pytest.mark.parametrize(
    ("text", "host", "username", "password"),
    [
        ("north", "north", None, None),
        (" https://north:8443/ ", "https://north:8443/", None, None),
        ("root@north", "north", "root", None),
        ("http://root:p%3Aw%40@[::1]:80/x@y", "http://[::1]:80/x@y", "root", "p:w@"),
        ("root:a@b@north", "north", "root", "a@b"),
    ],
)
def test_credentials_are_taken_out(text: str, host: str, username: str | None, password: str | None) -> None:
    """What is left is the address; percent signs are decoded in what is taken out."""
    assert without_credentials(text) == (host, username, password)


def test_spellings_of_one_address() -> None:
    """https is the scheme where none is named."""
    assert key_of("https://North/") == key_of("north")
    assert key_of("http://north") != key_of("north")
