"""Where upstream is: what may be configured, and the addresses that follow."""

from pathlib import Path

import pytest

from xo_warmig.api.gateway.certificate import Certificate
from xo_warmig.api.gateway.upstream import Upstream, upstream_of
from xo_warmig.config import Config, GatewayConfig
from xo_warmig.errors import InvalidRequest


def of(url: str, **gateway: object) -> Upstream:
    """What these settings say."""
    upstream = upstream_of(Config(upstream=url, gateway=GatewayConfig(**gateway)))  # type: ignore[arg-type]
    assert upstream is not None
    return upstream


def test_without_the_key_there_is_none() -> None:
    """The server stands alone."""
    assert upstream_of(Config()) is None


def test_addresses_keep_what_the_client_wrote() -> None:
    """Percent signs, double slashes and dots are not touched; a default port is not said."""
    upstream = of("https://XO.example:443/")
    assert upstream.url == "https://xo.example"
    assert upstream.http_url(b"/a%2Fb//../c", b"x=%20") == "https://xo.example/a%2Fb//../c?x=%20"
    assert upstream.websocket_url("/api/") == "wss://xo.example/api/"
    assert of("http://[::1]:8080").websocket_url("/api/consoles/1", "a=b") == "ws://[::1]:8080/api/consoles/1?a=b"


def test_in_the_clear_there_is_no_context() -> None:
    """A client of plain HTTP must not be given one."""
    assert of("http://127.0.0.1:81").ssl_context() is None
    assert of("https://127.0.0.1").ssl_context() is not None


def test_a_fingerprint_is_read_as_openssl_prints_it() -> None:
    """Upper case with colons, or plain digits."""
    digits = "ab" * 32
    for text in (digits, ":".join(["AB"] * 32), f"sha256:{digits}"):
        assert of("https://h", fingerprint=text).certificate == Certificate(fingerprint=digits)


def test_an_unauthorized_certificate_is_kept_in_the_state_directory() -> None:
    """The one seen first is pinned."""
    config = Config(upstream="https://h", state_dir=Path("/s"), gateway=GatewayConfig(allow_unauthorized=True))
    upstream = upstream_of(config)
    assert upstream is not None
    assert upstream.certificate.kept == Path("/s/upstream-certificate")


@pytest.mark.parametrize(
    ("url", "gateway", "key"),
    [
        ("xo.example", {}, "upstream"),
        ("", {}, "upstream"),
        ("ftp://xo.example", {}, "upstream"),
        ("https://", {}, "upstream"),
        ("https://xo.example/xo", {}, "upstream"),
        ("https://xo.example?x", {}, "upstream"),
        ("https://xo.example:99999", {}, "upstream"),
        ("https://xo.example:0", {}, "upstream"),
        ("https://xo example", {}, "upstream"),
        ("https://admin:hunter2@xo.example", {}, "upstream"),
        ("https://xo.example", {"fingerprint": "hunter"}, "gateway.fingerprint"),
        ("https://xo.example", {"ca_file": Path("/nowhere/ca.pem")}, "gateway.ca_file"),
        ("https://xo.example", {"ca_file": Path("/dev/null")}, "gateway.ca_file"),
        ("http://xo.example", {"allow_unauthorized": True}, "gateway"),
    ],
)
def test_what_is_no_upstream_is_refused(url: str, gateway: dict[str, object], key: str) -> None:
    """With the key, a remedy, and no password."""
    with pytest.raises(InvalidRequest) as caught:
        of(url, **gateway)
    error = caught.value
    assert (error.code, error.evidence["key"]) == ("BAD_CONFIG", key)
    assert error.remedy
    assert "hunter2" not in str(error.as_dict())
