"""A client of the REST API."""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.xo.pools import POOL
from tests.xo.pools import small_pool as small_pool_records

NULL = "OpaqueRef:NULL"


class Answer(NamedTuple):
    """``body`` is read as JSON where it is."""

    status: int
    body: Any
    headers: http.client.HTTPMessage


class Http:
    """Signed in by a token in a cookie, unless a request has other headers."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.cookie = {"Cookie": f"authenticationToken={token}"}
        self._open: list[http.client.HTTPConnection] = []

    def __call__(
        self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        answer = self.begin(path, method, body, headers).getresponse()
        text = answer.read()
        kind = answer.headers.get("content-type", "")
        return Answer(answer.status, json.loads(text) if kind == "application/json" else text.decode(), answer.headers)

    def begin(
        self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPConnection:
        """A request whose answer nobody has read yet; closed with the test."""
        connection = http.client.HTTPConnection(self.address, timeout=20)
        self._open.append(connection)
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        connection.request(method, f"/rest/v0{path}", text, self.cookie if headers is None else headers)
        return connection

    def stream(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """An answer that goes on."""
        answer = self.begin(path, headers=headers).getresponse()
        assert answer.status == 200
        return answer

    def close(self) -> None:
        for connection in self._open:
            connection.close()


@pytest.fixture
def http_client(site: Any, client: Any) -> Iterator[Http]:
    """An administrator's."""
    made = Http(site.address, client.call("token.create"))
    yield made
    made.close()


@pytest.fixture
def basic() -> Callable[[str, str], dict[str, str]]:
    """The header of somebody with a password."""

    def header(name: str, password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}

    return header


@pytest.fixture
def network() -> Callable[..., dict[str, Any]]:
    """The record of a network."""

    def record(name: str) -> dict[str, Any]:
        return {"name_label": name, "PIFs": [], "VIFs": [], "other_config": {}, "tags": []}

    return record


@pytest.fixture
def change(site: Any) -> Callable[..., None]:
    """Records of a pool become what is given, by uuid: class and record; None where there is none any more."""

    def apply(cls: str, **records: dict[str, Any] | None) -> None:
        pool = {"uuid": "p", "name_label": "p", "master": NULL, "default_SR": NULL}
        changes: list[tuple[str, str, Any]] = [("pool", "OpaqueRef:p", pool)]
        for id, record in records.items():
            changes.append((cls, f"OpaqueRef:{id}", None if record is None else {"uuid": id, **record}))
        site.do(lambda: site.records.change("p", changes))

    return apply


@pytest.fixture
def small_pool(site: Any) -> None:
    """A pool with a VM and all that belongs to one."""
    records = small_pool_records()
    changes = [(cls, ref, record) for cls, of in records.items() for ref, record in of.items()]
    site.do(lambda: site.records.change(POOL, changes))
