"""Docker's containers in a VM, as the xscontainer supplemental pack writes them down."""

from typing import Any

from msgspec import UNSET

from xo_warmig.xo.objects.subject import Subject, defined
from xo_warmig.xo.objects.xml_maps import as_list, within, xml_map


def docker(of: Subject) -> Any:
    """UNSET where the pack does not watch the VM."""
    other_config = of.map("other_config")
    monitor = other_config.get("xscontainer-monitor")
    if not monitor:
        return UNSET
    if monitor == "False":
        return {"enabled": False}
    process = _read(other_config, "docker_ps")
    return defined(
        {
            "enabled": True,
            "info": _read(other_config, "docker_info"),
            "containers": as_list(within(process, "item")),
            "process": process,
            "version": _read(other_config, "docker_version"),
        }
    )


def _read(other_config: Any, key: str) -> Any:
    return xml_map(other_config.get(key)).get(key, UNSET)
