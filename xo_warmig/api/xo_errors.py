"""Xen Orchestra's error table: the codes, messages and ``data`` that its clients know (packages/xo-common/api-errors.js).

Only the members that this server sends. What XO fixes stands in ``data`` under XO's names; ``error_mapping`` adds ours beside it.
"""

from collections.abc import Mapping
from typing import Any, Final

OPAQUE_MESSAGE: Final = "unknown error from the peer"
METHOD_NOT_FOUND: Final = -32601
INVALID_REQUEST: Final = -32600
INVALID_JSON: Final = -32700
OTHER: Final = -32000


class NoData:
    """The mark of an error without a ``data`` member, which is not the same as one with null."""


NO_DATA: Final = NoData()


class XoError(Exception):
    """An error as it goes to a client."""

    def __init__(self, code: int, message: str, data: Any = NO_DATA) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    """JavaScript drops undefined members when it writes JSON; so do we."""
    return {key: value for key, value in members.items() if value is not None}


def no_such_object(id: object, type: object = None) -> XoError:
    kind = type if isinstance(type, str) else "object"
    message = f"no such {kind}" if id is None else f"no such {kind} {id}"
    return XoError(1, message, without_none({"id": id, "type": type}))


def unauthorized(permission: str | None) -> XoError:
    return XoError(2, "not enough permissions", without_none({"permission": permission, "object": {}}))


def invalid_credentials() -> XoError:
    return XoError(3, "invalid credentials")


def forbidden_operation(operation: str, reason: object = None) -> XoError:
    return XoError(5, f"forbidden operation: {operation}", without_none({"operation": operation, "reason": reason}))


def no_hosts_available() -> XoError:
    return XoError(7, "no hosts available")


def authentication_failed() -> XoError:
    return XoError(8, "authentication failed")


def server_unreachable(object_id: object = None) -> XoError:
    return XoError(9, "server unreachable", without_none({"objectId": object_id}))


def invalid_parameters(errors: list[dict[str, Any]]) -> XoError:
    return XoError(10, "invalid parameters", {"errors": errors})


def vm_missing_pv_drivers(object_id: object) -> XoError:
    return XoError(11, "missing PV drivers", {"objectId": object_id})


def vm_is_template(object_id: object) -> XoError:
    return XoError(12, "VM is a template", {"objectId": object_id})


def vm_bad_power_state(object_id: object, expected: object, actual: object) -> XoError:
    shown = " or ".join(map(str, expected)) if isinstance(expected, list | tuple) else expected
    data = {"objectId": object_id, "expected": expected, "actual": actual}
    return XoError(13, f"VM state is {actual} but should be {shown}", data)


def vm_lacks_feature(object_id: object, feature: str | None = None) -> XoError:
    return XoError(14, f"VM lacks feature {feature or ''}", without_none({"objectId": object_id, "feature": feature}))


def not_supported_during_upgrade() -> XoError:
    return XoError(15, "not supported during upgrade")


def object_already_exists(object_id: object, object_type: str | None = None) -> XoError:
    data = without_none({"objectId": object_id, "objectType": object_type})
    return XoError(16, f"{object_type or 'object'} already exists", data)


def vdi_in_use(object_id: object, operation: object) -> XoError:
    return XoError(17, "VDI in use", {"objectId": object_id, "operation": operation})


def host_offline(object_id: object) -> XoError:
    return XoError(18, "host offline", {"objectId": object_id})


def operation_blocked(object_id: object, code: object) -> XoError:
    return XoError(19, "operation blocked", {"objectId": object_id, "code": code})


def operation_failed(object_id: object, code: str) -> XoError:
    return XoError(21, "operation failed", {"objectId": object_id, "code": code})


def incorrect_state(*, actual: object, expected: object, object: object, property: object) -> XoError:
    data = {"actual": actual, "expected": expected, "object": object, "property": property}
    return XoError(25, "incorrect state", data)


def method_not_found(name: str) -> XoError:
    return XoError(METHOD_NOT_FOUND, f"method not found: {name}", name)


def opaque() -> XoError:
    """What a caller who is no administrator sees of anything that has no code of its own."""
    return XoError(OTHER, OPAQUE_MESSAGE)
