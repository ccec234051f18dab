"""How fast copies may go: rates in bytes per second, and tables of them by hour of the day.

Written as ``100MiB`` (with or without ``/s``), as a number of bytes, or ``unlimited``, which is None here. Times of day are minutes
after midnight on the server's own clock.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

import msgspec

from xo_warmig.errors import InvalidRequest
from xo_warmig.model.units import KIB, format_bytes, parse_size

# Below this a disk takes weeks, and connections that are shared by many copies would look dead to the pools.
LEAST_RATE: Final = 64 * KIB
UNLIMITED: Final = "unlimited"
_DAY: Final = 24 * 60
_SPAN = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?")

Rate = int | None


class HourRate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """From minute ``begin`` of the day to minute ``end``, which may lie beyond midnight, it is this rate."""

    begin: int
    end: int
    bytes_per_second: int | None

    def parts(self) -> Iterator[tuple[int, int]]:
        """The same without crossing midnight."""
        if self.begin < self.end:
            yield self.begin, self.end
        else:
            yield self.begin, _DAY
            yield 0, self.end

    def __str__(self) -> str:
        return f"{_clock(self.begin)}-{_clock(self.end)} {describe(self.bytes_per_second)}"


class RateTable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The rate at every time of day: that of the hours where one has it, else ``default``."""

    default: int | None = None
    hours: list[HourRate] = []

    def at(self, minute: int) -> Rate:
        for each in self.hours:
            if any(begin <= minute < end for begin, end in each.parts()):
                return each.bytes_per_second
        return self.default

    def lowest(self) -> Rate:
        """Of the whole day."""
        rates = [rate for rate in (self.default, *(each.bytes_per_second for each in self.hours)) if rate is not None]
        return min(rates, default=None)

    def __str__(self) -> str:
        return ", ".join(
            [*map(str, self.hours), f"else {describe(self.default)}" if self.hours else describe(self.default)]
        )


class WrittenRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pool's table as it stands in the configuration. ``throttle_final_pass``: it holds for the final pass too."""

    default: int | str = UNLIMITED
    hours: dict[str, int | str] = {}
    throttle_final_pass: bool = False


class PoolRate(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool's copies may use, all together."""

    table: RateTable
    throttle_final_pass: bool = False


def describe(rate: Rate) -> str:
    """``20.0 MiB/s``."""
    return UNLIMITED if rate is None else f"{format_bytes(rate)}/s"


def read_rates(written: WrittenRates) -> PoolRate:
    """The table that was written.

    Raises:
        InvalidRequest: code BAD_RATE; ``evidence`` has the ``key`` within the table.
    """
    hours = [_read_hour(text, rate) for text, rate in written.hours.items()]
    table = RateTable(default=_read_rate(written.default, "default"), hours=hours)
    _refuse_overlap(written.hours, hours)
    return PoolRate(table=table, throttle_final_pass=written.throttle_final_pass)


def _read_rate(written: int | str, key: str) -> Rate:
    try:
        rate = parse_rate(written) if isinstance(written, str) else written
    except ValueError:
        _refuse(
            key, f"{written!r} is no rate", 'Write it as "100MiB" or "unlimited", or as a number of bytes per second.'
        )
    if rate is not None and rate < LEAST_RATE:
        _refuse(key, f"{describe(rate)} is too slow", f"Give at least {describe(LEAST_RATE)}.")
    return rate


def parse_rate(text: str) -> Rate:
    """``100MiB`` or ``100M/s``, or ``unlimited``. Raises ValueError."""
    plain = text.strip()
    return None if plain.casefold() == UNLIMITED else parse_size(plain.removesuffix("/s"))


def _read_hour(text: str, rate: int | str) -> HourRate:
    key = f"hours.{text}"
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        _refuse(key, f"{text!r} are no hours", 'Write them as "08-18", or "22:30-06:00".')
    begin, end = (int(hour) * 60 + int(minute or 0) for hour, minute in (match.groups()[:2], match.groups()[2:]))
    if begin >= _DAY or end > _DAY or int(match[2] or 0) >= 60 or int(match[4] or 0) >= 60:
        _refuse(key, f"{text!r} is not within a day", "Hours go from 00:00 to 24:00.")
    if begin == end:
        _refuse(key, f"{text!r} begins when it ends", "For the whole day give the default.")
    return HourRate(begin=begin, end=end, bytes_per_second=_read_rate(rate, key))


def _refuse_overlap(texts: Mapping[str, object], hours: list[HourRate]) -> None:
    """What two hours say of the same minute would depend on their order."""
    parts = sorted((begin, end, text) for text, each in zip(texts, hours, strict=True) for begin, end in each.parts())
    for (_, end, one), (begin, _, other) in itertools.pairwise(parts):
        if begin < end:
            _refuse(f"hours.{other}", f"{one!r} and {other!r} overlap", "Let each minute of the day be in one of them.")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _refuse(key: str, message: str, remedy: str) -> NoReturn:
    raise InvalidRequest(message, code="BAD_RATE", evidence={"key": key}, remedy=remedy)
