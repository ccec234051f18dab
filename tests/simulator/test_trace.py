"""The record of what clients did."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from xo_warmig.simulator.trace import Trace
from xo_warmig.simulator.trace_file import TraceFile


def test_calls_and_transfers_are_numbered_together() -> None:
    """So that a test can ask for what came after."""
    trace = Trace()
    trace.call("VM.start", ["OpaqueRef:1", False], 1.0, 2.0, True, None)
    seen = trace.since()["number"]
    trace.transfer(
        name="export_raw_vdi",
        vdi="v",
        base=None,
        format="vhd",
        host="h",
        task="t",
        started=1.0,
        ended=2.0,
        bytes=3072,
        written=0,
        changed=False,
        error=None,
    )
    later = trace.since(seen)
    assert later["calls"] == []
    assert [entry.bytes for entry in later["transfers"]] == [3072]


def test_passwords_do_not_appear() -> None:
    """Arguments of session calls are left out."""
    trace = Trace()
    trace.call("session.login_with_password", ["root", "secret"], 1.0, 2.0, False, None)
    assert b"secret" not in msgspec.json.encode(trace.since())


def test_any_argument_can_be_shown() -> None:
    """As JSON, long texts cut."""
    trace = Trace()
    trace.call("VM.create", [{"a": b"bytes", "b": ["x" * 1000]}], 1.0, 2.0, True, "INTERNAL_ERROR")
    shown = trace.since()["calls"][0].args[0]
    assert len(shown["b"][0]) < 300
    msgspec.json.encode(shown)


POWER: dict[str, Any] = {
    "vm": "uuid", "ref": "OpaqueRef:1", "power_state": "Running", "blocked_operations": {"start": "x"}, "own_state": "digest",
}  # fmt: skip
TRANSFER = {
    "name": "import_raw_vdi",
    "vdi": "v",
    "base": None,
    "format": "sparse",
    "host": "h",
    "task": "t",
    "started": 1.0,
    "ended": 2.0,
    "bytes": 3072,
    "written": 3072,
    "changed": True,
    "error": None,
}


def test_a_file_keeps_the_record(tmp_path: Path) -> None:
    """As it happens, without any goodbye; numbers go on. A line that was cut off is left out."""
    path = tmp_path / "trace"
    before = Trace(TraceFile(path))
    before.call("VM.start", [{"a": [1, None]}], 1.0, 2.0, True, "SOME_ERROR")
    before.transfer(**TRANSFER)
    before.power(**POWER)
    with path.open("ab") as file:
        file.write(b'["calls",{"number":4')
    after = Trace(TraceFile(path))
    assert after.since() == before.since()
    after.call("VM.start", [], 3.0, 4.0, True, None)
    assert after.since(3)["calls"][0].number == 4
    assert Trace(TraceFile(path)).since() == after.since()
    after.close()
    after.call("VM.start", [], 3.0, 4.0, True, None)
    assert Trace(TraceFile(path)).since()["number"] == 4


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no more than a few times what is kept."""
    monkeypatch.setattr("xo_warmig.simulator.trace._MOST", 10)
    path = tmp_path / "trace"
    trace = Trace(TraceFile(path))
    for _ in range(1000):
        trace.power(**POWER)
        assert len(path.read_bytes().splitlines()) <= 61
    kept = [entry.number for entry in Trace(TraceFile(path)).since()["power"]]
    assert kept == [entry.number for entry in trace.since()["power"]] == list(range(991, 1001))
