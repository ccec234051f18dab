"""Exports as qcow2, with qemu-img as judge, and how disks are exported that no VHD can hold."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs import program
from xo_warmig.simulator.storage import BLOCK
from xo_warmig.simulator.transfer.qcow2_layout import CLUSTER

BLOCKS_OF_6_TIB = (6 << 40) // BLOCK


@pytest.fixture(scope="module")
def qemu_img() -> Callable[..., str]:
    return program("qemu-img", "apt-get install qemu-utils")


def test_qemu_reads_what_is_exported(client: Any, tmp_path: Path, qemu_img: Callable[..., str]) -> None:
    """Every refcount is right, and every byte is there; clusters of zeros are not."""
    source = random.Random(1)
    for offset, length in ((0, 100), (3 * CLUSTER - 7, 14), (5 * BLOCK, BLOCK), (8 * BLOCK - 1, 1)):
        client.write(offset, source.randbytes(length - 1) + b"x")
    answer = client.get(format="qcow2")
    assert answer.headers["content-type"] == "application/x-qemu-disk"
    image, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    image.write_bytes(answer.body)
    qemu_img("check", "-f", "qcow2", image)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert raw.read_bytes() == client.read()
    # Header, refcount table, refcounts, L1 and L2 tables, and what is stored.
    assert len(answer.body) == (5 + 1 + 2 + BLOCK // CLUSTER + 1) * CLUSTER


def test_a_disk_that_no_vhd_can_hold(client: Any, tmp_path: Path, qemu_img: Callable[..., str]) -> None:
    """As VHD it is refused in the body, as qcow2 it is as small as what is in it."""
    vdi = client.disk(BLOCKS_OF_6_TIB)
    places = [0, 2 << 40, 4 << 40, (6 << 40) - CLUSTER]
    for place in places:
        client.write(place, b"x" * CLUSTER, vdi)
    task = client.task()
    assert b"VDI_TOO_LARGE" in client.get(vdi=vdi, task_id=task).body
    assert client.record(task)["error_info"] == ["VDI_TOO_LARGE", vdi, "2190433320960"]
    image = tmp_path / "disk.qcow2"
    image.write_bytes(client.get(vdi=vdi, format="qcow2").body)
    assert image.stat().st_size < 2 << 20
    qemu_img("check", "-f", "qcow2", image)


@pytest.mark.parametrize("by_release", [False, True], ids=["an early 8.3", "8.2"])
def test_a_release_without_it_does_not_know_the_format(make_client: Callable[..., Any], by_release: bool) -> None:
    """And a difference in it is not simulated, which is said."""
    client = make_client()
    task = client.task()
    base = client.disk()
    assert b"not simulated" in client.get(format="qcow2", base=base).body
    fields = {"release": "8.2"} if by_release else {"qcow2_export": False}
    old = make_client(config=type(client.pool.config)(name="old", addresses=["127.0.0.1"], **fields))
    task = old.task()
    assert old.get(format="qcow2", task_id=task).line == "HTTP/1.0 404 Not Found"
    assert old.record(task)["error_info"] == ["INTERNAL_ERROR", "Unknown format qcow2"]
