"""Connections that are lent to calls and kept for the next ones; none of these ever connects."""

from xo_warmig.xapi.address import Address
from xo_warmig.xapi.lending import Lending
from xo_warmig.xapi.trust import Trust

HERE = Address("http", "127.0.0.1", 80)
THERE = Address("http", "127.0.0.2", 80)


def lending(most_idle: int) -> Lending:
    made = Lending(Trust(allow_unauthorized=False), origin="", most_idle=most_idle)
    made.open()
    return made


def test_a_burst_of_calls_finds_the_connections_of_the_one_before() -> None:
    """As many as are kept, and no more."""
    lent = lending(3)
    first = [lent.take(HERE) for _ in range(4)]
    for each in first:
        lent.give_back(HERE, each, reusable=True)
    second = [lent.take(HERE) for _ in range(4)]
    assert len(set(first) & set(second)) == 3


def test_what_broke_leads_elsewhere_or_was_shut_is_not_lent_again() -> None:
    lent = lending(3)
    broken, elsewhere = lent.take(HERE), lent.take(THERE)
    lent.give_back(HERE, broken, reusable=False)
    lent.give_back(THERE, elsewhere, reusable=True)
    assert lent.take(HERE) not in (broken, elsewhere)
    kept = lent.take(HERE)
    lent.shut()
    lent.give_back(HERE, kept, reusable=True)
    assert lent.take(HERE) is not kept


def test_what_is_lent_while_shut_or_was_interrupted_is_of_no_use() -> None:
    """A call that would begin just then fails as those that wait do; and nobody is lent it later."""
    lent = lending(3)
    busy = lent.take(HERE)
    lent.interrupt()
    assert busy.interrupted
    lent.give_back(HERE, busy, reusable=True)
    assert not lent.take(HERE).interrupted
    lent.shut()
    assert lent.take(HERE).interrupted
