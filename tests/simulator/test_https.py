"""A pool in TLS, with a self-signed certificate of each host's own."""

import http.client
import ssl
from collections.abc import Iterator

import pytest

from tests.pools import start_site
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import PoolConfig, SiteConfig


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with start_site(SiteConfig(pools=[PoolConfig(name="tls", https=True, hosts=2)])) as site:
        yield site


def context(site: Site, host: int) -> ssl.SSLContext:
    """A client that trusts the certificate of that host alone."""
    (file,) = site.pools[0].directory.glob(f"xapi-ssl-{site.pools[0].hosts[host].address}.pem")
    return ssl.create_default_context(cafile=str(file))


def connect(site: Site, host: int, trust: ssl.SSLContext) -> http.client.HTTPSConnection:
    port = site.pools[0].config.port
    return http.client.HTTPSConnection(site.pools[0].hosts[host].address, port, context=trust, timeout=10)


@pytest.mark.parametrize("host", [0, 1])
def test_each_host_has_its_certificate(site: Site, host: int) -> None:
    """Valid for its address; TLS 1.2 as on an 8.3 host."""
    connection = connect(site, host, context(site, host))
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.version() == "TLSv1.2"
    answer.read()
    connection.close()


def test_another_certificate_is_not_trusted(site: Site) -> None:
    """Self-signed: a client has to pin it."""
    connection = connect(site, 1, context(site, 0))
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/")
    connection.close()


def test_a_body_that_ends_with_the_connection_ends_properly(site: Site) -> None:
    """The server says goodbye in TLS, else a client could not tell the end from a cut."""
    connection = connect(site, 0, context(site, 0))
    connection.request("GET", "/export_raw_vdi?session_id=nobody&vdi=x")
    answer = connection.getresponse()
    assert answer.status == 401
    answer.read()
    connection.close()


def test_the_url_says_https(site: Site) -> None:
    """That is what clients are given."""
    assert site.pools[0].url == f"https://{site.pools[0].hosts[0].address}:{site.pools[0].config.port}"
