"""A call's body in, the body of its answer out, in each of the protocols."""

from xo_warmig.simulator import envelopes
from xo_warmig.simulator.dispatcher import NO_FIELDS, Answer, Request, TaskFields, answer
from xo_warmig.simulator.envelopes import Wanted
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.release import at_least

__all__ = ["answer_json", "answer_old_json", "answer_xml"]


def answer_xml(pool: SimPool, host: str, body: bytes, tasks: TaskFields = NO_FIELDS) -> bytes:
    """The answer to an XML-RPC body. Malformed when it is none."""
    try:
        return envelopes.success_xml(_run(pool, host, envelopes.read_xml(body), tasks))
    except XapiFailure as failure:
        return envelopes.failure_xml(failure.details)


def answer_json(pool: SimPool, host: str, body: bytes, tasks: TaskFields = NO_FIELDS) -> bytes:
    """The answer to a JSON-RPC body of either version, as of version 1 before 7.3. Malformed when it is none."""
    wanted = envelopes.read_json(body)
    if not at_least(pool.release, "7.6"):
        wanted = wanted._replace(version=1)
    try:
        return envelopes.success_json(wanted, _run(pool, host, wanted, tasks))
    except XapiFailure as failure:
        return envelopes.failure_json(wanted, failure.details)


def answer_old_json(pool: SimPool, host: str, body: bytes, tasks: TaskFields = NO_FIELDS) -> bytes:
    """The answer to a body of ``/json``. Malformed when it is none."""
    try:
        return envelopes.success_old_json(_run(pool, host, envelopes.read_old_json(body), tasks))
    except XapiFailure as failure:
        return envelopes.failure_old_json(failure.details)


def _run(pool: SimPool, host: str, wanted: Wanted, tasks: TaskFields) -> Answer:
    return answer(Request(pool, host, wanted.method, wanted.params, tasks))
