"""Exceptions to XO's errors: the codes and data of its table, ours beside them, and nothing for those who may not know."""

import logging
from typing import Any

import pytest

from xo_warmig.api.error_mapping import to_xo_error
from xo_warmig.api.xo_errors import NO_DATA, XoError
from xo_warmig.errors import (
    Cancelled,
    ForbiddenOperation,
    IncorrectState,
    InvalidRequest,
    NoSuchObject,
    NotEnoughSpace,
    PoolError,
    PoolUnreachable,
    SafetyError,
)


def for_admin(error: Exception) -> XoError:
    return to_xo_error(error, method="a.b", is_admin=True)


def xapi(code: str, *parameters: str) -> PoolError:
    evidence = {"pool": "north", "call": "VM.start", "xapi": [code, *parameters]}
    return PoolError(f"{code} on north", code=code, evidence=evidence, remedy="Try later.")


@pytest.mark.parametrize(
    ("error", "code", "message", "data"),
    [
        (NoSuchObject("x", evidence={"id": "u", "type": "SR"}), 1, "no such SR u", {"id": "u", "type": "SR"}),
        (NoSuchObject("x", evidence={"id": "u"}), 1, "no such object u", {"id": "u"}),
        (
            ForbiddenOperation("x", evidence={"operation": "migrate", "reason": "pool_migrate"}),
            5,
            "forbidden operation: migrate",
            {"operation": "migrate", "reason": "pool_migrate"},
        ),
        (PoolUnreachable("north is away", evidence={"objectId": "p"}), 9, "server unreachable", {"objectId": "p"}),
        (
            InvalidRequest(
                "it is Suspended",
                code="VM_BAD_POWER_STATE",
                evidence={"objectId": "v", "expected": ["Running", "Halted"], "actual": "Suspended"},
            ),
            13,
            "VM state is Suspended but should be Running or Halted",
            {"objectId": "v", "expected": ["Running", "Halted"], "actual": "Suspended"},
        ),
        (NotEnoughSpace("full", evidence={"sr": "s"}), 21, "operation failed", {"objectId": "s", "code": "NO_SPACE"}),
        (
            IncorrectState("busy", evidence={"object": "v", "property": "sr", "actual": "a", "expected": "b"}),
            25,
            "incorrect state",
            {"actual": "a", "expected": "b", "object": "v", "property": "sr"},
        ),
        (xapi("NO_HOSTS_AVAILABLE"), 7, "no hosts available", {}),
        (xapi("SESSION_AUTHENTICATION_FAILED"), 8, "authentication failed", {}),
        (xapi("EHOSTUNREACH"), 9, "server unreachable", {}),
        (xapi("VM_MISSING_PV_DRIVERS", "v"), 11, "missing PV drivers", {"objectId": "v"}),
        (xapi("VM_IS_TEMPLATE", "v"), 12, "VM is a template", {"objectId": "v"}),
        (
            xapi("VM_BAD_POWER_STATE", "v", "running", "halted"),
            13,
            "VM state is halted but should be running",
            {"objectId": "v", "expected": "running", "actual": "halted"},
        ),
        (xapi("VM_LACKS_FEATURE", "v"), 14, "VM lacks feature ", {"objectId": "v"}),
        (
            xapi("VM_LACKS_FEATURE_SHUTDOWN", "v"),
            14,
            "VM lacks feature shutdown",
            {"objectId": "v", "feature": "shutdown"},
        ),
        (xapi("NOT_SUPPORTED_DURING_UPGRADE"), 15, "not supported during upgrade", {}),
        (xapi("PIF_VLAN_EXISTS", "p"), 16, "PIF already exists", {"objectId": "p", "objectType": "PIF"}),
        (xapi("VDI_IN_USE", "d", "destroy"), 17, "VDI in use", {"objectId": "d", "operation": "destroy"}),
        (xapi("HOST_OFFLINE", "h"), 18, "host offline", {"objectId": "h"}),
        (xapi("OPERATION_BLOCKED", "v", "keep"), 19, "operation blocked", {"objectId": "v", "code": "keep"}),
    ],
)
def test_xos_table(error: Any, code: int, message: str, data: dict[str, Any]) -> None:
    """XO's code, message and members, and ours: our sentence, evidence and remedy."""
    sent = for_admin(error)
    assert (sent.code, sent.message) == (code, message)
    assert {key: sent.data[key] for key in data} == data
    assert sent.data["message"] == error.message
    assert sent.data["evidence"] == error.evidence
    assert sent.data["remedy"] == error.remedy
    assert sent.data["code"] == data.get("code", error.code), "XO's own member wins"


def test_what_no_schema_could_know() -> None:
    """An error about a parameter looks like the validator's own."""
    error = InvalidRequest("it is an ISO SR", code="SR_NOT_WRITABLE", evidence={"instancePath": "/sr", "sr": "s"})
    sent = for_admin(error)
    assert (sent.code, sent.message) == (10, "invalid parameters")
    assert sent.data["errors"] == [
        {
            "instancePath": "/sr",
            "schemaPath": "#",
            "keyword": "SR_NOT_WRITABLE",
            "params": {"sr": "s"},
            "message": "it is an ISO SR",
        }
    ]
    assert sent.data["code"] == "SR_NOT_WRITABLE"


def test_other_pool_errors_are_serialised_as_xo_does() -> None:
    """-32000 with XAPI's code and parameters, for those clients that look at them."""
    sent = for_admin(xapi("HOST_NOT_ENOUGH_FREE_MEMORY", "1", "2"))
    assert (sent.code, sent.message) == (-32000, "HOST_NOT_ENOUGH_FREE_MEMORY on north")
    assert (sent.data["code"], sent.data["params"]) == ("HOST_NOT_ENOUGH_FREE_MEMORY", ["1", "2"])
    assert (sent.data["name"], sent.data["call"], sent.data["remedy"]) == ("XapiError", "VM.start", "Try later.")


def test_a_pool_error_with_too_few_parameters_is_not_lost() -> None:
    """It goes out as one without a code of XO's."""
    assert for_admin(xapi("VDI_IN_USE", "d")).code == -32000


@pytest.mark.parametrize("error", [SafetyError("R3"), Cancelled("stopped"), InvalidRequest("no")])
def test_the_rest_of_ours(error: Any) -> None:
    """-32000: all of it for an administrator, nothing for others."""
    sent = for_admin(error)
    assert (sent.code, sent.message, sent.data["code"]) == (-32000, error.message, error.code)
    other = to_xo_error(error, method="a.b", is_admin=False)
    assert (other.code, other.message, other.data) == (-32000, "unknown error from the peer", NO_DATA)


def test_a_defect_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its text reaches nobody else."""
    with caplog.at_level(logging.ERROR):
        admin = for_admin(ValueError("password=hunter2"))
        other = to_xo_error(ValueError("password=hunter2"), method="a.b", is_admin=False)
    assert "hunter2" not in admin.message + str(admin.data) + other.message
    assert admin.data["evidence"]["logged"] in caplog.text
    assert (other.message, other.data) == ("unknown error from the peer", NO_DATA)


def test_an_xo_error_goes_out_as_it_is() -> None:
    """To everybody; one without a code loses its data on the way to those who are no administrators."""
    error = XoError(16, "server already exists", {"objectId": "x"})
    assert to_xo_error(error, method="a.b", is_admin=False) is error
    assert to_xo_error(XoError(-32000, "wait", {"x": 1}), method="a.b", is_admin=False).data is NO_DATA
