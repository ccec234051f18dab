"""Calls about the protocol itself: sessions, tasks, events and messages. What a pool's objects do is in ``calls``."""

from collections.abc import Mapping
from typing import Any

from xo_warmig.simulator.clock import now
from xo_warmig.simulator.datamodel import EPOCH
from xo_warmig.simulator.dispatch import Call, Handler
from xo_warmig.simulator.failure import XapiFailure


def login_with_password(call: Call, username: str, password: str, version: str = "", originator: str = "") -> str:
    """A session on the master. HOST_IS_SLAVE elsewhere; SESSION_AUTHENTICATION_FAILED after a pause."""
    pool = call.pool
    if call.host != pool.master:
        raise XapiFailure("HOST_IS_SLAVE", pool.db.row("host", pool.master)["address"])
    _authenticate(call, username, password)
    return pool.sessions.login(username, originator, call.host)


def slave_local_login_with_password(call: Call, username: str, password: str) -> str:
    _authenticate(call, username, password)
    return call.pool.sessions.local_login()


def _authenticate(call: Call, username: str, password: str) -> None:
    if not call.pool.sessions.authenticates(username, password):
        call.pool.delays.wait("login_failed")
        raise XapiFailure("SESSION_AUTHENTICATION_FAILED", username, "Authentication failure")


def logout(call: Call) -> None:
    call.pool.sessions.logout(call.session)
    call.pool.events.forget(call.session)


def local_logout(call: Call) -> None:
    call.pool.sessions.local_logout(call.session)


def task_create(call: Call, label: str, description: str) -> str:
    """Nobody works on it, so XAPI offers no operation on it, though it may be cancelled (``TaskHelper.make``)."""
    return call.pool.tasks.create(label, description, allowed_operations=[])


def task_destroy(call: Call, task: str) -> None:
    call.pool.tasks.destroy(task)


def task_cancel(call: Call, task: str) -> None:
    call.pool.tasks.cancel(task)


def task_set_status(call: Call, task: str, status: str) -> None:
    call.pool.tasks.finish_by_hand(task, status)


def event_from(call: Call, classes: list[str], token: str, timeout: float) -> dict[str, Any]:
    return call.pool.events.from_(call.session, classes, token, timeout)


def event_inject(call: Call, cls: str, ref: str) -> str:
    return call.pool.events.inject(cls, ref)


def event_register(call: Call, classes: list[str]) -> None:
    call.pool.events.register(call.session, classes)


def event_unregister(call: Call, classes: list[str]) -> None:
    call.pool.events.unregister(call.session, classes)


def event_next(call: Call) -> list[dict[str, Any]]:
    return call.pool.events.next(call.session)


def event_get_current_id(call: Call) -> int:
    return call.pool.db.generation


def message_create(call: Call, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    fields = {"name": name, "priority": priority, "cls": cls, "obj_uuid": obj_uuid, "body": body, "timestamp": now()}
    return call.pool.db.create("message", **fields)


def message_destroy(call: Call, ref: str) -> None:
    call.pool.db.delete("message", ref)


def message_destroy_many(call: Call, refs: list[str]) -> None:
    for ref in refs:
        call.pool.db.delete("message", ref)


def message_get(call: Call, cls: str, obj_uuid: str, since: str) -> Mapping[str, Any]:
    rows = message_get_since(call, since)
    return {ref: row for ref, row in rows.items() if row["cls"] == cls and row["obj_uuid"] == obj_uuid}


def message_get_since(call: Call, since: str) -> Mapping[str, Any]:
    rows = call.pool.db.rows("message")
    return {ref: row for ref, row in rows.items() if row["timestamp"] > since or since == EPOCH}


CALLS: dict[str, Handler] = {
    "session.login_with_password": login_with_password,
    "session.slave_local_login_with_password": slave_local_login_with_password,
    "session.logout": logout,
    "session.local_logout": local_logout,
    "task.create": task_create,
    "task.destroy": task_destroy,
    "task.cancel": task_cancel,
    "task.set_status": task_set_status,
    "event.from": event_from,
    "event.inject": event_inject,
    "event.register": event_register,
    "event.unregister": event_unregister,
    "event.next": event_next,
    "event.get_current_id": event_get_current_id,
    "message.create": message_create,
    "message.destroy": message_destroy,
    "message.destroy_many": message_destroy_many,
    "message.get": message_get,
    "message.get_since": message_get_since,
}
