"""VTPMs and their contents."""

from typing import Any


def test_one_for_each_halted_vm(make: Any, client: Any, refused: Any) -> None:
    """A second one is refused, and so is one for a running VM."""
    vm, running = make.vm(), make.running()
    client("VTPM.create", vm, False)
    assert refused(client, "VTPM.create", vm, False) == ["VTPM_MAX_AMOUNT_REACHED", "1"]
    assert refused(client, "VTPM.create", running, False) == ["VM_BAD_POWER_STATE", running, "halted", "running"]


def test_contents_are_base64(make: Any, client: Any, refused: Any) -> None:
    """Anything else is an internal error, as on a real pool."""
    vtpm = client("VTPM.create", make.vm(), False)
    assert client("VTPM.get_contents", vtpm) == ""
    client("VTPM.set_contents", vtpm, "c3RhdGU=")
    assert client("VTPM.get_contents", vtpm) == "c3RhdGU="
    assert refused(client, "VTPM.set_contents", vtpm, "***")[0] == "INTERNAL_ERROR"


def test_contents_go_with_the_vtpm(make: Any, client: Any) -> None:
    """And with its VM."""
    before = make.pool.db.count("secret")
    client("VTPM.destroy", client("VTPM.create", make.vm(), False))
    vm = make.vm()
    client("VTPM.create", vm, False)
    client("VM.destroy", vm)
    assert make.pool.db.count("secret") == before


def test_a_licence_may_forbid_it(make: Any, client: Any, refused: Any) -> None:
    """FEATURE_RESTRICTED names the restriction."""
    make.pool.db.update_map("pool", make.pool.pool_ref, "restrictions", restrict_vtpm="true")
    assert refused(client, "VTPM.create", make.vm(), False) == ["FEATURE_RESTRICTED", "restrict_vtpm"]
