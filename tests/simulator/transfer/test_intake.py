"""Imports, over a pair of sockets."""

import random
import struct
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.faults import FaultKind, FaultOrder
from xo_warmig.simulator.storage import BLOCK


def sparse(*pieces: tuple[int, bytes], end: bool = True) -> bytes:
    body = b"".join(struct.pack("<QI", offset, len(data)) + data for offset, data in pieces)
    return body + bytes(12) if end else body


def length(body: bytes | bytearray) -> dict[str, str]:
    return {"content-length": str(len(body))}


IO_ERROR = ["VDI_IO_ERROR", "Device I/O errors"]


def test_a_sparse_import_writes_just_its_pieces(client: Any) -> None:
    """In any order; the rest stays as it was. The result is the disk."""
    data = random.Random(1).randbytes(3 * BLOCK)
    client.write(0, b"old" * 1000)
    task = client.task()
    answer = client.put(sparse((4 * BLOCK - 512, data), (512, b"n" * 512)), chunked="1", task_id=task)
    assert answer.line == "HTTP/1.1 200 OK"
    assert answer.body == b""
    want = bytearray(8 * BLOCK)
    want[:3000] = b"old" * 1000
    want[512:1024] = b"n" * 512
    want[4 * BLOCK - 512 : 7 * BLOCK - 512] = data
    assert client.read() == bytes(want)
    assert (client.record(task)["status"], client.record(task)["result"]) == ("success", f"<value>{client.vdi}</value>")


def test_an_import_beside_one_that_ends(make_client: Callable[..., Any]) -> None:
    """As xo-server asks: first an empty PUT, to see where it is sent to, whose connection it drops; that one has the disk still."""
    client = make_client(delays=Delays({"attach": 0.2, "detach": 0.2}))
    with client.connect("PUT", length(b""), {"vdi": client.vdi, "format": "vhd"}) as probe:
        assert probe.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    task = client.task()
    client.put(sparse((0, b"n" * 512)), chunked="1", task_id=task)
    assert client.record(task)["status"] == "success"
    assert client.read()[:512] == b"n" * 512


def test_the_answer_comes_before_the_body_and_the_disk_is_held(client: Any) -> None:
    """So a target can be attached long before it is fed."""
    task = client.task()
    with client.connect("PUT", {}, {"vdi": client.vdi, "chunked": "1", "task_id": task}) as connection:
        head = connection.recv(4096).decode()
        assert head == (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n"
            f"task-id:{task}\r\ncontent-type:application/octet-stream\r\n\r\n"
        )
        end = time.monotonic() + 10
        while not client.pool.db.field("VDI", client.vdi, "VBDs"):
            assert time.monotonic() < end
        (vbd,) = client.pool.db.field("VDI", client.vdi, "VBDs")
        assert client.pool.db.field("VBD", vbd, "mode") == "RW"
        assert client.record(task)["status"] == "pending"
        connection.sendall(sparse((0, b"z" * 512)))
        assert connection.recv(4096) == b""
        assert client.record(task)["status"] == "success"
        client.join()
    assert client.read()[:512] == b"z" * 512
    assert client.pool.db.field("VDI", client.vdi, "VBDs") == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (sparse((0, b"x" * 512), end=False), "no end marker"),
        (sparse((100, b"x" * 512)), "unaligned offset"),
        (sparse((0, b"x" * 100)), "unaligned length"),
        (sparse((8 * BLOCK, b"x" * 512)), "beyond the end"),
        (struct.pack("<QI", 0, 0x80000000), "negative length"),
    ],
)
def test_a_bad_sparse_stream_is_an_io_error(client: Any, body: bytes, why: str) -> None:
    """Told as two messages in the body, and in the task."""
    task = client.task()
    with client.connect("PUT", {}, {"vdi": client.vdi, "chunked": "1", "task_id": task}) as connection:
        connection.sendall(body)
        connection.shutdown(1)
        text = b""
        while piece := connection.recv(65536):
            text += piece
        client.join()
    assert text.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400 Bad Request" in text
    assert b"HTTP/1.1 500 Internal Error" in text
    assert b"VDI_IO_ERROR: [ Device I/O errors ]" in text
    assert client.record(task)["error_info"] == IO_ERROR
    assert client.pool.db.field("VDI", client.vdi, "VBDs") == []


def test_a_raw_body_may_be_shorter_than_the_disk(client: Any) -> None:
    """The rest is left alone. Zeros are written, so they are allocated."""
    body = b"q" * 1000 + bytes(BLOCK)
    task = client.task()
    client.put(body, length(body), task_id=task)
    assert client.record(task)["status"] == "success"
    assert client.read() == body + bytes(7 * BLOCK - 1000)
    assert client.pool.storage.allocated_blocks(client.uuid) == [0, 1]


def test_a_raw_body_longer_than_the_disk_is_an_io_error(client: Any) -> None:
    """What fits has been written."""
    body = b"q" * (8 * BLOCK + 512)
    task = client.task()
    client.put(body, length(body), task_id=task)
    assert client.record(task)["error_info"] == IO_ERROR
    assert client.read() == b"q" * (8 * BLOCK)


def test_a_body_that_breaks_off_is_an_io_error(client: Any) -> None:
    """Less came than was announced."""
    task = client.task()
    with client.connect("PUT", {"content-length": "1048576"}, {"vdi": client.vdi, "task_id": task}) as connection:
        connection.sendall(b"x" * 1000)
    client.join()
    assert client.record(task)["error_info"] == IO_ERROR


def test_transfer_encoding_is_refused(client: Any) -> None:
    """HTTP/1.0, no body, and the task says why."""
    task = client.task()
    answer = client.put(b"0\r\n\r\n", {"transfer-encoding": "chunked"}, task_id=task)
    assert (answer.line, answer.body) == ("HTTP/1.0 404 Not Found", b"")
    assert client.record(task)["error_info"] == ["INTERNAL_ERROR", "Cannot handle encoding: chunked"]


def test_a_vhd_cannot_be_sparse(client: Any) -> None:
    """The sparse protocol is for raw data."""
    task = client.task()
    answer = client.put(b"", format="vhd", chunked="1", task_id=task)
    assert answer.line == "HTTP/1.0 404 Not Found"
    assert client.record(task)["error_info"] == ["INTERNAL_ERROR", "Cannot handle chunked VHD"]


def test_a_disk_or_a_repository_must_be_named(client: Any) -> None:
    """Else there is nothing to write to."""
    task = client.task()
    with client.connect("PUT", {}, {"task_id": task}) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 Bad Request")
        client.join()
    assert client.record(task)["error_info"] == ["VDI_MISSING"]


def test_a_repository_alone_gets_a_new_disk(client: Any) -> None:
    """Of the length of the body."""
    body, task = b"new" * 1000, client.task()
    sr = client.sr
    with client.connect("PUT", length(body), {"sr_id": sr, "task_id": task}) as connection:
        connection.sendall(body)
        while connection.recv(65536):
            pass
        client.join()
    vdi = client.record(task)["result"].removeprefix("<value>").removesuffix("</value>")
    assert client.pool.db.field("VDI", vdi, "name_label") == "Imported VDI"
    assert client.read(vdi) == body + bytes(BLOCK - 3000)


def test_a_vhd_lands_on_what_the_disk_holds(client: Any) -> None:
    """Its blocks are applied, everything else stays: that is how a delta is brought in."""
    target = client.disk()
    client.write(0, b"old" * 1000, target)
    client.write(7 * BLOCK, b"keep", target)
    client.write(0, b"new" * 1000)
    client.write(2 * BLOCK, random.Random(2).randbytes(BLOCK))
    body, task = client.get().body, client.task()
    client.put(body, length(body), vdi=target, format="vhd", task_id=task)
    assert client.record(task)["status"] == "success"
    assert client.read(target) == client.read()[: 7 * BLOCK] + b"keep" + bytes(BLOCK - 4)


def test_sector_bitmaps_are_honoured(client: Any) -> None:
    """Only sectors whose bit is set are written."""
    client.write(BLOCK, b"n" * BLOCK)
    body = bytearray(client.get().body)
    target = client.disk()
    client.write(BLOCK, b"o" * BLOCK, target)
    (sector,) = struct.unpack_from(">I", body, 2048 + 4)
    body[sector * 512 : sector * 512 + 512] = b"\x40" + bytes(511)
    task = client.task()
    client.put(bytes(body), length(body), vdi=target, format="vhd", task_id=task)
    assert client.record(task)["status"] == "success"
    assert client.read(target)[BLOCK : 2 * BLOCK] == b"o" * 512 + b"n" * 512 + b"o" * (BLOCK - 1024)


def broken_vhds() -> list[tuple[str, Callable[[bytearray], bytes]]]:
    def cut(body: bytearray) -> bytes:
        return bytes(body[:-512])

    def flip(at: int) -> Callable[[bytearray], bytes]:
        def change(body: bytearray) -> bytes:
            body[at] ^= 0xFF
            return bytes(body)

        return change

    return [
        ("garbage", lambda body: b"g" * 4096),
        ("no trailing footer", cut),
        ("footer checksum", flip(50)),
        ("header checksum", flip(512 + 40)),
        ("trailing footer", flip(-512)),
        ("empty", lambda body: b""),
    ]


@pytest.mark.parametrize(("why", "spoil"), broken_vhds(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_vhd_that_is_none_is_an_io_error(client: Any, why: str, spoil: Callable[[bytearray], bytes]) -> None:
    """After the 200: also for the empty probe that Xen Orchestra sends to see where it is redirected."""
    client.write(0, b"x")
    body, task = spoil(bytearray(client.get().body)), client.task()
    answer = client.put(body, length(body), vdi=client.disk(), format="vhd", task_id=task)
    assert answer.line == "HTTP/1.1 200 OK"
    assert b"HTTP/1.1 500 Internal Error" in answer.body
    assert client.record(task)["error_info"] == IO_ERROR


def test_a_wrong_length_breaks_a_vhd(client: Any) -> None:
    """The trailing footer is looked for where the length says."""
    client.write(0, b"x")
    body, task = client.get().body + bytes(512), client.task()
    client.put(body, length(body), vdi=client.disk(), format="vhd", task_id=task)
    assert client.record(task)["error_info"] == IO_ERROR


def test_a_vhd_larger_than_the_disk_fails_late(client: Any) -> None:
    """When a block beyond the end comes."""
    client.write(0, b"x")
    client.write(7 * BLOCK, b"x")
    small, body, task = client.disk(4), client.get().body, client.task()
    client.put(body, length(body), vdi=small, format="vhd", task_id=task)
    assert client.record(task)["error_info"] == IO_ERROR
    assert client.read(small)[:1] == b"x"


def test_a_full_repository_is_an_io_error(client: Any) -> None:
    """File repositories notice when they write."""
    sr = client.sr
    client.pool.db.set("SR", sr, physical_size=client.pool.space.used_bytes(sr) + 3 * BLOCK)
    task = client.task()
    client.put(sparse((0, b"x" * (4 * BLOCK))), chunked="1", task_id=task)
    assert client.record(task)["error_info"] == IO_ERROR
    assert len(client.pool.storage.allocated_blocks(client.uuid)) == 2


def test_a_read_only_disk_is_told_in_the_body(client: Any) -> None:
    """The 200 has gone out before."""
    client.pool.db.set("VDI", client.vdi, read_only=True)
    task = client.task()
    answer = client.put(sparse(), chunked="1", task_id=task)
    assert answer.line == "HTTP/1.1 200 OK"
    assert client.record(task)["error_info"][0] == "VDI_READONLY"


def test_the_disk_is_let_go_before_the_task_ends(make_client: Callable[..., Any]) -> None:
    """And the connection ends after that."""
    client = make_client(delays=Delays({"detach": 0.2}))
    task = client.task()
    began = time.monotonic()
    client.put(sparse(), chunked="1", task_id=task)
    assert time.monotonic() - began >= 0.2
    assert client.record(task)["status"] == "success"


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.FULL])
def test_faults_strike_at_their_byte(client: Any, kind: FaultKind) -> None:
    """What came before has been written."""
    client.pool.faults.add(FaultOrder(kind=kind, match="import_raw_vdi", at=12 + BLOCK))
    task = client.task()
    client.put(sparse((0, b"x" * BLOCK), (BLOCK, b"y" * BLOCK)), chunked="1", task_id=task)
    assert client.record(task)["error_info"] == IO_ERROR
    assert client.read() == b"x" * BLOCK + bytes(7 * BLOCK)


def test_the_trace_tells_of_it(client: Any) -> None:
    """With its bytes and those put on the disk."""
    client.put(sparse((0, b"x" * 512)), chunked="1")
    (entry,) = client.pool.trace.since()["transfers"]
    assert (entry.name, entry.format, entry.bytes, entry.written) == ("import_raw_vdi", "sparse", 536, 512)
    assert entry.changed


@pytest.mark.parametrize("by_client", [False, True])
def test_the_last_bytes_before_a_cut_can_be_lost(client: Any, by_client: bool) -> None:
    """Sent is not written: whoever cuts the connection, what came last is not on the disk, to the byte; what came before is."""
    chunks = [(n * 65536, bytes([n + 1]) * 65536) for n in range(40)]
    body, dropped = sparse(*chunks, end=False), 5 * 65536 + 1000
    order = FaultOrder(kind=FaultKind.CUT, match="import_raw_vdi", at=0 if by_client else len(body), drop_bytes=dropped)
    client.pool.faults.add(order)
    task = client.task()
    with client.connect("PUT", {}, {"vdi": client.vdi, "chunked": "1", "task_id": task}) as connection:
        connection.sendall(body)
        if by_client:
            connection.shutdown(1)
        client.join()
    assert client.record(task)["error_info"] == IO_ERROR
    want, at = bytearray(8 * BLOCK), 0
    for offset, data in chunks:
        kept = max(0, min(len(data), len(body) - dropped - at - 12))
        want[offset : offset + kept] = data[:kept]
        at += 12 + len(data)
    assert client.read() == bytes(want)
    assert want.count(0) - 3 * BLOCK > 5 * 65536  # or nothing would have been lost
    (entry,) = client.pool.trace.since()["transfers"]
    assert (entry.bytes, entry.written) == (len(body), sum(map(bool, want)))
    assert client.pool.faults.show()[0]["left"] == 0


def test_nothing_is_lost_without_a_cut(client: Any) -> None:
    """An order to lose bytes leaves an import that comes to its end alone, raw and VHD ones too."""
    client.pool.faults.add(FaultOrder(kind=FaultKind.CUT, match="import_raw_vdi", drop_bytes=BLOCK))
    data = random.Random(5).randbytes(3 * BLOCK)
    client.put(sparse((BLOCK, data)), chunked="1")
    assert client.read() == bytes(BLOCK) + data + bytes(4 * BLOCK)
    client.put(data, length(data))
    assert client.read() == data + data[2 * BLOCK :] + bytes(4 * BLOCK)
    image = client.get().body
    client.write(0, bytes(8 * BLOCK))
    client.put(image, length(image), format="vhd")
    assert client.read() == data + data[2 * BLOCK :] + bytes(4 * BLOCK)
    assert client.pool.faults.show()[0]["left"] == 1


def test_a_corrupt_byte_of_a_body_is_written(client: Any) -> None:
    """The import does not notice; only reading back does."""
    client.pool.faults.add(FaultOrder(kind=FaultKind.CORRUPT, match="import_raw_vdi", at=12 + 1000))
    task = client.task()
    client.put(sparse((BLOCK, b"x" * BLOCK)), chunked="1", task_id=task)
    assert client.record(task)["status"] == "success"
    read = client.read()[BLOCK : 2 * BLOCK]
    assert (read[1000], read[:1000], read[1001:]) == (ord("x") ^ 0xFF, b"x" * 1000, b"x" * (BLOCK - 1001))


def test_latency_is_a_round_trip_at_each_end(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the answer's head, and before the end of an import is confirmed; the body is not slowed."""
    trips: list[None] = []
    monkeypatch.setattr(client.pool, "round_trip", lambda: trips.append(None))
    client.put(sparse(*((n * BLOCK, b"x" * BLOCK) for n in range(8))), chunked="1")
    assert len(trips) == 2
    assert len(client.get(format="raw").body) == 8 * BLOCK
    assert len(trips) == 3


def test_every_import_marks_what_it_writes(client: Any) -> None:
    """On a tracked disk: the blocks of 64 KiB, and of a VHD those whose sectors its bitmap has. The log is closed afterwards."""
    logs, uuid = client.pool.storage.logs, client.uuid
    logs.begin(uuid, 8 * BLOCK, attached=False)
    logs.split(uuid, "first", attached=False)
    client.put(sparse((65536 * 3 + 512, b"x" * 512), (BLOCK, b"y" * (65536 + 512))), chunked="1")
    assert logs.changed("first", uuid)[:8] == bytes([0b00010000, 0, 0, 0, 0b11000000, 0, 0, 0])
    logs.split(uuid, "second", attached=False)
    body = b"r" * 65536
    client.put(body, length(body))
    stream = client.get(format="vhd", base=client.disk()).body
    assert logs.changed("second", uuid)[:4] == b"\x80\0\0\0"
    logs.split(uuid, "third", attached=False)
    client.put(stream, length(stream), format="vhd")
    assert logs.changed("third", uuid)[:12] == b"\xff" * 8 + bytes(4)
    assert logs.is_consistent(uuid)


@pytest.fixture
def older(client: Any) -> Any:
    """6.5, which refused otherwise (its import_raw_vdi.ml)."""
    client.pool.config = msgspec.structs.replace(client.pool.config, release="6.5")
    return client


def test_up_to_6_5_an_encoding_was_forbidden(older: Any) -> None:
    """And then told again, as the exception that it is."""
    task = older.task()
    answer = older.put(b"0\r\n\r\n", {"transfer-encoding": "chunked"}, task_id=task)
    assert answer.line == "HTTP/1.1 403 Forbidden"
    assert answer.body.startswith(b"HTTP/1.1 500 Internal Error")
    assert older.record(task)["error_info"] == [
        "INTERNAL_ERROR",
        'Failure("import code cannot handle encoding: chunked")',
    ]


def test_up_to_6_5_a_sparse_vhd_was_a_success_without_a_word(older: Any) -> None:
    """Nothing is written either."""
    task = older.task()
    assert older.put(b"", format="vhd", chunked="1", task_id=task).line == ""
    assert older.record(task)["status"] == "success"


def test_up_to_6_5_no_disk_was_made(older: Any) -> None:
    """That came with 7.1; the task is not taken up."""
    task = older.task()
    with older.connect("PUT", {"content-length": "512"}, {"sr_id": older.sr, "task_id": task}) as connection:
        assert b"500 Internal Error" in connection.recv(1000)
    older.join()
    assert older.record(task)["status"] == "pending"


@pytest.mark.parametrize(("release", "line"), [("7.6", "500 Internal Error"), ("8.0", "200 OK")])
def test_up_to_7_6_the_answer_waited_for_the_disk(client: Any, release: str, line: str) -> None:
    """So that a disk that cannot be attached was told in the head."""
    client.pool.config = msgspec.structs.replace(client.pool.config, release=release)
    client.pool.db.set("VDI", client.vdi, read_only=True)
    assert client.put(sparse(), chunked="1").line == f"HTTP/1.1 {line}"
