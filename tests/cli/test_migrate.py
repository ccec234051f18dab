"""migrate: its options become parameters, its end is followed, failures have the migration's own words."""

import json
from typing import Any

VM = "8539ec6c-9f72-58a4-fa2b-05f867190a3c"
SR = "0747a9dc-a36c-6461-bb84-72efa03b0760"
DEFAULTS = {
    "vm": VM,
    "sr": SR,
    "startDestinationVm": True,
    "deleteSourceVm": False,
    "targetDowntime": 30.0,
    "maxPasses": 10,
    "minPassInterval": 0.0,
    "mapVdisSrs": {},
    "mapVifsNetworks": {},
    "shutdown": {"timeout": 1200, "force": "ifNoTools"},
    "onFailure": "keep",
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
    options = f"""--no-start --delete-source --target-downtime 0.2 --max-passes 4 --min-pass-interval 9 --map-vdi {VM}={SR}
        --map-vif {SR}={VM} --shutdown-timeout 60 --force-shutdown never --on-failure drop""".split()
    assert json.loads(run("migrate", VM, SR, *options, "--detach", "--json").stdout) == {"id": "m-1"}
    assert asked(canned) == {
        "vm": VM,
        "sr": SR,
        "startDestinationVm": False,
        "deleteSourceVm": True,
        "targetDowntime": 0.2,
        "maxPasses": 4,
        "minPassInterval": 9.0,
        "mapVdisSrs": {VM: SR},
        "mapVifsNetworks": {SR: VM},
        "shutdown": {"timeout": 60, "force": "never"},
        "onFailure": "drop",
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


def test_a_name_is_no_uuid(run: Any) -> None:
    """Usage errors end with 2 and call nothing."""
    assert run("migrate", "web-1", SR).exit_code == 2
    assert run("migrate", VM, SR, "--map-vdi", "x").exit_code == 2
    assert run("migrate", VM, SR, "--max-passes", "1").exit_code == 2
