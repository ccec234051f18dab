"""The commands against a real server and simulated pools, as an operator uses them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.pools import start_site
from xo_warmig.cli import main
from xo_warmig.simulator.launch import Site
from xo_warmig.simulator.site import DiskConfig, GuestConfig, PoolConfig, SiteConfig, VmConfig

MIB = 1 << 20


@pytest.fixture
def site() -> Iterator[Site]:
    """Two pools without delays; the first has a small VM that writes, slow enough to be looked at while it moves."""
    guest = GuestConfig(kind="blocks", rate=MIB, cluster=64 << 10, span=16 * MIB)
    vm = VmConfig(name_label="db", disks=[DiskConfig(size_bytes=256 * MIB, allocated_bytes=48 * MIB)], guest=guest)
    intel = PoolConfig(name="intel", vms=[vm], bandwidth=30 * MIB)
    with start_site(SiteConfig(pools=[intel, PoolConfig(name="amd", cpu_vendor="AuthenticAMD", seed=2)])) as running:
        yield running


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """``serve`` in a process of its own, until SIGTERM, which must end it well; what it printed, and its ``environment``."""
    environment = os.environ | {"XO_WARMIG_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "xo_warmig", "serve", "--port", "0", "--json"]
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield json.loads(line) | {"environment": {"XO_WARMIG_STATE_DIR": str(tmp_path / "state")}}
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        assert process.returncode == 0, log.read_text()
    assert not (tmp_path / "state" / "access.json").exists()


def test_from_an_empty_server_to_a_moved_vm(site: Site, serving: dict[str, Any]) -> None:
    """Add pools, migrate, cancel, migrate again, look."""

    def run(*arguments: str) -> Any:
        environment = serving["environment"] | {"XO_WARMIG_POOL_PASSWORD": "password"}
        result = CliRunner().invoke(main, [*arguments, "--json"], env=environment)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert serving["email"] == "admin@admin.net"
    assert serving["password"]
    for pool in site.pools:
        assert run("server", "add", pool.url, pool.username)["poolNameLabel"] == pool.name
    vm, sr = site.pools[0].vms[0].uuid, site.pools[1].srs[0].uuid

    cancelled = run("migrate", vm, sr, "--detach")["id"]
    assert run("cancel", cancelled) == {"cancelled": cancelled}
    assert run("show", cancelled)["phase"] == "cancelled"

    report = run("migrate", vm, sr, "--target-downtime", "5")
    assert (report["phase"], report["vm"], report["sr"]) == ("done", vm, sr)
    assert report["passes"][-1]["kind"] == "final"
    assert report["downtime"]["seconds"] > 0
    assert [one["id"] for one in run("list")] == [cancelled, report["id"]]
    assert run("watch", report["id"])["targetVm"] == report["targetVm"]


def test_what_cannot_be_is_refused_in_words(site: Site, serving: dict[str, Any]) -> None:
    """Exit 1, the code, what is wrong and what to do."""
    environment = serving["environment"] | {"XO_WARMIG_POOL_PASSWORD": "password"}
    for pool in site.pools:
        assert CliRunner().invoke(main, ["server", "add", pool.url, "root"], env=environment).exit_code == 0
    vm, iso = site.pools[0].vms[0].uuid, next(sr.uuid for sr in site.pools[1].srs if "ISO" in sr.name_label)
    result = CliRunner().invoke(main, ["migrate", vm, iso], env=environment)
    assert result.exit_code == 1
    assert result.stderr.startswith("SR_NOT_WRITABLE: ")
    assert "→" in result.stderr
