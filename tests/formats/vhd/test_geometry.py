"""Cylinders, heads and sectors."""

import pytest

from xo_warmig.formats.vhd.geometry import geometry_of
from xo_warmig.model.units import GIB, MIB


@pytest.mark.parametrize(
    ("size_bytes", "geometry"),
    [
        (512, (0, 4, 17)),
        (16 * MIB, (481, 4, 17)),  # as xapi sent it
        (200 * MIB, (825, 16, 31)),
        (8 * GIB, (16644, 16, 63)),  # as xapi sent it
        (64 * GIB, (32896, 16, 255)),
        (2040 * GIB, (65535, 16, 255)),
    ],
)
def test_the_geometry_is_that_of_the_appendix(size_bytes: int, geometry: tuple[int, int, int]) -> None:
    """One case for each branch of the algorithm."""
    assert geometry_of(size_bytes) == geometry


def test_the_product_is_at_most_the_size() -> None:
    """Which is why nobody should take it for the size."""
    assert geometry_of(8 * GIB).size_bytes < 8 * GIB
