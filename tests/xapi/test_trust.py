"""What is pinned by whose word, and what of it is kept."""

from xo_warmig.xapi.trust import Trust, believe_members

A, B = "AA:" * 31 + "AA", "BB:" * 31 + "BB"


def test_what_the_master_tells_is_not_kept() -> None:
    """It tells it again after a restart, as it is then."""
    trust = Trust(allow_unauthorized=False, pins={"one:443": A})
    believe_members(trust, 443, [("two", B)])
    assert trust.pinned("two", 443) == B
    assert trust.pins == {"one:443": A}


def test_the_master_changes_no_pin() -> None:
    """What it tells replaces what it told before, and no more; an empty word is none."""
    trust = Trust(allow_unauthorized=False, pins={"one:443": A})
    believe_members(trust, 443, [("ONE", B), ("two", A), ("three", ""), ("", B)])
    assert [trust.pinned(host, 443) for host in ("one", "two", "three")] == [A, A, None]
    believe_members(trust, 443, [("two", B)])
    assert trust.pinned("two", 443) == B


def test_old_tls_is_spoken_once_there_is_a_pin_to_go_by() -> None:
    """Whoever it is from; and that it was allowed is told once."""
    trust = Trust(allow_unauthorized=False, pins={"one:443": A})
    believe_members(trust, 443, [("two", B)])
    assert [trust.accepts_old_tls(host, 443) for host in ("one", "two", "three", "one")] == [True, True, False, False]
