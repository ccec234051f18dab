"""The one-to-many relations of XAPI's datamodel: which reference field fills which set of the object that it points to.

Kept by the database; a client can only set the reference side. From ``all_relations`` of ocaml/idl/datamodel.ml, without those
whose reference side is internal to xapi.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple


class Back(NamedTuple):
    """The set that a reference fills: ``VM`` and ``VBDs`` for ``VBD.VM``."""

    cls: str
    field: str


_TABLE = """
Bond.master                 PIF.bond_master_of
Certificate.host            host.certificates
Cluster_host.cluster        Cluster.cluster_hosts
Driver_variant.driver       Host_driver.variants
Feature.host                host.features
PBD.SR                      SR.PBDs
PBD.host                    host.PBDs
PCI.host                    host.PCIs
PGPU.GPU_group              GPU_group.PGPUs
PGPU.host                   host.PGPUs
PIF.bond_slave_of           Bond.slaves
PIF.host                    host.PIFs
PIF.network                 network.PIFs
PUSB.USB_group              USB_group.PUSBs
PUSB.host                   host.PUSBs
PVS_cache_storage.site      PVS_site.cache_storage
PVS_proxy.site              PVS_site.proxies
PVS_server.site             PVS_site.servers
SR.introduced_by            DR_task.introduced_SRs
VBD.VDI                     VDI.VBDs
VBD.VM                      VM.VBDs
VDI.SR                      SR.VDIs
VDI.snapshot_of             VDI.snapshots
VGPU.GPU_group              GPU_group.VGPUs
VGPU.VM                     VM.VGPUs
VGPU.resident_on            PGPU.resident_VGPUs
VGPU.type                   VGPU_type.VGPUs
VIF.VM                      VM.VIFs
VIF.network                 network.VIFs
VLAN.tagged_PIF             PIF.VLAN_slave_of
VM.appliance                VM_appliance.VMs
VM.parent                   VM.children
VM.resident_on              host.resident_VMs
VM.snapshot_of              VM.snapshots
VM.snapshot_schedule        VMSS.VMs
VTPM.VM                     VM.VTPMs
VUSB.USB_group              USB_group.VUSBs
VUSB.VM                     VM.VUSBs
console.VM                  VM.consoles
crashdump.VDI               VDI.crash_dumps
crashdump.VM                VM.crash_dumps
host_cpu.host               host.host_CPUs
host_crashdump.host         host.crashdumps
host_patch.host             host.patches
host_patch.pool_patch       pool_patch.host_patches
network_sriov.logical_PIF   PIF.sriov_logical_PIF_of
network_sriov.physical_PIF  PIF.sriov_physical_PIF_of
task.subtask_of             task.subtasks
tunnel.access_PIF           PIF.tunnel_access_PIF_of
tunnel.transport_PIF        PIF.tunnel_transport_PIF_of
"""


def _read(table: str) -> Mapping[str, Mapping[str, Back]]:
    relations: dict[str, dict[str, Back]] = defaultdict(dict)
    for line in table.split("\n"):
        if line:
            (cls, field), (back_cls, back_field) = (side.split(".") for side in line.split())
            relations[cls][field] = Back(back_cls, back_field)
    return dict(relations)


RELATIONS: Mapping[str, Mapping[str, Back]] = _read(_TABLE)
"""Class of the reference, its field, and the set that it fills."""
