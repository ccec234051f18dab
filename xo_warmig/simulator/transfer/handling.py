"""What export and import have in common: who asks, the task, the disk that is meant, the host that serves it, and how failures are told."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from xo_warmig.errors import WarmigError
from xo_warmig.simulator.calls.reach import is_live, plugged_hosts
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.transfer import answers
from xo_warmig.simulator.transfer.wire import cut_off, hang_up

if TYPE_CHECKING:
    from xo_warmig.simulator.request import HttpRequest

_log = logging.getLogger(__name__)

IO_ERROR = XapiFailure("VDI_IO_ERROR", "Device I/O errors")


class Refusal(Exception):
    """The request ends with this answer. ``details``: how its task fails; None: the task is left as it is."""

    def __init__(self, answer: bytes, details: list[str] | None) -> None:
        super().__init__(answer)
        self.answer = answer
        self.details = details


class Transfer:
    """One request and its task, and what the trace will say of it."""

    def __init__(self, request: "HttpRequest", name: str, task: str) -> None:
        self.request = request
        self.pool = request.pool
        self.name = name
        self.task = task
        self.vdi = ""
        self.base: str | None = None
        self.format = request.args.get("format", "raw").lower()
        self.count: Callable[[], tuple[int, int]] = lambda: (0, 0)  # bytes that passed, bytes put on the disk
        self.answered = False

    def answer(self, head: bytes) -> None:
        """Send the head of the answer: from now on failures are told in its body."""
        self.answered = True
        self.pool.round_trip()
        self.request.connection.sendall(head)

    def uuid(self, vdi_ref: str) -> str:
        return str(self.pool.db.field("VDI", vdi_ref, "uuid"))


def vdi_named(transfer: Transfer, argument: str) -> str:
    """The VDI that an argument of the request names by reference or uuid."""
    text = transfer.request.args[argument]
    ref = transfer.pool.db.resolve("VDI", text)
    if ref is None:
        raise missing("VDI", text)
    return ref


def missing(cls: str, text: str) -> Refusal:
    """The handlers look objects up beneath the API, so the error is that of the database."""
    message = f'Db_exn.Read_missing_uuid("{cls}", "", "{text}")'
    return Refusal(answers.internal_error(message), ["INTERNAL_ERROR", message])


def require_here(transfer: Transfer, sr_ref: str) -> None:
    """Go on when this host has the SR plugged; else refuse with the address of one that has, and that the master takes for live."""
    pool, request = transfer.pool, transfer.request
    hosts = plugged_hosts(pool.db, sr_ref)
    if request.host in hosts:
        return
    for host in pool.db.refs("host"):
        if host in hosts and is_live(pool.db, host):
            raise Refusal(answers.found(f"{pool.host_url(host)}{request.path}?{urlencode(request.args)}"), None)
    failure = XapiFailure("NO_HOSTS_AVAILABLE")
    raise Refusal(answers.internal_error(str(failure)), failure.details)


@contextmanager
def handled(request: "HttpRequest", name: str, label: str) -> Iterator[Transfer]:
    """The frame around a disk handler.

    However it ends: its task ends with it, the client is told, the connection is ended, and the trace has an entry.
    """
    task, ours = _task(request, label)
    transfer, started, failure = Transfer(request, name, task), time.time(), None
    try:
        yield transfer
    except Refusal as refusal:
        say(request, refusal.answer)
        failure = XapiFailure(*refusal.details) if refusal.details else None
    except XapiFailure as error:
        failure = error
        _say_failure(transfer, failure)
    except ConnectionError:
        failure = IO_ERROR
        cut_off(request.connection)
    except (OSError, EOFError, WarmigError) as error:
        _log.info("%s of %s: %s", name, transfer.vdi, error)
        failure = IO_ERROR
        _say_failure(transfer, failure)
    if request.host in request.pool.down:  # whoever would end the task has no power
        _note(transfer, started, failure or IO_ERROR)
        return
    if failure is not None:
        transfer.pool.tasks.fail(task, failure.details)
    if ours:
        request.pool.tasks.remove(task)
    _note(transfer, started, failure)
    hang_up(request.connection)


def logged_in(request: "HttpRequest", name: str, method: str) -> bool:
    """Whether there is a session; else the client has been told, and its task is left as it is."""
    with contextlib.suppress(OSError):
        request.connection.settimeout(None)
    if request.session is not None:
        return True
    say(request, answers.unauthorised(f"{method}_{name}"))
    hang_up(request.connection)
    return False


def say(request: "HttpRequest", answer: bytes) -> None:
    """Send a whole message; a client that has gone need not hear it."""
    with contextlib.suppress(OSError):
        request.connection.sendall(answer)


def _say_failure(transfer: Transfer, failure: XapiFailure) -> None:
    """Where the head has been sent, the client reads a second message in the body; from an import even two."""
    early = answers.bad_request() if transfer.answered and transfer.name == "import_raw_vdi" else b""
    say(transfer.request, early + answers.internal_error(str(failure)))


def _task(request: "HttpRequest", label: str) -> tuple[str, bool]:
    """The task that the client names, or a new one, which is removed in the end."""
    pool = request.pool
    named = request.args.get("task_id")
    if named and (ref := pool.db.resolve("task", named)):
        return ref, False
    parent = request.args.get("subtask_of")
    fields = {"subtask_of": parent} if parent and pool.db.exists("task", parent) else {}
    return pool.tasks.create(label, **fields), True


def _note(transfer: Transfer, started: float, failure: XapiFailure | None) -> None:
    passed, written = transfer.count()
    transfer.pool.trace.transfer(
        name=transfer.name,
        vdi=transfer.vdi,
        base=transfer.base,
        format=transfer.format,
        host=str(transfer.pool.db.field("host", transfer.request.host, "uuid")),
        task=transfer.task,
        started=started,
        ended=time.time(),
        bytes=passed,
        written=written,
        changed=written > 0,
        error=failure.code if failure is not None else None,
    )
