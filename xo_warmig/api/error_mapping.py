"""From any exception of a method to the error that its caller sees: the one place where that is decided.

An XO error goes out as it is. One of ours gets XO's code and members, and beside them our own ``code``, ``message``, ``evidence`` and
``remedy``. Anything else is a defect: the log has it, the caller gets a reference into the log and never the exception's text.
"""

import logging
import secrets
from collections.abc import Callable
from typing import Any

from xo_warmig.api import xo_errors
from xo_warmig.api.xo_errors import NO_DATA, OTHER, XoError
from xo_warmig.errors import (
    ForbiddenOperation,
    IncorrectState,
    InvalidRequest,
    NoSuchObject,
    NotEnoughSpace,
    PoolError,
    PoolUnreachable,
    WarmigError,
)

log = logging.getLogger(__name__)


def to_xo_error(error: Exception, *, method: str, is_admin: bool) -> XoError:
    """What goes to the client for ``error``, raised by ``method``."""
    match error:
        case XoError():
            return error if is_admin or error.code != OTHER else XoError(OTHER, error.message)
        case WarmigError():
            known = _coded(error)
            if known is not None:
                return _with_ours(known, error)
            return _uncoded(error) if is_admin else xo_errors.opaque()
        case _:
            return _defect(error, method) if is_admin else _logged_only(error, method)


def _coded(error: WarmigError) -> XoError | None:
    """The error under XO's own code, where it has one."""
    seen = error.evidence
    if error.code == "VM_BAD_POWER_STATE" and "expected" in seen:
        return xo_errors.vm_bad_power_state(seen.get("objectId"), seen["expected"], seen.get("actual"))
    match error:
        case NoSuchObject():
            return xo_errors.no_such_object(seen.get("id"), seen.get("type"))
        case IncorrectState():
            return xo_errors.incorrect_state(**{k: seen.get(k) for k in ("actual", "expected", "object", "property")})
        case ForbiddenOperation():
            return xo_errors.forbidden_operation(str(seen.get("operation", error.code)), seen.get("reason"))
        case NotEnoughSpace():
            return xo_errors.operation_failed(seen.get("sr"), error.code)
        case InvalidRequest() if "instancePath" in seen:
            return xo_errors.invalid_parameters([_as_parameter_error(error)])
        case PoolUnreachable():
            return xo_errors.server_unreachable(seen.get("objectId"))
        case PoolError():
            return _of_xapi(seen.get("xapi"))
        case _:
            return None


def _as_parameter_error(error: WarmigError) -> dict[str, Any]:
    """One item of ``errors`` in the shape of the schema validator's, for what no schema could know."""
    rest = {key: value for key, value in error.evidence.items() if key != "instancePath"}
    return {
        "instancePath": error.evidence["instancePath"],
        "schemaPath": "#",
        "keyword": error.code,
        "params": rest,
        "message": error.message,
    }


# XAPI's code -> how XO sends it, from the parameters that XAPI gave.
_XAPI: dict[str, Callable[[list[str]], XoError]] = {
    "NO_HOSTS_AVAILABLE": lambda _: xo_errors.no_hosts_available(),
    "SESSION_AUTHENTICATION_FAILED": lambda _: xo_errors.authentication_failed(),
    "EHOSTUNREACH": lambda _: xo_errors.server_unreachable(),
    "VM_MISSING_PV_DRIVERS": lambda p: xo_errors.vm_missing_pv_drivers(p[0]),
    "VM_IS_TEMPLATE": lambda p: xo_errors.vm_is_template(p[0]),
    "VM_BAD_POWER_STATE": lambda p: xo_errors.vm_bad_power_state(p[0], p[1], p[2]),
    "VM_LACKS_FEATURE": lambda p: xo_errors.vm_lacks_feature(p[0]),
    "VM_LACKS_FEATURE_SHUTDOWN": lambda p: xo_errors.vm_lacks_feature(p[0], "shutdown"),
    "NOT_SUPPORTED_DURING_UPGRADE": lambda _: xo_errors.not_supported_during_upgrade(),
    "PIF_VLAN_EXISTS": lambda p: xo_errors.object_already_exists(p[0], "PIF"),
    "VDI_IN_USE": lambda p: xo_errors.vdi_in_use(p[0], p[1]),
    "HOST_OFFLINE": lambda p: xo_errors.host_offline(p[0]),
    "OPERATION_BLOCKED": lambda p: xo_errors.operation_blocked(p[0], p[1]),
}


def _of_xapi(failure: object) -> XoError | None:
    if not isinstance(failure, list | tuple) or not failure:
        return None
    make = _XAPI.get(str(failure[0]))
    if make is None:
        return None
    try:
        return make([str(parameter) for parameter in failure[1:]])
    except IndexError:  # fewer parameters than XAPI documents: not worth losing the error for
        return None


def naming_objects(error: XoError, id_of: Callable[[str], str | None]) -> XoError:
    """As XO does, a pool's reference gives way to the id of its object, where that is known."""
    if not isinstance(error.data, dict):
        return error
    ref = error.data.get("objectId")
    id = id_of(ref) if isinstance(ref, str) and ref.startswith("OpaqueRef:") else None
    return error if id is None else XoError(error.code, error.message, error.data | {"objectId": id})


def _with_ours(known: XoError, error: WarmigError) -> XoError:
    """XO's members win over ours of the same name."""
    if known.data is NO_DATA:
        ours = error.as_dict()
        # Code 3 is the one whose data XO's clients expect to be absent; none of ours maps to it.
        return XoError(known.code, known.message, ours)
    return XoError(known.code, known.message, error.as_dict() | known.data)


def _uncoded(error: WarmigError) -> XoError:
    """-32000 with the error serialised as XO serialises errors, and ours beside."""
    data: dict[str, Any] = {"name": type(error).__name__} | error.as_dict()
    xapi = error.evidence.get("xapi")
    if isinstance(error, PoolError) and isinstance(xapi, list | tuple) and xapi:
        data |= {"name": "XapiError", "params": list(xapi[1:]), "call": error.evidence.get("call")}
    return XoError(OTHER, error.message, data)


def _defect(error: Exception, method: str) -> XoError:
    reference = _log(error, method)
    kind = type(error).__name__
    data = {
        "code": "INTERNAL",
        "name": kind,
        "evidence": {"logged": reference},
        "remedy": f"Look for {reference} in the server's log and report it.",
    }
    return XoError(OTHER, f"internal error: {kind}, logged as {reference}", data)


def _logged_only(error: Exception, method: str) -> XoError:
    _log(error, method)
    return xo_errors.opaque()


def _log(error: Exception, method: str) -> str:
    reference = secrets.token_hex(4)
    log.error("%s failed, logged as %s", method, reference, exc_info=error)
    return reference
