"""Times as XO has them: seconds since the epoch."""

from datetime import UTC, datetime

from xo_warmig.xo.numbers import number


def seconds(time: object) -> int | float | None:
    """A time of XAPI's: a DateTime of XML-RPC, the same as text, or seconds as text. None for none, the epoch, and what is no time."""
    if time is None or time == "":
        return None
    text = str(time)
    if (plain := number(text)) is not None:
        return plain or None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()) or None
