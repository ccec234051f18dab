"""Programs that nobody here wrote, as judges of our formats, and the streams that several tests look at."""

import contextlib
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.programs import missing, program

DATA = Path(__file__).parent.parent / "data"

INSTALL_QEMU = "apt-get install qemu-utils"
INSTALL_LIBVHDI = "apt-get install libvhdi-utils"
INSTALL_PYVHDI = "pip install libvhdi-python"


@pytest.fixture(scope="session")
def qemu_img() -> Callable[..., str]:
    return program("qemu-img", INSTALL_QEMU)


@pytest.fixture(scope="session")
def vhdiinfo() -> Callable[..., str]:
    return program("vhdiinfo", INSTALL_LIBVHDI)


# libvhdi's library read in two ways; a machine without FUSE has only the second.
LIBVHDI_WAYS = ["mount", "binding"] if os.access("/dev/fuse", os.R_OK | os.W_OK) else ["binding"]


@pytest.fixture(scope="session", params=LIBVHDI_WAYS)
def libvhdi_reads(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    """``libvhdi_reads(image, parent, ...)``: the bytes of the disk as libvhdi sees them, given all the image's ancestors.

    The parents lie beside the image, under the names that the images give.
    """
    return _mounting() if request.param == "mount" else _binding()


def _mounting() -> Callable[..., bytes]:
    vhdimount = program("vhdimount", INSTALL_LIBVHDI)
    fusermount = shutil.which("fusermount3") or shutil.which("fusermount")
    unmount = [fusermount, "-u"] if fusermount else ["umount"]

    def read(image: Path, *parents: Path) -> bytes:
        with tempfile.TemporaryDirectory(dir=image.parent) as directory:
            vhdimount(image, directory)
            try:
                layers = sorted(Path(directory).iterdir(), key=lambda layer: int(layer.name.removeprefix("vhdi")))
                assert len(layers) == 1 + len(parents)
                return layers[-1].read_bytes()
            finally:
                subprocess.run([*unmount, directory], check=True, timeout=60)

    return read


def _binding() -> Callable[..., bytes]:
    try:
        pyvhdi = importlib.import_module("pyvhdi")
    except ImportError:
        missing("pyvhdi", INSTALL_PYVHDI)

    def read(image: Path, *parents: Path) -> bytes:
        with contextlib.ExitStack() as files:
            child = None
            for path in (image, *parents):
                opened = pyvhdi.open(str(path))
                files.callback(opened.close)
                if child is not None:
                    assert opened.identifier == child.parent_identifier
                    child.set_parent(opened)
                else:
                    top = opened
                child = opened
            return bytes(top.read_buffer_at_offset(top.media_size, 0))

    return read


@pytest.fixture
def unique_id() -> UUID:
    return UUID("d69fa895-f2f0-4fc9-9161-eb16e32b16dd")


@pytest.fixture
def full_head() -> bytes:
    """The first 4 KiB of a full export of an 8 GiB disk by xapi 26.17."""
    return (DATA / "vhd-full-head.bin").read_bytes()


@pytest.fixture
def delta_head() -> bytes:
    """The first 4 KiB of an export with a base, of a 16 MiB disk by xapi 26.17."""
    return (DATA / "vhd-delta-head.bin").read_bytes()
