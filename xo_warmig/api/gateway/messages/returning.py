"""What becomes of upstream's answer to a call that was watched, on its way to the client."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.api.framing import Request
from xo_warmig.api.gateway.messages import merging
from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.gateway.messages.methods import LISTED
from xo_warmig.api.gateway.messages.watches import METHOD_NAMES, METHODS_INFO, OBJECTS
from xo_warmig.api.gateway.supplements import Supplements
from xo_warmig.api.method import Services
from xo_warmig.api.methods.system import describe
from xo_warmig.api.state_file import to_json


async def changed(request: Request, answer: Frame, services: Services, supplements: Supplements) -> str | None:
    """The answer with ours in it; None where it stays as it is."""
    match request.method:
        case _ if answer.result is None:
            return None
        case method if method == OBJECTS:
            params = request.params if isinstance(request.params, dict) else {}
            return await _objects(params, answer, services, supplements)
        case method if method == METHODS_INFO:
            return merging.with_methods(answer, {name: describe(method) for name, method in LISTED.items()})
        case method if method == METHOD_NAMES:
            return merging.with_names(answer, list(LISTED))
    return None


async def _objects(
    params: Mapping[str, Any], answer: Frame, services: Services, supplements: Supplements
) -> str | None:
    tasks, most = await merging.chosen(services.hub.tasks(), params, services.chooser), merging.limit(params)
    if not merging.wants_lines(params):
        return merging.with_tasks(answer, tasks, most)
    path = merging.offered_path(answer)
    if path is not None and tasks:
        supplements.put(path, [to_json(task) for task in tasks], most)
    return None
