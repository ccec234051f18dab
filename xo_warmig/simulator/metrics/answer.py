"""The three forms that xapi gave to ``/rrd_updates`` over time (ocaml/libs/xapi-rrd/lib/rrd_updates.ml). Pure."""

import json
import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_DIGITS: Final = 15


class Updates(NamedTuple):
    """A column for each entry of the legend; ``rows``, the newest first, are times with their values."""

    start: int
    step: int
    end: int
    legend: Sequence[str]
    rows: Sequence[tuple[int, Sequence[float]]]

    @property
    def meta(self) -> dict[str, int]:
        return {
            "start": self.start,
            "step": self.step,
            "end": self.end,
            "rows": len(self.rows),
            "columns": len(self.legend),
        }


def as_xml(updates: Updates) -> str:
    """What every release answers unless it is asked for JSON."""
    meta = "".join(f"<{name}>{value}</{name}>" for name, value in updates.meta.items())
    legend = "".join(f"<entry>{escape(name)}</entry>" for name in updates.legend)
    rows = "".join(
        f"<row><t>{time}</t>{''.join(f'<v>{_text(value)}</v>' for value in values)}</row>"
        for time, values in updates.rows
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<xport><meta>{meta}<legend>{legend}</legend></meta><data>{rows}</data></xport>"


def as_json(updates: Updates) -> str:
    """Since xapi 24.11: all numbers of the data as strings. (Some months before that ``data`` stood inside ``meta``.)"""
    rows = [{"t": time, "values": [_text(value) for value in values]} for time, values in updates.rows]
    answer = {"meta": {**updates.meta, "legend": list(updates.legend)}, "data": rows}
    return json.dumps(answer, separators=(",", ":"))


def as_older_json(updates: Updates) -> str:
    """Before that: names without quotes, and NaN and Infinity as they are, which only JSON5 takes."""
    meta = ",".join(f"{name}:{value}" for name, value in updates.meta.items())
    legend = ",".join(f'"{name}"' for name in updates.legend)
    rows = ",".join(f"{{t:{time},values:[{','.join(map(_text, values))}]}}" for time, values in updates.rows)
    return f"{{meta: {{{meta},legend:[{legend}]}},data:[{rows}]}}"


def _text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "0.0" if value == 0 else f"{value:.{_DIGITS}g}"
