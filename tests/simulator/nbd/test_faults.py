"""What can go wrong on purpose, and how slow a wire can be."""

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.bandwidth import Bandwidth
from xo_warmig.simulator.faults import FaultKind, FaultOrder
from xo_warmig.simulator.nbd.requests import Requests

MIB = 1 << 20


def test_a_cut_breaks_off_in_the_middle_of_an_answer(served: Any) -> None:
    """At that byte of the data, once; the next connection is whole."""
    served.pool.faults.add(FaultOrder(kind=FaultKind.CUT, match="nbd_read", at=MIB + 1000))
    client = served.open()
    assert client.read(0, MIB) == bytes(MIB)
    client.ask(0, 0, MIB)
    with pytest.raises((EOFError, ConnectionResetError)):
        client.take(MIB)
    served.ended(1)
    client = served.open()
    assert client.read(0, 2 * MIB) == bytes(2 * MIB)
    client.ask(2)
    assert client.is_closed()
    assert served.trace() == [(served.uuid(), MIB + 1000, "CUT"), (served.uuid(), 2 * MIB, None)]


@pytest.mark.parametrize("tls", [False, True])
def test_a_byte_is_corrupted(serve: Callable[..., Any], tls: bool) -> None:
    """That one, and by the disk's name only on that disk."""
    served = serve(nbd_purpose="nbd" if tls else "insecure_nbd")
    other = served.disk()
    served.pool.faults.add(FaultOrder(kind=FaultKind.CORRUPT, match=served.uuid(), at=70_000))

    def read(vdi: str) -> bytes:
        client = served.connect()
        client.greet()
        if tls:
            client.start_tls()
        client.export(served.name(vdi))
        return bytes(client.read(0, MIB))

    assert read(other) == bytes(MIB)
    assert read(served.vdi) == bytes(70_000) + b"\xff" + bytes(MIB - 70_001)
    assert read(served.vdi) == bytes(MIB)


@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.CUT, FaultKind.FULL])
def test_a_failure_at_the_start_is_an_export_that_is_not_there(served: Any, kind: FaultKind) -> None:
    """The connection ends where the export would be described."""
    served.pool.faults.add(FaultOrder(kind=kind, match="nbd_read", error=("VDI_NOT_AVAILABLE", "x")))
    client = served.connect()
    client.greet()
    with pytest.raises((EOFError, ConnectionResetError)):
        client.export(served.name())
    (entry,) = served.ended(1)
    assert served.vbds() == []
    assert entry[1:] == (0, {"fail": "VDI_NOT_AVAILABLE", "cut": "CUT", "full": "OSError"}[kind])


def test_a_delay_is_only_that(served: Any) -> None:
    """Before the byte it stands at."""
    served.pool.faults.add(FaultOrder(kind=FaultKind.DELAY, match="nbd_read", at=512, seconds=0.2))
    client = served.open()
    assert client.read(0, 512) == bytes(512)
    begun = time.monotonic()
    assert client.read(0, 512) == bytes(512)
    assert time.monotonic() - begun >= 0.19


def test_what_hangs_goes_on_when_the_fault_is_removed(served: Any) -> None:
    """Not before."""
    served.pool.faults.add(FaultOrder(kind=FaultKind.HANG, match="nbd_read", at=0))
    client = served.connect()
    client.greet()
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.export(served.name())
    client.socket.settimeout(20)
    served.pool.faults.clear()
    assert len(client.take(134)) == 134


def test_the_bandwidth_is_shared(served: Any) -> None:
    """By the data of all answers."""
    served.pool.bandwidth = Bandwidth(8 * MIB)
    client = served.open()
    begun = time.monotonic()
    client.read(0, 2 * MIB)
    assert 0.2 < time.monotonic() - begun < 2


def test_latency_is_added_once_to_what_is_under_way_together(serve: Callable[..., Any]) -> None:
    """Not to each answer in turn: bandwidth is as before. Alone, a question waits that long."""
    served, count = serve(latency_seconds=0.1), 20
    client = served.open()
    begun = time.monotonic()
    client.read(0, 65536)
    assert 0.1 <= time.monotonic() - begun < 0.19
    begun = time.monotonic()
    for number in range(count):
        client.ask(0, number * 65536, 65536, number)
    for number in range(count):
        assert client.answer() == (0, number)
        assert time.monotonic() - begun >= 0.1
        client.take(65536)
    assert time.monotonic() - begun < 0.5


def test_the_time_of_a_question_runs_while_others_are_answered() -> None:
    """So whoever keeps enough under way gets all of the bandwidth."""
    server, client = socket.socketpair()
    question, latency = struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 512), 0.2
    with server, client:
        requests = iter(Requests(server, latency))
        client.sendall(question * 2)
        next(requests)
        client.sendall(question)  # while the first is answered
        next(requests)
        time.sleep(latency)  # the second is answered
        begun = time.monotonic()
        next(requests)
        assert time.monotonic() - begun < latency / 2


def test_latency_follows_each_question(serve: Callable[..., Any]) -> None:
    """Those that came later are answered later, also at the end of the connection and under TLS."""
    served = serve(latency_seconds=0.1, nbd_purpose="nbd")
    client = served.connect()
    begun = time.monotonic()
    client.greet()
    client.start_tls()
    client.export(served.name())
    assert time.monotonic() - begun >= 0.5  # greeting, STARTTLS, two of the handshake, export
    begun = time.monotonic()
    client.ask(0, 0, 512, 1)
    time.sleep(0.05)
    client.ask(0, 0, 512, 2)
    client.ask(2)
    for number, least in ((1, 0.1), (2, 0.15)):
        assert client.answer() == (0, number)
        client.take(512)
        assert time.monotonic() - begun >= least
    assert client.is_closed()
    assert time.monotonic() - begun < 1


def test_a_server_that_stops_breaks_its_connections(serve: Callable[..., Any]) -> None:
    """In clear and under TLS; their VBDs go."""
    for tls in (False, True):
        served = serve(directory=f"pool-{tls}", nbd_purpose="nbd" if tls else "insecure_nbd")
        client = served.connect()
        client.greet()
        if tls:
            client.start_tls()
        client.export(served.name())
        for listener in served.pool.listeners:
            listener.stop()
        assert client.is_closed()
        while served.vbds():
            time.sleep(0.01)
