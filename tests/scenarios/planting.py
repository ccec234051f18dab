"""How something is planted in the records of two pools: the hands on both, and what a plant is. What is planted is in plants."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.pools import XapiSession, control
from xo_warmig.model.units import MIB
from xo_warmig.simulator.launch import Pool
from xo_warmig.simulator.site import DiskConfig, GuestConfig, VmConfig

SECOND, ON_THE_MEMBER = 1, 2  # positions of SRs: the master's second one, and that of the other host
RUNNING = {"power_state": "Running"}


class Bench:
    """Both pools in the hands of whoever plants something there. Blocks."""

    def __init__(self, source: Pool, target: Pool) -> None:
        self.source, self.target = source, target
        self.here, self.there = XapiSession(source), XapiSession(target)
        self.uuids = {vm.name_label: vm.uuid for vm in source.vms}

    def vm(self, name: str) -> str:
        """Reference of a VM of the source."""
        return str(self.here.call("VM.get_by_uuid", self.uuids[name]))

    def disk(self, name: str) -> str:
        """Reference of its first disk."""
        for vbd in self.here.call("VM.get_VBDs", self.vm(name)):
            if self.here.call("VBD.get_type", vbd) == "Disk":
                return str(self.here.call("VBD.get_VDI", vbd))
        raise LookupError(name)

    def disk_uuid(self, name: str) -> str:
        return str(self.here.call("VDI.get_uuid", self.disk(name)))

    def vif(self, name: str, device: str = "0") -> str:
        """Reference of its interface at that position."""
        for vif in self.here.call("VM.get_VIFs", self.vm(name)):
            if self.here.call("VIF.get_device", vif) == device:
                return str(vif)
        raise LookupError(name)

    def vif_uuid(self, name: str) -> str:
        """Of its first one."""
        return str(self.here.call("VIF.get_uuid", self.vif(name)))

    def has(self, cls: str, uuid: str = "", *, pool: Pool | None = None, **fields: Any) -> str:
        """A record of the source says so; its reference."""
        order = {"class": cls, "fields": fields} | ({"uuid": uuid} if uuid else {})
        return str(control(pool or self.source, "record", **order)["ref"])

    def network(self, pool: Pool, name: str, **fields: Any) -> str:
        """A new network; its uuid."""
        session = self.here if pool is self.source else self.there
        record = {"name_label": name, "name_description": "", "other_config": {}, "MTU": "1500", "tags": []}
        ref = session.call("network.create", record | fields)
        return str(session.call("network.get_uuid", ref))

    def unplug(self, pool: Pool, sr: int, host: int) -> None:
        """An SR from a host, by their positions."""
        session = self.here if pool is self.source else self.there
        ref = session.call("SR.get_by_uuid", pool.srs[sr].uuid)
        where = session.call("host.get_by_uuid", pool.hosts[host].uuid)
        for pbd in session.call("SR.get_PBDs", ref):
            if session.call("PBD.get_host", pbd) == where:
                session.call("PBD.unplug", pbd)


class Plant(NamedTuple):
    """``codes`` that the plan of ``vm`` is to tell of. ``plant`` brings them about; ``asked`` gives what the request has besides."""

    codes: str
    vm: str = "plain"
    plant: Callable[[Bench], Any] = lambda bench: None
    asked: Callable[[Bench], Mapping[str, Any]] = lambda bench: {}


def vm(name: str, *disks: DiskConfig, **fields: Any) -> VmConfig:
    """A VM of little that writes nothing; halted unless told otherwise."""
    common: dict[str, Any] = {"power_state": "Halted", "memory_bytes": 128 * MIB, "guest": GuestConfig(kind="none")}
    return VmConfig(name_label=name, disks=list(disks) or [DiskConfig(size_bytes=8 * MIB)], **(common | fields))


def onto(position: int) -> Callable[[Bench], Mapping[str, Any]]:
    """To that SR of the target."""
    return lambda bench: {"sr": bench.target.srs[position].uuid}


def mapped(name: str, **network: Any) -> Callable[[Bench], Mapping[str, Any]]:
    """The VM's interface to a new network of the target."""
    return lambda bench: {"mapVifsNetworks": {bench.vif_uuid(name): bench.network(bench.target, "other", **network)}}
