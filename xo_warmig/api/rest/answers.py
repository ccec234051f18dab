"""Answers and errors in the REST API's shapes: ``{"error": <message>, "data": {...}?}``."""

from typing import Any, Final

from starlette.responses import Response

from xo_warmig.api.error_mapping import to_xo_error
from xo_warmig.api.state_file import to_json
from xo_warmig.api.throttle import DELAY_SECONDS, TooSoon
from xo_warmig.api.xo_errors import NO_DATA, XoError
from xo_warmig.errors import WarmigError

BASE: Final = "/rest/v0"
_BY_CODE: Final = {0: 501, 1: 404, 2: 403, 3: 401, 5: 403, 10: 422, 16: 409, 25: 409, 26: 403, 28: 503}
_BASIC: Final = {"WWW-Authenticate": 'Basic realm="xo"'}


class Malformed(Exception):
    """What was sent makes no sense. ``status``: 400, 422 for a parameter that is none, or another of HTTP's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def answer(value: Any, status: int = 200) -> Response:
    """JSON."""
    return Response(to_json(value), status, media_type="application/json")


def accepted(task: str) -> Response:
    """The task goes on."""
    response = answer({"taskId": task}, 202)
    response.headers["Location"] = f"{BASE}/tasks/{task}"
    return response


def refusal(error: Exception, *, request: str, is_admin: bool) -> Response:
    """For any exception; ``request`` names it in the log, if it is a defect."""
    if isinstance(error, ClientGone):
        return Response(status_code=499)
    if isinstance(error, Malformed):
        return answer({"error": str(error)}, error.status)
    if isinstance(error, WarmigError) and error.code == "BAD_FILTER":
        return answer({"error": error.message, "data": error.as_dict()}, 400)
    known: XoError = to_xo_error(error, method=request, is_admin=is_admin)
    status = 429 if isinstance(error, TooSoon) else _BY_CODE.get(known.code, 500)
    body = {"error": known.message} | ({} if known.data is NO_DATA else {"data": _data(known)})
    response = answer(body, status)
    if status == 401:
        response.headers.update(_BASIC)
    if status == 429:
        response.headers["Retry-After"] = f"{DELAY_SECONDS:.0f}"
    return response


def _data(error: XoError) -> Any:
    """As it is, but that errors of parameters stand by the name of the parameter, as those of XO's routes do."""
    if error.code != 10 or not isinstance(error.data, dict):
        return error.data
    errors = {_field(each): {"message": each["message"]} for each in error.data.get("errors", [])}
    return error.data | {"errors": errors}


def _field(error: dict[str, Any]) -> str:
    params = error["params"]
    missing = params.get("missingProperty", params.get("additionalProperty"))
    path = [*error["instancePath"].split("/")[1:], *([] if missing is None else [missing])]
    return ".".join(path)
