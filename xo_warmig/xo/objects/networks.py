"""Networking: network, PIF and VIF."""

from msgspec import UNSET

from xo_warmig.xo.numbers import number
from xo_warmig.xo.objects.records import Record, exists
from xo_warmig.xo.objects.subject import Subject, XoObject, link, links


def network(of: Subject) -> XoObject:
    """A network of the pool; the purposes are younger than the class."""
    purpose = of.record.get("purpose")
    return {
        "automatic": of.map("other_config").get("automatic") == "true",
        "bridge": of.field("bridge"),
        "current_operations": of.map("current_operations"),
        "defaultIsLocked": of.record.get("default_locking_mode") == "disabled",
        "MTU": of.number("MTU"),
        "name_description": of.field("name_description"),
        "name_label": of.field("name_label"),
        "other_config": of.map("other_config"),
        "tags": of.items("tags"),
        "PIFs": of.links("PIFs", "PIF"),
        "VIFs": of.links("VIFs", "VIF"),
        "nbd": UNSET if purpose is None else "nbd" in purpose,
        "insecureNbd": UNSET if purpose is None else "insecure_nbd" in purpose,
        "isBonded": any(_is_bonded(pif) for pif in of.every("PIFs", "PIF")),
    }


def pif(of: Subject) -> XoObject:
    """A network interface of a host."""
    metrics = of.of("metrics", "PIF_metrics")
    return {
        "type": "PIF",
        "attached": of.flag("currently_attached"),
        **_bond(of),
        "device": of.field("device"),
        "deviceName": UNSET if metrics is None else metrics["device_name"],
        "dns": of.field("DNS"),
        "disallowUnplug": of.flag("disallow_unplug"),
        "gateway": of.field("gateway"),
        "ip": of.field("IP"),
        "ipv6": of.field("IPv6"),
        "mac": of.field("MAC"),
        "management": of.flag("management"),
        "carrier": metrics is not None and bool(metrics["carrier"]),
        "mode": of.field("ip_configuration_mode"),
        "ipv6Mode": of.field("ipv6_configuration_mode"),
        "mtu": of.number("MTU"),
        "netmask": of.field("netmask"),
        "physical": of.flag("physical"),
        "primaryAddressType": of.field("primary_address_type"),
        "vlan": of.number("VLAN"),
        "speed": UNSET if metrics is None else number(metrics["speed"]),
        "$host": of.link("host", "host"),
        "$network": of.link("network", "network"),
    }


def vif(of: Subject) -> XoObject:
    """A network interface of a VM."""
    return {
        "type": "VIF",
        "allowedIpv4Addresses": of.items("ipv4_allowed"),
        "allowedIpv6Addresses": of.items("ipv6_allowed"),
        "attached": of.flag("currently_attached"),
        "device": of.field("device"),
        "lockingMode": of.field("locking_mode"),
        "MAC": of.field("MAC"),
        "MTU": of.number("MTU"),
        "other_config": of.map("other_config"),
        "txChecksumming": of.map("other_config").get("ethtool-tx") not in ("false", "off"),
        "rateLimit": _rate_limit(of),
        "$network": of.link("network", "network"),
        "$VM": of.link("VM", "VM"),
    }


def _is_bonded(pif: Record) -> bool:
    return bool(pif.get("bond_master_of")) or exists(pif.get("bond_slave_of"))


def _bond(of: Subject) -> XoObject:
    """What the PIF has to do with bonds. XAPI has a list of those that it stands for, of which there is never a second."""
    masters, slave = of.items("bond_master_of"), exists(of.record.get("bond_slave_of"))
    bond = of.pool.get("Bond", masters[0] if masters else of.record.get("bond_slave_of")) or {}
    return {
        "isBondMaster": bool(masters),
        "isBondSlave": slave,
        "bondMaster": link(of.pool, "PIF", bond.get("master")) if slave else UNSET,
        "bondSlaves": links(of.pool, "PIF", bond["slaves"]) if masters and bond else UNSET,
    }


def _rate_limit(of: Subject) -> object:
    """kB/s."""
    kbps = of.map("qos_algorithm_params").get("kbps")
    return UNSET if of.record.get("qos_algorithm_type") != "ratelimit" or kbps is None else number(kbps)
