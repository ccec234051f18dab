"""Where a disk can be read by NBD, as clients are told."""

from typing import Any

from cryptography import x509


def test_without_a_purpose_there_is_no_nbd(make: Any, client: Any) -> None:
    """Which is no error."""
    assert client("VDI.get_nbd_info", make.vdi()) == []


def test_every_address_on_a_network_for_nbd_is_told(make: Any, client: Any) -> None:
    """With an export name that ends with the caller's session, and the certificate of the host."""
    client("network.add_purpose", make.network, "nbd")
    vdi = make.vdi()
    (info,) = client("VDI.get_nbd_info", vdi)
    assert info["exportname"] == f"/{make.field('VDI', vdi, 'uuid')}?session_id={client.session}"
    assert (info["address"], info["port"], info["subject"]) == ("127.0.0.1", 10809, "pool-t-host-0")
    assert info["cert"] == client("host.get_server_certificate", make.pool.master)
    assert x509.load_pem_x509_certificate(info["cert"].encode())
    assert "PRIVATE" not in info["cert"]


def test_only_hosts_that_reach_the_disk_are_told(new_pool: Any, make_on: Any) -> None:
    """All of them for shared storage; and where each really listens."""
    addresses = ["127.0.0.1", "127.0.0.2"]
    local = make_on(new_pool("local", hosts=2, addresses=addresses, nbd_purpose="insecure_nbd"))
    shared = make_on(new_pool("shared", hosts=2, addresses=addresses, nbd_purpose="insecure_nbd", sr_type="nfs"))
    shared.pool.nbd_ports[shared.pool.db.refs("host")[1]] = 1234
    found = [
        [(info["address"], info["port"]) for info in make.client("VDI.get_nbd_info", make.vdi())]
        for make in (local, shared)
    ]
    assert found == [[("127.0.0.1", 10809)], [("127.0.0.1", 10809), ("127.0.0.2", 1234)]]


def test_an_interface_that_is_not_attached_does_not_count(make: Any, client: Any) -> None:
    """Nor one that has no address; one with two has both."""
    client("network.add_purpose", make.network, "insecure_nbd")
    vdi, (pif,) = make.vdi(), make.field("network", make.network, "PIFs")
    make.pool.db.set("PIF", pif, IPv6=["", "::1"])
    assert [info["address"] for info in client("VDI.get_nbd_info", vdi)] == ["127.0.0.1", "::1"]
    make.pool.db.set("PIF", pif, currently_attached=False)
    assert client("VDI.get_nbd_info", vdi) == []
