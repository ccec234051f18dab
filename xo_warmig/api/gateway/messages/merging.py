"""Ours put into what upstream answers. What upstream wrote stays as it wrote it, its order too: values are neither read nor made anew."""

import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from xo_warmig.api.choosing import Chooser
from xo_warmig.api.gateway.messages.frame import Frame
from xo_warmig.api.state_file import to_json
from xo_warmig.api.tasks import Task
from xo_warmig.errors import InvalidRequest
from xo_warmig.xo.objects import XoObject

Raws = dict[str, msgspec.Raw]


async def chosen(tasks: Sequence[Task], params: Mapping[str, Any], chooser: Chooser) -> list[XoObject]:
    """Those that the parameters of ``xo.getAllObjects`` ask for, ``limit`` left aside."""
    objects = [msgspec.to_builtins(task) for task in tasks]
    wanted = _given(params, "filter")
    try:
        return await chooser.chosen(objects, wanted if isinstance(wanted, str | dict) else None)
    except InvalidRequest:  # one that only upstream can read
        return []


def limit(params: Mapping[str, Any]) -> int | None:
    """How many objects are asked for at most; None: all."""
    given = _given(params, "limit")
    return min(max(0, int(given)), sys.maxsize) if isinstance(given, int | float) else None


def wants_lines(params: Mapping[str, Any]) -> bool:
    """Whether the objects are to be downloaded, one on each line."""
    return _given(params, "ndjson") is True


def with_tasks(answer: Frame, tasks: Sequence[XoObject], most: int | None) -> str | None:
    """An answer of ``xo.getAllObjects``, with tasks up to ``most`` objects; None where nothing is to be added to it."""
    if not tasks or not _is_object(answer.result):
        return None
    if most is not None:
        tasks = list(islice(tasks, max(0, most - _size(answer))))
    begun = answer.result_text().rstrip()[:-1].rstrip()
    ours = ",".join(f"{to_json(task['id'])}:{to_json(task)}" for task in tasks)
    comma = "," if ours and not begun.endswith("{") else ""
    return _answer(answer, f"{begun}{comma}{ours}}}")


def offered_path(answer: Frame) -> str | None:
    """Where upstream offers the objects for download: ``{"$getFrom": "/api/<token>"}``."""
    if not _is_object(answer.result):
        return None
    given: Any = msgspec.json.decode(answer.result or b"{}")
    path = given.get("$getFrom")
    return path if len(given) == 1 and isinstance(path, str) else None


def with_methods(answer: Frame, ours: Mapping[str, Any]) -> str | None:
    """An answer of ``system.getMethodsInfo`` in which ours stand, in place of upstream's of the same name. None: it is no such answer."""
    if not _is_object(answer.result):
        return None
    theirs = msgspec.json.decode(answer.result_text(), type=Raws)
    return _answer(answer, to_json(theirs | {name: _raw(described) for name, described in ours.items()}))


def with_names(answer: Frame, ours: Sequence[str]) -> str | None:
    """The same for ``system.listMethods``."""
    theirs: Any = None if answer.result is None else msgspec.json.decode(answer.result)
    if not isinstance(theirs, list):
        return None
    return _answer(answer, to_json([*theirs, *(name for name in ours if name not in theirs)]))


def _answer(answer: Frame, result: str) -> str:
    """In json-rpc-protocol's order of members, which is xo-server's."""
    return f'{{"id":{bytes(answer.id or b"null").decode()},"jsonrpc":"2.0","result":{result}}}'


def _is_object(result: msgspec.Raw | None) -> bool:
    return result is not None and bytes(memoryview(result)[:1]) == b"{"


def _size(answer: Frame) -> int:
    return len(msgspec.json.decode(answer.result or b"{}", type=Raws))


def _given(params: Mapping[str, Any], name: str) -> Any:
    """A parameter, under its name or with XO's mark of what may be unknown."""
    return params.get(name, params.get(f"{name}?"))


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
