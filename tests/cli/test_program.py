"""Failures become messages and exit codes; commands are imported when they are used."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import xo_warmig
from xo_warmig.cli import COMMANDS, main
from xo_warmig.cli.access import Access, find, leave, remove
from xo_warmig.errors import WarmigError


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """And so can be imported."""
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit code 2."""
    assert CliRunner().invoke(main, ["migrat"]).exit_code == 2


def test_no_server_is_told_with_what_to_do(tmp_path: Path) -> None:
    """The first thing that a newcomer sees."""
    result = CliRunner().invoke(main, ["list", "--state-dir", str(tmp_path)], env={"XO_WARMIG_URL": ""})
    assert result.exit_code == 1
    assert "NO_SERVER" in result.stderr
    assert "xo-warmig serve" in result.stderr


def test_wrong_credentials_are_told(canned: Any, run: Any) -> None:
    """Code 3 of XO's table."""
    result = run("list", env={"XO_WARMIG_TOKEN": "wrong"})
    assert result.exit_code == 1
    assert "XO_3: invalid credentials" in result.stderr


def test_an_answer_of_another_shape_is_told(canned: Any, run: Any) -> None:
    """As from a server of another version."""
    canned.answers["warmMigration.list"] = [{"id": 1}]
    result = run("list")
    assert result.exit_code == 1
    assert "UNEXPECTED_ANSWER: warmMigration.list gave something else than was expected" in result.stderr


def test_a_defect_is_no_traceback(canned: Any, run: Any) -> None:
    """A mistake of ours must not break the terminal of who asked."""
    canned.answers["user.getAll"] = [{}]
    result = run("user", "list")
    assert result.exit_code == 1
    assert "INTERNAL" in result.stderr
    assert "Traceback" not in result.output


def test_a_broken_pipe_is_quiet(canned: Any, run: Any) -> None:
    """As with ``| head``."""
    command = f"{sys.executable} -m xo_warmig --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_version_is_the_package_s() -> None:
    """``--version``."""
    assert xo_warmig.__version__ in CliRunner().invoke(main, ["--version"]).output


def test_access_left_by_a_server_is_private_and_found(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask."""
    access = Access(url="http://127.0.0.1:1", token="t")
    leave(tmp_path, access)
    leave(tmp_path, access)
    assert os.stat(tmp_path / "access.json").st_mode & 0o777 == 0o600
    assert find(tmp_path, url=None, token=None, ca_file=None) == access
    assert find(tmp_path, url=access.url, token="mine", ca_file=None).token == "mine"
    remove(tmp_path)
    with pytest.raises(WarmigError, match="no server"):
        find(tmp_path, url=None, token=None, ca_file=None)


def test_the_left_token_goes_to_no_other_url(tmp_path: Path) -> None:
    """It is an administrator's."""
    leave(tmp_path, Access(url="http://127.0.0.1:1", token="t"))
    with pytest.raises(WarmigError) as caught:
        find(tmp_path, url="http://elsewhere", token=None, ca_file=None)
    assert caught.value.code == "NO_TOKEN"


def test_damaged_access_is_an_error(tmp_path: Path) -> None:
    """Not a silent fallback."""
    (tmp_path / "access.json").write_text("{")
    with pytest.raises(WarmigError, match=r"access\.json"):
        find(tmp_path, url=None, token=None, ca_file=None)
