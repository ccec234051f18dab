"""plan: what a migration would do, as a table or as the API's answer."""

import json
from typing import Any

import pytest

from xo_warmig.cli.terminal import LOG_WIDTH

VM = "8539ec6c-9f72-58a4-fa2b-05f867190a3c"
SR = "0747a9dc-a36c-6461-bb84-72efa03b0760"
GIB = 1 << 30


def finding(code: str, severity: str, **changes: Any) -> dict[str, Any]:
    return {"code": code, "severity": severity, "object": VM, "message": f"{code} [bold]", "remedy": ""} | changes


@pytest.fixture
def plan() -> dict[str, Any]:
    """As the API answers; names have what could be taken for markup."""
    disk = {
        "disk": "d-1",
        "device": "0",
        "nameLabel": "root [red]",
        "virtualSizeBytes": 20 * GIB,
        "sourceSr": "sr-1",
        "targetSr": SR,
        "targetSrName": "fast [1]",
        "way": "vhd",
        "wayReason": "no NBD [yet]",
        "reused": False,
        "firstPassBytes": 2 * GIB,
        "reason": "no earlier copy",
    }
    vif = {
        "vif": "i-1",
        "device": "0",
        "mac": "aa:bb:cc:dd:ee:ff",
        "targetMac": "aa:bb:cc:dd:ee:ff",
        "network": "n-1",
        "networkName": "LAN",
        "reason": "same name",
    }
    return {
        "vm": VM,
        "vmName": "db [x]",
        "sourcePool": "p-1",
        "sourcePoolName": "intel",
        "targetPool": "p-2",
        "targetPoolName": "amd",
        "sr": SR,
        "possible": True,
        "disks": [
            disk | {"device": "10", "disk": "d-2", "reused": True, "way": "vhdDelta", "firstPassBytes": None},
            disk,
        ],
        "vifs": [
            vif,
            vif
            | {"device": "1", "network": None, "networkName": "", "reason": "no network of that name", "targetMac": ""},
        ],
        "findings": [
            finding("A_NOTE", "info"),
            finding("A_WARNING", "warning", remedy="Do [this].", needsForce=True),
            finding("AN_ERROR", "error"),
        ],
        "firstPassBytes": 2 * GIB,
        "limits": [
            {
                "of": "migration",
                "name": "",
                "bytesPerSecond": 50 << 20,
                "table": {"default": 50 << 20, "hours": []},
                "finalPass": False,
            },
            {
                "of": "sourcePool",
                "name": "intel [2]",
                "bytesPerSecond": None,
                "table": {"default": None, "hours": [{"begin": 480, "end": 1080, "bytesPerSecond": 20 << 20}]},
                "finalPass": True,
            },
        ],
        "estimate": {
            "firstPassBytes": {"value": 2.0 * GIB, "source": "sampled"},
            "bytesPerSecond": {"value": 100.0, "source": "measured"},
            "writtenBytesPerSecond": {"value": 3.0 * (1 << 20), "source": "sampled"},
            "passes": 3,
            "durationSeconds": {"value": 90.0, "source": "default"},
            "durationParts": [
                {"name": "prepare", "seconds": 2.0, "source": "measured"},
                {"name": "copy", "seconds": 60.0, "source": "default"},
            ],
            "downtimeSeconds": {"value": 4.5, "source": "measured"},
            "downtimeParts": [
                {"name": "shutdown", "seconds": 1.5, "source": "measured"},
                {"name": "start", "seconds": 3.0, "source": "default"},
            ],
        },
    }


def test_a_plan_as_tables(canned: Any, run: Any, plan: dict[str, Any]) -> None:
    """Disks and interfaces in their order, findings with the worst first, names as they are."""
    canned.answers["warmMigration.plan"] = plan
    result = run("plan", VM, SR, "--map-vdi", f"{VM}={SR}", "--commit", "manual")
    assert result.exit_code == 0, result.output
    (call,) = canned.calls
    assert (call[0], call[1]["mapVdisSrs"], call[1]["commit"]) == ("warmMigration.plan", {VM: SR}, "manual")
    in_order = [
        "db [x]",
        "root [red]",
        "20.0 GiB",
        "fast [1]",
        "2.0 GiB",
        "full",
        "?",
        "delta, reused",
        "disk 0: no earlier copy",
        "disk 10: no earlier copy",
        "disk 0: read from a VHD export: no NBD [yet]",
        "disk 10: read from a VHD export against the earlier copy's base: no NBD [yet]",
        "aa:bb:cc:dd:ee:ff",
        "LAN",
        "none",
        "no network of that name",
        "50.0 MiB/s for this migration, but not in the downtime",
        "unlimited for all copies from or to pool intel [2] at this hour",
        "(08:00-18:00 20.0 MiB/s, else unlimited)",
        "in the downtime too",
        "Speed     about 100 B/s  (measured)",
        "Writes    about 3.0 MiB/s  (sampled; seen by its host; deltas have each block of 2 MiB",
        "Duration  about 1 min 30 s  (default; 3 passes: prepare 2.0 measured, copy 60.0 default)",
        "Downtime  about 4.5 s  (measured; shutdown 1.5 measured, start 3.0 default)",
        "✗ AN_ERROR: AN_ERROR [bold]",
        "! A_WARNING",
        "(needs --force)",
        "→ Do [this].",
        "· A_NOTE",
        "Possible: the first pass copies about 2.0 GiB",
    ]
    at = 0
    for part in in_order:
        at = result.stdout.index(part, at)
    assert max(map(len, result.stdout.splitlines())) <= LOG_WIDTH


def test_one_source_of_all_parts_is_told_once(canned: Any, run: Any, plan: dict[str, Any]) -> None:
    """And an assumed rate needs no explanation."""
    parts = [{"name": name, "seconds": 1.0, "source": "default"} for name in ("shutdown", "start")]
    one = {"value": 2.0, "source": "default"}
    figures = {"writtenBytesPerSecond": one, "downtimeSeconds": one, "downtimeParts": parts}
    canned.answers["warmMigration.plan"] = plan | {"estimate": plan["estimate"] | figures}
    shown = run("plan", VM, SR).stdout
    assert "Downtime  about 2.0 s  (default; shutdown 1.0, start 1.0)" in shown
    assert "Writes    about 2 B/s  (default)" in shown


def test_what_is_not_possible_fails(canned: Any, run: Any, plan: dict[str, Any]) -> None:
    """Exit code 1, with the plan all the same."""
    canned.answers["warmMigration.plan"] = plan | {"possible": False}
    result = run("plan", VM, SR)
    assert result.exit_code == 1
    assert "Not possible: 1 error\n" in result.stdout
    assert result.stderr == ""
    result = run("plan", VM, SR, "--json")
    assert (result.exit_code, json.loads(result.stdout)["possible"]) == (1, False)


def test_json_is_the_api_s_answer(canned: Any, run: Any, plan: dict[str, Any]) -> None:
    """Under its own names."""
    plan["findings"] = []
    canned.answers["warmMigration.plan"] = plan
    assert json.loads(run("plan", VM, SR, "--json").stdout) == plan
