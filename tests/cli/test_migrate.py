"""migrate: its options become parameters, its end is followed, failures have the migration's own words."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from xo_warmig.cli.request import cutover

VM = "8539ec6c-9f72-58a4-fa2b-05f867190a3c"
SR = "0747a9dc-a36c-6461-bb84-72efa03b0760"
DEFAULTS = {
    "vm": VM,
    "sr": SR,
    "startDestinationVm": True,
    "deleteSourceVm": False,
    "cutover": "auto",
    "commit": "auto",
    "targetDowntime": 30.0,
    "maxPasses": 10,
    "minPassInterval": 0.0,
    "mapVdisSrs": {},
    "mapVifsNetworks": {},
    "macAddresses": "keep",
    "shutdown": {"timeout": 1200, "force": "ifNoTools"},
    "onFailure": "keep",
    "transport": "auto",
    "verify": "sample",
    "maxRate": None,
    "throttleFinalPass": False,
    "force": False,
}


def asked(canned: Any) -> dict[str, Any]:
    """The parameters of the call that started the migration."""
    return next(params for method, params in canned.calls if method == "warmMigration.start")


def test_without_options_the_defaults_are_sent(canned: Any, run: Any) -> None:
    """Those of the request's type."""
    canned.answers["warmMigration.start"] = "m-1"
    result = run("migrate", VM, SR, "--detach")
    assert (result.exit_code, result.stdout) == (0, "m-1\n")
    assert asked(canned) == DEFAULTS


def test_every_option_has_its_parameter(canned: Any, run: Any) -> None:
    """Under the API's names."""
    canned.answers["warmMigration.start"] = "m-1"
    options = f"""--no-start --delete-source --cutover 2026-05-01T23:30+02:00 --commit 60
        --target-downtime 0.2 --max-passes 4 --min-pass-interval 9 --map-vdi {VM}={SR}
        --map-vif {SR}={VM} --mac {SR}=02:16:3E:00:00:01 --mac {VM}=new
        --shutdown-timeout 60 --force-shutdown never --on-failure drop --transport vhd --verify full
        --max-rate 50MiB/s --throttle-final-pass --force""".split()
    assert json.loads(run("migrate", VM, SR, *options, "--detach", "--json").stdout) == {"id": "m-1"}
    assert asked(canned) == {
        "vm": VM,
        "sr": SR,
        "startDestinationVm": False,
        "deleteSourceVm": True,
        "cutover": "2026-05-01T23:30:00+02:00",
        "commit": 60,
        "targetDowntime": 0.2,
        "maxPasses": 4,
        "minPassInterval": 9.0,
        "mapVdisSrs": {VM: SR},
        "mapVifsNetworks": {SR: VM},
        "macAddresses": {SR: "02:16:3E:00:00:01", VM: "new"},
        "shutdown": {"timeout": 60, "force": "never"},
        "onFailure": "drop",
        "transport": "vhd",
        "verify": "full",
        "maxRate": 50 << 20,
        "throttleFinalPass": True,
        "force": True,
    }


def test_it_is_followed_to_its_end(canned: Any, run: Any, report: Any) -> None:
    """Each finished pass is a line, then the downtime and the target."""
    canned.answers["warmMigration.start"] = "m-1"
    canned.answers["warmMigration.get"] = report(phase="preparing", passes=[], downtime=None, finished=None)
    canned.notifications["warmMigration.get"] = [{"report": report(), "event": None}]
    result = run("migrate", VM, SR)
    assert result.exit_code == 0, result.output
    for part in ("Preparing", "Pass 1 full", "100.0 MiB in 3.5 s", "Downtime 2.50 s", "c7e0a1f4"):
        assert part in result.stdout, part


def test_a_failed_migration_fails_with_its_own_error(canned: Any, run: Any, report: Any) -> None:
    """Code, message and remedy on standard error, exit code 1, no traceback."""
    canned.answers["warmMigration.start"] = "m-1"
    error = {"code": "TRANSFER_FAILED", "message": "the import broke", "evidence": {}, "remedy": "Try again."}
    canned.answers["warmMigration.get"] = report(phase="failed", error=error, downtime=None)
    result = run("migrate", VM, SR)
    assert result.exit_code == 1
    for part in ("TRANSFER_FAILED: the import broke", "Try again.", "xo-warmig show m-1"):
        assert part in result.stderr, part
    assert "Traceback" not in result.output


def test_a_refused_request_prints_the_server_s_words(canned: Any, run: Any) -> None:
    """As JSON where that was asked for."""
    data = {"id": VM, "type": "VM", "code": "NO_SUCH_OBJECT", "evidence": {"id": VM}, "remedy": "Look at the uuid."}
    canned.answers["warmMigration.start"] = {"error": {"code": 1, "message": f"no such VM {VM}", "data": data}}
    result = run("migrate", VM, SR, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"] == {
        "code": "NO_SUCH_OBJECT",
        "message": f"no such VM {VM}",
        "evidence": {"id": VM},
        "remedy": "Look at the uuid.",
    }


def test_words_for_cutover_and_commit(canned: Any, run: Any) -> None:
    """As they are."""
    canned.answers["warmMigration.start"] = "m-1"
    run("migrate", VM, SR, "--cutover", "hold", "--commit", "manual", "--detach")
    assert (asked(canned)["cutover"], asked(canned)["commit"]) == ("hold", "manual")


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's zone."""
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-07-01T23:30", "2026-07-01T23:30:00+02:00"),
        ("2026-01-01 23:30:05", "2026-01-01T23:30:05+01:00"),
        ("2026-07-01T23:30Z", "2026-07-01T23:30:00+00:00"),
        ("12:31", "2026-06-15T12:31:00+02:00"),
        ("12:30", "2026-06-16T12:30:00+02:00"),
        ("7:05", "2026-06-16T07:05:00+02:00"),
    ],
)
def test_a_time_is_of_this_machine_s_zone(paris: None, text: str, sent: str) -> None:
    """And is sent with its offset; a time of day is the next one."""
    assert cutover(text, now=lambda: datetime(2026, 6, 15, 12, 30)) == sent


@pytest.mark.parametrize(
    "options", [("--cutover", "later"), ("--cutover", "25:00"), ("--commit", "-1"), ("--commit", "1.5")]
)
def test_no_time(run: Any, options: tuple[str, str]) -> None:
    """A usage error that names the option."""
    result = run("migrate", VM, SR, *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


@pytest.mark.parametrize(
    "given", ["old", f"{VM}=02:16:3e", f"{VM}=02-16-3e-00-00-01", "eth0=new", f"new --mac {VM}=new"]
)
def test_no_address(run: Any, given: str) -> None:
    """Nor a word for all beside one for a single interface."""
    result = run("migrate", VM, SR, "--mac", *given.split())
    assert result.exit_code == 2
    assert "--mac" in result.stderr


@pytest.mark.parametrize("text", ["fast", "0", "63K", "50 MB per second"])
def test_no_rate(run: Any, text: str) -> None:
    """Nor one that would take for ever."""
    result = run("migrate", VM, SR, "--max-rate", text)
    assert result.exit_code == 2
    assert "--max-rate" in result.stderr


def test_it_goes_on_when_the_server_restarts(canned: Any, run: Any, report: Any) -> None:
    """The connection ends while the migration is followed: the same id is followed on the next one, and nothing is started anew."""
    canned.answers["warmMigration.start"] = "m-1"
    reports = iter([report(phase="copying", passes=[], downtime=None, finished=None), report(epoch=2)])
    canned.answers["warmMigration.get"] = lambda _: next(reports)
    canned.notifications["warmMigration.get"] = [None]
    result = run("migrate", VM, SR)
    assert result.exit_code == 0, result.output
    assert [method for method, _ in canned.calls] == ["warmMigration.start", "warmMigration.get", "warmMigration.get"]
    for part in ("trying again for 10 min", "Taken up again once", "Pass 1 full", "c7e0a1f4"):
        assert part in result.stdout, part


def test_a_start_without_an_answer_is_asked_again(canned: Any, run: Any, report: Any) -> None:
    """The server joins it to what it may have started; the result is the same."""
    canned.answers |= {"warmMigration.start": "m-1", "warmMigration.get": report()}
    undisturbed = run("migrate", VM, SR, "--json")
    canned.calls.clear()
    canned.drops = ["warmMigration.start", "warmMigration.get"]
    result = run("migrate", VM, SR, "--json")
    assert (result.exit_code, result.stdout) == (0, undisturbed.stdout)
    methods = [method for method, _ in canned.calls]
    assert methods == ["warmMigration.start"] * 2 + ["warmMigration.get"] * 2


def test_patience_ends(canned: Any, run: Any, report: Any) -> None:
    """What was started is named."""
    canned.answers |= {"warmMigration.start": "m-1", "warmMigration.get": report()}
    canned.drops = ["warmMigration.get"] * 9
    result = run("migrate", VM, SR, "--patience", "0.3")
    assert result.exit_code == 1
    assert "CONNECTION_LOST" in result.stderr
    assert "xo-warmig show m-1" in result.stderr
    assert [method for method, _ in canned.calls] == ["warmMigration.start", "warmMigration.get", "warmMigration.get"]


def test_a_failure_tells_what_was_kept(canned: Any, run: Any, report: Any) -> None:
    """Until when, and how to go on from it."""
    canned.answers["warmMigration.start"] = "m-1"
    canned.answers["warmMigration.get"] = report(phase="failed", keptUntil=1_790_600_000.0, downtime=None)
    result = run("migrate", VM, SR)
    assert "What was copied is kept until 2026-09-2" in result.stderr
    assert "goes on from it" in result.stderr


def test_a_name_is_no_uuid(run: Any) -> None:
    """Usage errors end with 2 and call nothing."""
    assert run("migrate", "web-1", SR).exit_code == 2
    assert run("migrate", VM, SR, "--map-vdi", "x").exit_code == 2
    assert run("migrate", VM, SR, "--max-passes", "1").exit_code == 2
