"""cutover, pause, resume, cancel, rollback and commit: what they call and say."""

import json
from typing import Any

import pytest

KEPT = 1_790_600_000.0


@pytest.mark.parametrize(
    ("arguments", "method", "parameters", "done"),
    [
        (["cutover"], "cutover", {}, "cutover"),
        (["pause"], "pause", {}, "paused"),
        (["resume"], "resume", {}, "resumed"),
        (["cancel"], "cancel", {}, "cancelled"),
        (["cancel", "--drop"], "cancel", {"drop": True}, "cancelled"),
        (["cancel", "--keep"], "cancel", {"drop": False}, "cancelled"),
        (["rollback"], "rollback", {"discardTargetChanges": False}, "rolledBack"),
        (["rollback", "--discard-target-changes"], "rollback", {"discardTargetChanges": True}, "rolledBack"),
        (["commit"], "commit", {}, "committed"),
    ],
)
def test_calls_and_json(
    canned: Any, run: Any, arguments: list[str], method: str, parameters: dict[str, Any], done: str
) -> None:
    """One call; what was not given is left to the server."""
    canned.answers[f"warmMigration.{method}"] = True
    assert json.loads(run(*arguments, "m-1", "--json").stdout) == {done: "m-1"}
    assert canned.calls == [(f"warmMigration.{method}", {"id": "m-1"} | parameters)]


@pytest.mark.parametrize(
    ("command", "changes", "text"),
    [
        ("cutover", {"phase": "holding"}, "Cutting over m-1: `xo-warmig watch m-1` follows it"),
        (
            "pause",
            {"phase": "copying", "paused": True, "progress": 0.4},
            "Paused m-1 at 40%: `xo-warmig resume m-1` goes on",
        ),
        ("resume", {"phase": "copying"}, "Resumed m-1: `xo-warmig watch m-1` follows it"),
        ("cancel", {"phase": "cancelled"}, "Cancelled m-1: the source is as it was found"),
        ("rollback", {"phase": "failed"}, "Rolled back m-1: the source is as it was found"),
        ("commit", {"phase": "done"}, "Committed m-1: the target VM is c7e0a1f4-0000-4000-8000-000000000000"),
    ],
)
def test_words(canned: Any, run: Any, report: Any, command: str, changes: dict[str, Any], text: str) -> None:
    """What is so now, and what may come next; on one line, for logs."""
    canned.answers |= {f"warmMigration.{command}": True, "warmMigration.get": report(**changes)}
    assert run(command, "m-1").stdout == f"{text}\n"


@pytest.mark.parametrize("command", ["cancel", "rollback"])
def test_what_is_kept_is_told(canned: Any, run: Any, report: Any, command: str) -> None:
    """With its end and its use."""
    canned.answers |= {f"warmMigration.{command}": True, "warmMigration.get": report(phase="failed", keptUntil=KEPT)}
    text = run(command, "m-1").stdout
    assert "; what was copied is kept until 2026-09-2" in text
    assert "a new migration to the same SR goes on from it" in text


@pytest.mark.parametrize("command", ["cutover", "pause", "resume", "cancel", "rollback", "commit"])
def test_in_the_wrong_phase(canned: Any, run: Any, command: str) -> None:
    """The server's sentence and remedy, exit code 1."""
    data = {
        "object": "m-1",
        "property": "phase",
        "actual": "checking",
        "expected": ["syncing"],
        "code": "WRONG_PHASE",
        "message": "the migration is checking",
        "evidence": {},
        "remedy": "Wait.",
    }
    error = {"code": 25, "message": "incorrect state", "data": data}
    canned.answers[f"warmMigration.{command}"] = {"error": error}
    result = run(command, "m-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("WRONG_PHASE: the migration is checking")
    assert "Wait." in result.stderr
