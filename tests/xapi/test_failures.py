"""Errors of XAPI and of the network, made ours."""

import http.client
import xmlrpc.client

import pytest
import XenAPI

from xo_warmig.errors import NoSuchObject, PoolError, PoolUnreachable
from xo_warmig.xapi import failures


def translate(error: Exception) -> Exception | None:
    return failures.from_exception(error, call="VM.start", pool="lab", host="10.0.0.1", pool_uuid="p-1")


def test_a_refusal_keeps_xapis_code_and_parameters() -> None:
    """Code, call, pool and parameters are evidence, as is."""
    error = translate(XenAPI.Failure(["VDI_IN_USE", "OpaqueRef:1", "destroy"]))
    assert isinstance(error, PoolError)
    assert not isinstance(error, PoolUnreachable)
    assert error.code == "VDI_IN_USE"
    assert error.evidence == {"pool": "lab", "call": "VM.start", "xapi": ["VDI_IN_USE", "OpaqueRef:1", "destroy"]}
    assert failures.parameters_of(error) == ["OpaqueRef:1", "destroy"]
    assert error.remedy


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        TimeoutError("timed out"),
        http.client.RemoteDisconnected("closed"),
        http.client.BadStatusLine("x"),
        xmlrpc.client.ProtocolError("h", 500, "Internal Error", {}),
    ],
)
def test_a_pool_that_does_not_answer_is_unreachable_and_named(error: Exception) -> None:
    """With the pool's uuid, for clients that know it by that."""
    translated = translate(error)
    assert isinstance(translated, PoolUnreachable)
    assert translated.retryable
    assert translated.evidence["objectId"] == "p-1"
    assert (translated.evidence["pool"], translated.evidence["host"]) == ("lab", "10.0.0.1")


def test_a_lost_session_has_its_own_code() -> None:
    """The client library reports it as a fault once it may not log in again."""
    error = translate(xmlrpc.client.Fault(401, "You must log in"))
    assert isinstance(error, PoolError)
    assert error.code == failures.SESSION_INVALID


def test_a_bug_of_ours_is_not_dressed_up() -> None:
    """It keeps its own type and its own traceback."""
    assert translate(KeyError("x")) is None


def test_an_unknown_object_is_named_with_its_type() -> None:
    """Clients get both back."""
    error = failures.no_such_object("SR", "s-1")
    assert isinstance(error, NoSuchObject)
    assert error.evidence == {"id": "s-1", "type": "SR"}
