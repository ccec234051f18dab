"""Exports, over a pair of sockets."""

import random
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from xo_warmig.simulator.bandwidth import Bandwidth
from xo_warmig.simulator.delays import Delays
from xo_warmig.simulator.faults import FaultKind, FaultOrder
from xo_warmig.simulator.storage import BLOCK


def blocks_of(stream: bytes) -> dict[int, bytes]:
    """The blocks of a dynamic VHD as it is streamed, after checking its frame."""
    assert stream[:8] == b"conectix"
    assert stream[512:520] == b"cxsparse"
    assert stream[-512:] == stream[:512]
    (entries,) = struct.unpack_from(">I", stream, 512 + 28)
    bat = struct.unpack_from(f">{entries}I", stream, 2048)
    found = {}
    for block, sector in enumerate(bat):
        if sector != 0xFFFFFFFF:
            at = sector * 512
            assert stream[at : at + 512] == b"\xff" * 512
            found[block] = stream[at + 512 : at + 512 + BLOCK]
    table = -(-4 * entries // 512) * 512
    assert len(stream) == 2048 + table + len(found) * (512 + BLOCK) + 512
    return found


def test_the_head_is_xapis_own(client: Any) -> None:
    """Byte for byte, without a length, and the task is the one that was named."""
    task = client.task()
    answer = client.get(task_id=task)
    assert answer.head == (
        "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache, no-store\r\n"
        f"task-id:{task}\r\ncontent-type:application/vhd\r\n"
        f'content-disposition: attachment; filename="{client.uuid}.vhd"'
    )
    assert client.record(task)["status"] == "success"


def test_an_empty_disk_is_three_kilobytes(client: Any) -> None:
    """Footer, header, table, footer."""
    body = client.get().body
    assert blocks_of(body) == {}
    assert len(body) == 3072


def test_whole_blocks_travel(client: Any) -> None:
    """Those that are allocated anywhere in the chain, with full bitmaps."""
    data = random.Random(1).randbytes(5000)
    client.write(3 * BLOCK - 1000, data)
    found = blocks_of(client.get().body)
    assert found == {2: bytes(BLOCK - 1000) + data[:1000], 3: data[1000:] + bytes(BLOCK - 4000)}


def test_a_delta_has_what_changed_since_its_base(client: Any) -> None:
    """Whole blocks read through the disk, and a parent that names the base."""
    client.write(0, b"a" * 4096)
    client.write(4 * BLOCK, b"a" * 4096)
    client.pool.storage.snapshot(client.uuid, "5d2c57b6-0000-4000-8000-000000000001", "base")
    base = client.pool.db.create("VDI", uuid="5d2c57b6-0000-4000-8000-000000000001", SR=client.sr, managed=True)
    client.write(4 * BLOCK + 4096, b"b" * 4096)
    body = client.get(base=base).body
    assert {block: data[:8192] for block, data in blocks_of(body).items()} == {4: b"a" * 4096 + b"b" * 4096}
    assert struct.unpack_from(">I", body, 60) == (4,)
    assert body[552:568].hex() == "5d2c57b6000040008000000000000001"
    assert "/run/sr-mount/" in body[576:1088].decode("utf-16-be")
    assert body[1088:1092] == b"MacX"


def test_raw_is_the_whole_disk(client: Any) -> None:
    """Zeros included."""
    client.write(BLOCK + 5, b"x")
    answer = client.get(format="raw")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.body == client.read()


def test_a_uuid_serves_as_vdi(client: Any) -> None:
    """As well as a reference."""
    assert blocks_of(client.get(vdi=client.uuid).body) == {}


def test_a_task_made_here_is_gone_afterwards(client: Any) -> None:
    """Who wants to read the outcome brings a task."""
    answer = client.get()
    assert answer.headers["task-id"].startswith("OpaqueRef:")
    assert not client.pool.db.exists("task", answer.headers["task-id"])


def test_an_unknown_disk_is_a_database_error(client: Any) -> None:
    """Not HANDLE_INVALID: the handler looks below the API."""
    task = client.task()
    answer = client.get(vdi="OpaqueRef:nope", task_id=task)
    assert answer.line == "HTTP/1.1 500 Internal Error"
    assert b"Db_exn.Read_missing_uuid" in answer.body
    assert b"OpaqueRef:nope" in answer.body
    assert client.record(task)["error_info"][0] == "INTERNAL_ERROR"


def test_an_unknown_format_has_no_body(client: Any) -> None:
    """And HTTP/1.0."""
    task = client.task()
    answer = client.get(format="floppy", task_id=task)
    assert (answer.line, answer.body) == ("HTTP/1.0 404 Not Found", b"")
    assert client.record(task)["error_info"] == ["INTERNAL_ERROR", "Unknown format floppy"]


def test_without_a_session_the_task_is_not_touched(client: Any) -> None:
    """The check comes before the task is looked at."""
    task = client.task()
    answer = client.get({"session": None}, task_id=task)
    assert answer.line == "HTTP/1.1 401 Unauthorised"
    assert answer.headers["www-authenticate"] == 'Basic realm="get_export_raw_vdi"'
    assert client.record(task)["status"] == "pending"


def test_a_host_without_the_repository_sends_elsewhere(client: Any) -> None:
    """With the same query; the other host completes the task."""
    other = next(ref for ref in client.pool.db.refs("host") if ref != client.host)
    task = client.task()
    answer = client.get({"host": other}, task_id=task)
    assert answer.line == "HTTP/1.1 302 Found"
    assert answer.headers["location"].startswith("http://127.0.0.1:8080/export_raw_vdi?vdi=OpaqueRef")
    assert client.record(task)["status"] == "pending"


def test_no_host_has_the_repository(client: Any) -> None:
    """Then the task fails."""
    for pbd in client.pool.db.refs("PBD"):
        client.pool.db.set("PBD", pbd, currently_attached=False)
    task = client.task()
    assert client.get(task_id=task).line == "HTTP/1.1 500 Internal Error"
    assert client.record(task)["error_info"] == ["NO_HOSTS_AVAILABLE"]


def test_dom0_has_the_disk_until_a_moment_after_the_end(make_client: Callable[..., Any]) -> None:
    """The client sees the end first, then the disk is let go, then the task ends."""
    client = make_client(delays=Delays({"linger": 0.2, "detach": 0.1}))
    task = client.task()
    with client.connect("GET", {}, {"vdi": client.vdi, "format": "vhd", "task_id": task}) as connection:
        while connection.recv(65536):
            pass
        (vbd,) = client.pool.db.field("VDI", client.vdi, "VBDs")
        assert client.pool.db.field("VBD", vbd, "mode") == "RO"
        assert client.record(task)["status"] == "pending"
        client.join()
    assert client.pool.db.field("VDI", client.vdi, "VBDs") == []
    assert client.record(task)["status"] == "success"


def test_a_disk_that_cannot_be_attached_is_told_in_the_body(client: Any) -> None:
    """The 200 has gone out before."""
    client.pool.db.set("VDI", client.vdi, type="cbt_metadata")
    task = client.task()
    answer = client.get(task_id=task)
    assert answer.line == "HTTP/1.1 200 OK"
    assert answer.body.startswith(b"HTTP/1.1 500 Internal Error")
    assert client.record(task)["error_info"][0] == "VDI_INCOMPATIBLE_TYPE"


def test_up_to_7_6_the_answer_waited_for_the_disk(client: Any) -> None:
    """So a refusal is the answer itself, and an export that may begin looks as ever."""
    client.pool.config = msgspec.structs.replace(client.pool.config, release="7.6")
    assert client.get().line == "HTTP/1.1 200 OK"
    client.pool.db.set("VDI", client.vdi, type="cbt_metadata")
    task = client.task()
    assert client.get(task_id=task).line == "HTTP/1.1 500 Internal Error"
    assert client.record(task)["error_info"][0] == "VDI_INCOMPATIBLE_TYPE"


def test_a_client_that_goes_away_is_an_io_error(client: Any) -> None:
    """And nothing stays attached."""
    client.write(0, b"x" * (6 * BLOCK))
    task = client.task()
    connection = client.connect("GET", {}, {"vdi": client.vdi, "format": "vhd", "task_id": task})
    connection.recv(4096)
    connection.close()
    client.join()
    assert client.record(task)["error_info"] == ["VDI_IO_ERROR", "Device I/O errors"]
    assert client.pool.db.field("VDI", client.vdi, "VBDs") == []


def test_a_cut_ends_the_stream_at_its_byte(client: Any) -> None:
    """Without a word."""
    client.write(0, b"x" * BLOCK)
    client.pool.faults.add(FaultOrder(kind=FaultKind.CUT, match="export_raw_vdi", at=100_000))
    task = client.task()
    assert len(client.get(task_id=task).body) == 100_000
    assert client.record(task)["status"] == "failure"
    assert len(client.get().body) > BLOCK


def test_a_failure_in_mid_stream_is_text_in_the_stream(client: Any) -> None:
    """At the place of the cut."""
    client.write(0, b"x" * BLOCK)
    client.pool.faults.add(
        FaultOrder(kind=FaultKind.FAIL, match=client.uuid, at=5000, error=("SR_BACKEND_FAILURE_1", "x"))
    )
    task = client.task()
    body = client.get(task_id=task).body
    assert body[5000:].startswith(b"HTTP/1.1 500 Internal Error\r\n")
    assert client.record(task)["error_info"] == ["SR_BACKEND_FAILURE_1", "x"]


def test_a_corrupted_byte_is_one_byte(client: Any) -> None:
    """The length stays the same and nobody is told."""
    client.write(0, b"x" * BLOCK)
    right = client.get(format="raw").body
    client.pool.faults.add(FaultOrder(kind=FaultKind.CORRUPT, match="export_raw_vdi", at=777))
    wrong = client.get(format="raw").body
    assert [i for i in range(1000) if right[i] != wrong[i]] == [777]
    assert right[1000:] == wrong[1000:]


def test_a_hang_lasts_until_it_is_cleared(client: Any) -> None:
    """The client gets no further than the byte that was named."""
    client.write(0, b"x" * BLOCK)
    client.pool.faults.add(FaultOrder(kind=FaultKind.HANG, match="export_raw_vdi", at=1000))
    timer = threading.Timer(0.2, client.pool.faults.clear)
    timer.start()
    began = time.monotonic()
    assert len(client.get().body) > BLOCK
    assert time.monotonic() - began >= 0.2
    timer.join()


def test_progress_is_shown_in_the_task(make_client: Callable[..., Any]) -> None:
    """While it goes on, on a slow wire."""
    client = make_client(bandwidth=Bandwidth(6 << 20))
    client.write(0, b"x" * (2 * BLOCK))
    task, seen = client.task(), []
    with client.connect("GET", {}, {"vdi": client.vdi, "format": "vhd", "task_id": task}) as connection:
        while connection.recv(65536):
            seen.append(client.record(task)["progress"])
        client.join()
    assert any(0 < fraction < 1 for fraction in seen)
    assert seen == sorted(seen)


def test_the_trace_tells_of_it(client: Any) -> None:
    """With its bytes and the fact that nothing was changed."""
    client.get()
    client.get(vdi="OpaqueRef:nope")
    good, bad = client.pool.trace.since()["transfers"]
    assert (good.name, good.vdi, good.bytes, good.changed, good.error) == (
        "export_raw_vdi",
        client.uuid,
        3072,
        False,
        None,
    )
    assert bad.error == "INTERNAL_ERROR"


def test_the_vdi_must_be_named(client: Any) -> None:
    """Or it is a 500."""
    with client.connect("GET", {}, {"format": "vhd"}) as connection:
        text = connection.recv(65536)
        client.join()
    assert b"Missing vdi query parameter" in text


def kept_as(client: Any, image_format: str, vdi: str | None = None) -> None:
    """As if its storage kept the disk so."""
    uuid = client.pool.db.field("VDI", vdi or client.vdi, "uuid")
    client.pool.storage.image(uuid).image_format = image_format


@pytest.mark.parametrize("of_base", [False, True], ids=["the disk", "the base"])
def test_no_differences_of_an_image_that_is_no_vhd(client: Any, of_base: bool) -> None:
    """The refusal comes after the 200, as for all that is found when the disk is attached."""
    base = client.disk()
    kept_as(client, "qcow2", base if of_base else None)
    task = client.task()
    answer = client.get(base=base, task_id=task)
    assert answer.line == "HTTP/1.1 200 OK"
    assert b"ompute differences" in answer.body
    code, why = client.record(task)["error_info"]
    assert code == "INTERNAL_ERROR"
    assert why.startswith('Failure("Vhd_tool_wrapper' if of_base else 'Failure("Cannot compute differences on non-VHD')


@pytest.mark.parametrize(("image_format", "blocks"), [("vhd", 2), ("qcow2", 1), ("raw", 1)])
def test_a_whole_export_of_another_image_has_no_zeros(client: Any, image_format: str, blocks: int) -> None:
    """It goes by what is in it; a VHD by its table, blocks of zeros included."""
    client.write(0, b"x")
    client.write(BLOCK, bytes(BLOCK))
    kept_as(client, image_format)
    assert len(client.get().body) == 2048 + 512 + blocks * (512 + BLOCK) + 512
