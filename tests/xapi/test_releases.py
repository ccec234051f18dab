"""What is called on a pool, against what each release of XAPI has by its datamodel: a call that a release lacks is known, and minded."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import xo_warmig
from tests.sources import tree
from xo_warmig.simulator import datamodel, release
from xo_warmig.xapi import changes, reading

PACKAGE = Path(xo_warmig.__file__).parent
ABSENT_SOMEWHERE = {
    "Certificate.get_all_records": "server: members are pinned when they are met",
    "VDI.get_nbd_info": "blocks.against: the pool's release has no NBD, so all else of it is not asked",
    "VDI.enable_cbt": "only of a disk that get_nbd_info serves; a refusal leaves the ways without tracking",
    "VDI.disable_cbt": "only of a disk that was tracked",
    "VDI.list_changed_blocks": "only of a disk that is tracked",
    "VM.set_NVRAM": "volatile_state: preflight refuses UEFI there, and nothing else reads it",
    "VM.set_bios_strings": "creation: only from 7.3 on; before, a host's are copied, and the plan says what is lost",
    "VTPM.create": "preflight refuses a vTPM there; before anything is copied, in any case",
    "VTPM.get_is_unique": "as old as vTPMs, and asked where there is one",
    "task.set_error_info": "migration_tasks: left out",
    "task.set_progress": "migration_tasks: left out",
    "task.set_status": "migration_tasks: no task is shown; tasks.drop: it is marked for its end only",
}
# Not in the datamodel that is published: read in xapi's source.
UNPUBLISHED = {
    "VM.set_is_default_template": "removal: since 7.2, left out before",
    "VTPM.get_contents": "as old as vTPMs, and asked where there is one",
    "VTPM.set_contents": "as old as vTPMs, and asked where there is one",
}


class Called(NamedTuple):
    """A call in the source: ``arguments`` is None where they cannot be counted there."""

    method: str
    arguments: int | None
    is_async: bool


def calls() -> Iterator[Called]:
    """Those whose method is written out."""
    for folder in ("xapi", "engine", "replication"):
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            for node in ast.walk(tree(file)):
                if isinstance(node, ast.Call):
                    yield from _called(node)


def _called(node: ast.Call) -> Iterator[Called]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for position, argument in enumerate(node.args):
        for text in _texts(argument):
            method = text.removeprefix("Async.")
            cls, dot, member = method.partition(".")
            if not dot or not member.isidentifier() or cls not in datamodel.load().classes:
                continue
            after = node.args[position + 1 :]
            counts = name in ("call", "call_now", "run") and not any(isinstance(each, ast.Starred) for each in after)
            yield Called(method, len(after) if counts else None, name == "run" or text != method)


def _texts(node: ast.expr) -> list[str]:
    """Of an argument, or of each branch of a choice."""
    branches = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    return [each.value for each in branches if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def message_of(name: str, method: str) -> datamodel.Message | None:
    cls, _, member = method.partition(".")
    known = datamodel.of_release(name).classes.get(cls)
    message = None if known is None else known.messages.get(member)
    return None if message is None or message.state == "Removed" else message


def test_a_call_that_a_release_lacks_is_known() -> None:
    """The tables above say what becomes of it; no more stands in them than is called."""
    methods = {each.method for each in calls()}
    assert len(methods) > 80
    lacking = {each for each in methods if any(message_of(name, each) is None for name in release.names())}
    unpublished = {each for each in lacking if message_of(release.NEWEST, each) is None}
    assert unpublished == UNPUBLISHED.keys()
    assert lacking - unpublished == ABSENT_SOMEWHERE.keys()


@pytest.mark.parametrize("name", release.names())
def test_calls_have_the_parameters_that_a_release_takes(name: str) -> None:
    """Some methods got more of them later; and not all can run as a task."""
    wrong = []
    for each in calls():
        message = message_of(name, each.method)
        if message is None:
            continue
        fits = each.arguments is None or message.required <= each.arguments <= len(message.params)
        if not fits or (each.is_async and not message.has_async):
            wrong.append(each)
    assert wrong == []


@pytest.mark.parametrize("name", release.names())
def test_what_is_set_where_it_is_read_can_be_set(name: str) -> None:
    """``apply_changes`` asks by the field, and calls its setter."""
    vm = datamodel.of_release(name).classes["VM"]
    setters = [f"set_{field}" for field in (*changes._PLAIN, *changes._VCPUS) if field in vm.fields]
    assert [each for each in [*setters, "set_memory_limits"] if each not in vm.messages] == []


@pytest.mark.parametrize("name", release.names())
def test_every_release_has_the_classes_that_are_read_whole(name: str) -> None:
    """Where a class is asked for without minding that it is not there."""
    assert set(reading._CLASSES) <= datamodel.of_release(name).classes.keys()
