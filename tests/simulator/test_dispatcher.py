"""Calls into a pool as its clients make them: checks, their order, tasks."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator import calls, datamodel, dispatcher, protocol_calls
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool

Calls = Callable[..., Any]
NO_SESSION = "OpaqueRef:nobody"


def refusal(call: Callable[[], Any]) -> list[str]:
    """Code and parameters of the error that a call is refused with."""
    with pytest.raises(XapiFailure) as refused:
        call()
    return refused.value.details


def finished(pool: SimPool, task: str) -> dict[str, Any]:
    """The record of a task that has ended."""
    end = time.monotonic() + 10
    while pool.db.field("task", task, "status") == "pending" and time.monotonic() < end:
        time.sleep(0.005)
    return pool.db.get("task", task)


def test_methods_have_an_underscore_spelling(client: Calls, pool: SimPool) -> None:
    """Xen Orchestra writes task_create."""
    assert client("pool_get_all") == client("pool.get_all") == [pool.pool_ref]


def test_an_unknown_method_is_told_only_to_a_valid_session(client: Calls, raw: Calls) -> None:
    """The session comes first."""
    assert refusal(lambda: client("VM.nonsense")) == ["MESSAGE_METHOD_UNKNOWN", "VM.nonsense"]
    assert refusal(lambda: raw("VM.nonsense")) == ["MESSAGE_METHOD_UNKNOWN", "VM.nonsense"]
    assert refusal(lambda: raw("VM.nonsense", NO_SESSION)) == ["SESSION_INVALID", NO_SESSION]


def test_counts_leave_the_session_out(client: Calls, raw: Calls) -> None:
    """Expected are the parameters that must be there."""
    assert refusal(lambda: client("VM.get_record")) == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]
    assert refusal(lambda: client("VM.get_record", "a", "b"))[1:] == ["VM.get_record", "1", "2"]
    assert refusal(lambda: raw("VM.get_all")) == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_all", "0", "0"]
    assert refusal(lambda: raw("session.login_with_password", "root"))[1:] == [
        "session.login_with_password",
        "2",
        "1",
    ]


def test_too_many_optional_parameters_are_ignored(raw: Calls, pool: SimPool) -> None:
    """A client of a later release may send more."""
    session = raw("session.login_with_password", "root", "password", "1.0", "tests", "more")
    assert pool.db.field("session", session, "originator") == "tests"


def test_an_optional_parameter_that_cannot_be_read_counts_as_left_out(raw: Calls, pool: SimPool) -> None:
    """Those after it still count."""
    session = raw("session.login_with_password", "root", "password", 17, "tests")
    assert pool.db.field("session", session, "originator") == "tests"


def test_a_wrong_password_is_refused_after_a_while(raw: Calls) -> None:
    """With the user and a text."""
    details = refusal(lambda: raw("session.login_with_password", "root", "wrong"))
    assert details[:2] == ["SESSION_AUTHENTICATION_FAILED", "root"]
    assert len(details) == 3


def test_only_the_master_takes_calls(new_pool: Callable[..., SimPool]) -> None:
    """A member tells the master's address."""
    pool = new_pool(hosts=2, addresses=["127.0.0.1", "127.0.0.1"])
    (member,) = (host for host in pool.db.refs("host") if host != pool.master)

    def call(method: str, *params: Any) -> Any:
        return dispatcher.answer(dispatcher.Request(pool, member, method, params)).value

    session = pool.sessions.login("root", "tests", pool.master)
    assert refusal(lambda: call("session.login_with_password", "root", "password")) == ["HOST_IS_SLAVE", "127.0.0.1"]
    assert refusal(lambda: call("VM.get_all", session)) == ["HOST_IS_SLAVE", "127.0.0.1"]
    local = call("session.slave_local_login_with_password", "root", "password")
    assert call("session.local_logout", local) is None


def test_a_removed_message_says_so(client: Calls) -> None:
    """It is in the datamodel, but no pool of this release answers it."""
    assert refusal(lambda: client("VMPP.get_all")) == ["MESSAGE_REMOVED"]


def test_what_nobody_implements_says_so(client: Calls, pool: SimPool) -> None:
    """Never a made-up answer."""
    assert refusal(lambda: client("host.backup_rrds", pool.master, 0.0)) == [
        "NOT_IMPLEMENTED",
        "host.backup_rrds",
    ]


def test_hidden_calls_are_answered_but_not_listed(client: Calls) -> None:
    """The datamodel that is published leaves them out."""
    assert refusal(lambda: client("VTPM.get_contents", "OpaqueRef:nope"))[0] == "HANDLE_INVALID"
    assert "VTPM.get_contents" not in dispatcher.list_methods()


def test_methods_are_listed_with_their_asynchronous_forms(raw: Calls) -> None:
    """But for getters and bookkeeping."""
    names = set(raw("system.listMethods"))
    assert {"VM.start", "Async.VM.start", "VDI.get_all_records", "event.from", "Async.VM.create"} <= names
    assert not {"Async.VM.get_record", "Async.event.from", "Async.session.logout"} & names


def test_is_alive_gives_back_what_it_got(raw: Calls) -> None:
    """No session is needed."""
    assert raw("system.isAlive:1", "hello") == "hello"


def test_an_asynchronous_call_gives_a_task(client: Calls, pool: SimPool) -> None:
    """Its result is an XML-RPC value."""
    sr = client("pool.get_default_SR", pool.pool_ref)
    record = {"SR": sr, "virtual_size": "2097152", "type": "user", "other_config": {}}
    record |= {"sharable": False, "read_only": False}
    task = finished(pool, client("Async.VDI.create", record))
    assert (task["status"], task["name_label"], task["progress"]) == ("success", "Async.VDI.create", 1.0)
    vdi = task["result"].removeprefix("<value>").removesuffix("</value>")
    assert client("VDI.get_virtual_size", vdi) == 2097152


def test_an_asynchronous_call_fails_in_its_task(client: Calls, pool: SimPool) -> None:
    """The call itself succeeds."""
    task = finished(pool, client("Async.VDI.destroy", "OpaqueRef:nope"))
    assert task["status"] == "failure"
    assert task["error_info"] == ["HANDLE_INVALID", "VDI", "OpaqueRef:nope"]


def test_getters_have_no_asynchronous_form(client: Calls) -> None:
    """Told as xapi tells it, with a code that is none."""
    details = refusal(lambda: client("Async.VM.get_all"))
    assert details == ["Fault", "No async mode for this operation (rpc: VM.get_all)"]


def test_a_call_with_effects_has_a_task_while_it_runs(
    client: Calls, pool: SimPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is gone when the call has returned."""
    seen = []
    monkeypatch.setitem(calls.HANDLERS, "SR.scan", lambda call, sr: seen.append(pool.db.get("task", call.task)))
    client("SR.scan", pool.db.refs("SR")[0])
    assert seen[0]["name_label"] == "SR.scan"
    assert pool.db.refs("task") == []


def test_maps_and_sets_have_their_own_setters(client: Calls, pool: SimPool) -> None:
    """A second add to a map is refused, a second removal is not."""
    network = pool.db.refs("network")[0]
    client("network.add_to_other_config", network, "k", "v")
    details = refusal(lambda: client("network.add_to_other_config", network, "k", "w"))
    assert details == ["MAP_DUPLICATE_KEY", "network", "other_config", network, "k"]
    client("network.remove_from_other_config", network, "k")
    client("network.remove_from_other_config", network, "k")
    client("network.set_tags", network, ["a"])
    client("network.add_tags", network, "b")
    client("network.add_tags", network, "b")
    client("network.remove_tags", network, "a")
    assert client("network.get_tags", network) == ["b"]


def test_every_class_can_be_listed(client: Calls) -> None:
    """A client that asks for all records of all classes gets them."""
    for method in dispatcher.list_methods():
        if method.endswith(".get_all_records") and datamodel.load().methods[method].state != "Removed":
            assert client(method) is not None, method


def test_the_trace_tells_whether_a_call_changed_anything(client: Calls, pool: SimPool) -> None:
    """And how it failed; waiting calls are left out."""
    network = pool.db.refs("network")[0]
    client("network.set_name_label", network, "x")
    client("network.get_name_label", network)
    refusal(lambda: client("network.get_name_label", "OpaqueRef:nope"))
    client("event.from", ["vm"], "", 0.0)
    told = [(line.method, line.changed, line.error) for line in pool.trace.since()["calls"]]
    assert told == [
        ("network.set_name_label", True, None),
        ("network.get_name_label", False, None),
        ("network.get_name_label", False, "HANDLE_INVALID"),
    ]


def test_a_mistake_of_the_simulator_is_an_internal_error(client: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets an answer; the log gets the trace."""

    def broken(_call: object) -> None:
        raise RuntimeError("oh")

    monkeypatch.setitem(protocol_calls.CALLS, "event.get_current_id", broken)
    assert refusal(lambda: client("event.get_current_id")) == ["INTERNAL_ERROR", "RuntimeError('oh')"]


def test_all_records_are_handed_out_not_copied(client: Calls, pool: SimPool) -> None:
    """The rows are those of the database: a thousand cost no more than ten."""
    vms = [pool.db.create("VM_group") for _ in range(10)]
    rows = client("VM_group.get_all_records")
    assert all(rows[vm] is pool.db.row("VM_group", vm) for vm in vms)


def test_calls_of_many_threads_do_not_lose_changes(client: Calls, pool: SimPool) -> None:
    """Each adds its own key to one map."""
    network = pool.db.refs("network")[0]

    def add(n: int) -> None:
        client("network.add_to_other_config", network, f"k{n}", "v")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(client("network.get_other_config", network)) >= {f"k{n}" for n in range(8)}
