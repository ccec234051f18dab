"""What only templates have."""

from typing import Any

from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.subject import Subject, XoObject, defined
from xo_warmig.xo.objects.xml_maps import as_list, within, xml_map


def template(of: Subject) -> XoObject:
    """Default templates have the same uuid on every pool, so that XO gives them an id with the pool's in it."""
    other_config = of.map("other_config")
    by_default = of.flag("is_default_template") or other_config.get("default_template") == "true"
    methods = other_config.get("install-methods")
    return {
        "type": "VM-template",
        "id": f"{of.pool.id}-{of.record['uuid']}" if by_default else of.id,
        "isDefaultTemplate": by_default,
        "CPUs": {"max": of.number("VCPUs_max"), "number": of.number("VCPUs_at_startup")},
        "template_info": defined(
            {
                "arch": other_config.get("install-arch", UNSET),
                "disks": [_disk(disk) for disk in _disks(other_config.get("disks")) if isinstance(disk, dict)],
                "install_methods": methods.split(",") if methods else [],
                "install_repository": other_config.get("install-repository", UNSET),
            }
        ),
    }


def _disks(xml: object) -> list[Any]:
    return as_list(within(xml_map(xml), "provision", "disk"))


def _disk(disk: dict[str, Any]) -> XoObject:
    return defined(
        {
            **{key: value for key, value in disk.items() if key != "sr"},
            "bootable": disk.get("bootable") == "true",
            "size": number(disk.get("size", UNSET)),
            "SR": disk.get("sr", UNSET),
        }
    )
