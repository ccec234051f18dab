"""The objects of all pools: a list and single objects for each collection, and what goes on around one."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from xo_warmig.api.rest.answers import answer
from xo_warmig.api.rest.desk import Body, Desk, params_of
from xo_warmig.api.rest.tasks import all_tasks, is_about

COLLECTIONS: Final = {
    "hosts": "host",
    "messages": "message",
    "networks": "network",
    "pbds": "PBD",
    "pifs": "PIF",
    "pools": "pool",
    "srs": "SR",
    "vbds": "VBD",
    "vdi-snapshots": "VDI-snapshot",
    "vdis": "VDI",
    "vifs": "VIF",
    "vm-controllers": "VM-controller",
    "vm-snapshots": "VM-snapshot",
    "vm-templates": "VM-template",
    "vms": "VM",
}
"""Names, and the types of XO objects that they hold."""

_WITH_DISKS: Final = ("vm-controllers", "vm-snapshots", "vm-templates", "vms")


def routes(desk: Desk) -> list[Route]:
    made = []
    for name, kind in COLLECTIONS.items():
        made += [
            desk.route(f"/{name}", _list_of(desk, name, kind)),
            desk.route(f"/{name}/{{id}}", _one_of(desk, kind)),
            desk.route(f"/{name}/{{id}}/tasks", _tasks_of(desk, kind)),
            desk.route(f"/{name}/{{id}}/messages", _messages_of(desk, kind)),
        ]
    made += [desk.route(f"/{name}/{{id}}/vdis", _disks_of(desk, COLLECTIONS[name])) for name in _WITH_DISKS]
    return [*made, desk.route("/srs/{id}/actions/scan", _scan(desk), "POST")]


def _scan(desk: Desk) -> Body:
    async def run(request: Request) -> Response:
        params = {"id": (await desk.one("SR", request.path_params["id"]))["id"], **await params_of(request, {})}
        return await desk.act(request, "sr.scan", params, name="scan", object_id=params["id"], object_type="SR")

    return run


def _list_of(desk: Desk, name: str, kind: str) -> Body:
    async def run(request: Request) -> Response:
        return await desk.listed(request, await desk.objects(kind), name)

    return run


def _one_of(desk: Desk, kind: str) -> Body:
    async def run(request: Request) -> Response:
        return answer(await desk.one(kind, request.path_params["id"]))

    return run


def _tasks_of(desk: Desk, kind: str) -> Body:
    async def run(request: Request) -> Response:
        id = (await desk.one(kind, request.path_params["id"]))["id"]
        return await desk.listed(request, [each for each in all_tasks(desk) if is_about(each, id)], "tasks")

    return run


def _messages_of(desk: Desk, kind: str) -> Body:
    async def run(request: Request) -> Response:
        about = (await desk.one(kind, request.path_params["id"])).get("uuid")
        messages = [each for each in await desk.objects("message") if each.get("$object") == about]
        return await desk.listed(request, messages, "messages")

    return run


def _disks_of(desk: Desk, kind: str) -> Body:
    async def run(request: Request) -> Response:
        vbds = (await desk.one(kind, request.path_params["id"])).get("$VBDs", [])
        attached = {each["id"]: each for each in await desk.objects("VBD")}
        wanted = {attached[id].get("VDI") for id in vbds if id in attached and not attached[id].get("is_cd_drive")}
        snapshots = kind == "VM-snapshot"
        disks = await desk.objects("VDI-snapshot" if snapshots else "VDI")
        chosen = [each for each in disks if each["id"] in wanted]
        return await desk.listed(request, chosen, "vdi-snapshots" if snapshots else "vdis")

    return run
