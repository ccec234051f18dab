"""The published schemas are those of the types."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from xo_warmig.api import schemas
from xo_warmig.api.methods import METHODS

DOCUMENTS = schemas.documents()


def test_what_is_committed_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """``make schemas`` writes them anew."""
    assert schemas.main(["--check"]) == 0, capsys.readouterr().err


def test_a_change_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that differs, one that is missing, and one too many."""
    schemas.write(tmp_path)
    assert schemas.differences(tmp_path) == []
    (tmp_path / "openrpc.json").write_text("{}")
    (tmp_path / "notifications" / "all.json").unlink()
    (tmp_path / "extra.json").write_text("{}")
    assert schemas.main(["--check", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("stale:") == 3


def test_every_method_and_notification_is_there() -> None:
    """Parameters and result of each, and all of them in the OpenRPC document."""
    for name in METHODS:
        assert {f"methods/{name}.params.json", f"methods/{name}.result.json"} <= DOCUMENTS.keys()
    assert [method["name"] for method in DOCUMENTS["openrpc.json"]["methods"]] == list(METHODS)
    assert {"notifications/all.json", "notifications/warmMigration.json"} <= DOCUMENTS.keys()


def test_they_are_json_schemas() -> None:
    """By the meta-schema that they name."""
    for name, document in DOCUMENTS.items():
        if name != "openrpc.json":
            jsonschema.Draft202012Validator.check_schema(document)


def test_openrpc_references_resolve() -> None:
    """Every one of them, within the document."""
    document = DOCUMENTS["openrpc.json"]
    known = document["components"]["schemas"]
    wanted = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert wanted <= known.keys()
    (warm,) = [method for method in document["methods"] if method["name"] == "vm.warmMigration"]
    assert [p["name"] for p in warm["params"] if p["required"]] == ["vm", "sr", "startDestinationVm", "deleteSourceVm"]
