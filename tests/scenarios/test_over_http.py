"""A migration over HTTP alone, on the wire: started, followed, defended against other hands, waited for."""

import asyncio
import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.scenarios.waiting import until_phase

Worlds = Callable[..., Any]


class Answer(NamedTuple):
    status: int
    body: Any


class Http:
    """An administrator's requests, each in a thread."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url).netloc
        self._open: list[http.client.HTTPConnection] = []
        self._headers = {"Cookie": f"authenticationToken={token}"}

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def open(self, path: str, method: str = "GET", body: Any = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        self._open.append(connection)
        connection.request(method, f"/rest/v0{path}", None if body is None else json.dumps(body), self._headers)
        return connection.getresponse()

    async def __call__(self, path: str, method: str = "GET", body: Any = None) -> Answer:
        def ask() -> Answer:
            with self.open(path, method, body) as answer:
                text = answer.read()
                return Answer(answer.status, json.loads(text) if text else None)

        return await asyncio.to_thread(ask)


class Events:
    """What a stream tells, read as it comes."""

    def __init__(self, stream: http.client.HTTPResponse) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._stream = stream
        self._next()
        self.id = self.seen[0][1]["id"]

    def _next(self) -> None:
        kind = self._stream.readline().decode().removeprefix("event: ").strip()
        data = json.loads(self._stream.readline().decode().removeprefix("data: "))
        self._stream.readline()
        self.seen.append((kind, data))

    async def until(self, **wanted: Any) -> None:
        """Read on to the event whose data has these."""
        async with asyncio.timeout(60):
            while not any(data.items() >= wanted.items() for _, data in self.seen):
                await asyncio.to_thread(self._next)


@pytest.fixture
def closed_in_the_end() -> Iterator[Callable[[Http], Http]]:
    """Connections do not outlive a test, whatever comes of it."""
    with contextlib.ExitStack() as stack:
        yield lambda made: stack.enter_context(contextlib.closing(made))


async def test_a_migration_over_http(worlds: Worlds, closed_in_the_end: Callable[[Http], Http]) -> None:
    """The source and its copy are defended until it has ended; events tell of both; then the source can be deleted."""
    async with worlds() as world:
        rest = closed_in_the_end(Http(world.url, await world.client.call("token.create")))
        assert (await rest("/vms?filter=power_state:running&fields=id")).body[0]["id"] == world.vm
        events = Events(await asyncio.to_thread(rest.open, "/events"))
        for asked in (
            {"collection": "task", "fields": ["id", "status"]},
            {"collection": "VM", "fields": ["id", "power_state"]},
        ):
            assert (await rest(f"/events/{events.id}/subscriptions", "POST", asked)).status == 201
        options = {"sr": world.sr, "startDestinationVm": True, "deleteSourceVm": False, "cutover": "hold"}
        begun = await rest(f"/vms/{world.vm}/actions/warm_migration", "POST", options)
        assert begun.status == 202
        task = begun.body["taskId"]
        await events.until(id=task, status="pending")
        report = await until_phase(world, "holding")
        for vm in (world.vm, report["targetVm"]):
            refused = await rest(f"/vms/{vm}", "DELETE")
            assert (refused.status, refused.body["data"]["code"]) == (403, "BEING_MIGRATED")
            assert (await rest(f"/vms/{vm}/actions/snapshot?sync=true", "POST")).status == 403
        await world.client.call("warmMigration.cutover", id=task)
        ended = (await rest(f"/tasks/{task}?wait=true")).body
        assert ended["result"] == report["targetVm"]
        assert f"/rest/v0/tasks/{task}" in (await rest(f"/vms/{world.vm}/tasks")).body
        await events.until(id=task, status="success")
        await events.until(id=world.vm, power_state="Halted")
        await events.until(id=ended["result"], power_state="Running")
        assert (
            (await rest(f"/vms/{world.vm}", "DELETE"))
            .body["error"]
            .startswith("forbidden operation: destroy is blocked")
        )
        await world.client.call("vm.delete", id=world.vm, forceBlockedOperation=True)
        assert world.vm not in [vm["uuid"] for vm in (await world.state(world.source))["vms"]]
        assert (await rest(f"/vms/{ended['result']}/actions/hard_shutdown?sync=true", "POST")).status == 204
        assert (await rest(f"/vms/{ended['result']}", "DELETE")).status == 204
