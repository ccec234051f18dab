"""Answers and errors in the REST API's shapes: ``{"error": <message>, "data": {...}?}``."""

from typing import Any, Final

from starlette.responses import Response

from xo_warmig.api.error_mapping import to_xo_error
from xo_warmig.api.state_file import to_json
from xo_warmig.api.xo_errors import NO_DATA, XoError
from xo_warmig.errors import WarmigError

_BY_CODE: Final = {1: 404, 2: 403, 3: 401, 5: 403, 10: 422, 16: 409, 25: 409}
_BASIC: Final = {"WWW-Authenticate": 'Basic realm="xo"'}


class Malformed(Exception):
    """What was sent makes no sense. ``status``: 400, or 422 for a parameter that is none."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def answer(value: Any, status: int = 200) -> Response:
    """JSON."""
    return Response(to_json(value), status, media_type="application/json")


def refusal(error: Exception, *, request: str, is_admin: bool) -> Response:
    """For any exception; ``request`` names it in the log, if it is a defect."""
    if isinstance(error, Malformed):
        return answer({"error": str(error)}, error.status)
    if isinstance(error, WarmigError) and error.code == "BAD_FILTER":
        return answer({"error": error.message, "data": error.as_dict()}, 400)
    known: XoError = to_xo_error(error, method=request, is_admin=is_admin)
    status = _BY_CODE.get(known.code, 500)
    body = {"error": known.message} | ({} if known.data is NO_DATA else {"data": known.data})
    response = answer(body, status)
    if status == 401:
        response.headers.update(_BASIC)
    return response
