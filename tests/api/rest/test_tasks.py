"""The tasks of migrations and actions over HTTP: looked at, waited for, watched, aborted, forgotten."""

import json
import time
from collections.abc import Callable
from typing import Any

from xo_warmig.errors import PoolError
from xo_warmig.model.phases import Phase

REQUEST = {"vm": "v", "sr": "s", "startDestinationVm": True, "deleteSourceVm": False}


def line(stream: Any) -> Any:
    return json.loads(stream.readline())


def test_a_migration_is_a_task(site: Any, client: Any, http_client: Any) -> None:
    """Listed, waited for, and gone on to be seen when it has ended."""
    id = client.call("warmMigration.start", **REQUEST)
    assert f"/rest/v0/tasks/{id}" in http_client("/tasks").body
    task = http_client(f"/tasks/{id}").body
    assert (task["status"], task["properties"]["objectId"], task["properties"]["objectType"]) == ("pending", "v", "VM")
    assert 0 <= task["properties"]["progress"] <= 100
    site.do(lambda: site.engine.finish(id, "target"))
    ended = http_client(f"/tasks/{id}?wait=true").body
    assert (ended["status"], ended["result"]) == ("success", "target")
    assert ended["end"] >= ended["start"]
    assert http_client("/tasks/nothing").status == 404
    assert http_client("/tasks/nothing?wait=true").status == 404


def test_a_task_is_waited_for(site: Any, client: Any, http_client: Any) -> None:
    """The answer comes with its end, a failure too."""
    id = client.call("warmMigration.start", **REQUEST)
    waiting = http_client.begin(f"/tasks/{id}?wait=true")
    site.do(lambda: site.engine.fail(id, PoolError("no", code="X")))
    assert json.loads(waiting.getresponse().read())["status"] == "failure"
    assert http_client(f"/tasks/{id}?wait=result").status == 422


def test_a_task_is_waited_for_beyond_the_targets_start(site: Any, client: Any, http_client: Any) -> None:
    """The call that started it answers then, but its source may still have to be settled."""
    id = client.call("warmMigration.start", **REQUEST)
    waiting = http_client.begin(f"/tasks/{id}?wait=true")
    site.do(lambda: site.engine.move(id, phase=Phase.AWAITING_COMMIT, target_vm="t"))
    site.do(lambda: site.engine.finish(id, "t"))
    ended = json.loads(waiting.getresponse().read())
    assert (ended["status"], ended["result"]) == ("success", "t")


def test_nobody_waits_for_a_client_that_has_gone(
    site: Any, client: Any, http_client: Any, eventually: Callable[..., Any]
) -> None:
    """What waited ends; the migration does not."""
    id = client.call("warmMigration.start", **REQUEST)
    eventually(lambda: site.requests() == 1)  # the websocket's
    waiting = http_client.begin(f"/tasks/{id}?wait=true")
    eventually(lambda: site.requests() == 2)
    waiting.close()
    eventually(lambda: site.requests() == 1)
    assert http_client(f"/tasks/{id}").body["status"] == "pending"


def test_tasks_are_watched(site: Any, client: Any, http_client: Any) -> None:
    """Each change is a line, as XO writes it; there is none for what was before."""
    client.call("warmMigration.start", **REQUEST)
    whole = http_client.stream("/tasks?ndjson=true&watch=true&fields=id,status")
    names = http_client.stream("/tasks?watch=true", http_client.cookie | {"Accept-Encoding": "gzip"})
    assert whole.headers["content-type"] == "application/x-ndjson"
    id = client.call("warmMigration.start", **REQUEST)
    href = f"/rest/v0/tasks/{id}"
    assert line(whole) == ["update", {"id": id, "status": "pending", "href": href}]
    assert line(names) == ["update", href]
    site.do(lambda: site.engine.finish(id, "t"))
    assert line(whole) == ["update", {"id": id, "status": "success", "href": href}]


def test_watched_tasks_are_chosen(site: Any, client: Any, http_client: Any, small_pool: None) -> None:
    """By a filter; a forgotten one is told to be gone."""
    failures = http_client.stream("/tasks?ndjson=true&watch=true&fields=id&filter=status:failure")
    other = client.call("warmMigration.start", **REQUEST)
    id = client.call("warmMigration.start", **REQUEST)
    for each, end in ((other, "t"), (id, None)):
        site.do(
            lambda each=each, end=end: (
                site.engine.finish(each, end) if end else site.engine.fail(each, PoolError("no", code="X"))
            )
        )
    assert line(failures) == ["update", {"id": id, "href": f"/rest/v0/tasks/{id}"}]
    action = http_client("/vms/abcdef01-vm/actions/start", "POST").body["taskId"]
    assert http_client(f"/tasks/{action}?wait=true").body["status"] == "success"
    assert http_client(f"/tasks/{action}", "DELETE").status == 204
    assert line(failures) == ["remove", {"id": action, "href": f"/rest/v0/tasks/{action}"}]


def test_a_bad_filter_ends_a_watch_before_it_begins(http_client: Any) -> None:
    """As it does a list."""
    assert http_client("/tasks?watch=true&filter=((").status == 400
    assert http_client("/tasks?watch=perhaps").status == 422


def test_a_watch_ends_with_its_client(site: Any, client: Any, http_client: Any, eventually: Any) -> None:
    """Nothing is kept for it."""
    eventually(lambda: site.requests() == 1)  # the websocket's
    stream = http_client.stream("/tasks?watch=true")
    assert site.requests() == 2
    http_client.close()
    stream.close()
    eventually(lambda: site.requests() == 1)


def test_a_watch_ends_with_the_rights_of_its_user(client: Any, http_client: Any, basic: Any) -> None:
    """Before anything more is told."""
    user = client.call("user.create", email="watcher@example.org", password="p", permission="admin")
    stream = http_client.stream("/tasks?watch=true", basic("watcher@example.org", "p"))
    client.call("user.set", id=user, permission="none")
    client.call("warmMigration.start", **REQUEST)
    assert stream.read() == b""


def test_a_task_is_aborted(site: Any, client: Any, http_client: Any, eventually: Any) -> None:
    """Its migration is cancelled, as by the API; a task that there is not cannot be."""
    id = client.call("warmMigration.start", **REQUEST)
    assert http_client(f"/tasks/{id}/actions/abort?sync=true", "POST").status == 204
    assert http_client(f"/tasks/{id}").body["status"] == "failure"
    assert http_client(f"/tasks/{id}/actions/abort?sync=true", "POST").status == 409
    other = client.call("warmMigration.start", **REQUEST)
    begun = http_client(f"/tasks/{other}/actions/abort", "POST")
    assert (begun.status, begun.body) == (202, {"taskId": other})
    eventually(lambda: http_client(f"/tasks/{other}").body["status"] != "pending")
    assert http_client("/tasks/nothing/actions/abort", "POST").status == 404
    assert http_client(f"/tasks/{other}/actions/abort?sync", "POST").status == 422


def test_an_abort_goes_on_without_its_client(site: Any, client: Any, http_client: Any, eventually: Any) -> None:
    """Who asked for it need not wait."""
    id = client.call("warmMigration.start", **REQUEST)
    site.do(site.engine.may_act.clear)
    asking = http_client.begin(f"/tasks/{id}/actions/abort?sync=true", "POST")
    eventually(lambda: ("cancel", {"drop": None}) in site.engine.steered)
    asking.close()
    time.sleep(0.05)
    site.do(site.engine.may_act.set)
    eventually(lambda: site.engine.report(id).phase is Phase.CANCELLED)


def test_a_migration_that_goes_on_is_not_forgotten(client: Any, http_client: Any) -> None:
    """Its task neither."""
    id = client.call("warmMigration.start", **REQUEST)
    assert http_client(f"/tasks/{id}", "DELETE").status == 403
    assert http_client("/tasks", "DELETE").status == 204
    assert http_client(f"/tasks/{id}").status == 200


def test_the_task_of_a_migration_that_ended_is_forgotten(site: Any, client: Any, http_client: Any) -> None:
    """As any task of XO; what is on the record of the migration stays."""
    id, other = (client.call("warmMigration.start", **REQUEST) for _ in range(2))
    watched = http_client.stream("/tasks?ndjson=true&watch=true&fields=id,status")
    plain = http_client.stream("/tasks?ndjson=true&watch=true")
    for each in (id, other):
        site.do(lambda each=each: site.engine.finish(each, "t"))
        assert line(watched)[1]["status"] == "success"
        assert line(plain) == ["update", f"/rest/v0/tasks/{each}"]
    assert http_client(f"/tasks/{id}", "DELETE").status == 204
    assert line(watched) == ["remove", {"id": id, "href": f"/rest/v0/tasks/{id}"}]
    assert line(plain) == ["remove", f"/rest/v0/tasks/{id}"]
    for path, method in ((f"/tasks/{id}", "GET"), (f"/tasks/{id}", "DELETE"), (f"/tasks/{id}/actions/abort", "POST")):
        gone = http_client(path, method)
        assert (gone.status, gone.body["data"]["type"], gone.body["error"]) == (404, "task", f"no such task {id}")
    assert f"/rest/v0/tasks/{id}" not in http_client("/tasks").body
    assert id not in client.call("xo.getAllObjects")
    assert http_client("/tasks", "DELETE").status == 204
    assert f"/rest/v0/tasks/{other}" not in http_client("/tasks").body
    assert {id, other} <= {each["id"] for each in client.call("warmMigration.list")}
