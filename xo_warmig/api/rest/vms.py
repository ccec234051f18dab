"""What is done to VMs: XO's own actions, and a warm migration beside them, which XO has no route for."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xo_warmig.api.rest.answers import BASE, Malformed, accepted, answer
from xo_warmig.api.rest.desk import Body, Desk, params_of
from xo_warmig.api.rest.listing import flag
from xo_warmig.api.rest.requests import body_of, while_there


def _nothing(_: Any) -> Response:
    return Response(status_code=204)


def _made(id: Any) -> Response:
    return answer({"id": id}, 201)


class Action(NamedTuple):
    """By which method of the API it is done. ``names``: those of the body's members, and what the method calls them."""

    method: str
    given: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    done: Callable[[Any], Response] = _nothing


ACTIONS: Final = {
    "start": Action("vm.start", names={"hostId": "host"}),
    "clean_shutdown": Action("vm.stop"),
    "hard_shutdown": Action("vm.stop", {"force": True, "bypassBlockedOperation": False}),
    "clean_reboot": Action("vm.restart"),
    "hard_reboot": Action("vm.restart", {"force": True, "bypassBlockedOperation": False}),
    "pause": Action("vm.pause"),
    "unpause": Action("vm.unpause"),
    "suspend": Action("vm.suspend"),
    "resume": Action("vm.resume"),
    "snapshot": Action("vm.snapshot", names={"name_label": "name"}, done=_made),
}


def routes(desk: Desk) -> list[Route]:
    return [
        *(desk.route(f"/vms/{{id}}/actions/{name}", _act(desk, name, of), "POST") for name, of in ACTIONS.items()),
        desk.route("/vms/{id}/actions/warm_migration", _migrate(desk), "POST"),
        desk.route("/vms/{id}", _delete(desk), "DELETE"),
    ]


def _act(desk: Desk, name: str, action: Action) -> Body:
    async def run(request: Request) -> Response:
        id = request.path_params["id"]
        params = {"id": id, **await params_of(request, action.names), **action.given}
        await desk.one("VM", id)
        return await desk.act(
            request, action.method, params, name=name, object_id=id, object_type="VM", done=action.done
        )

    return run


def _migrate(desk: Desk) -> Body:
    async def run(request: Request) -> Response:
        """The body is what ``vm.warmMigration`` takes but ``vm``. What is refused is so at once; the task is the migration's own.

        ``sync=true``: 201 and the new VM's id when it has booted, as that call answers.
        """
        waits = flag(request.query_params, "sync")
        body = await body_of(request)
        if "vm" in body:
            raise Malformed("vm: the address says which", 422)
        id = await desk.call(request, "warmMigration.start", {**body, "vm": request.path_params["id"]})
        if not waits:
            return accepted(id)
        response = _made(await while_there(request.receive, desk.services.engine.outcome(id)))
        response.headers["Location"] = f"{BASE}/tasks/{id}"
        return response

    return run


def _delete(desk: Desk) -> Body:
    async def run(request: Request) -> Response:
        await desk.call(request, "vm.delete", {"id": request.path_params["id"]})
        return Response(status_code=204)

    return run
