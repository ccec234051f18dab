"""The compact datamodel against the published one, and what is derived from it."""

import json
import runpy
from pathlib import Path

import pytest

from xo_warmig.simulator import datamodel
from xo_warmig.simulator.datatype import Basic, Enum, MapOf, OptionOf, Record, Ref, SetOf, parse
from xo_warmig.simulator.relations import RELATIONS

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "tests/reference/xapi-datamodel.json"
MODEL = datamodel.load()


def test_the_compact_file_is_made_from_the_published_one(tmp_path: Path) -> None:
    """Whoever updates one must run the script that makes the other."""
    script = runpy.run_path(str(ROOT / "scripts/compact_datamodel.py"))
    script["main"](str(PUBLISHED), str(tmp_path / "made.json"))
    shipped = ROOT / "xo_warmig/simulator/datamodel.json"
    assert (tmp_path / "made.json").read_text() == shipped.read_text()


def test_nothing_of_the_published_model_is_lost() -> None:
    """Every class, field and message is there."""
    for cls in json.loads(PUBLISHED.read_text()):
        assert set(MODEL.classes[cls["name"]].fields) == {field["name"] for field in cls["fields"]}
        assert set(MODEL.classes[cls["name"]].messages) == {message["name"] for message in cls["messages"]}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int", Basic("int")),
        ("VM ref set", SetOf(Ref("VM"))),
        ("(string -> enum vm_operations) map", MapOf(Basic("string"), Enum("vm_operations"))),
        ("(VM ref -> (string -> string) map) map", MapOf(Ref("VM"), MapOf(Basic("string"), Basic("string")))),
        ("sr_stat record option", OptionOf(Record("sr_stat"))),
    ],
)
def test_types_are_parsed(text: str, kind: object) -> None:
    """The grammar nests."""
    assert parse(text) == kind


def test_a_text_that_is_no_type_is_refused() -> None:
    """A new kind of type in a later datamodel must not pass unseen."""
    with pytest.raises(ValueError, match="not a type"):
        parse("VM reference")


def test_relations_name_fields_of_fitting_types() -> None:
    """A reference of one class, a set of references of the other."""
    for cls, fields in RELATIONS.items():
        for field, back in fields.items():
            assert MODEL.classes[cls].fields[field].type == Ref(back.cls)
            assert MODEL.classes[back.cls].fields[back.field].type == SetOf(Ref(cls))


def test_every_default_has_the_type_of_its_field() -> None:
    """Texts of the datamodel become values."""
    kinds = {"string": str, "int": int, "float": float, "bool": bool, "datetime": str}
    for cls in MODEL.classes.values():
        for field in cls.fields.values():
            value = datamodel.default_of(field, MODEL.enums)
            match field.type:
                case Basic(name):
                    assert type(value) is kinds[name], (cls.name, field.name)
                case Enum(name):
                    assert value in MODEL.enums[name], (cls.name, field.name)


def test_vm_create_has_the_mandatory_members_of_the_contract() -> None:
    """Those that real pools refuse to do without."""
    mandatory = {field.name for field in MODEL.classes["VM"].fields.values() if field.mandatory}
    assert {"memory_static_max", "HVM_boot_params", "recommendations", "PCI_bus"} <= mandatory
    assert not {"name_label", "has_vendor_device", "NVRAM", "uuid"} & mandatory


def test_methods_have_two_spellings() -> None:
    """A dot or an underscore after the class."""
    assert MODEL.spellings["VM_start"] == MODEL.spellings["VM.start"] == "VM.start"
    assert MODEL.spellings["VM_metrics_get_record"] == "VM_metrics.get_record"
