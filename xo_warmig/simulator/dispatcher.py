"""From a method name and raw arguments to an answer: sessions, spelling, counts, types, tasks, asynchronous calls.

The order of checks and their errors are those of xapi (ocaml/xapi/server_helpers.ml, ocaml/idl/ocaml_backend/gen_server.ml), but that
the session is always the first. What calls do is in ``calls``, ``protocol_calls`` and ``implicit``.
"""

import inspect
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from xo_warmig.simulator import calls, datamodel, older_errors, protocol_calls
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.datamodel import Message, Param
from xo_warmig.simulator.datatype import Basic, DataType, Ref, SetOf, parse
from xo_warmig.simulator.decoding import decode
from xo_warmig.simulator.dispatch import Call, Handler
from xo_warmig.simulator.encoding import xml
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.implicit import handler_for
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.release import NEWEST, has
from xo_warmig.simulator.visibility import visible

log = logging.getLogger(__name__)

LONG_WAITS = frozenset({"event.from", "event.next"})
"""Calls that wait by nature; they get no task and no line in the trace."""


NEWER_EVENTS = frozenset({"event.from", "event.inject"})
"""What a pool does not know that has only the events of before 6.1."""


class Answer(NamedTuple):
    """What a call gave, and its type. ``bare`` answers go without the Status struct."""

    type: DataType
    value: Any
    bare: bool = False


class TaskFields(NamedTuple):
    """What the HTTP request of a call says about the task that the call makes, if it makes one."""

    subtask_of: str = NULL
    other_config: Mapping[str, str] = MappingProxyType({})

    def as_dict(self) -> dict[str, Any]:
        return {"subtask_of": self.subtask_of, "other_config": dict(self.other_config)}


NO_FIELDS = TaskFields()


class Request(NamedTuple):
    """A call as it came in: where, what, and how its task is to be."""

    pool: SimPool
    host: str
    method: str
    params: Sequence[Any]
    tasks: TaskFields = NO_FIELDS


def answer(request: Request) -> Answer:
    """Runs a call. XapiFailure for everything that a client is told in ErrorDescription."""
    system = _system(request)
    if system is not None:
        return system
    prefix, name = _split(request.method)
    message = _message(request, name)
    session = _session(request, message)
    if message.state == "Removed":
        raise XapiFailure("MESSAGE_REMOVED")
    args = _decoded(request.pool.release, message, request.params[message.takes_session :])
    call = Call(pool=request.pool, method=message.method, session=session, host=request.host)
    if prefix:
        return _run_async(call, message, args, request.tasks)
    value = _run_sync(call, message, args, request.tasks)
    return Answer(message.result, visible(message.result, value, request.pool.release))


def list_methods(release: str = NEWEST) -> list[str]:
    """Every method of a release, asynchronous forms included."""
    methods = datamodel.of_release(release).methods
    return sorted([*methods, *(f"Async.{name}" for name, message in methods.items() if message.has_async)])


def _system(request: Request) -> Answer | None:
    """The calls that no class of the datamodel has: no session, no checks."""
    if request.method == "system.listMethods":
        missing = NEWER_EVENTS if request.pool.config.legacy_events else ()
        known = [method for method in list_methods(request.pool.release) if method not in missing]
        return Answer(SetOf(Basic("string")), known, bare=True)
    if request.method.startswith("system.isAlive") and len(request.params) == 1:
        return Answer(Basic("string"), str(request.params[0]))
    return None


def _split(method: str) -> tuple[str, str]:
    """The ``Async`` in front of a method, if any, and the rest."""
    for prefix in ("Async.", "Async_"):
        if method.startswith(prefix):
            return prefix, method.removeprefix(prefix)
    return "", method


def _message(request: Request, name: str) -> Message:
    """The message that is called. A session that is no good is told before that the method is none."""
    model = datamodel.of_release(request.pool.release)
    method = model.spellings.get(name, name)
    message = model.methods.get(method) or _hidden(request.pool.release).get(method)
    if message is not None and not (request.pool.config.legacy_events and method in NEWER_EVENTS):
        return message
    if request.params:
        _require_session(request, request.params[0])
    raise XapiFailure("MESSAGE_METHOD_UNKNOWN", request.method)


@cache
def _hidden(release: str) -> dict[str, Message]:
    """Calls that the published datamodel leaves out, but that pools of the release answer."""
    stored = datamodel.of_release(release).stored
    filters = {f"{cls}.get_all_where": (["string"], f"{cls} ref set") for cls in stored}
    records = {f"{cls}.get_all_records_where": (["string"], f"({cls} ref -> {cls} record) map") for cls in stored}
    messages = {}
    for method, (params, result) in (calls.HIDDEN | filters | records).items():
        cls, name = method.split(".")
        if not has(release, calls.CAME.get(method, "rio")):
            continue
        given = tuple(Param(f"arg{n}", parse(kind), True) for n, kind in enumerate(params))
        messages[method] = Message(cls, name, parse(result), False, "Published", "", "", True, given)
    return messages


def _session(request: Request, message: Message) -> str:
    if not message.takes_session:
        return NULL
    if not request.params:
        raise XapiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", message.method, str(message.required), "0")
    return _require_session(request, request.params[0], allow_local=message.name == "local_logout")


def _require_session(request: Request, raw: Any, *, allow_local: bool = False) -> str:
    """The session, valid. HOST_IS_SLAVE anywhere but on the master."""
    pool, session = request.pool, decode(Ref("session"), raw)
    if allow_local and pool.sessions.is_local(session):
        return str(session)
    if request.host != pool.master:
        raise XapiFailure("HOST_IS_SLAVE", pool.db.row("host", pool.master)["address"])
    pool.sessions.require(session)
    return str(session)


def _decoded(release: str, message: Message, raw: Sequence[Any]) -> list[Any]:
    """Arguments as plain values. An optional one that cannot be read counts as left out, for which ``inspect._empty`` stands."""
    optional = len(message.params) - message.required
    if len(raw) < message.required or (len(raw) > len(message.params) and not optional):
        counts = (str(message.required), str(len(raw)))
        raise XapiFailure("MESSAGE_PARAMETER_COUNT_MISMATCH", message.method, *counts)
    args: list[Any] = []
    for param, value in zip(message.params, raw, strict=False):
        try:
            args.append(decode(param.type, value, release))
        except XapiFailure:
            if param.required:
                raise
            args.append(inspect.Parameter.empty)
    return args


def _handler(message: Message) -> Handler:
    """Who answers a message: the pool's own calls first, then the protocol's, then what the datamodel says by itself."""
    handler = calls.HANDLERS.get(message.method) or protocol_calls.CALLS.get(message.method) or handler_for(message)
    if handler is None:
        raise XapiFailure("NOT_IMPLEMENTED", message.method)
    return handler


def _run_sync(call: Call, message: Message, args: list[Any], fields: TaskFields) -> Any:
    handler = _handler(message)
    if not _has_effects(message):
        return _invoke(call, handler, args)
    tasks = call.pool.tasks
    task = tasks.create(message.method, **fields.as_dict())
    try:
        return _invoke(_with_task(call, task), handler, args)
    finally:
        tasks.remove(task)


def _has_effects(message: Message) -> bool:
    """Whether a call is worth a task of its own: those that could be asynchronous and that change something."""
    reads = ("get_", "is_", "assert_", "retrieve_")
    return message.has_async and message.method in calls.HANDLERS and not message.name.startswith(reads)


def _run_async(call: Call, message: Message, args: list[Any], fields: TaskFields) -> Answer:
    """Starts a call in a thread of its own. Gives its task."""
    if not message.has_async:
        raise XapiFailure("Fault", f"No async mode for this operation (rpc: {message.method})")
    task = call.pool.tasks.create(f"Async.{message.method}", **fields.as_dict())
    body = (_with_task(call, task), message, args)
    threading.Thread(target=_run_in_thread, args=body, name=f"Async.{message.method}", daemon=True).start()
    return Answer(Ref("task"), task)


def _run_in_thread(call: Call, message: Message, args: list[Any]) -> None:
    tasks = call.pool.tasks
    try:
        result = _invoke(call, _handler(message), args)
    except XapiFailure as failure:
        tasks.fail(call.task, failure.details)
    except ConnectionAbortedError as cut:
        tasks.fail(call.task, ["INTERNAL_ERROR", str(cut)])
    else:
        tasks.succeed(call.task, xml(message.result, visible(message.result, result, call.pool.release)))


def _with_task(call: Call, task: str) -> Call:
    return Call(pool=call.pool, method=call.method, session=call.session, task=task, host=call.host)


def _invoke(call: Call, handler: Handler, args: list[Any]) -> Any:
    """Runs a handler, with the faults that were asked for, and a line in the trace."""
    pool, started, before, error = call.pool, time.time(), call.pool.db.changes_by_this_thread(), None
    try:
        pool.faults.on_call(call.method, args)
        return handler(call, *_filled(handler, args))
    except XapiFailure as failure:
        told = XapiFailure(*older_errors.as_of(pool.release, call.method, failure.details))
        error = told.code
        raise told from failure
    except ConnectionAbortedError:
        error = "CUT"
        raise
    except Exception as mistake:
        log.exception("%s failed", call.method)
        error = "INTERNAL_ERROR"
        raise XapiFailure("INTERNAL_ERROR", repr(mistake)) from mistake
    finally:
        if call.method not in LONG_WAITS:
            changed = pool.db.changes_by_this_thread() != before
            pool.trace.call(call.method, args, started, time.time(), changed, error)


def _filled(handler: Handler, args: list[Any]) -> list[Any]:
    """Arguments with the handler's own defaults in place of optional ones that could not be read."""
    if inspect.Parameter.empty not in args:
        return args
    defaults = [parameter.default for parameter in inspect.signature(handler).parameters.values()][1:]
    filled = [default if arg is inspect.Parameter.empty else arg for arg, default in zip(args, defaults, strict=False)]
    return [arg for arg in filled if arg is not inspect.Parameter.empty]
