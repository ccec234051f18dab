"""What a new pool has before it has VMs: hosts with their control domains, drivers, storage repositories, networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes

from xo_warmig.simulator import host_facts, tls
from xo_warmig.simulator.calls import operations
from xo_warmig.simulator.calls.images import PREFERRED, has_qcow2
from xo_warmig.simulator.clock import now, stamp
from xo_warmig.simulator.database import NULL
from xo_warmig.simulator.pool import SimPool
from xo_warmig.simulator.release import at_least
from xo_warmig.simulator.site import GIB, PoolConfig
from xo_warmig.simulator.storage.index import QCOW2, RAW, VHD
from xo_warmig.simulator.world_vms import build_vm

DOM0_BYTES = 2 * GIB
_SHARED = frozenset({"nfs", "smb", "lvmoiscsi"})

_FILE_FEATURES = [
    "SR_PROBE",
    "SR_UPDATE",
    "THIN_PROVISIONING",
    "VDI_ACTIVATE",
    "VDI_ATTACH",
    "VDI_CLONE",
    "VDI_CONFIG_CBT",
    "VDI_CREATE",
    "VDI_DEACTIVATE",
    "VDI_DELETE",
    "VDI_DETACH",
    "VDI_GENERATE_CONFIG",
    "VDI_MIRROR",
    "VDI_READ_CACHING",
    "VDI_RESET_ON_BOOT",
    "VDI_RESIZE",
    "VDI_SNAPSHOT",
    "VDI_UPDATE",
]
_LVM_FEATURES = [*(feature for feature in _FILE_FEATURES if feature != "THIN_PROVISIONING"), "SR_METADATA", "SR_TRIM"]
_ISO_FEATURES = ["SR_ATTACH", "SR_DETACH", "SR_SCAN", "VDI_ATTACH", "VDI_CREATE", "VDI_DELETE", "VDI_DETACH"]

_DRIVERS: Mapping[str, tuple[str, str, list[str]]] = {
    "ext": (
        "Local EXT VHD",
        "SR plugin which represents disks as VHD files stored on a local EXT filesystem",
        _FILE_FEATURES,
    ),
    "nfs": ("NFS VHD", "SR plugin which stores disks as VHD files on a remote NFS filesystem", _FILE_FEATURES),
    "file": ("Local Path VHD", "SR plugin which represents disks as VHD files stored on a local path", _FILE_FEATURES),
    "lvm": (
        "Local VHD on LVM",
        "SR plugin which represents disks as VHD disks on a local LVM volume group",
        _LVM_FEATURES,
    ),
    "lvmoiscsi": (
        "VHD over iSCSI",
        "SR plugin which represents disks as VHDs on logical volumes within a volume group on an iSCSI target",
        _LVM_FEATURES,
    ),
    "iso": ("ISO", "Handles CD images stored as files in iso format", _ISO_FEATURES),
}


def build(pool: SimPool) -> None:
    """Fills an empty pool with everything that its configuration asks for."""
    db, config = pool.db, pool.config
    master = f"OpaqueRef:{db.new_uuid()}"
    db.create("pool", name_label=config.name, master=master, **_pool_fields(config))
    hosts = [_host(pool, position, master if position == 0 else "") for position in range(config.hosts)]
    pool.tasks.host = master
    _drivers(pool)
    srs = _storage(pool, hosts)
    db.set("pool", pool.pool_ref, default_SR=srs[0], suspend_image_SR=srs[0], crash_dump_SR=srs[0])
    _networks(pool, hosts)
    operations.refresh_all(db)
    with pool.space.counted_at_the_end():
        for vm in config.vms:
            build_vm(pool, vm)
    operations.refresh_all(db)


def _pool_fields(config: PoolConfig) -> dict[str, Any]:
    vendor, words = config.cpu_vendor, host_facts.features(config.cpu_vendor)
    return {
        "restrictions": host_facts.restrictions(config.release) | config.restrictions,
        "ha_cluster_stack": "xhad",
        "cpu_info": {
            "vendor": vendor,
            "cpu_count": str(host_facts.CPU_COUNT),
            "socket_count": "1",
            "features_hvm_host": words,
            "features_pv_host": words,
        },
        "other_config": {"memory-ratio-hvm": "0.25", "memory-ratio-pv": "0.25"},
        "coordinator_bias": True,
        "migration_compression": False,
        "ha_reboot_vm_on_internal_shutdown": True,
    }


def _host(pool: SimPool, position: int, ref: str) -> str:
    """A host with its processor, metrics, certificate and control domain."""
    db, config = pool.db, pool.config
    ref, dom0 = ref or f"OpaqueRef:{db.new_uuid()}", f"OpaqueRef:{db.new_uuid()}"
    name, address = f"{config.name}-host-{position}", config.addresses[position]
    metrics = db.create(
        "host_metrics",
        memory_total=config.host_memory_bytes,
        memory_free=config.host_memory_bytes,
        live=True,
        last_updated=now(),
    )
    major, minor = host_facts.api_version(config.release)
    db.create(
        "host",
        ref=ref,
        name_label=name,
        name_description="Default install",
        hostname=name,
        address=address,
        metrics=metrics,
        control_domain=dom0,
        enabled=True,
        memory_overhead=1 * GIB,
        API_version_major=major,
        API_version_minor=minor,
        API_version_vendor="XenSource",
        software_version={**host_facts.software_version(config.release), "hostname": name},
        capabilities=host_facts.CAPABILITIES,
        cpu_info=host_facts.cpu_info(config.cpu_vendor, config.release),
        sched_policy="credit",
        supported_bootloaders=["pygrub", "eliloader"],
        license_params=host_facts.restrictions(config.release) | config.restrictions,
        edition=host_facts.edition(config.release),
        editions=[host_facts.edition(config.release)],
        chipset_info={"iommu": "true"},
        virtual_hardware_platform_versions=[0, 1, 2],
        other_config={"agent_start_time": "0.", "boot_time": "0.", "iscsi_iqn": f"iqn.2026-01.local.{name}"},
        bios_strings={"bios-vendor": "", "oem-1": "Xen", "hp-rombios": "", **config.host_bios_strings},
        ssh_enabled=True,
        timezone="Etc/UTC",
    )
    for number in range(host_facts.CPU_COUNT):
        db.create("host_cpu", host=ref, **host_facts.host_cpu(config.cpu_vendor, number))
    _certificate(pool, ref, address)
    _control_domain(pool, ref, dom0, name)
    return ref


def _certificate(pool: SimPool, host: str, address: str) -> None:
    """The record of the host's own certificate."""
    certificate = tls.load_certificate(tls.certificate_file(pool.directory, address, pool.release))
    sha256 = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    sha1 = certificate.fingerprint(hashes.SHA1()).hex(":").upper()
    pool.db.create(
        "Certificate",
        type="host",
        host=host,
        not_before=stamp(certificate.not_valid_before_utc.timestamp()),
        not_after=stamp(certificate.not_valid_after_utc.timestamp()),
        fingerprint=sha256,
        fingerprint_sha256=sha256,
        fingerprint_sha1=sha1,
    )


def _control_domain(pool: SimPool, host: str, ref: str, host_name: str) -> None:
    db = pool.db
    metrics = db.create("VM_metrics", memory_actual=DOM0_BYTES, VCPUs_number=2, current_domain_type="pv")
    sizes = ("memory_target", "memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min")
    db.create(
        "VM",
        ref=ref,
        name_label=f"Control domain on host: {host_name}",
        name_description="The domain which manages physical devices and manages other domains",
        power_state="Running",
        is_control_domain=True,
        domid=0,
        domain_type="pv",
        domarch="x64",
        user_version=1,
        VCPUs_max=2,
        VCPUs_at_startup=2,
        memory_overhead=20 << 20,
        actions_after_shutdown="destroy",
        actions_after_reboot="destroy",
        actions_after_crash="destroy",
        resident_on=host,
        affinity=host,
        metrics=metrics,
        other_config={"storage_driver_domain": NULL, "is_system_domain": "true"},
        **dict.fromkeys(sizes, DOM0_BYTES),
    )


def _drivers(pool: SimPool) -> None:
    """A storage driver's record for each type of repository."""
    for kind, (name, description, can) in _DRIVERS.items():
        features = [each for each in can if each != "VDI_CONFIG_CBT" or at_least(pool.release, "7.6")]  # came with 7.3
        versions = {feature: 2 if feature == "VDI_RESET_ON_BOOT" else 1 for feature in features}
        pool.db.create(
            "SM",
            type=kind,
            name_label=name,
            name_description=description,
            vendor="Citrix Systems Inc",
            copyright="(C) 2008 Citrix Systems Inc",
            version="1.0",
            required_api_version="1.0",
            capabilities=sorted(features),
            features=versions,
            supported_image_formats=[VHD, QCOW2, RAW] if has_qcow2(pool) and kind != "iso" else [],
            driver_filename=f"/opt/xensource/sm/{kind.upper()}SR",
        )


def _storage(pool: SimPool, hosts: list[str]) -> list[str]:
    """Two repositories for disks on the master, one on each other host, one for ISO images. The first is the default one."""
    kind, master = pool.config.sr_type, hosts[:1]
    where = hosts if kind in _SHARED else master
    second = pool.config.second_sr_type or kind
    formats = pool.config.image_formats
    second_formats = pool.config.second_image_formats or formats
    srs = [
        _sr(pool, "Local storage", kind, where, formats=formats),
        _sr(pool, "Second storage", second, hosts if second in _SHARED else master, formats=second_formats),
    ]
    if kind not in _SHARED:
        for n, host in enumerate(hosts[1:], 1):
            srs.append(_sr(pool, f"Local storage on host {n}", kind, [host], formats=formats))
    _sr(pool, "ISO library", "iso", hosts, content_type="iso", size=GIB)
    return srs


def _sr(
    pool: SimPool,
    name: str,
    kind: str,
    hosts: list[str],
    *,
    content_type: str = "user",
    size: int | None = None,
    formats: Sequence[str] = (),
) -> str:
    """A repository and what connects it to these hosts. ``formats``: those it makes disks in, where anybody chose."""
    db = pool.db
    sr = db.create(
        "SR",
        name_label=name,
        type=kind,
        content_type=content_type,
        shared=kind in _SHARED or kind == "iso",
        physical_size=pool.config.sr_size_bytes if size is None else size,
        other_config={"i18n-key": "local-storage"} if kind == "ext" else {},
        sm_config=_sm_config(pool, kind),
    )
    uuid = db.row("SR", sr)["uuid"]
    for host in hosts:
        device = (
            {"location": f"/run/sr-mount/{uuid}"} if kind != "ext" else {"device": f"/dev/disk/by-id/simulated-{uuid}"}
        )
        chosen = {PREFERRED: ",".join(formats)} if has_qcow2(pool) and formats else {}
        db.create("PBD", host=host, SR=sr, device_config=device | chosen, currently_attached=True)
    return sr


def _sm_config(pool: SimPool, kind: str) -> dict[str, str]:
    """Volume groups that were never upgraded to VHD, which older hosts still have, lack the key that says so."""
    if not kind.startswith("lvm"):
        return {}
    return {"allocation": "thick"} | ({"use_vhd": "true"} if pool.config.lvm_vhd else {})


def _networks(pool: SimPool, hosts: list[str]) -> None:
    """The network of eth0, which has the same name on every pool, and the one inside each host."""
    db = pool.db
    network = db.create(
        "network",
        name_label="Pool-wide network associated with eth0",
        bridge="xenbr0",
        MTU=1500,
        managed=True,
        purpose=[pool.config.nbd_purpose] if pool.config.nbd_purpose else [],
    )
    for position, host in enumerate(hosts):
        metrics = db.create(
            "PIF_metrics", carrier=True, speed=10000, duplex=True, device_name="Simulated", last_updated=now()
        )
        db.create(
            "PIF",
            device="eth0",
            network=network,
            host=host,
            MAC=f"02:51:{pool.seed % 256:02x}:00:00:{position + 1:02x}",
            MTU=1500,
            VLAN=-1,
            metrics=metrics,
            physical=True,
            currently_attached=True,
            ip_configuration_mode="Static",
            IP=pool.config.addresses[position],
            netmask="255.0.0.0",
            management=True,
            managed=True,
            properties={"gro": "on"},
        )
    db.create(
        "network",
        name_label="Host internal management network",
        name_description="Network on which guests will be assigned a private link-local IP address which can be used to talk XenAPI",
        bridge="xenapi",
        managed=True,
        other_config={
            "is_guest_installer_network": "true",
            "is_host_internal_management_network": "true",
            "ip_begin": "169.254.0.1",
            "ip_end": "169.254.255.254",
            "netmask": "255.255.0.0",
        },
    )
