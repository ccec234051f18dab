"""What helps where a pool does not serve its disks over NBD."""

from collections.abc import Callable

import pytest

from xo_warmig.model.nbd import NO_PURPOSE, RELEASE_WITHOUT_NBD, remedy_on_source, remedy_on_target


@pytest.mark.parametrize("remedy", [remedy_on_source, remedy_on_target])
def test_nobody_is_told_to_turn_on_what_the_release_has_not(remedy: Callable[..., str]) -> None:
    """Only what else helps is left, or nothing."""
    assert "purpose nbd" in remedy(NO_PURPOSE, "choose verify none")
    assert remedy(NO_PURPOSE, "choose verify none").endswith(", or choose verify none")
    assert remedy(RELEASE_WITHOUT_NBD, "choose verify none") == "choose verify none"
    assert remedy(RELEASE_WITHOUT_NBD) == ""
