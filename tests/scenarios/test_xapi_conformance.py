"""The simulator held against the checks that a real xapi passed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pools import start_site
from xo_warmig.simulator.site import PoolConfig, SiteConfig

SCRIPT = Path(__file__).parents[1] / "conformance" / "xapi_conformance.py"


def run(*arguments: str) -> str:
    """What the script prints. Its exit status is 1 when a check failed."""
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=110)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.timeout(150)
def test_the_simulator_passes_what_a_real_pool_passes() -> None:
    """Every check, those about NBD too; none is left out or lost."""
    names = set(run("--list", "http://unused").split())
    with start_site(SiteConfig(pools=[PoolConfig(name="conformance")])) as site:
        pool = site.pools[0]
        output = run(pool.url, "--password", pool.password, "--nbd", pool.ready.nbd)
    results: dict[str, set[str]] = {"ok": set(), "skip": set(), "FAIL": set()}
    for line in output.splitlines()[:-1]:
        word, name = line.split()[:2]
        results[word].add(name)
    assert results == {"ok": names, "skip": set(), "FAIL": set()}, output
