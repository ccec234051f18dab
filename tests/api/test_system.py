"""The name of this machine's time zone."""

from pathlib import Path

import pytest

from xo_warmig.api.methods.system import local_zone


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If it names a zone."""
    (tmp_path / "timezone").write_text("Europe/Vienna\n")
    monkeypatch.setenv("TZ", ":Europe/Paris")
    assert local_zone(tmp_path / "timezone", tmp_path / "none") == "Europe/Paris"
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0")
    assert local_zone(tmp_path / "timezone", tmp_path / "none") == "Europe/Vienna"


def test_the_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where it points below the zone database."""
    monkeypatch.delenv("TZ", raising=False)
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/UTC")
    assert local_zone(tmp_path / "none", tmp_path / "localtime") in ("UTC", "Etc/UTC")


def test_utc_where_nothing_names_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A client gets a zone in any case."""
    monkeypatch.delenv("TZ", raising=False)
    assert local_zone(tmp_path / "none", tmp_path / "nothing") == "UTC"
