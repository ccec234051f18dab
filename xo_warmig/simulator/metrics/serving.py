"""``GET /rrd_updates``, as a host answers it for the VMs that run there (ocaml/xapi/rrdd_proxy.ml and ocaml/xcp-rrdd).

Of a real host's figures there are those of writes. Which VM it has figures of is the host's own business: it redirects nobody.
"""

import math
from typing import TYPE_CHECKING, Final

from xo_warmig.simulator import pages
from xo_warmig.simulator.metrics.answer import Updates, as_json, as_older_json, as_xml
from xo_warmig.simulator.metrics.archive import Archive
from xo_warmig.simulator.release import at_least
from xo_warmig.simulator.transfer import answers, handling

if TYPE_CHECKING:
    from xo_warmig.simulator.request import HttpRequest

_LABEL: Final = "Get RRD updates."
_JSON, _XML = "application/json", "text/xml"
_AVERAGE: Final = "AVERAGE"


def serve_updates(request: "HttpRequest") -> None:
    """Answer it; the connection ends with the answer."""
    answer = _answer(request)
    request.pool.round_trip()
    handling.say(request, answer)


def _answer(request: "HttpRequest") -> bytes:
    if request.session is None:
        return answers.unauthorised(_LABEL)
    if "start" not in request.args:
        return answers.bad_request()
    try:
        start, interval = int(request.args["start"]), _number(request.args.get("interval", ""))
        updates = _updates(request, start, interval)
    except ValueError as error:
        return answers.internal_error(str(error))
    if not _wants_json(request):
        return _head(len(body := as_xml(updates).encode()), _XML) + body
    if at_least(request.pool.release, "8.3"):
        return _head(len(body := as_json(updates).encode()), _JSON) + body
    return _head(len(body := as_older_json(updates).encode()), "") + body


def _updates(request: "HttpRequest", start: int, interval: int) -> Updates:
    """Raises ValueError where the host has no figures of what was asked for, which xapi does not expect."""
    pool = request.pool
    archives = pool.metrics.archives(request.host)
    if (wanted := request.args.get("vm_uuid")) is not None:
        archives = {vm: archive for vm, archive in archives.items() if vm == wanted}
    newest = max((row.time for archive in archives.values() for row in archive.finest.rows), default=0)
    if not newest or request.args.get("cf", _AVERAGE) != _AVERAGE:
        raise ValueError("Rrd.No_RRA_Available" if at_least(pool.release, "8.3") else 'Failure("hd")')
    if start < 0 and at_least(pool.release, "7.1"):
        start += newest
    return _table(archives, start, interval, newest, pool.metrics.step_seconds)


def _table(archives: dict[str, Archive], start: int, interval: int, newest: int, step_seconds: int) -> Updates:
    rings = {vm: archive.best(start=start, interval=interval, now=newest) for vm, archive in archives.items()}
    columns = [(vm, name) for vm, archive in archives.items() for name in archive.names()]
    found = {vm: {row.time: row.figures for row in ring.rows} for vm, ring in rings.items()}
    step = step_seconds * next(iter(rings.values())).steps
    times = sorted({time for rows in found.values() for time in rows if time >= start}, reverse=True)
    return Updates(
        start=start // step * step + step,
        step=step,
        end=newest // step * step,
        legend=[f"{_AVERAGE}:vm:{vm}:{name}" for vm, name in columns],
        rows=[(time, [found[vm].get(time, {}).get(name, math.nan) for vm, name in columns]) for time in times],
    )


def _wants_json(request: "HttpRequest") -> bool:
    accept = request.headers.get("accept", "")
    if at_least(request.pool.release, "8.3") and (_JSON in accept) != (_XML in accept):
        return _JSON in accept
    return "json" in request.args


def _head(length: int, content_type: str) -> bytes:
    """It promises to keep the connection, and the proxy in front of it ends it all the same."""
    headers = {"Connection": "keep-alive", "Content-Length": str(length), "Cache-Control": "no-cache, no-store"}
    return pages.head(200, headers | ({"content-type": content_type} if content_type else {}) | pages.CROSS_ORIGIN)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
