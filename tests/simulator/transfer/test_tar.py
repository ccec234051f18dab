"""Disks as tar archives, which Python's own library reads."""

import hashlib
import io
import random
import tarfile
from typing import Any

import msgspec
import pytest
import xxhash

from xo_warmig.simulator.transfer.tar_stream import CHUNK

DATA = random.Random(3).randbytes(CHUNK)


def files_in(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member)) is not None}


@pytest.mark.parametrize("release", ["8.0", "8.3"])
def test_an_export_has_what_is_not_zero(client: Any, release: str) -> None:
    """And the first and the last MiB; checksums are those of the release."""
    client.pool.config = msgspec.structs.replace(client.pool.config, release=release)
    client.write(3 * CHUNK, DATA)
    answer = client.get(format="tar")
    assert answer.headers["content-type"] == "application/x-tar"
    last = len(client.read()) // CHUNK - 1
    files = files_in(answer.body)
    pieces = {f"vdi/{number:08d}" for number in (0, 3, last)}
    ending = ".checksum" if release == "8.0" else ".xxhash"
    assert files.keys() == pieces | {piece + ending for piece in pieces}
    assert files["vdi/00000003"] == DATA
    known = hashlib.sha1(DATA).hexdigest() if release == "8.0" else xxhash.xxh64(DATA).hexdigest().upper()
    assert files["vdi/00000003" + ending].decode() == known


def test_an_import_writes_the_pieces_that_are_there(client: Any) -> None:
    """What an export left out stays as it was."""
    client.write(3 * CHUNK, DATA)
    body = client.get(format="tar").body
    other = client.disk()
    client.write(CHUNK, b"old", other)
    task = client.task()
    client.put(body, format="tar", vdi=other, task_id=task)
    assert client.record(task)["status"] == "success"
    after = client.read(other)
    assert after[3 * CHUNK : 4 * CHUNK] == DATA
    assert after[CHUNK : CHUNK + 3] == b"old"


def test_what_is_no_such_archive_fails(client: Any) -> None:
    """From the beginning."""
    task = client.task()
    client.put(b"x" * 1024 + client.get(format="tar").body, format="tar", task_id=task)
    assert client.record(task)["status"] == "failure"


def test_a_piece_with_another_checksum_fails(client: Any) -> None:
    """The data are on the disk then, as on a real pool."""
    body = bytearray(client.get(format="tar").body)
    body[tarfile.BLOCKSIZE] ^= 1
    task = client.task()
    client.put(bytes(body), format="tar", vdi=client.disk(), task_id=task)
    assert client.record(task)["status"] == "failure"


@pytest.mark.parametrize("method", ["get", "put"])
def test_up_to_7_6_nobody_knew_the_format(client: Any, method: str) -> None:
    """It is answered as any unknown one."""
    client.pool.config = msgspec.structs.replace(client.pool.config, release="7.6")
    task = client.task()
    arguments = [b""] if method == "put" else []
    assert getattr(client, method)(*arguments, format="tar", task_id=task).line == "HTTP/1.0 404 Not Found"
    assert client.record(task)["error_info"] == ["INTERNAL_ERROR", "Unknown format tar"]
