"""VMs of all four kinds: VM, VM-controller, VM-snapshot and VM-template."""

import json
from typing import Any

from msgspec import UNSET, UnsetType

from xo_warmig.xo.objects.addresses import addresses, main_address
from xo_warmig.xo.objects.containers import docker
from xo_warmig.xo.objects.disks import host_of_sr
from xo_warmig.xo.objects.hardware import hardware
from xo_warmig.xo.objects.records import exists
from xo_warmig.xo.objects.subject import Subject, XoObject, link
from xo_warmig.xo.objects.templates import template
from xo_warmig.xo.objects.times import seconds
from xo_warmig.xo.objects.tools import tools, xen_tools
from xo_warmig.xo.objects.vulnerabilities import xsa_468


def vm(of: Subject) -> XoObject:
    """A VM. xo-server writes a missing ``cores-per-socket`` to the pool; here it stays missing."""
    return {
        **_identity(of),
        **hardware(of),
        **_settings(of),
        **_links(of),
        **_guest(of),
        **tools(of),
        **_by_kind(of),
    }


def _identity(of: Subject) -> XoObject:
    return {
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "power_state": of.field("power_state"),
        "tags": of.items("tags"),
        "other": of.map("other_config"),
        "notes": of.map("other_config").get("xo:notes", UNSET),
        "creation": _creation(of),
        "current_operations": {
            task: operation
            for ref, operation in of.map("current_operations").items()
            if (task := link(of.pool, "task", ref)) is not UNSET
        },
        "blockedOperations": of.map("blocked_operations"),
        "resourceSet": _json(of.map("other_config").get("xo:resource_set")),
    }


def _settings(of: Subject) -> XoObject:
    return {
        "auto_poweron": of.map("other_config").get("auto_poweron") == "true",
        "high_availability": of.field("ha_restart_priority"),
        "startDelay": of.number("start_delay"),
        "xenStoreData": of.map("xenstore_data"),
        "docker": docker(of),
    }


def _links(of: Subject) -> XoObject:
    vgpus = of.links("VGPUs", "VGPU")
    return {
        "affinityHost": of.link("affinity", "host"),
        "parent": of.link("parent", "VM"),
        "snapshots": of.links("snapshots", "VM"),
        "suspendSr": of.link("suspend_SR", "SR"),
        "VIFs": of.links("VIFs", "VIF"),
        "VTPMs": of.links("VTPMs", "VTPM"),
        "VGPUs": vgpus,
        "$VGPUs": vgpus,
        "$VBDs": of.links("VBDs", "VBD"),
        "$container": _container(of),
    }


def _guest(of: Subject) -> XoObject:
    guest = of.of("guest_metrics", "VM_guest_metrics")
    metrics = of.of("metrics", "VM_metrics")
    networks = {} if guest is None else guest["networks"]
    return {
        "addresses": addresses(networks),
        "mainIpAddress": main_address(networks),
        "os_version": None if guest is None else guest["os_version"],
        "installTime": UNSET if metrics is None else seconds(metrics.get("install_time")),
        "startTime": UNSET if metrics is None else seconds(metrics.get("start_time")),
        "xenTools": xen_tools(of),
    }


def _by_kind(of: Subject) -> XoObject:
    snapshot_of = of.link("snapshot_of", "VM")
    if of.flag("is_control_domain"):
        return {"type": "VM-controller"}
    if of.flag("is_a_snapshot") or snapshot_of is not UNSET:
        return {
            "type": "VM-snapshot",
            "snapshot_time": seconds(of.record.get("snapshot_time")),
            "$snapshot_of": snapshot_of,
            "suspendVdi": of.link("suspend_VDI", "VDI"),
        }
    if of.flag("is_a_template"):
        return template(of)
    guest = of.of("guest_metrics", "VM_guest_metrics")
    return {"type": "VM", "vulnerabilities": {"xsa468": xsa_468(of.record, guest)}}


def _container(of: Subject) -> str | UnsetType:
    """The host that it is on; else the one that alone has a disk of it; else the pool."""
    if exists(of.record.get("resident_on")):
        return of.link("resident_on", "host")
    for vbd in of.every("VBDs", "VBD"):
        vdi = of.pool.get("VDI", vbd["VDI"]) or {}
        sr = of.pool.get("SR", vdi.get("SR"))
        if sr is not None and not sr["shared"]:
            host = host_of_sr(of.pool, sr, instead=UNSET)
            if host is not UNSET:
                return host
    return of.pool.id


def _creation(of: Subject) -> Any:
    """Who made it and when, which xo-server wrote under the VM's own uuid: copies have it too, and it is not theirs."""
    data = _json(of.map("other_config").get(f"xo:{of.record['uuid'][:8]}"))
    return data.get("creation", UNSET) if isinstance(data, dict) else UNSET


def _json(text: str | None) -> Any:
    try:
        return UNSET if not text else json.loads(text)
    except ValueError:
        return UNSET
