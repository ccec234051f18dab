"""Pools."""

from msgspec import UNSET

from xo_warmig.xo.objects.host import cpus
from xo_warmig.xo.objects.subject import Subject, XoObject, link


def pool(of: Subject) -> XoObject:
    """A pool; one without a name goes by its master's."""
    master = of.pool.master
    restrictions = of.map("restrictions")
    return {
        "auto_poweron": of.map("other_config").get("auto_poweron") == "true",
        "crashDumpSr": of.link("crash_dump_SR", "SR"),
        "default_SR": of.link("default_SR", "SR"),
        "suspendSr": of.link("suspend_image_SR", "SR"),
        "master": of.link("master", "host"),
        "current_operations": of.map("current_operations"),
        "HA_enabled": of.flag("ha_enabled"),
        "haRebootVmOnInternalShutdown": of.record.get("ha_reboot_vm_on_internal_shutdown", True),
        "haSrs": [
            None if (sr := link(of.pool, "SR", vdi["SR"])) is UNSET else sr for vdi in of.every("ha_statefiles", "VDI")
        ],
        "tags": of.items("tags"),
        "name_description": of.field("name_description"),
        "name_label": of.record.get("name_label") or master.get("name_label", ""),
        "migrationCompression": of.field("migration_compression"),
        "otherConfig": of.map("other_config"),
        "cpus": cpus(of),
        "zstdSupported": restrictions.get("restrict_zstd_export") == "false",
        "vtpmSupported": restrictions.get("restrict_vtpm") == "false",
        "platform_version": master.get("software_version", {}).get("platform_version", UNSET),
    }
