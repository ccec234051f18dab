"""qemu-img as judge: what it says is stored in a file that it wrote is what we read from the file's tables."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from xo_warmig.errors import FormatError
from xo_warmig.formats.qcow2 import layout_reader
from xo_warmig.model.extents import Extent, normalise
from xo_warmig.model.units import GIB, KIB, MIB


def test_qemu_and_we_see_the_same_clusters(tmp_path: Path, qemu_img: Callable[..., str]) -> None:
    """Its tables stand among its clusters, of which there are few here."""
    raw, image = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    size, source = 3 * GIB + 192 * KIB, random.Random(5)
    with raw.open("wb") as file:
        file.truncate(size)
        for offset in (0, 65 * MIB, GIB - 64 * KIB, 2 * GIB, size - 64 * KIB):
            file.seek(offset)
            file.write(source.randbytes(64 * KIB))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    reader = layout_reader()
    reader.feed(image.read_bytes())
    told = json.loads(qemu_img("map", "--output=json", "-f", "qcow2", image))
    mapped = normalise(Extent(each["start"], each["length"]) for each in told if each["data"])
    assert list(reader.result.extents()) == mapped
    assert len(mapped) == 5


@pytest.mark.parametrize("options", ["compat=0.10", "extended_l2=on,cluster_size=128k"])
def test_what_no_export_has_is_refused(tmp_path: Path, qemu_img: Callable[..., str], options: str) -> None:
    """An older version, finer entries."""
    image = tmp_path / "disk.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", options, image, "1G")
    with pytest.raises(FormatError) as error:
        layout_reader().feed(image.read_bytes())
    assert error.value.code == "BAD_QCOW2"
