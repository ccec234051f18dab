"""The calls that every class has by the datamodel alone: getters, setters, collections, records.

A call with a precondition or an effect beyond its field is handled elsewhere and wins over these.
"""

from typing import Any

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datamodel import Field, Message
from xo_warmig.simulator.datatype import MapOf, SetOf
from xo_warmig.simulator.dispatch import Call, Handler
from xo_warmig.simulator.expression import Row, parse
from xo_warmig.simulator.failure import XapiFailure

CREATABLE = frozenset({"secret", "VM_group", "VM_appliance", "user", "Observer", "Rate_limit", "Caller"})
"""Classes whose constructor and destructor do nothing but make and remove a record."""


def handler_for(message: Message) -> Handler | None:
    """The handler of a message that the datamodel defines by itself, or None."""
    whole = _WHOLE.get(message.name)
    if whole is not None and (message.name not in ("create", "destroy") or message.cls in CREATABLE):
        return whole(message.cls)
    fields = datamodel.load().classes[message.cls].fields
    for prefix, make in _FIELD.items():
        if message.name.startswith(prefix) and (field := fields.get(message.name.removeprefix(prefix))) is not None:
            return make(message.cls, field) if _fits(prefix, message, field) else None
    return None


def _fits(prefix: str, message: Message, field: Field) -> bool:
    """Whether the message really is that accessor of that field: a call may have such a name by chance."""
    given = tuple(param.type for param in message.params[1:])
    match prefix, field.type:
        case "get_", _:
            return not given
        case "set_", kind:
            return given == (kind,)
        case "add_to_", MapOf(key, value):
            return given == (key, value)
        case "remove_from_", MapOf(key):
            return given == (key,)
        case (("add_" | "remove_"), SetOf(item)):
            return given == (item,)
    return False


def _get_all(cls: str) -> Handler:
    return lambda call: call.pool.db.refs(cls)


def _get_all_records(cls: str) -> Handler:
    return lambda call: call.pool.db.rows(cls)


def _get_all_where(cls: str) -> Handler:
    return lambda call, text: list(_where(call, cls, text))


def _get_all_records_where(cls: str) -> Handler:
    return lambda call, text: _where(call, cls, text)


def _where(call: Call, cls: str, text: str) -> dict[str, Row]:
    test = parse(text)
    return {ref: row for ref, row in call.pool.db.rows(cls).items() if test(row)}


def _get_record(cls: str) -> Handler:
    return lambda call, ref: call.pool.db.row(cls, ref)


def _get_by_uuid(cls: str) -> Handler:
    return lambda call, uuid: call.pool.db.by_uuid(cls, uuid)


def _get_by_name_label(cls: str) -> Handler:
    return lambda call, label: call.pool.db.find(cls, name_label=label)


def _create(cls: str) -> Handler:
    return lambda call, record: call.pool.db.create(cls, **record)


def _destroy(cls: str) -> Handler:
    return lambda call, ref: call.pool.db.delete(cls, ref)


_WHOLE = {
    "get_all": _get_all,
    "get_all_records": _get_all_records,
    "get_all_where": _get_all_where,
    "get_all_records_where": _get_all_records_where,
    "get_record": _get_record,
    "get_by_uuid": _get_by_uuid,
    "get_by_name_label": _get_by_name_label,
    "create": _create,
    "destroy": _destroy,
}


def _get(cls: str, field: Field) -> Handler:
    name = field.name
    return lambda call, ref: call.pool.db.row(cls, ref)[name]


def _set(cls: str, field: Field) -> Handler:
    name = field.name
    return lambda call, ref, value: call.pool.db.set(cls, ref, **{name: value})


def _add_to(cls: str, field: Field) -> Handler:
    def add_to(call: Call, ref: str, key: str, value: Any) -> None:
        db = call.pool.db
        with db.lock:
            entries = db.field(cls, ref, field.name)
            if key in entries:
                raise XapiFailure("MAP_DUPLICATE_KEY", cls, field.name, ref, key)
            db.set(cls, ref, **{field.name: entries | {key: value}})

    return add_to


def _remove_from(cls: str, field: Field) -> Handler:
    def remove_from(call: Call, ref: str, key: str) -> None:
        db = call.pool.db
        with db.lock:
            entries = db.field(cls, ref, field.name)
            entries.pop(key, None)
            db.set(cls, ref, **{field.name: entries})

    return remove_from


def _add(cls: str, field: Field) -> Handler:
    def add(call: Call, ref: str, value: Any) -> None:
        db = call.pool.db
        with db.lock:
            items = db.field(cls, ref, field.name)
            if value not in items:
                db.set(cls, ref, **{field.name: [*items, value]})

    return add


def _remove(cls: str, field: Field) -> Handler:
    def remove(call: Call, ref: str, value: Any) -> None:
        db = call.pool.db
        with db.lock:
            items = db.field(cls, ref, field.name)
            db.set(cls, ref, **{field.name: [item for item in items if item != value]})

    return remove


_FIELD = {
    "get_": _get,
    "set_": _set,
    "add_to_": _add_to,
    "remove_from_": _remove_from,
    "add_": _add,
    "remove_": _remove,
}
