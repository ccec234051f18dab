"""Errors as facts and back."""

import asyncio

import pytest

from xo_warmig.engine.failures import as_warmig, from_fact, to_fact
from xo_warmig.errors import Cancelled, PoolError, PoolUnreachable, SafetyError, WarmigError
from xo_warmig.replication.retries import is_temporary


def test_an_error_survives_being_a_fact() -> None:
    """Class, code, message, evidence and remedy."""
    error = SafetyError("no", code="TARGET_RUNS", evidence={"rule": "R5"}, remedy="look")
    again = from_fact(to_fact(error))
    assert type(again) is SafetyError
    assert again.as_dict() == error.as_dict()


def test_an_unknown_class_becomes_the_root() -> None:
    """A store written by a later version is still told."""
    again = from_fact({"type": "NotYetInvented", "message": "no", "code": "X"})
    assert type(again) is WarmigError
    assert again.code == "X"


def test_an_unforeseen_error_does_not_tell_its_text() -> None:
    """Secrets may stand in it."""
    told = as_warmig(ValueError("password=hunter2"))
    assert "hunter2" not in str(told.as_dict())
    assert told.code == "INTERNAL"


def test_a_cancellation_is_told_as_one() -> None:
    """Not as something unforeseen."""
    assert isinstance(as_warmig(asyncio.CancelledError()), Cancelled)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (PoolError("x", code="VDI_IN_USE"), True),
        (PoolError("x", code="OTHER_OPERATION_IN_PROGRESS"), True),
        (PoolError("x", code="NO_HOSTS_AVAILABLE"), False),
        (PoolUnreachable("x", code="INTERNAL_ERROR"), False),
    ],
)
def test_what_passes_by_itself_is_told_apart(error: PoolError, passes: bool) -> None:
    """A pool that is away is another matter."""
    assert is_temporary(error) is passes
