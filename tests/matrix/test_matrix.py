"""A pairwise covering part of the matrix of releases, kinds of VMs and storage; ``make matrix`` takes all of it."""

import os
from pathlib import Path

import pytest

from tests.matrix.combinations import Combination, covering, every, pairs_of
from tests.matrix.migrating import carry_out
from tests.matrix.records import Difference, unexplained

PAIRWISE, ALL = 38, 2040
PART = covering()
CHOSEN = every() if os.environ.get("XO_WARMIG_MATRIX") == "all" else PART


def test_the_part_has_every_pair() -> None:
    """Of values that go together in any valid combination."""
    part = frozenset().union(*map(pairs_of, PART))
    assert part == frozenset().union(*map(pairs_of, every()))
    assert len(PART) == PAIRWISE
    assert len(every()) == ALL


def test_a_lost_field_is_found() -> None:
    """The table explains no more than it says."""
    source = {"uuid": "1", "name_label": "web", "other_config": {"a": "b", "xo_warmig:self": "1"}}
    target = {"uuid": "2", "name_label": "", "other_config": {"xo_warmig:self": "2"}}
    assert unexplained("VM", source, target, {}) == [
        Difference("VM", "name_label", "web", ""),
        Difference("VM", "other_config", {"a": "b"}, {}),
    ]
    assert unexplained("VM", {}, {"domain_type": "pv"}, {"domain_type": "unspecified"}) == []
    assert unexplained("VM", {"domain_type": "hvm"}, {"domain_type": "pv"}, {}) != []


@pytest.mark.parametrize("combination", CHOSEN, ids=str)
async def test_a_migration_between(combination: Combination, tmp_path: Path) -> None:
    """Disks are equal, records too but for what the table explains, and no pool was asked for what its release lacks."""
    outcome = await carry_out(combination, tmp_path)
    assert outcome.faults() == []
