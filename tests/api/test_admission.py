"""Which upgrades are taken."""

from typing import Any

import pytest

from xo_warmig.api.admission import Admission
from xo_warmig.api.settings import ApiSettings

PROXY = "192.0.2.9"
ADMISSION = Admission(ApiSettings(allowed_origins=["https://pages.example"], trusted_proxies=[PROXY]))


def scope(peer: str = "192.0.2.1", **headers: str) -> dict[str, Any]:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "websocket",
        "raw_path": b"/api/",
        "query_string": b"",
        "headers": given,
        "client": (peer, 4000),
    }


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (scope(host="xo.example"), None),
        (scope(host="xo.example", origin="https://xo.example"), None),
        (scope(host="xo.example:443", origin="https://XO.example"), None),
        (scope(host="xo.example:8480", origin="http://xo.example:8480"), None),
        (scope(host="xo.example", origin="https://pages.example"), None),
        (scope(host="xo.example", origin="http://pages.example"), 403),
        (scope(host="xo.example", origin="https://evil.example"), 403),
        (scope(host="xo.example:8480", origin="http://xo.example"), 403),
        (scope(host="xo.example", origin="null"), 403),
        (scope(host="xo.example", origin=""), 403),
        (scope(host="xo.example", origin="file://xo.example"), 403),
        (scope(host="xo.example", origin="http://[broken"), 403),
        (scope(host="inside", origin="https://xo.example", x_forwarded_host="xo.example"), 403),
        (scope(peer=PROXY, host="inside", origin="https://xo.example", x_forwarded_host="xo.example"), None),
    ],
)
def test_origin(given: dict[str, Any], status: int | None) -> None:
    """None is a program; a page's must be where it thinks it is, or listed."""
    refusal = ADMISSION.refusal(given)
    assert (refusal and refusal.status) == status


def test_address() -> None:
    """A forwarded one counts only when a trusted proxy says so, and only the hop that it saw itself."""
    assert ADMISSION.address(scope(x_forwarded_for="203.0.113.1")) == "192.0.2.1"
    assert ADMISSION.address(scope(peer=PROXY, x_forwarded_for="1.1.1.1, 203.0.113.1")) == "203.0.113.1"
    assert ADMISSION.address(scope(peer=PROXY)) == PROXY


def test_the_count_goes_down_again() -> None:
    """Whatever ended the connection."""
    admission = Admission(ApiSettings(most_connections_per_address=1))

    def broken_connection() -> None:
        with admission.counted("192.0.2.1"):
            refusal = admission.refusal(scope())
            assert refusal is not None
            assert refusal.status == 429
            raise ConnectionError

    with pytest.raises(ConnectionError):
        broken_connection()
    assert admission.refusal(scope()) is None
