"""Which BIOS strings are a VM's own."""

import pytest

from xo_warmig.model.bios_strings import own_bios_strings, settable_there, standing_in

GENERIC = {
    "bios-vendor": "Xen",
    "bios-version": "",
    "system-manufacturer": "Xen",
    "system-product-name": "HVM domU",
    "system-serial-number": "",
    "hp-rombios": "",
    "oem-1": "Xen",
    "oem-2": "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d",
}


def test_generic_ones_are_nobody_s() -> None:
    """Every VM gets them by itself at its first start; one that never started has none at all."""
    assert own_bios_strings(GENERIC) == ({}, [])
    assert own_bios_strings({}) == ({}, [])


@pytest.mark.parametrize("key", ["system-serial-number", "baseboard-asset-tag", "enclosure-asset-tag"])
def test_a_single_one_of_its_own_counts(key: str) -> None:
    """Whatever vendor and product are: XAPI fills in what is not set."""
    assert own_bios_strings(GENERIC | {key: "42"}) == ({key: "42"}, [])


def test_what_no_pool_lets_one_set_is_named() -> None:
    """Keys that only hosts have, and values that XAPI refuses."""
    strings = {
        "bios-vendor": "Dell Inc.",
        "system-version": "",
        "system-serial-number": "\u00fc",
        "oem-1": "Dell System",
        "oem-2": "1[0578]",
        "hp-rombios": "y",
        "enclosure-asset-tag": "z" * 513,
    }
    own = own_bios_strings(strings)
    assert own.settable == {"bios-vendor": "Dell Inc."}
    assert own.fixed == ["enclosure-asset-tag", "hp-rombios", "oem-1", "oem-2", "system-serial-number"]


@pytest.mark.parametrize(
    ("api", "keys"),
    [
        ((2, 7), set()),
        ((2, 8), {"system-version"}),
        ((2, 12), {"system-version"}),
        ((2, 14), {"system-version", "baseboard-version"}),
    ],
)
def test_a_pool_is_given_what_it_knows(api: tuple[int, int], keys: set[str]) -> None:
    """It refuses all for one."""
    assert settable_there({"system-version": "1", "baseboard-version": "2"}, api).keys() == keys


def test_a_host_stands_in_by_its_maker() -> None:
    """Not by a generic VM's, which has none."""
    dell, hp = ({"bios-vendor": maker, "system-manufacturer": maker} for maker in ("Dell Inc.", "HP"))
    own = dell | {"system-product-name": "R640"}
    assert standing_in(own, {"a": hp, "b": dell, "c": own}) == "c"
    assert standing_in(own, {"b": dell, "a": dell}) == "a"
    assert standing_in(own, {"a": hp}) is None
    assert standing_in({"system-serial-number": "42"}, {"a": {}, "b": dell}) is None
