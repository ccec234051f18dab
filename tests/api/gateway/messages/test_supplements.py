"""Lines of ours behind a download of upstream's."""

import pytest

from xo_warmig.api.gateway.supplements import MOST_SUPPLEMENTS, Supplement, Supplements


@pytest.mark.parametrize(
    ("pieces", "most", "rest"),
    [
        ([b"{}\n{", b"}\n"], None, b"1\n2\n"),
        ([b"{}\n{}"], None, b"\n1\n2\n"),
        ([], None, b"1\n2\n"),
        ([b"{}\n{}\n"], 3, b"1\n"),
        ([b"{}\n{}"], 3, b"\n1\n"),
        ([b"{}\n{}\n"], 2, b""),
        ([b"{}\n", b"", b"{}"], 2, b""),
    ],
)
def test_lines_come_behind_upstreams(pieces: list[bytes], most: int | None, rest: bytes) -> None:
    """On lines of their own, and only as many as the limit leaves room for."""
    supplement = Supplement(["1", "2"], most)
    assert [supplement.passed(piece) for piece in pieces] == pieces
    assert supplement.rest() == rest


def test_a_supplement_is_taken_once_below_either_mount() -> None:
    """A page below /v5 asks with that before the path."""
    supplements = Supplements()
    supplements.put("/api/x", ["1"], None)
    assert supplements.take("/api/y") is None
    assert supplements.take("/v5/api/x") is not None
    assert supplements.take("/api/x") is None


def test_what_nobody_comes_for_is_forgotten() -> None:
    """The oldest first."""
    supplements = Supplements()
    for number in range(MOST_SUPPLEMENTS + 1):
        supplements.put(f"/api/{number}", [], None)
    assert supplements.take("/api/0") is None
    assert supplements.take("/api/1") is not None
