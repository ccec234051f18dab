"""The trees of sources, whatever the collector does."""

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import tree


class Parsing:
    """Garbage that only the collector finds, and that parses as it goes."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        ast.parse("1 + 1")


@pytest.fixture
def soon() -> Iterator[None]:
    """The collector runs after some objects more, not at once."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1000)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("soon")
def test_garbage_that_parses_spoils_no_tree() -> None:
    """As it does in Python 3.11 where the collector meets it in the midst of parsing; and the collector goes on afterwards."""
    Parsing()
    assert tree(Path(ast.__file__)).body
    assert gc.isenabled()
