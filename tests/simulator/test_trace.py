"""The record of what clients did."""

import msgspec

from xo_warmig.simulator.trace import Trace


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
