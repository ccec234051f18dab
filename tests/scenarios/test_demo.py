"""The demonstration as a stranger runs it: one command, and the proof that nothing was lost."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 100


def test_the_demo_moves_a_vm_and_proves_it() -> None:
    """Exit 0 and one JSON object: three passes or more, equal disks, a sound file system, the source halted, the target running."""
    command = [sys.executable, "-m", "xo_warmig", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    kinds = [one["kind"] for one in outcome["passes"]]
    assert kinds[0] == "full"
    assert kinds[-1] == "final"
    assert set(kinds[1:-1]) == {"delta"}
    assert all(one["seconds"] > 0 for one in outcome["passes"])
    assert outcome["passes"][0]["bytes"] > outcome["passes"][1]["bytes"] > 0
    assert outcome["equal"] is True
    assert outcome["sourceSha256"] == outcome["targetSha256"]
    assert len(set(outcome["sourceSha256"])) == 2
    assert 0 < outcome["downtimeSeconds"] < outcome["totalSeconds"]
    assert abs(sum(outcome["downtimeParts"].values()) - outcome["downtimeSeconds"]) < 0.5
    assert (outcome["sourcePowerState"], outcome["targetPowerState"]) == ("Halted", "Running")
    files = outcome["fileSystem"]
    assert files["files"] >= 20
    assert (files["e2fsck"], files["missing"], files["different"]) == (0, [], [])
    assert "refused by XAPI with VM_INCOMPATIBLE_WITH_THIS_HOST" in done.stderr


# What a shell does for a command that ends in "&".
IN_THE_BACKGROUND = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]


@pytest.mark.parametrize("start", [[], IN_THE_BACKGROUND], ids=["started as a command", "started in the background"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals, start: list[str]) -> None:
    """In the middle of the migration: no process, no file."""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [*start, sys.executable, "-m", "xo_warmig", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert next(line for line in demo.stdout if "Preparing" in line)
        assert any(tmp_path.iterdir())
        demo.send_signal(number)
        demo.stdout.read()
    assert demo.returncode == 130
    assert not any(tmp_path.iterdir())
