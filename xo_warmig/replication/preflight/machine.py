"""What the guest finds of the machine that it runs in, and what of that the target's pool builds otherwise, or not at all.

After ocaml/xapi/vm_platform.ml (sanity_check) and ocaml/xapi/xapi_vm.ml (start) of xapi.
"""

from collections.abc import Iterator

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.api_versions import OF_7_0, OF_7_4, OF_8_0, OF_8_1, OF_8_3
from xo_warmig.model.bios_strings import SETTABLE_SINCE, settable_there, standing_in
from xo_warmig.model.pools import Host, PoolFacts
from xo_warmig.model.reports import Note, Warning_
from xo_warmig.model.vm import Build, Vm
from xo_warmig.replication.preflight.surroundings import Found, Surroundings


def of_machine(vm: Vm, around: Surroundings) -> Iterator[Found]:
    """Errors first."""
    source, target = around.source_facts, around.target_facts
    yield from _topology_errors(vm.build, target.api_version)
    yield from _of_kind(vm.build, target)
    yield from _of_secure_boot(vm.build, source, target)
    yield from _of_bios_strings(vm.build, target)
    yield from _of_device_model(vm.build, source, target)


def _topology_errors(build: Build, release: tuple[int, int] | None) -> Iterator[InvalidRequest]:
    """XAPI looks at it in ``VM.start`` alone, since 7.0, and not for paravirtual guests."""
    if (
        build.domain_type == "pv"
        or release is None
        or release < OF_7_0
        or not build.cores_per_socket
        or not build.vcpus
    ):
        return
    cores = int(build.cores_per_socket) if build.cores_per_socket.isdecimal() else 0
    if cores < 1 or build.vcpus % cores:
        yield InvalidRequest(
            f"the VM has {build.vcpus} virtual processors at {build.cores_per_socket} cores a socket, which do not come out even: the "
            "target's release does not start it",
            code="VCPU_TOPOLOGY",
            evidence={
                "instancePath": "/vm",
                "VCPUs_max": build.vcpus,
                "cores_per_socket": build.cores_per_socket,
            },
            remedy="set cores-per-socket in the VM's platform to a divisor of VCPUs_max; it may run meanwhile, and finds that out when it "
            "starts next",
        )


def _of_kind(build: Build, target: PoolFacts) -> Iterator[Found]:
    """HVM, PV and what is between; before 7.4 XAPI knows the first two only, and tells them apart by the boot policy."""
    release, name = target.api_version, target.product or "the target"
    if release is None:
        return
    if build.domain_type == "pvh" and release < OF_8_1:
        yield InvalidRequest(
            f"the VM's guest boots as PVH, which {name} does not have: 8.1 is the first release with it",
            code="PVH_NOT_SUPPORTED",
            evidence={"instancePath": "/sr", "actual": target.product, "api": list(release)},
            remedy="choose an SR of a newer pool, or convert the VM to HVM first",
        )
    if build.domain_type == "pv_in_pvh" and release < OF_7_4:
        yield Warning_(
            code="PV_WITHOUT_PVH",
            message=f"the VM's guest is paravirtualised within PVH, which {name} does not have: it is started as plain PV there, by the "
            "same kernel and without what PVH guards against",
            evidence={"actual": target.product, "api": list(release)},
        )
    if build.domain_type == "pv" and release >= OF_8_3:
        yield Warning_(
            code="PV_GUEST",
            message=f"the VM is paravirtualised, which {name} supports no more: a guest of 32 bits does not boot",
            remedy="convert it to HVM first",
        )


def _of_secure_boot(build: Build, source: PoolFacts, target: PoolFacts) -> Iterator[Warning_]:
    """``auto`` is settled at each start: whether the pool has certificates then."""
    remedy = "install the pool's secure boot certificates (secureboot-certs install) before the cutover"
    if build.secure_boot and target.certificates is False:
        yield Warning_(
            code="NO_SECURE_BOOT_CERTIFICATES",
            message="the VM boots securely, and the target's pool has no certificates for that: the target may not boot",
            remedy=remedy,
        )
    if not build.secure_boot_auto or build.firmware != "uefi" or target.certificates is None:
        return
    if source.certificates is not None and source.certificates != target.certificates:
        yield Warning_(
            code="SECURE_BOOT_CHANGES",
            message="the VM's secure boot goes by the pool's certificates (platform:secureboot is auto): the source's pool has "
            f"{'some' if source.certificates else 'none'} and the target's has {'some' if target.certificates else 'none'}, so the target "
            f"boots {'securely, which an unsigned system does not survive' if target.certificates else 'without it'}",
            evidence={"source": source.certificates, "target": target.certificates},
            remedy="set secureboot in the VM's platform to true or false" if target.certificates else remedy,
        )


def _of_bios_strings(build: Build, target: PoolFacts) -> Iterator[Warning_]:
    """What is lost of them, by key; and who lends its own, which XAPI makes the VM's home."""
    if target.api_version is None:
        return
    lender = _lender(build, target, target.api_version)
    lost = _lost_strings(build, target.api_version, lender)
    if lender is not None:
        yield Note(
            code="BIOS_STRINGS_LENT",
            message=f"nobody can set BIOS strings on the target's release, so host {lender.name_label!r}, of the same maker as the VM's, "
            "lends its own, and is where the target starts if it can",
            evidence={"host": lender.uuid},
        )
    if lost:
        instead = f"host {lender.name_label!r} lends its own" if lender else "the target has what every VM has"
        yield Warning_(
            code="BIOS_STRINGS_LOST",
            message=f"BIOS strings of the VM do not travel ({', '.join(lost)}): {instead}; what reads them in the guest, as cloud-init "
            "does the serial number and some licences the maker, finds others",
            evidence={"lost": lost, "host": lender.uuid if lender else None},
            remedy="see what in the guest reads them; pools of release 7.3 and later can be given all but those of the baseboard, which "
            "8.1 brought, oem and hp-rombios",
        )


def _lender(build: Build, target: PoolFacts, release: tuple[int, int]) -> Host | None:
    if release >= SETTABLE_SINCE:
        return None
    uuid = standing_in(build.bios_strings, {host.uuid: host.bios_strings for host in target.hosts})
    return next((host for host in target.hosts if host.uuid == uuid), None)


def _lost_strings(build: Build, release: tuple[int, int], lender: Host | None) -> list[str]:
    """Keys of those that the target will not have as they are."""
    own = build.bios_strings
    if lender is not None:
        lent = lender.bios_strings
        lost = {key for key, text in own.items() if lent.get(key) != text} | set(build.fixed_bios_strings) - lent.keys()
    else:
        lost = own.keys() - settable_there(own, release).keys() | set(build.fixed_bios_strings)
    return sorted(lost)


def _of_device_model(build: Build, source: PoolFacts, target: PoolFacts) -> Iterator[Note]:
    """Pools before 8.0 run HVM guests by the old one, whether they name it or not; later ones replace it at the start."""
    if build.domain_type != "hvm" or source.api_version is None or target.api_version is None:
        return
    traditional = build.device_model.startswith("qemu-trad") or not build.device_model
    if traditional and source.api_version < OF_8_0 <= target.api_version:
        yield Note(
            code="DEVICE_MODEL_REPLACED",
            message="the target emulates devices by another program (qemu-upstream-compat for qemu-trad), made to look the same: a guest "
            "may still name some of them anew at its first start",
            evidence={"device_model": build.device_model},
        )
