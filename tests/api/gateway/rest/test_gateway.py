"""The whole gateway over HTTP, before an upstream double: what passes, what is answered here, and what is both."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.conftest import FakeEngine, FakeRecords, FakeServers, FakeSrs, FakeTasks, FakeVms
from tests.api.gateway.xo_over_http import PASSWORD, TASK, XoOverHttp
from xo_warmig.api.accounts import Accounts
from xo_warmig.api.audit import Audit
from xo_warmig.api.gateway.app import build_gateway
from xo_warmig.api.gateway.rest.server_sent import parsed
from xo_warmig.api.gateway.upstream import upstream_of
from xo_warmig.api.ports import Orders
from xo_warmig.api.server_book import ServerBook
from xo_warmig.api.server_store import ServerStore
from xo_warmig.api.vault import open_vault
from xo_warmig.config import Config
from xo_warmig.engine.store.database import Database, url_in
from xo_warmig.model.phases import Phase
from xo_warmig.model.requests import WarmMigrationRequest

ROOT = {"Cookie": "token=token-of-root; clientId=1"}
VIEWER = {"Cookie": "token=token-of-viewer"}
FIELDS = "abortionRequestedAt,end,id,name,objectId,properties,start,status,updatedAt,href"  # as XO 5 asks


class Behind:
    """Upstream, which may be away."""

    def __init__(self, serve: Any) -> None:
        self.xo = XoOverHttp()
        self.url = ""
        self._serve = serve
        self._served = contextlib.AsyncExitStack()

    async def come(self) -> None:
        port = int(self.url.rsplit(":", 1)[1]) if self.url else 0
        self.url = await self._served.enter_async_context(self._serve(self.xo.app, port=port))

    async def go(self) -> None:
        await self._served.aclose()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        await self.go()
        yield
        await self.come()


class Gated:
    """A gateway, what is behind it, and what is before it."""

    def __init__(self, xo: "Behind", engine: FakeEngine, accounts: Accounts, web: httpx2.AsyncClient) -> None:
        self.xo = xo.xo
        self.away = xo.away
        self.engine = engine
        self.accounts = accounts
        self.web = web

    async def get(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        """Signed in as upstream's administrator, unless headers say otherwise."""
        method = more.pop("method", "GET")
        return await self.web.request(method, path, headers=ROOT if headers is None else headers, **more)

    async def migrate(self) -> str:
        """A migration that goes on until the test says otherwise; its id."""
        request = WarmMigrationRequest(vm="v", sr="s", start_destination_vm=True, delete_source_vm=False)
        return (await self.engine.start(request, user="u")).id


@pytest.fixture
async def gated(tmp_path: Path, serve: Any) -> AsyncIterator[Gated]:
    """With no migration yet."""
    behind, engine = Behind(serve), FakeEngine()
    await behind.come()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(behind.go)
        database = Database(url_in(tmp_path))
        stack.callback(database.close)
        vault = open_vault(tmp_path, database, {})
        accounts = Accounts(database, vault)
        accounts.make_first_administrator(PASSWORD)
        config = Config(upstream=behind.url, state_dir=tmp_path)
        upstream = upstream_of(config)
        assert upstream is not None
        book = ServerBook(ServerStore(database, vault), FakeServers())
        audit = Audit(database, accounts.users)
        app = build_gateway(
            engine, book, accounts, audit, FakeRecords(), Orders(FakeVms(), FakeSrs(), FakeTasks()), config, upstream
        )
        url = await stack.enter_async_context(serve(app, lifespan="on"))
        web = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, trust_env=False, timeout=5))
        yield Gated(behind, engine, accounts, web)


async def test_a_browser_signs_in_through_it(gated: Gated) -> None:
    """The cookie gate, the form, its redirect within the origin and its three cookies; then the page, packed as upstream did."""
    first = await gated.get("/v5/", {})
    assert (first.status_code, first.headers["location"]) == (302, "/signin")
    assert first.headers.get_list("set-cookie") == ["connect.sid=s%3A1; HttpOnly; Path=/; SameSite=lax"]
    assert "signin/local" in (await gated.get("/signin", {})).text
    form = {"username": "root", "password": PASSWORD}
    signed_in = await gated.web.post("/signin/local", data=form)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    names = [cookie.split("=")[0] for cookie in signed_in.headers.get_list("set-cookie")]
    assert names == ["connect.sid", "token", "clientId"]
    page = await gated.get("/")
    assert (page.status_code, page.headers["content-encoding"]) == (200, "gzip")
    assert page.headers["content-security-policy"] == "connect-src 'self'"
    assert gated.xo.asked[-1].headers["host"] == gated.web.base_url.netloc.decode()


async def test_our_migrations_are_among_upstream_s_tasks(gated: Gated) -> None:
    """In each form of the list, with the fields that XO 5 asks for, at the root and below its mount."""
    id = await gated.migrate()
    for mount in ("", "/v5"):
        hrefs = await gated.get(f"{mount}/rest/v0/tasks")
        assert hrefs.json() == [f"/rest/v0/tasks/{id}", f"/rest/v0/tasks/{TASK['id']}"]
        assert "etag" not in hrefs.headers
        assert int(hrefs.headers["content-length"]) == len(hrefs.content)
        ours, theirs = (await gated.get(f"{mount}/rest/v0/tasks?fields={FIELDS}")).json()
        assert (ours["id"], ours["status"], ours["properties"]["method"]) == (id, "pending", "vm.warmMigration")
        assert theirs == TASK | {"href": f"/rest/v0/tasks/{TASK['id']}"}
        lines = await gated.get(f"{mount}/rest/v0/tasks?fields={FIELDS}&ndjson=true")
        assert [json.loads(line)["id"] for line in lines.text.splitlines()] == [id, TASK["id"]]
        assert lines.headers["content-type"].startswith("application/x-ndjson")


async def test_a_list_has_no_more_than_was_asked_for(gated: Gated) -> None:
    """``limit`` counts both, ``filter`` holds for both, and what upstream finds wrong is wrong."""
    id = await gated.migrate()
    for form in ("", "&ndjson=true"):
        assert (await gated.get(f"/rest/v0/tasks?limit=1{form}")).text.count("/rest/v0/tasks/") == 1
    assert (await gated.get("/rest/v0/tasks?filter=id:nothing")).json() == [f"/rest/v0/tasks/{TASK['id']}"]
    assert (await gated.get(f"/rest/v0/tasks?filter=id:{id}")).json()[0] == f"/rest/v0/tasks/{id}"
    assert (await gated.get("/rest/v0/tasks?filter=((")).json() == {"error": "bad filter"}


async def test_a_list_is_there_for_http_1_0(gated: Gated) -> None:
    """Which names no host."""
    id = await gated.migrate()
    reader, writer = await asyncio.open_connection(gated.web.base_url.host, gated.web.base_url.port)
    writer.write(f"GET /rest/v0/tasks HTTP/1.0\r\nCookie: {ROOT['Cookie']}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.split()[1] == b"200"
    assert id.encode() in answer
    assert TASK["id"].encode() in answer


async def test_only_upstream_s_administrators_see_them(gated: Gated) -> None:
    """Others get what upstream says, byte for byte, and nothing of ours by its id either."""
    id = await gated.migrate()
    for headers, status in ((VIEWER, 200), ({}, 401), ({"Cookie": "token=nonsense"}, 401)):
        answer = await gated.get("/rest/v0/tasks", headers)
        assert answer.status_code == status
        assert id not in answer.text
        assert (await gated.get(f"/rest/v0/tasks/{id}", headers)).status_code == 404
        abort = await gated.get(f"/rest/v0/tasks/{id}/actions/abort", headers, method="POST")
        assert abort.status_code in (302, 404, 405)
        action = await gated.get("/rest/v0/vms/v/actions/warm_migration", headers, method="POST", json={})
        assert action.status_code == (403 if headers is VIEWER else 401)
    assert gated.engine.steered == []
    assert gated.engine.users == ["u"]
    assert "/rest/v0/vms/v/actions/warm_migration" not in gated.xo.paths()
    basic = {"Authorization": "Basic " + httpx2.BasicAuth("root", PASSWORD)._auth_header.removeprefix("Basic ")}
    assert id in (await gated.get("/rest/v0/tasks", basic)).text


async def test_one_of_ours_is_shown_waited_for_and_aborted(gated: Gated) -> None:
    """Answered here; upstream's own are upstream's."""
    id, other = await gated.migrate(), await gated.migrate()
    assert (await gated.get(f"/v5/rest/v0/tasks/{id}")).json()["properties"]["objectId"] == "v"
    waiting = asyncio.create_task(gated.get(f"/rest/v0/tasks/{id}?wait=true"))
    await asyncio.sleep(0.05)
    gated.engine.finish(id, "target")
    assert (await waiting).json()["result"] == "target"
    abort = f"/rest/v0/tasks/{other}/actions/abort"
    assert (await gated.get(f"{abort}?sync=true", method="POST")).status_code == 204
    assert gated.engine.report(other).phase is Phase.CANCELLED
    assert (await gated.get(f"/rest/v0/tasks/{TASK['id']}")).json() == TASK
    assert not [path for path in gated.xo.paths() if id in path or other in path]


async def test_ours_that_ended_are_forgotten(gated: Gated) -> None:
    """One by its id, below XO 5's mount too, or all of them with upstream's; one that goes on stays."""
    ended, other, pending = [await gated.migrate() for _ in range(3)]
    for each in (ended, other):
        gated.engine.finish(each, "target")
    assert (await gated.get(f"/rest/v0/tasks/{ended}", VIEWER, method="DELETE")).status_code == 404
    assert (await gated.get(f"/v5/rest/v0/tasks/{ended}", method="DELETE")).status_code == 204
    assert (await gated.get(f"/rest/v0/tasks/{ended}")).status_code == 404
    listed = (await gated.get("/rest/v0/tasks")).json()
    assert listed == [f"/rest/v0/tasks/{id}" for id in (other, pending, TASK["id"])]
    assert (await gated.get("/rest/v0/tasks", {}, method="DELETE")).status_code == 401
    assert len((await gated.get("/rest/v0/tasks")).json()) == 3
    assert (await gated.get("/rest/v0/tasks", method="DELETE")).status_code == 204
    assert (await gated.get("/rest/v0/tasks")).json() == [f"/rest/v0/tasks/{pending}"]
    assert gated.engine.report(other).task_forgotten


async def test_a_migration_is_started_over_rest(gated: Gated) -> None:
    """By upstream's administrator, whose name the audit has; its task is where the answer says."""
    body = {"sr": "s", "startDestinationVm": True, "deleteSourceVm": False}
    started = await gated.get("/v5/rest/v0/vms/v/actions/warm_migration", method="POST", json=body)
    assert started.status_code == 202
    (report,) = gated.engine.reports()
    assert started.json() == {"taskId": report.id}
    assert (await gated.get(started.headers["location"])).json()["status"] == "pending"
    assert gated.engine.users == ["root@xo"]
    assert "/rest/v0/vms/v/actions/warm_migration" not in [path.removeprefix("/v5") for path in gated.xo.paths()]


async def test_streams_tell_of_both(gated: Gated) -> None:
    """The watched list that XO 5 follows, and the events that XO 6 does."""
    id = await gated.migrate()
    query = f"fields={FIELDS}&ndjson=true&watch=true"
    loop = asyncio.get_running_loop()
    loop.call_later(0.3, lambda: gated.engine.move(id, phase=Phase.COPYING, progress=0.5))
    async with gated.web.stream("GET", f"/v5/rest/v0/tasks?{query}", headers=ROOT) as watched:
        lines = watched.aiter_lines()
        kind, task = json.loads(await anext(lines))
        assert (kind, task["id"], task["properties"]["progress"]) == ("update", id, 50)
        gated.xo.changes.put_nowait(["update", TASK])
        assert json.loads(await anext(lines)) == ["update", TASK]
    async with gated.web.stream("GET", "/rest/v0/events", headers=ROOT) as events:
        texts = events.aiter_text()
        assert "stream-1" in await anext(texts)
        subscription = {"collection": "task", "fields": ["id", "properties"]}
        path = "/rest/v0/events/stream-1/subscriptions"
        assert (await gated.web.post(path, headers=ROOT, json=subscription)).status_code == 201
        await asyncio.sleep(0.1)
        gated.engine.move(id, phase=Phase.COPYING, progress=0.75)
        kind, task = parsed((await anext(texts)).encode())
        assert (kind, task["id"], task["properties"]["progress"]) == ("update", id, 75)
        assert task["$subscription"] == "task"


async def test_upstream_is_asked_who_it_is_once_in_a_while(gated: Gated) -> None:
    """Not for every request; and never for one that is none of ours."""
    for _ in range(3):
        await gated.get("/rest/v0/tasks")
    await gated.get("/rest/v0/ping")
    paths = gated.xo.paths()
    assert paths.count("/rest/v0/users/me") == 1
    assert paths.count("/rest/v0/tasks") == 3


async def test_an_older_upstream_shows_its_own_tasks(gated: Gated) -> None:
    """One that does not say who asks."""
    gated.xo.has_me = False
    id = await gated.migrate()
    assert id not in (await gated.get("/rest/v0/tasks")).text


async def test_our_own_token_stays_here(gated: Gated) -> None:
    """Its bearer gets our REST API, and upstream never sees it."""
    token = gated.accounts.local_token()
    id = await gated.migrate()
    answer = await gated.get("/rest/v0/tasks", {"Cookie": f"authenticationToken={token}"})
    assert answer.json() == [f"/rest/v0/tasks/{id}"]
    assert gated.xo.asked == []


async def test_downloads_and_uploads_pass(gated: Gated) -> None:
    """``$getFrom`` and ``$sendTo``, which need no sign-in; below XO 5's mount too."""
    assert (await gated.get("/api/token", {})).json() == {"id": "theirs"}
    body = bytes(1 << 20)
    assert (await gated.web.post("/v5/api/token", content=body)).content == body


async def test_without_upstream_migrations_go_on(gated: Gated) -> None:
    """Lists are a 502 then, as all else; and when it is back, they are as they were."""
    id = await gated.migrate()
    async with gated.away():
        for path in ("/", "/rest/v0/tasks", f"/rest/v0/tasks/{id}"):
            answer = await gated.get(path, ROOT | {"Cookie": f"token=token-of-root; at={path}"})
            assert answer.status_code == 502
            assert "does not answer" in answer.text
        gated.engine.finish(id, "target")
    assert (await gated.get(f"/rest/v0/tasks/{id}")).json()["status"] == "success"
