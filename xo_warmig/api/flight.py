"""How much one connection may have in flight: calls not yet answered, and the bytes of their requests."""

from xo_warmig.api.framing import Message
from xo_warmig.api.large_answers import has_large_answer
from xo_warmig.api.settings import ApiSettings
from xo_warmig.api.xo_errors import OTHER, XoError


class Flight:
    """Counts what is in flight."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._calls = 0
        self._bytes = 0

    def refusal(self, message: Message | list[Message], size_bytes: int, *, signed_in: bool) -> XoError | None:
        """Why this message is not taken now, if it is not."""
        if _count(message) > 1 and has_large_answer(message):
            return _busy("a call for all objects in a batch with others, which would be one answer")
        most_calls = self._settings.most_calls_in_flight
        if self._calls + _count(message) > most_calls:
            return _busy(f"more than {most_calls} calls in flight on this connection")
        most_bytes = self._settings.most_bytes_in_flight if signed_in else self._settings.most_bytes_before_sign_in
        if self._bytes + size_bytes > most_bytes:
            when = "" if signed_in else " before signing in"
            return _busy(f"more than {most_bytes} bytes of requests in flight on this connection{when}")
        return None

    def enter(self, message: Message | list[Message], size_bytes: int) -> None:
        self._calls += _count(message)
        self._bytes += size_bytes

    def leave(self, message: Message | list[Message], size_bytes: int) -> None:
        self._calls -= _count(message)
        self._bytes -= size_bytes


def _count(message: Message | list[Message]) -> int:
    return len(message) if isinstance(message, list) else 1


def _busy(text: str) -> XoError:
    return XoError(OTHER, f"{text}: wait for answers before calling again")
